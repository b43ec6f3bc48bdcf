"""What the catalog says about a grid's table: its columns, the tables that may decide about it, and their code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.catalog.objects import qualified

# The columns of all tables and views, with the type that a domain stands for. `fixed`: it cannot be written.
COLUMNS = """
WITH RECURSIVE base (type, oid, mod) AS (
  SELECT oid, oid, -1 FROM pg_type
  UNION ALL
  SELECT b.type, t.typbasetype, t.typtypmod FROM base AS b JOIN pg_type AS t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT n.nspname || '.' || c.relname, a.attname::text, t.typname::text, t.typcategory::text,
       CASE WHEN a.atttypmod = -1 THEN b.mod ELSE a.atttypmod END,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
       a.attgenerated <> '' OR a.attidentity = 'a',
       EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)),
       EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN base AS b ON b.type = a.atttypid
JOIN pg_type AS t ON t.oid = b.oid AND t.typtype <> 'd'
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.oid, a.attnum
"""
FOREIGN_KEYS = """
SELECT cn.nspname || '.' || c.relname, pn.nspname || '.' || p.relname,
       ARRAY(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
             JOIN pg_attribute ON attrelid = k.conrelid AND attnum = number ORDER BY place),
       ARRAY(SELECT attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (number, place)
             JOIN pg_attribute ON attrelid = k.confrelid AND attnum = number ORDER BY place)
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
JOIN pg_class AS p ON p.oid = k.confrelid JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
"""
# The code that belongs to each table or view: policies, triggers, the query of a view.
CODE = """
SELECT schemaname || '.' || tablename, concat_ws(' ', qual, with_check) FROM pg_policies
UNION ALL
SELECT n.nspname || '.' || c.relname, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal
UNION ALL
SELECT n.nspname || '.' || c.relname, pg_get_ruledef(r.oid)
FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
FUNCTIONS = """
SELECT proname::text, concat_ws(' ', prosrc, pg_get_function_sqlbody(oid))
FROM pg_proc WHERE oid >= 16384 AND prokind <> 'a' AND pronamespace <> pg_my_temp_schema()
"""
STORED_NAME = """
SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s)
"""
RELATIONS = """
SELECT n.nspname || '.' || c.relname, c.relkind IN ('r', 'p')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""

WORD = re.compile(r"\w+")
STRING = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"(?<![\w.'])\d{1,9}(?![\w'])")
JSON_OBJECT = re.compile(r"->\s*'(\w+)'")
JSON_ELEMENT = re.compile(r"->>?\s*\(?-?\d|json\w*_array_elements|json\w*_to_recordset|jsonb_path_\w+")
JSON_PATH = re.compile(r"#>>?\s*'\{([\w, ]+)\}'")
LONGEST = 60  # characters of a literal that somebody compares a column with
WORDS = 3  # of a message
MOST = 24  # literals


class Column(NamedTuple):
    """A column of a table. ``type`` and ``category`` are those that a domain stands for."""

    name: str
    type: str
    category: str
    modifier: int
    labels: Sequence[str]  # of an enum
    is_fixed: bool
    is_key: bool  # a part of the primary key
    is_unique: bool  # a part of a unique index


class ForeignKey(NamedTuple):
    """A foreign key: the table that has it, the table that it refers to, and the columns of both."""

    child: str
    parent: str
    columns: Sequence[str]
    keys: Sequence[str]


@dataclass(frozen=True)
class Schema:
    """The parts of the catalog that matter for one grid's table."""

    table: str
    columns: dict[str, list[Column]]
    foreign_keys: list[ForeignKey]
    code: dict[str, str]
    functions: list[tuple[str, str]]
    tables: dict[str, bool]  # whether it is a table, and no view

    @cached_property
    def scope(self) -> list[str]:
        """The other tables whose rows may decide: those that the foreign keys and the code lead to, again and again."""
        found = [self.table]
        for each in found:
            parents = [key.parent for key in self.foreign_keys if key.child == each]
            words = set(WORD.findall(self._whole_code(each)))
            named = [name for name in self.tables if set(WORD.findall(name.partition(".")[2])) <= words]
            found += [name for name in dict.fromkeys([*parents, *named]) if name not in found]
        return [name for name in found[1:] if self.tables.get(name)]

    def _whole_code(self, table: str) -> str:
        """The code of a table, with that of all functions that it calls."""
        text, rest = self.code.get(table, ""), list(self.functions)
        while called := [each for each in rest if each[0] in set(WORD.findall(text))]:
            text = " ".join([text, *(source for _, source in called)])
            rest = [each for each in rest if each not in called]
        return text

    @cached_property
    def literals(self) -> list[str]:
        """The strings that the code may compare something with; those of the grid's own table come first.

        A sentence is none: it is a message.
        """
        texts = [self._whole_code(each) for each in [self.table, *self.scope]]
        found = (text.replace("''", "'") for each in texts for text in STRING.findall(each))
        return [text for text in dict.fromkeys(found) if 0 < len(text) <= LONGEST and text.count(" ") < WORDS][:MOST]

    @cached_property
    def json_paths(self) -> list[str]:
        """The paths of the JSON values that the code reads: ``a`` for ``-> 'a'``, ``a.b`` for ``#>> '{a,b}'``."""
        texts = [self._whole_code(each) for each in [self.table, *self.scope]]
        objects = [key for text in texts for key in JSON_OBJECT.findall(text)]
        paths = [path.replace(",", ".").replace(" ", "") for text in texts for path in JSON_PATH.findall(text)]
        return list(dict.fromkeys([*objects, *paths]))

    @cached_property
    def reads_elements(self) -> bool:
        """Whether the code reads the elements of JSON arrays: ``-> 0``, ``jsonb_array_elements``."""
        return any(JSON_ELEMENT.search(self._whole_code(each)) for each in [self.table, *self.scope])

    @cached_property
    def numbers(self) -> list[str]:
        """The numbers in the policies of the grid's table, with their neighbours."""
        found = [int(text) for text in NUMBER.findall(self.code.get(self.table, ""))]
        return list(dict.fromkeys(str(number + step) for number in found for step in (-1, 0, 1)))[:MOST]

    def parent_of(self, table: str, column: str) -> tuple[str, str] | None:
        """The table and column that a foreign key of one column refers to."""
        for key in self.foreign_keys:
            if key.child == table and list(key.columns) == [column]:
                return key.parent, key.keys[0]
        return None

    def keys_with(self, table: str, column: str) -> Iterable[ForeignKey]:
        """The foreign keys that a column is a part of, on either side."""
        for key in self.foreign_keys:
            if (key.child == table and column in key.columns) or (key.parent == table and column in key.keys):
                yield key

    def is_referred_to(self, table: str, column: str) -> bool:
        """Whether a foreign key refers to a column."""
        return any(key.parent == table and column in key.keys for key in self.foreign_keys)


def read(connection: Connection[Any], table: str) -> Schema:
    """Read the schema of the database as it is now."""
    # PostgreSQL cuts off a name that is longer than 63 bytes.
    (stored,) = connection.execute(STORED_NAME, [qualified(table)]).fetchone() or (table,)

    def rows(query: str, names: int = 1) -> list[tuple[Any, ...]]:
        """The rows of a query, whose first columns are so many names of tables."""
        found = connection.execute(query.encode()).fetchall()
        return [(*(table if name == stored else name for name in row[:names]), *row[names:]) for row in found]

    columns: dict[str, list[Column]] = {}
    for name, *column in rows(COLUMNS):
        columns.setdefault(name, []).append(Column(*column))
    code: dict[str, str] = {}
    for name, text in rows(CODE):
        code[name] = f"{code.get(name, '')} {text}"
    return Schema(
        table,
        columns,
        [ForeignKey(*row) for row in rows(FOREIGN_KEYS, 2)],
        code,
        [(name, source) for name, source in rows(FUNCTIONS, 0)],
        dict(rows(RELATIONS)),
    )
