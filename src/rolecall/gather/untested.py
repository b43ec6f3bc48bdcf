"""What has no grid, in a report: the rows that it shows to each persona, and who may write or call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.session import Session
from rolecall.access.world import World
from rolecall.access_map.objects import Relation
from rolecall.access_map.untested import Untested, statement
from rolecall.grids.probe import REFUSED
from rolecall.report.access import SELECT, Access, Attempt, Granted
from rolecall.report.report import ReportedCommand


class UntestedCommands:
    """Tries what has no grid, as each persona of the world. Everything is rolled back."""

    def __init__(self, connection: Connection[Any], world: World) -> None:
        self.connection, self.world = connection, world
        self.untested = Untested(connection, world)
        self.session = Session(connection, world.personas)

    def relation(self, relation: Relation) -> list[ReportedCommand]:
        """The commands on a table or view: ``select`` of its rows, and the privileges to write, in capitals."""
        attempts = self.untested.relation(relation)
        query = f"SELECT * FROM {relation.sql}"
        selects = [granted for attempt, granted in attempts.items() if attempt.command == SELECT]
        unseen = [name for name in self.world.personas if not any(name in granted for granted in selects)]
        errors = {name: error for name in unseen if (error := self._error(query, name, relation.name))}
        return [
            self._select(query, attempt, granted, errors)
            if attempt.command == SELECT
            else self._privilege(statement(relation, attempt.command, relation.writable), attempt, granted)
            for attempt, granted in attempts.items()
            # Of a view that cannot be written, there is no such statement.
            if attempt.command == SELECT or relation.writable or granted
        ]

    def functions(self) -> dict[str, Mapping[Attempt, Granted]]:
        """Who may call each function of the project, by its name with its arguments."""
        return self.untested.functions()

    def function(self, item: str, attempts: Mapping[Attempt, Granted]) -> list[ReportedCommand]:
        """The command on a function. ``item`` is its name in SQL, with its arguments."""
        query = f"SELECT has_function_privilege({sql.Literal(item).as_string()}, 'EXECUTE')"
        return [self._privilege(query, attempt, granted) for attempt, granted in attempts.items()]

    def _select(
        self, query: str, attempt: Attempt, granted: Granted, errors: Mapping[str, tuple[str, str]]
    ) -> ReportedCommand:
        verdicts: list[str] = []
        details: dict[str, str] = {}
        for name in self.world.personas:
            word, note = _seen(granted[name]) if name in granted else errors.get(name, ("-", ""))
            verdicts.append(word)
            details |= {name: note} if note else {}
        return ReportedCommand(attempt.row, attempt.command, query, verdicts, details)

    def _privilege(self, query: str, attempt: Attempt, granted: Granted) -> ReportedCommand:
        verdicts = [_held(granted.get(name)) for name in self.world.personas]
        notes = {name: _only(access.columns) for name, access in granted.items() if access.columns}
        return ReportedCommand(attempt.row, attempt.command, query, verdicts, notes)

    def _error(self, query: str, persona: str, table: str) -> tuple[str, str] | None:
        """The verdict and the message if a query fails; None if it does not."""
        try:
            with self.connection.transaction(force_rollback=True), self.session.acting_as(persona, on=table):
                self.connection.execute(query.encode())
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            word = "!" if error.sqlstate == REFUSED else "error"
            return word, f"{error.sqlstate} {error.diag.message_primary}"
        return None


def _seen(access: Access) -> tuple[str, str]:
    """The verdict of a select that shows rows, and what there is to say of it."""
    rows = "" if access.rows is None else f"{access.rows} row{'s' if access.rows != 1 else ''}"
    note = ", ".join(filter(None, [rows, _only(access.columns)]))
    return ("!/yes" if access.columns else "yes"), note


def _held(access: Access | None) -> str:
    if access is None:
        return "!"
    return "!/yes" if access.columns else "yes"


def _only(columns: Sequence[str]) -> str:
    return f"only {', '.join(columns)}" if columns else ""
