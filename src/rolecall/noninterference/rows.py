"""Changes of values: of the rows of the grid's table, and of the rows that they refer to or are looked up with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from itertools import zip_longest
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection, sql

from rolecall.access.world import World, matching
from rolecall.catalog.objects import identifier, qualified
from rolecall.grids.decided_by import DecidedBy
from rolecall.grids.grid import Grid
from rolecall.noninterference.changes import Change, Row, ValueChange, holds
from rolecall.noninterference.schema import Column, Schema
from rolecall.noninterference.values import Dictionary, Value, keys, values

MOST = 40  # rows of another table
# The columns of a table whose values are no texts, numbers, labels or keys, with their types.
OTHER_TYPES = """
SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_type AS t ON t.oid = atttypid
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
  AND typcategory NOT IN ('S', 'N', 'E', 'B') AND typname NOT IN ('uuid', 'json', 'jsonb')
"""
READABLE = "SELECT text FROM unnest(%s::text[]) AS text WHERE pg_input_is_valid(text, %s)"


class Place(NamedTuple):
    """A column of a row, the values to try there, and what to verify after each."""

    what: str
    row: Row
    column: str
    values: Sequence[Value]
    verify: tuple[str, ...]


class Rows:
    """Builds the changes of values for one grid, from the rows that the database has now."""

    def __init__(
        self, connection: Connection[Any], grid: Grid, world: World, schema: Schema, decided: DecidedBy
    ) -> None:
        self.connection, self.grid, self.world, self.schema, self.decided = connection, grid, world, schema, decided
        subjects = dict.fromkeys(str(p.claims["sub"]) for p in world.personas.values() if "sub" in p.claims)
        objects = [path for path in schema.json_paths if "." not in path]
        self.dictionary = Dictionary(list(subjects), schema.literals, schema.numbers, objects)
        self._names: dict[str, str] = {}
        self._existing: dict[tuple[str, str], list[Value]] = {}
        self._readable_texts: dict[str, Sequence[str]] = {}  # by type

    # -- the changes

    def of_the_table(self, chosen: Callable[[str], bool]) -> list[Place]:
        """The places in the rows of the grid's own table, in the columns that are ``chosen`` by name."""
        return list(self._places(self.grid.table, self.of_the_grid(), chosen, str))

    def of_other_tables(self, chosen: Callable[[str, str], bool]) -> list[Place]:
        """The places in the rows of the other tables of the scope, in the columns chosen by table and name.

        What a foreign key refers to stays. Other keys do not: that of a table of members says who belongs to what.
        """
        found: list[Place] = []
        for table in self.schema.scope:
            columns = [column.name for column in self.schema.columns[table]]
            names = [name for name in columns if not self.schema.is_referred_to(table, name)]

            def is_chosen(name: str, table: str = table, names: Sequence[str] = names) -> bool:
                return name in names and chosen(table, name)

            found += self._places(table, self.rows_of(table), is_chosen, partial("{}.{}".format, table))
        return found

    def of_links(self) -> Iterator[list[Place]]:
        """The links of other tables again, one of each table at a time.

        A link is a column of a key or of a foreign key. If all links of a row change together, each hides what the
        other decides: a note has another reader, and it is another note. A table of which an entry names a column is
        left out: this column stays while the others change.
        """
        columns, decided = self.schema.columns, self.decided
        links = {
            table: [each.name for each in columns[table] if self._is_link(table, each)]
            for table in self.schema.scope
            if not decided.columns_of(table)
        }
        several = {table: names for table, names in links.items() if len(names) > 1}
        for alone in zip_longest(*several.values()):
            chosen = set(zip(several, alone, strict=True))
            yield self.of_other_tables(partial(_is_in, chosen))

    def _is_link(self, table: str, column: Column) -> bool:
        has_parent = self.schema.parent_of(table, column.name) is not None
        return has_parent or (
            (column.is_key or column.is_unique) and not self.schema.is_referred_to(table, column.name)
        )

    def of_the_grid(self) -> list[Row]:
        """The rows of the grid, by their names."""
        return [Row(self.grid.table, name, self._condition(name)) for name in self.grid.rows]

    def rows_of(self, table: str) -> list[Row]:
        """The rows of another table, by its primary key. None if it has no such key."""
        key = [column.name for column in self.schema.columns[table] if column.is_key]
        named = [dict(zip(key, row, strict=True)) for row in self.keys_of(table)]
        return [Row(table, self._row_name(table, each), matching(each)) for each in named]

    def keys_of(self, table: str) -> list[tuple[Value, ...]]:
        """The primary keys of the rows of a table. None if it has no such key."""
        key = [column.name for column in self.schema.columns[table] if column.is_key]
        return self._read(table, key, f"ORDER BY {', '.join(map(identifier, key))} LIMIT {MOST}") if key else []

    def _places(
        self, table: str, rows: Sequence[Row], chosen: Callable[[str], bool], what: Callable[[str], str]
    ) -> Iterator[Place]:
        columns = [each for each in self.schema.columns[table] if not each.is_fixed and chosen(each.name)]
        readable = self._readable(table) if columns else {}
        names = [column.name for column in columns]
        found = [(row, self._read(table, names, f"WHERE {row.condition}")) for row in rows if names]
        # A key that finds no row, or two: the cells of that row are errors.
        current = {row: tuples[0] for row, tuples in found if len(tuples) == 1}
        for number, column in enumerate(columns):
            parent = self.schema.parent_of(table, column.name)
            verify = tuple(holds(key) for key in self.schema.keys_with(table, column.name))
            others = list(dict.fromkeys(present[number] for present in current.values()))
            for row, present in current.items():
                if parent:
                    tried = keys(present[number], self.existing(*parent))
                else:
                    found_in_code = readable.get(column.name, ())
                    tried = values(column, present[number], others, self.dictionary, found_in_code)
                yield Place(what(column.name), row, column.name, tried, verify)

    # -- what the database has

    def _readable(self, table: str) -> dict[str, Sequence[str]]:
        """The strings of the code that each column can read, for types without values of their own.

        Others would be refused, and with them the values of the other columns that are tried together.
        """
        columns = self.connection.execute(OTHER_TYPES, [qualified(table)]).fetchall()
        return {column: self._readable_as(type_) for column, type_ in columns}

    def _readable_as(self, type_: str) -> Sequence[str]:
        """The strings of the code that a type can read. None before PostgreSQL 16, and if the type cannot say it."""
        if type_ not in self._readable_texts:
            texts: list[str] = []
            with suppress(psycopg.Error), self.connection.transaction():
                texts = [text for (text,) in self.connection.execute(READABLE, [self.schema.literals, type_])]
            self._readable_texts[type_] = texts
        return self._readable_texts[type_]

    def existing(self, table: str, column: str) -> list[Value]:
        """The keys that a foreign key may refer to; the ids of the personas come first."""
        if (table, column) not in self._existing:
            subjects = sql.Literal(self.dictionary.subjects).as_string()
            rows = self._read(
                table, [column], f"ORDER BY {identifier(column)}::text = ANY ({subjects}) DESC LIMIT {MOST}"
            )
            self._existing[table, column] = [value for (value,) in rows]
        return self._existing[table, column]

    def _read(self, table: str, columns: Sequence[str], rest: str) -> list[tuple[Value, ...]]:
        texts = ", ".join(f"{identifier(column)}::text" for column in columns)
        return self.connection.execute(f"SELECT {texts} FROM {qualified(table)} {rest}".encode()).fetchall()

    def _condition(self, name: str) -> str:
        """The condition that selects a row of the grid, as its checks have it."""
        row = self.world.row(self.grid.table, name)
        return matching({column: row[column] for column in self.grid.key})

    def keys_of_the_grid(self) -> list[str]:
        """A value of each column that is a key, refers to another row, or decides. A request might name it.

        The subjects of the personas are left out.
        """
        table, decisive = self.grid.table, self.decided.names("column")
        names = [
            column.name
            for column in self.schema.columns[table]
            if column.is_key or column.name in decisive or self.schema.parent_of(table, column.name)
        ]
        rows = [self._read(table, names, f"WHERE {row.condition}") for row in self.of_the_grid()] if names else []
        first = [
            next(filter(None, values), None) for values in zip(*(row for found in rows for row in found), strict=True)
        ]
        return [value for value in dict.fromkeys(first) if value and value not in self.dictionary.subjects]

    @cached_property
    def bypasses_triggers(self) -> bool:
        """Whether a change bypasses triggers, also those of foreign keys."""
        query = "SELECT has_parameter_privilege('session_replication_role', 'SET')"
        return self.connection.execute(query.encode()).fetchone() == (True,)

    # -- names for the reader

    def _row_name(self, table: str, key: dict[str, Value]) -> str:
        for name, row in self.world.rows.get(table, {}).items():
            if all(column in row and str(row[column]) == value for column, value in key.items()):
                return name
        return ", ".join(map(str, key.values()))

    def value_name(self, value: Value) -> str:
        """A value for a reader: whose id it is, or the value itself, shortened."""
        if not self._names:
            for table, name, row in self.world:
                if "id" in row:
                    self._names.setdefault(str(row["id"]), f"the id of {name!r} of {table}")
            for persona in self.world.personas.values():
                if "sub" in persona.claims:
                    self._names[str(persona.claims["sub"])] = f"{persona.name}'s id"
        if value is None:
            return "NULL"
        text = repr(value)
        return self._names.get(value) or (text if len(text) <= 60 else f"{text[:56]}…' ({len(value):,} characters)")


def _is_in(columns: Collection[tuple[str, str | None]], table: str, name: str) -> bool:
    return (table, name) in columns


def _finds_its_row(place: Place) -> bool:
    """Whether the row is found by this column: the others must be changed before it."""
    return identifier(place.column) in place.row.condition


def groups(places: Sequence[Place]) -> Iterator[list[Change]]:
    """All values of all places, in as few groups as the longest list needs. Each group changes all places at once.

    The values of two places are shifted against each other, so that they do not always come together. In one group of
    many, a place keeps its value.
    """
    columns = list(dict.fromkeys(place.what for place in places))
    rows = list(dict.fromkeys(place.row for place in places))
    for number in range(max((len(place.values) for place in places), default=-1) + 1):
        group: list[Change] = []
        for place in sorted(places, key=lambda place: (rows.index(place.row), _finds_its_row(place))):
            shift = rows.index(place.row) + columns.index(place.what)
            index = (number + shift) % (len(place.values) + 1)
            if index < len(place.values):
                group.append(ValueChange(place.what, place.row, place.column, place.values[index], place.verify))
        yield group
