"""Changes of whole tables: many more rows, and a table with exactly one row.

More rows are copies of a part of the world: of a project with its members and its tasks, each with a new key, and with
foreign keys to the other copies, or to the originals. The rows of the personas are not copied, so each persona has in
the copy what it has in the original, and the original rows must keep their verdicts. The copies come before the
originals in the table, and have times long before and long after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from psycopg import sql

from rolecall.catalog.objects import identifier, qualified
from rolecall.noninterference.changes import TableChange, holds
from rolecall.noninterference.rows import Rows
from rolecall.noninterference.schema import Column

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
        found = (self._copied(table) for table in [self.schema.table, *self.schema.scope])
        self.copied = {each.table: each for each in found if each}
        counts = {table: len(rows.existing(table, each.key)) for table, each in self.copied.items()}
        self.copies = min(ROWS // min(counts.values(), default=1) + 1, MOST // (sum(counts.values()) or 1) or 1)

    def more(self) -> Iterator[list[TableChange]]:
        """Groups with the copies of all tables, except those whose number of rows decides.

        In the first group the copies refer to each other, in the second to the originals.
        """
        tables = [table for table in self._parents_first() if not self.decided.counts_rows_of(table)]
        for parents in (tables, []):
            if tables:
                yield [self.more_of(table, parents) for table in tables]

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
        text = f"{self.copies} copies of each row of {table}"
        return TableChange(f"rows:{table}", table, text, statements, verify)

    def _insert(self, table: str, tables: Sequence[str]) -> str:
        """The statement that inserts the copies."""
        values = ", ".join(self._value(table, column, tables) for column in self._columns(table))
        return (
            f"INSERT INTO {qualified(table)} ({self._names(table)}) "
            f"SELECT {values} FROM {qualified(table)} AS original, "
            f"generate_series(1, {self.copies}) AS copies (number) WHERE original.{self._is_original(table)} "
            "ON CONFLICT DO NOTHING"
        )

    def _again(self, table: str) -> str:
        """The statement that deletes the originals and inserts them again."""
        target, names = qualified(table), self._names(table)
        return (
            f"WITH again AS (DELETE FROM {target} WHERE {self._is_original(table)} RETURNING *) "
            f"INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM again"
        )

    def _is_original(self, table: str) -> str:
        key = self.copied[table].key
        originals = sql.SQL(", ").join(map(sql.Literal, self.rows.existing(table, key))).as_string()
        return f"{identifier(key)}::text IN ({originals})"

    def _names(self, table: str) -> str:
        return ", ".join(identifier(column.name) for column in self._columns(table))

    def _columns(self, table: str) -> list[Column]:
        return [column for column in self.schema.columns[table] if not column.is_fixed]

    def _value(self, table: str, column: Column, tables: Sequence[str]) -> str:
        """The value of a column of a copy, as an SQL expression."""
        name = f"original.{identifier(column.name)}"
        if column.name == self.copied[table].key:
            return self.copied[table].formula.format(column=name)
        parent = self.schema.parent_of(table, column.name)
        if parent:
            other = self.copied.get(parent[0])
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
        """How a table's rows are copied; None for tables of the personas, and for keys that are not copied."""
        keys = [column for column in self.schema.columns.get(table, []) if column.is_key]
        if len(keys) > 1:  # the number of a page: its book is another copy, or the same one
            keys = [column for column in keys if not self.schema.parent_of(table, column.name)]
        if len(keys) != 1 or not self.schema.tables.get(table) or keys[0].is_fixed:
            return None
        (key,) = keys
        formula = KEYS.get(key.type) or KEYS.get(key.category)
        existing = self.rows.existing(table, key.name)
        is_of_personas = not set(self.rows.dictionary.subjects).isdisjoint(map(str, existing))
        return Copied(table, key.name, formula) if formula and existing and not is_of_personas else None

    def _parents_first(self) -> list[str]:
        """The tables in an order in which a foreign key refers to an earlier table, as far as there is one."""
        ordered: list[str] = []

        def visit(table: str, above: tuple[str, ...]) -> None:
            if table in ordered or table in above or table not in self.copied:
                return
            for key in self.schema.foreign_keys:
                if key.child == table:
                    visit(key.parent, (*above, table))
            ordered.append(table)

        for table in self.copied:
            visit(table, ())
        return ordered
