"""A snapshot: the rows of every table, and the state of the session, at one moment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.abc import Loader
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

# Of a table with more rows, the server compares a digest before it sends the rows a second time.
LARGE = 1000

# Every table is read as the connected role, whoever the session acts as. The text of a value depends on these settings.
# A role to which policies apply gets an error, and not a part of the rows.
READING = """
SELECT set_config(name, value, true) FROM (VALUES
  ('session_authorization', {user}), ('role', 'none'), ('row_security', 'off'), ('search_path', 'pg_catalog'),
  ('statement_timeout', '0'), ('timezone', 'UTC'), ('datestyle', 'ISO, YMD'), ('intervalstyle', 'postgres'),
  ('bytea_output', 'hex'), ('extra_float_digits', '1')
) AS setting (name, value)
"""

# Sequences too, with the table of the column that owns them (serial, identity).
RELATIONS = """
SELECT c.relkind, n.nspname, c.relname,
  CASE WHEN c.relkind <> 'S' THEN to_json(ARRAY(
    SELECT a.attname FROM pg_index AS i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
    WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place
  )) END,
  CASE WHEN c.relkind = 'S' THEN (
    SELECT tn.nspname || '.' || t.relname
    FROM pg_depend AS d JOIN pg_class AS t ON t.oid = d.refobjid JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjsubid > 0
      AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  ) END
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 2, 3
"""
# The physical place of a row changes whenever it is written, also with the same values.
ROWS = "SELECT *, ctid FROM {table}"
DIGEST = """
SELECT count(*)::text || md5(string_agg(md5(t::text || ctid::text), '' ORDER BY md5(t::text || ctid::text)))
FROM {table} AS t
"""


@dataclass(frozen=True)
class Table:
    """The rows of a table as the server sent them: texts, which are converted only where rows differ."""

    name: str
    key: tuple[str, ...]
    result: PGresult
    digest: str = ""

    @property
    def is_large(self) -> bool:
        """Whether it has many rows and no digest yet."""
        return self.result.ntuples > LARGE and not self.digest

    @cached_property
    def columns(self) -> list[str]:
        """The names of the columns. The last field is the place, and no column."""
        return [(self.result.fname(each) or b"").decode() for each in range(self.result.nfields - 1)]

    @cached_property
    def rows(self) -> list[tuple[bytes | None, ...]]:
        """The rows, as the server writes their values."""
        value, fields = self.result.get_value, range(self.result.nfields - 1)
        return [tuple([value(row, column) for column in fields]) for row in range(self.result.ntuples)]

    @cached_property
    def by_key(self) -> dict[tuple[bytes | None, ...], tuple[bytes | None, ...]]:
        """The rows by primary key."""
        places = [self.columns.index(each) for each in self.key]
        return {tuple([row[place] for place in places]): row for row in self.rows}

    @cached_property
    def places(self) -> dict[tuple[bytes | None, ...], bytes | None]:
        """The physical places of the rows by primary key."""
        last = self.result.nfields - 1
        return {key: self.result.get_value(number, last) for number, key in enumerate(self.by_key)}

    def loaded(self, row: Sequence[bytes | None]) -> dict[str, Any]:
        """A row with Python's values, by column. A value that Python cannot have ('infinity') stays a text."""
        loader = Transformer().get_loader
        types = [self.result.ftype(each) for each in range(len(self.columns))]
        return {
            name: _load(loader(type_, Format.TEXT), value)
            for name, type_, value in zip(self.columns, types, row, strict=True)
        }


def _load(loader: Loader, value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return loader.load(value)
    except psycopg.DataError:
        return value.decode()


@dataclass(frozen=True)
class Snapshot:
    """The tables by name, and the state by name.

    ``owners`` has for each sequence of a column (serial, identity) its table.
    """

    tables: dict[str, Table]
    state: dict[str, str]
    owners: dict[str, str] = field(default_factory=dict)

    @property
    def has_sequences(self) -> bool:
        """Whether the database has sequences, whose numbers no rollback resets."""
        return any(name.startswith("sequence ") for name in self.state)


@cache
def _query(name: str) -> str:
    return (files("rolecall.changes") / name).read_text(encoding="utf-8")


def take(connection: Connection[Any], settings: Iterable[str] = (), since: Snapshot | None = None) -> Snapshot:
    """Take a snapshot; the session and its transaction stay as they are.

    ``settings`` are more names of custom settings. Rows that are as in ``since`` are not sent again.
    Raises psycopg's error, for example if the role of the connection may not read a table.
    """
    inside = connection.info.transaction_status == TransactionStatus.INTRANS
    begin, end = ("SAVEPOINT rolecall", "ROLLBACK TO rolecall; RELEASE rolecall") if inside else ("BEGIN", "ROLLBACK")
    reading = sql.SQL(READING).format(user=sql.Literal(connection.info.user))
    session = sql.SQL(_query("settings.sql")).format(names=sql.Literal([*settings]))
    session_rows, _, relations = map(_texts, _results(connection, [begin, session, reading, RELATIONS]))
    keys: dict[str, tuple[str, ...]] = {}
    owners: dict[str, str | None] = {}
    for kind, schema, name, key, owner in relations:
        if kind == "S":
            owners[f"{schema}.{name}"] = owner
        else:
            keys[f"{schema}.{name}"] = tuple(json.loads(key or "[]"))
    tables = _tables(connection, keys, since.tables if since else {})
    state = {str(name): value for name, value in session_rows if value is not None}
    state |= {f"table {name}": "exists" for name in tables} | _state(connection, owners)
    connection.execute(end.encode())
    return Snapshot(tables, state, {f"sequence {name}": owner for name, owner in owners.items() if owner})


def _tables(
    connection: Connection[Any], keys: Mapping[str, tuple[str, ...]], since: Mapping[str, Table]
) -> dict[str, Table]:
    """The tables by name. A large one whose digest is as in ``since`` is the same object."""
    digests = _digests(connection, [name for name in keys if name in since and since[name].digest])
    same = {name for name, digest in digests.items() if digest == since[name].digest}
    queries = [sql.SQL(ROWS).format(table=_quoted(name)) for name in keys if name not in same]
    results = iter(_results(connection, queries))
    tables = {name: since[name] if name in same else Table(name, key, next(results)) for name, key in keys.items()}
    for name, digest in _digests(connection, [name for name in keys if tables[name].is_large]).items():
        tables[name] = replace(tables[name], digest=digest)
    return tables


def _state(connection: Connection[Any], sequences: Iterable[str]) -> dict[str, str]:
    """The last numbers of these sequences, and everything else that is no row and no setting."""
    queries: list[str | sql.Composable] = [_query("state.sql")]
    if connection.info.parameter_status("is_superuser") == "on":
        queries.append(_query("superuser.sql"))
    number = "SELECT {}, CASE WHEN is_called THEN '' ELSE 'before ' END || last_value FROM {}"
    queries += [sql.SQL(number).format(sql.Literal(f"sequence {name}"), _quoted(name)) for name in sequences]
    rows = [row for result in _results(connection, queries) for row in _texts(result)]
    return {str(name): str(value) for name, value in rows}


def _digests(connection: Connection[Any], names: list[str]) -> dict[str, str]:
    """The digests of tables, by name."""
    queries = [sql.SQL(DIGEST).format(table=_quoted(name)) for name in names]
    results = _results(connection, queries)
    return {name: str(_texts(result)[0][0]) for name, result in zip(names, results, strict=True)}


def _results(connection: Connection[Any], statements: Sequence[str | sql.Composable]) -> list[PGresult]:
    """The results of statements that are sent at once; those without rows are left out."""
    if not statements:
        return []
    texts = [each if isinstance(each, str) else each.as_string() for each in statements]
    results = []
    with connection.cursor() as cursor:
        cursor.execute(";".join(texts).encode())
        while True:
            # Not cursor.description: psycopg would describe the columns of every table anew.
            if cursor.pgresult and cursor.pgresult.status == ExecStatus.TUPLES_OK:
                results.append(cursor.pgresult)
            if not cursor.nextset():
                return results


def _texts(result: PGresult) -> list[list[str | None]]:
    """The rows of a result, as texts."""
    columns = range(result.nfields)
    values = ([result.get_value(row, column) for column in columns] for row in range(result.ntuples))
    return [[None if value is None else value.decode() for value in row] for row in values]


def _quoted(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split(".", 1))
