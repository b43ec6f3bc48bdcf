"""Insert a row, and when the database refuses it, try other values where the error says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.rows import dict_row

from rolecall.access.world import UNLOADABLE, literal, reason
from rolecall.errors import RolecallError
from rolecall.init import causes, values
from rolecall.init.shape import Check, Table

ATTEMPTS = 60  # inserts for one row
COMBINATIONS = 4000  # of the values that a CHECK on several columns is given


DEFAULT = object()  # in place of a value: the row does not name the column


class UnfitError(RolecallError):
    """No row can be made. The text is the server's last error, in one line.

    ``asks_who``: a trigger has taken a value away, because it asks who acts. ``exists``: such a row exists already.
    """

    asks_who = exists = False


class Fitting:
    """Tries to insert one row.

    ``given`` are the values that may not change, ``free`` those that may. ``owner`` and ``number`` are for new values.
    """

    def __init__(
        self,
        connection: Connection[Any],
        table: Table,
        given: Mapping[str, Any],
        free: Mapping[str, Any],
        owner: str,
        number: int,
    ) -> None:
        self.connection, self.table, self.given, self.free = connection, table, given, dict(free)
        self.owner, self.number = owner, number
        self._asks_who = False
        self._more: dict[str, Iterator[dict[str, Any]]] = {}

    def insert(self) -> dict[str, Any]:
        """Insert the row. Returns all its columns. Raises UnfitError."""
        error, exists = "no value fits", False
        for _ in range(ATTEMPTS):
            try:
                with self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
                    row = cursor.execute(self._statement()).fetchone()
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                if row is None:
                    raise UnfitError("a trigger or a rule has not stored the row")
                return row
            except UNLOADABLE as refused:
                error = reason(refused) + causes.place(refused)
                exists = isinstance(refused, psycopg.errors.UniqueViolation)
                if not isinstance(refused, psycopg.Error) or not self._change(refused):
                    break
        unfit = UnfitError(" ".join(error.split()))
        unfit.asks_who, unfit.exists = self._asks_who, exists
        raise unfit

    def _statement(self) -> sql.Composed:
        row = {**self.given, **self.free}
        table = sql.Identifier(*self.table.name.split(".", 1))
        if not row:
            return sql.SQL("INSERT INTO {} DEFAULT VALUES RETURNING *").format(table)
        return sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) RETURNING *").format(
            table, sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(literal, row.values()))
        )

    def _change(self, error: psycopg.Error) -> bool:
        """Change the values to which an error points. Returns False if there are no others."""
        diag = error.diag
        existing_rows = {**self.given, **self.free}
        self._asks_who = (
            isinstance(error, psycopg.errors.NotNullViolation) and existing_rows.get(diag.column_name or "") is not None
        )
        if self._asks_who:
            return False
        if isinstance(error, psycopg.errors.NotNullViolation) and diag.column_name in self.table.columns:
            return self._next(f"null {diag.column_name}", lambda: self._combinations([diag.column_name or ""], []))
        if isinstance(error, psycopg.errors.CheckViolation):
            checks = [each for each in self.table.checks if each.name == diag.constraint_name]
            return self._next(f"check {diag.constraint_name}", lambda: self._of_check(checks))
        if isinstance(error, psycopg.errors.UniqueViolation):
            columns = self.table.unique.get(diag.constraint_name or "", ())
            return self._next(f"unique {diag.constraint_name}", lambda: self._others(columns))
        texts = [name for name in self.free if self.table.columns[name].category not in "BDN"]
        if isinstance(error, psycopg.DataError) and texts:
            return self._next("data", lambda: self._combinations(texts, []))
        return False

    def _next(self, cause: str, start: Callable[[], Iterator[dict[str, Any]]]) -> bool:
        """Take the next values for a cause. Returns False if there are no more."""
        if cause not in self._more:
            self._more[cause] = start()
        found = next(self._more[cause], None)
        self.free |= found or {}
        return found is not None

    def _of_check(self, checks: Sequence[Check]) -> Iterator[dict[str, Any]]:
        """Values for the columns of a CHECK; without a CHECK of the table, it is that of a domain."""
        columns = [column for check in checks for column in check.columns] or list(self.free)
        names = [name for name in columns if name not in self.given and not self.table.columns[name].is_fixed]
        return self._combinations(names, values.constants_of(check.expression for check in checks))

    def _combinations(self, names: Sequence[str], constants: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """All combinations of values of some columns; those that differ least from the present row come first."""
        choices = []
        for name in names:
            column = self.table.columns[name]
            found = list(values.candidates(column, self.owner, self.number, constants))
            nothing = [] if name in self.free else [DEFAULT]
            choices.append([*nothing, *found, *([] if column.not_null else [None])])
        existing_rows = {name: self.free.get(name, DEFAULT) for name in names}
        combinations = [dict(zip(names, each, strict=True)) for each in islice(product(*choices), COMBINATIONS)]

        def changed(row: Mapping[str, Any]) -> list[bool]:
            """For each column that differs, whether it has a default, which is the more usual value."""
            return [self.table.columns[name].has_default for name, value in row.items() if existing_rows[name] != value]

        combinations.sort(key=lambda row: (len(changed(row)), sum(changed(row))))
        wanted = (row for row in combinations if changed(row))
        return ({name: value for name, value in row.items() if value is not DEFAULT} for row in wanted)

    def _others(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Values of columns that another row may not have."""
        free = [name for name in columns if name not in self.given and not self.table.columns[name].is_fixed]
        for step in range(1, 20) if free else ():
            number = self.number + 100 * step
            yield {name: _distinct(self.table, name, self.owner, number) for name in free}


def _distinct(table: Table, name: str, owner: str, number: int) -> Any:
    column = table.columns[name]
    choices = column.labels or values.TIMES.get(column.type) or values.choices(table, name)
    return choices[(number // 100) % len(choices)] if choices else values.key(column, owner, 91, number)
