"""What the catalog says about the tables and functions of a database, as far as rows and personas depend on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.catalog.definitions import Function
from rolecall.catalog.objects import POLICIES, Policy
from rolecall.noninterference.schema import FOREIGN_KEYS, ForeignKey

# `type` is the type that a domain stands for.
COLUMNS = """
WITH RECURSIVE base (type, oid, mod) AS (
  SELECT oid, oid, -1 FROM pg_type
  UNION ALL
  SELECT b.type, t.typbasetype, t.typtypmod FROM base AS b JOIN pg_type AS t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT n.nspname || '.' || c.relname, a.attname::text, t.typname::text, t.typcategory::text,
       CASE WHEN a.atttypmod = -1 THEN b.mod ELSE a.atttypmod END,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
       a.attnotnull OR d.typnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', a.attidentity = 'a'
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS d ON d.oid = a.atttypid
JOIN base AS b ON b.type = a.atttypid
JOIN pg_type AS t ON t.oid = b.oid AND t.typtype <> 'd'
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname, a.attnum
"""
# An index on an expression has no columns here, and says nothing about them.
UNIQUE = """
SELECT n.nspname || '.' || c.relname, i.indisprimary, (SELECT relname::text FROM pg_class WHERE oid = i.indexrelid),
       ARRAY(SELECT attname::text FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (number, place)
             JOIN pg_attribute ON attrelid = c.oid AND attnum = number ORDER BY place)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE i.indisunique AND i.indpred IS NULL AND 0 <> ALL (i.indkey::int[]) AND n.nspname !~ '^pg_'
"""
CHECKS = """
SELECT n.nspname || '.' || c.relname, k.conname::text,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = ANY (k.conkey)
             ORDER BY attnum),
       pg_get_expr(k.conbin, k.conrelid)
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'c'
"""
PROTECTED = """
SELECT n.nspname || '.' || c.relname, c.relrowsecurity
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
"""
FUNCTIONS = """
SELECT n.nspname || '.' || proname, p.oid::regprocedure::text, lanname::text, pg_get_functiondef(p.oid), prosrc,
       prosecdef, provolatile::text, proisstrict, prorettype = 'trigger'::regtype, COALESCE(proargnames, '{}')
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace JOIN pg_language AS l ON l.oid = prolang
WHERE prokind = 'f' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND lanname IN ('sql', 'plpgsql')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
"""
# The roles of clients: those that hold a privilege on a table, and do not own it.
ROLES = """
SELECT r.rolname::text, r.rolbypassrls, count(*)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN pg_roles AS r
WHERE n.nspname || '.' || c.relname = ANY (%s) AND NOT r.rolsuper AND r.rolname !~ '^pg_'
  AND NOT pg_has_role(r.oid, c.relowner, 'USAGE')
  AND has_schema_privilege(r.oid, n.oid, 'USAGE')
  AND (has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
       OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
GROUP BY 1, 2 ORDER BY 3 DESC, 1
"""


class Column(NamedTuple):
    """A column. ``type`` and ``category`` are those that a domain stands for.

    ``is_generated``: it is computed. ``is_identity``: GENERATED ALWAYS AS IDENTITY. Neither can be written.
    """

    name: str
    type: str
    category: str
    modifier: int
    labels: Sequence[str]
    not_null: bool
    has_default: bool
    is_generated: bool
    is_identity: bool

    @property
    def is_fixed(self) -> bool:
        """Whether it cannot be written."""
        return self.is_generated or self.is_identity

    @property
    def is_required(self) -> bool:
        """Whether an INSERT must name it."""
        return self.not_null and not self.has_default and not self.is_fixed


class Check(NamedTuple):
    """A CHECK constraint, with its columns and its expression."""

    name: str
    columns: Sequence[str]
    expression: str


@dataclass
class Table:
    """A table: its columns by name, and its constraints. ``key`` is empty without a primary key."""

    name: str
    columns: dict[str, Column] = field(default_factory=dict)
    key: Sequence[str] = ()
    unique: dict[str, Sequence[str]] = field(default_factory=dict)  # the columns of unique indexes, by its name
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    is_protected: bool = False  # it has row-level security

    def is_unique(self, column: str) -> bool:
        """Whether a column alone tells the rows apart."""
        return [column] in [list(each) for each in self.unique.values()]

    def foreign_key_of(self, column: str) -> ForeignKey | None:
        """The first foreign key that has a column."""
        return next((key for key in self.foreign_keys if column in key.columns), None)


class Routine(NamedTuple):
    """A function, with the names of its arguments."""

    function: Function
    arguments: Sequence[str]


SINGLE_CLAIM = re.compile(r"\brequest\.jwt\.claim\.([\w.]+)")
ALL_CLAIMS = "request.jwt.claims"


@dataclass
class Shape:
    """The tables by name, the policies, and the functions by name."""

    tables: dict[str, Table]
    policies: list[Policy]
    functions: dict[str, list[Routine]]

    @cached_property
    def single_claims(self) -> list[str]:
        """The claims that SQL reads only from a setting of their own, which PostgREST set before version 12."""
        functions = [each.function.definition for routines in self.functions.values() for each in routines]
        policies = [text for policy in self.policies for text in (policy.using, policy.check) if text]
        alone = (text for text in [*functions, *policies] if ALL_CLAIMS not in text)
        return list(dict.fromkeys(claim for text in alone for claim in SINGLE_CLAIM.findall(text)))

    @cached_property
    def by_short_name(self) -> dict[str, list[str]]:
        """The tables by their name without the schema."""
        names: dict[str, list[str]] = {}
        for name in self.tables:
            names.setdefault(name.partition(".")[2], []).append(name)
        return names


def read(connection: Connection[Any]) -> Shape:
    """Read the database as it is now."""
    with connection.transaction(force_rollback=True):
        # With an empty search_path, every name in a policy has its schema.
        connection.execute("SELECT set_config('search_path', '', true)")

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query.encode()).fetchall()

        tables = _tables(rows)
        functions: dict[str, list[Routine]] = {}
        for *function, arguments in rows(FUNCTIONS):
            functions.setdefault(function[0], []).append(Routine(Function(*function), arguments))
        return Shape(tables, [Policy(*row) for row in rows(POLICIES + " ORDER BY 1, 2")], functions)


def _tables(rows: Callable[[str], list[tuple[Any, ...]]]) -> dict[str, Table]:
    """The tables by name. ``rows`` runs a query."""
    tables: dict[str, Table] = {}
    for name, *column in rows(COLUMNS):
        tables.setdefault(name, Table(name)).columns[column[0]] = Column(*column)

    def known(query: str) -> Iterator[tuple[Any, ...]]:
        return ((tables[name], *rest) for name, *rest in rows(query) if name in tables)

    for table, is_primary, index, columns in known(UNIQUE):
        table.unique[index] = columns
        table.key = columns if is_primary else table.key
    for table, *check in known(CHECKS):
        table.checks.append(Check(*check))
    for table, is_protected in known(PROTECTED):
        table.is_protected = is_protected
    for table, *key in known(FOREIGN_KEYS):
        if key[0] in tables:
            table.foreign_keys.append(ForeignKey(table.name, *key))
    return tables


def roles(connection: Connection[Any], tables: Sequence[str]) -> dict[str, bool]:
    """The roles of clients of these tables, those with the most tables first; and whether row-level security binds
    them not."""
    return {name: bypasses for name, bypasses, _ in connection.execute(ROLES, [list(tables)])}
