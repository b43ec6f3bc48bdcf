"""Changes of whole tables: many more rows, and a table with exactly one row.

More rows are copies of a part of the world: of a project with its members and its tasks, each with a new key, and with
foreign keys to the other copies, or to the originals. The rows of the personas are not copied, so each persona has in
the copy what it has in the original, and the original rows must keep their verdicts. The copies come before the
originals in the table, and have times long before and long after them.

A row of a table of members has no key of its own: its key is that of a team and that of a user. It is copied into the
copies of the team, with the same user. And it is copied beside the original, with a stranger: a copy of the user, which
is no persona.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from psycopg import sql

from rolecall.catalog.objects import identifier, qualified
from rolecall.noninterference.changes import TableChange, holds
from rolecall.noninterference.rows import Rows
from rolecall.noninterference.schema import Column
from rolecall.noninterference.values import Value

ROWS = 250  # of each table, at least: more than a hundred before the originals, and after them
MOST = 4000  # rows in all
TIMES = ("date", "timestamp", "timestamptz")
EARLY, LATE = "2000-01-01", "2999-12-31"
# The key of a copy, from the key of the original and the number of the copy.
KEYS = {
    "uuid": "md5({column}::text || copies.number)::uuid",
    "S": "{column} || '~' || copies.number",
    "int2": "({column} + copies.number * 100)::int2",
    "int4": "{column} + copies.number * 1000000",
    "int8": "{column} + copies.number * 1000000",
}


class Copied(NamedTuple):
    """A table whose rows are copied: the column of its key that is new in a copy, and how it is made."""

    table: str
    key: str
    formula: str


class Tables:
    """Builds the changes of whole tables for one grid."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.schema, self.decided = rows, rows.schema, rows.decided
        tables = [self.schema.table, *self.schema.scope]
        found = [each for each in map(self._copied, tables) if each]
        self.copied = {each.table: each for each in found if not self._is_of_personas(each)}
        self.people = {each.table: each for each in found if self._is_of_personas(each)}
        self.all = self.copied | self.people
        self.members = [table for table in tables if self._has_members(table)]
        self.copies, self.strangers = self._number(self.copied), self._number(self.people)

    def _number(self, tables: Mapping[str, Copied]) -> int:
        """How often each row of these tables is copied."""
        counts = [len(self.rows.existing(table, each.key)) for table, each in tables.items()]
        return min(ROWS // min(counts, default=1) + 1, MOST // (sum(counts) or 1) or 1)

    def more(self) -> Iterator[list[TableChange]]:
        """Groups with the copies of all tables, except those whose number of rows decides.

        In the first group the copies refer to each other, in the second to the originals. Then come the strangers in
        each table of members.
        """
        tables = [table for table in self._parents_first(self.copied) if self._may_not_decide(table)]
        members = [table for table in self.members if self._may_not_decide(table)]
        if tables:
            inside = [table for table in members if not self._above(table).isdisjoint(tables)]
            yield [self.more_of(table, tables) for table in [*tables, *inside]]
            yield [self.more_of(table, []) for table in tables]
        for table in members:
            yield from self._strangers_in(table)

    def more_in(self, table: str) -> Iterator[list[TableChange]]:
        """Groups with copies of one table."""
        if table in self.copied:
            yield [self.more_of(table, [])]
        elif table in self.members:
            parents = [each for each in self._parents_first(self.copied) if each in self._above(table)]
            yield [self.more_of(each, parents) for each in [*parents, table]]
            yield from self._strangers_in(table)

    def _strangers_in(self, table: str) -> Iterator[list[TableChange]]:
        """The copies of a table of members, with copies of the users that its key refers to."""
        people = [each for each in self._parents_first(self.people) if each in self._above(table)]
        if people:
            parts = [self.more_of(each, people) for each in [*people, table]]
            statements = tuple(statement for part in parts for statement in part.statements)
            verify = tuple(query for part in parts for query in part.verify)
            text = f"{self.strangers} strangers beside each row of {table}"
            yield [TableChange(f"rows:{table}", table, text, statements, verify)]

    def _may_not_decide(self, table: str) -> bool:
        return not self.decided.counts_rows_of(table)

    def fewer(self) -> Iterator[list[TableChange]]:
        """For each row of the grid's table, a change that deletes the others."""
        table, what = self.schema.table, f"rows:{self.schema.table}"
        rows = self.rows.of_the_grid() if self.schema.tables.get(table) else []
        verify = tuple(holds(key) for key in self.schema.foreign_keys if key.parent == table)
        for row in rows if len(rows) > 1 else []:
            statement = f"DELETE FROM {qualified(table)} WHERE ({row.condition}) IS NOT TRUE"
            yield [TableChange(what, table, f"{row.name!r} as the only row of {table}", (statement,), verify, row.name)]

    def more_of(self, table: str, tables: Sequence[str]) -> TableChange:
        """The copies of one table. Their foreign keys refer to the copies of ``tables``, and else to the originals."""
        # A row that is inserted again is behind the copies, in the table and in each index. An update would not do.
        # Where triggers run, a delete would cascade.
        again = [self._again(table)] if self.rows.bypasses_triggers else []
        statements = (self._insert(table, tables), *again)
        verify = tuple(holds(each) for each in self.schema.foreign_keys if table == each.child)
        text = f"{self._number_in(tables)} copies of each row of {table}"
        return TableChange(f"rows:{table}", table, text, statements, verify)

    def _insert(self, table: str, tables: Sequence[str]) -> str:
        """The statement that inserts the copies."""
        values = ", ".join(self._value(table, column, tables) for column in self._columns(table))
        return (
            f"INSERT INTO {qualified(table)} ({self._names(table)}) "
            f"SELECT {values} FROM {qualified(table)} AS original, "
            f"generate_series(1, {self._number_in(tables)}) AS copies (number) WHERE {self._is_original(table)} "
            "ON CONFLICT DO NOTHING"
        )

    def _again(self, table: str) -> str:
        """The statement that deletes the originals and inserts them again."""
        target, names = qualified(table), self._names(table)
        return (
            f"WITH again AS (DELETE FROM {target} AS original WHERE {self._is_original(table)} RETURNING *) "
            f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM again"
        )

    def _number_in(self, tables: Collection[str]) -> int:
        """How many copies a row has among the copies of these tables."""
        return self.copies if self.people.keys().isdisjoint(tables) else self.strangers

    def _is_original(self, table: str) -> str:
        """The condition that a row, which has the name ``original``, is one."""
        known = self.all.get(table)
        names = [known.key] if known else [column.name for column in self._key(table)]
        key = ", ".join(f"original.{identifier(name)}::text" for name in names)
        originals = self.rows.existing(table, known.key) if known else self.rows.keys_of(table)
        return f"({key}) IN ({', '.join(map(_tuple, originals))})"

    def _names(self, table: str) -> str:
        return ", ".join(identifier(column.name) for column in self._columns(table))

    def _columns(self, table: str) -> list[Column]:
        return [column for column in self.schema.columns[table] if not column.is_fixed]

    def _value(self, table: str, column: Column, tables: Sequence[str]) -> str:
        """The value of a column of a copy, as an SQL expression."""
        name = f"original.{identifier(column.name)}"
        known = self.all.get(table)
        if known and column.name == known.key:
            return known.formula.format(column=name)
        parent = self.schema.parent_of(table, column.name)
        if parent:
            other = self.all.get(parent[0])
            copied = other if parent[0] in tables and other and other.key == parent[1] else None
            return copied.formula.format(column=name) if copied else name
        if self._decides(table, column.name):
            return name
        if column.type in TIMES:
            return f"CASE WHEN {name} IS NULL THEN NULL WHEN copies.number % 2 = 0 THEN '{EARLY}'::{column.type} " + (
                f"ELSE '{LATE}'::{column.type} END"
            )
        if column.is_unique and column.category == "S":
            return KEYS["S"].format(column=name)
        return name

    def _decides(self, table: str, column: str) -> bool:
        own = table == self.schema.table
        return column in (self.decided.names("column") if own else self.decided.columns_of(table))

    def _copied(self, table: str) -> Copied | None:
        """How a table's rows are copied; None for keys that are not copied."""
        keys = self._key(table)
        if len(keys) > 1:  # the number of a page: its book is another copy, or the same one
            keys = [column for column in keys if not self.schema.parent_of(table, column.name)]
        if len(keys) != 1 or not self.schema.tables.get(table) or keys[0].is_fixed:
            return None
        (key,) = keys
        formula = KEYS.get(key.type) or KEYS.get(key.category)
        return Copied(table, key.name, formula) if formula and self.rows.existing(table, key.name) else None

    def _is_of_personas(self, copied: Copied) -> bool:
        """Whether a key is the id of a persona."""
        existing = self.rows.existing(copied.table, copied.key)
        return not set(self.rows.dictionary.subjects).isdisjoint(map(str, existing))

    def _has_members(self, table: str) -> bool:
        """Whether the key of a table has several columns, and each refers to another table."""
        keys = self._key(table)
        refer = all(self.schema.parent_of(table, column.name) for column in keys)
        return len(keys) > 1 and refer and self.schema.tables.get(table, False) and bool(self.rows.keys_of(table))

    def _above(self, table: str) -> set[str]:
        """The tables that the key of a table refers to, that the keys of those refer to, and so on."""
        found = [table]
        for each in found:
            parents = (self.schema.parent_of(each, column.name) for column in self._key(each))
            found += [parent[0] for parent in parents if parent and parent[0] not in found]
        return set(found[1:])

    def _key(self, table: str) -> list[Column]:
        """The columns of the primary key."""
        return [column for column in self.schema.columns.get(table, []) if column.is_key]

    def _parents_first(self, tables: Collection[str]) -> list[str]:
        """These tables in an order in which a foreign key refers to an earlier table, as far as there is one."""
        ordered: list[str] = []

        def visit(table: str, above: tuple[str, ...]) -> None:
            if table in ordered or table in above or table not in tables:
                return
            for key in self.schema.foreign_keys:
                if key.child == table:
                    visit(key.parent, (*above, table))
            ordered.append(table)

        for table in tables:
            visit(table, ())
        return ordered


def _tuple(values: Value | Sequence[Value]) -> str:
    """A value, or several, as SQL."""
    several = [values] if isinstance(values, str | None) else values
    return f"({', '.join(sql.Literal(value).as_string() for value in several)})"
