"""Why a cell failed: the statements, the privileges and policies that apply, and the decision of each policy alone."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.session import advisory_locks_released
from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.catalog.objects import Policy, qualified
from rolecall.grids.grid import Cell, Grid
from rolecall.grids.policy import PolicyProbe
from rolecall.grids.probe import Check, Results
from rolecall.grids.verdicts import meaning, verdict
from rolecall.report.failures import Attempt, CellFailure, Decisions, PolicyDecision, Reason

TWO_ROWS = re.compile(r"\d+ rows of ")
ADVICE = ": set key= of the grid to columns that are unique in the whole table"
ADMITTED, STOPPED, STOPPED_AFTERWARDS = "lets the row through", "stops the row", "stops the updated row"
COMMANDS = {"GET": "select", "POST": "insert", "PATCH": "update", "DELETE": "delete"}


def explain(connection: Connection[Any], grid: Grid, cell: Cell, world: World, results: Results) -> CellFailure:
    """The failure of a cell, for a reader who does not know the grid: persona, command, expected, got, and why.

    ``results`` are the cell's checks and their outcomes. ``connection`` is a superuser's; everything that is tried
    on it is rolled back.
    """
    persona, check = world.personas[cell.persona], results[0][0]
    reason = None
    if not results[0][1].broken:
        with advisory_locks_released(connection):
            reason = _Explanation(connection, grid.table, check).reason(results)
    return CellFailure(
        table=grid.table,
        row=cell.row,
        command=cell.command,
        persona=cell.persona,
        path=grid.path,
        line=cell.line,
        role=persona.role,
        claims=dict(persona.claims),
        setup=persona.prepare(grid.table) if persona.setup else "",
        expected=cell.expected,
        meaning=meaning(cell.expected),
        attempts=_attempts(results),
        reason=reason,
        got=verdict(results, cell.expected),
        settings=dict(persona.custom),
    )


def _attempts(results: Results) -> list[Attempt]:
    """The statements to show. Other ways of a write are left out if their outcome is that of the first way."""
    attempts = [
        (check, outcome)
        for check, outcome in results
        if not outcome.skipped and not ((check.representation or check.upsert) and str(outcome) == str(results[0][1]))
    ]
    return [
        Attempt(
            check.statement,
            outcome.verdict or "error",
            f"{outcome}{ADVICE if TWO_ROWS.match(outcome.broken or '') else ''}",
            check.method != "GET",
            check.blind,
            check.representation,
            tuple(outcome.columns or ()),
            outcome.column_rows,
        )
        for check, outcome in attempts
    ]


# The row-level triggers before an update, and the rules for it.
INTERCEPTORS = """
SELECT 'trigger', tgname::text FROM pg_trigger
WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 19 = 19
UNION ALL SELECT 'rule', rulename FROM pg_rewrite WHERE ev_class = %(table)s::regclass AND ev_type = '2'
ORDER BY 1, 2
"""


class _Explanation:
    """Finds the reason for the outcome of a check, in the current state of the database."""

    def __init__(self, connection: Connection[Any], table: str, check: Check) -> None:
        self.connection, self.table, self.check = connection, table, check
        self.probe = PolicyProbe(connection, table)

    def reason(self, results: Results) -> Reason:
        """The privileges and policies after the check's own preparation, which is rolled back."""
        check, role = self.check, self.check.persona.role
        with self.connection.transaction(force_rollback=True):
            for statement in check.before:
                self.connection.execute(statement.encode())
            privileges = objects.privileges(self.connection, self.table, role)
            decisions = self._decisions(COMMANDS[check.method])
            reads = self._decisions("select") if self._depends_on_reading(results) else None
            if reads and not any("stops" in each.decision for each in reads.policies):
                reads = None
        reads_what = "row in its RETURNING" if check.method == "POST" else "row in its WHERE"
        return Reason(role, self.table, privileges, decisions, reads, reads_what)

    def _depends_on_reading(self, results: Results) -> bool:
        """Whether the SELECT policies may have decided about a write.

        Of the two inserts, only the one with RETURNING reads the row: they may have decided if the verdicts differ.
        """
        verdicts = [outcome.verdict for _, outcome in results if not outcome.skipped]
        method = self.check.method
        return method != "GET" and (len(set(verdicts)) > 1 or (method != "POST" and verdicts[0] != "yes"))

    def _decisions(self, command: str) -> Decisions:
        role = self.check.persona.role
        policies = objects.policies(self.connection, self.table, command, role)
        decisions = [
            PolicyDecision(policy.name, policy.permissive, str(policy), self._decision(policy, command))
            for policy in policies
        ]
        return Decisions(command, role, decisions)

    def _decision(self, policy: Policy, command: str) -> str:
        """The decision of a policy alone, about the current row and about the updated row."""
        # Without WITH CHECK, USING also applies to new rows. A SELECT policy has only USING.
        check_of_new_rows = policy.using if command == "select" else policy.check or policy.using
        if self.check.method == "POST":  # the row exists here: only the probe deletes it before the insert
            return self._alone(check_of_new_rows, self.check.condition)
        decision = self._alone(policy.using, self.check.condition)
        if self.check.method != "PATCH" or decision != ADMITTED:
            return decision
        try:
            with self.connection.transaction(force_rollback=True):
                updated_row = self._updated_row()
                if not updated_row:
                    return f"{decision}; then the update changes no row, because of {self._interceptors()}"
                if self._alone(check_of_new_rows, updated_row) == STOPPED:
                    return f"{decision}, {STOPPED_AFTERWARDS}"
        except psycopg.Error as error:
            return f"{decision}; the updated row cannot be tested: {error.diag.message_primary}"
        return decision

    def _updated_row(self) -> str:
        """Update the row as the superuser. Returns the condition that selects it afterwards; empty if it did not."""
        update = f"{self.check.statement} RETURNING tableoid::int8, ctid::text"
        places = self.connection.execute(update.encode()).fetchall()
        return "tableoid = {} AND ctid = '{}'".format(*places[0]) if places else ""

    def _interceptors(self) -> str:
        """The triggers and rules that may skip an update."""
        found = self.connection.execute(INTERCEPTORS, {"table": qualified(self.table)}).fetchall()
        return " or ".join(f'the {kind} "{name}"' for kind, name in found) or "something else in the database"

    def _alone(self, predicate: str | None, where: str) -> str:
        """Whether a predicate, as the table's only policy, admits an existing row."""
        if predicate is None:
            return "has no predicate for this"
        try:
            rows = self.probe.rows(predicate, self.check.persona, self.check.method, where=where)
        except psycopg.Error as error:
            return f"cannot be tested alone: {error.diag.message_primary}"
        return ADMITTED if rows else STOPPED
