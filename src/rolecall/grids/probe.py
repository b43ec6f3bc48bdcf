"""Probing: many statements, each as its own persona and each undone, in one round trip.

A loop on the server (``probe.sql``) does what :class:`rolecall.access.session.Session` does from the client.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import groupby, islice
from typing import Any, Literal, NamedTuple

from psycopg import Connection

from rolecall.access.persona import Method, Persona

REFUSED = "42501"
AT_ONCE = 1000  # checks of one call

Verdict = Literal["yes", "-", "!"]


@dataclass(frozen=True, slots=True)
class Check:
    """One statement to try as one persona, on the row of ``target`` (quoted) that ``condition`` selects.

    ``before`` runs first, as the superuser. With ``blind``, ``statement`` has no WHERE: it is aimed at the row
    by a cursor. With ``representation`` it returns the row that it writes. With ``columns``, a persona whom the
    whole table is refused tries the columns that it was granted one by one. ``expected`` is the verdict without
    which the checks behind this one need not be tried.
    """

    persona: Persona
    method: Method
    statement: str
    target: str
    condition: str
    before: tuple[str, ...] = ()
    blind: bool = False
    representation: bool = False
    columns: bool = False
    expected: str | None = None

    @property
    def plan(self) -> Hashable:
        """What the server's plan for the statement depends on; of two that agree in it, one plan serves both."""
        return self.persona.role, self.before, self.statement, self.blind

    @property
    def room(self) -> str | None:
        """The statement that takes the row out of the way, where the check inserts it."""
        return f"DELETE FROM {self.target} WHERE {self.condition}" if self.method == "POST" else None

    @property
    def locate(self) -> str:
        """The query for where the row lies."""
        return f"SELECT tableoid, ctid FROM {self.target} WHERE {self.condition}"

    def as_json(self) -> dict[str, Any]:
        return {
            "settings": self.persona.settings(self.method),
            "method": self.method,
            "statement": self.statement,
            "target": self.target,
            "condition": self.condition,
            "blind": self.blind,
            "representation": self.representation,
            "columns": self.columns,
            "expected": self.expected,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check did: rows that the server counted; where it counted none, whether the row is another one
    now all the same; or the error.

    ``broken`` is an error of the check itself, before the persona acted. ``skipped``: there is no such way (a
    view's row cannot be aimed at by a cursor). ``columns`` are those that the persona was granted one by one,
    where the table was refused, and ``column_rows`` what it reached with them. ``elsewhere``: the refusal is
    another object's, not the target's; see :mod:`rolecall.refusal`.
    """

    affected: int
    touched: bool
    sqlstate: str | None
    message: str | None
    broken: str | None
    skipped: bool = False
    columns: Sequence[str] | None = None
    column_rows: int | None = None
    elsewhere: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """``yes``, ``-`` or ``!``; None where the statement failed for a reason that is no refusal.

        A soft delete counts no row and yet touches it, so the row itself is asked too.
        """
        if self.broken:
            return None
        if self.sqlstate is None:
            return "yes" if self.affected or self.touched else "-"
        return "!" if self.sqlstate == REFUSED and not self.elsewhere else None

    @property
    def words(self) -> list[str]:
        """Its part of a cell's verdict: none if it was skipped, two where columns were granted one by one."""
        if self.skipped:
            return []
        by_columns = [] if self.column_rows is None else ["yes" if self.column_rows else "-"]
        return [self.verdict or "error", *by_columns]

    @property
    def word(self) -> str:
        """Its words as a cell writes them, e.g. ``!/yes``."""
        return "/".join(self.words)

    def __str__(self) -> str:
        if self.skipped:
            return "not tried: the row of a view cannot be aimed at"
        if self.broken:
            return f"the check itself failed: {self.broken}"
        if self.sqlstate:
            elsewhere = " (refused by another object, not by this one)" if self.elsewhere else ""
            return f"{self.sqlstate} {self.message}{elsewhere}"
        if self.touched and not self.affected:
            return "the row was changed, though no row was counted"
        return {0: "no row", 1: "1 row"}.get(self.affected, f"{self.affected} rows")


class Checks(tuple[Check, ...]):
    """Checks, and what is sent for them: put together once, however often they are tried."""

    @cached_property
    def messages(self) -> list[Message]:
        """The checks as the function takes them."""
        return list(_messages(self))


class Message(NamedTuple):
    """What one call of the function is given, and how many checks there are in it."""

    checks: int
    payload: str


@cache
def source() -> str:
    """The SQL that makes the probe function."""
    return (files("rolecall.grids") / "probe.sql").read_text(encoding="utf-8")


def prepare(connection: Connection[Any]) -> None:
    """Make the probe function, where it is not there yet.

    Outside of a transaction it is made once. One that is undone and made again each time leaves its plans in
    the server's memory, and every DDL statement looks at all of them (after 1,900 mutants: 350 MB, and each
    check four times as slow).
    """
    there = connection.execute("SELECT to_regprocedure('pg_temp.rolecall_probe(jsonb)') IS NOT NULL").fetchone()
    if there != (True,):
        connection.execute(source().encode())


def probe(connection: Connection[Any], checks: Iterable[Check]) -> list[Outcome]:
    """Try every check, in order, in one round trip for a thousand; nothing that they do is kept.

    ``connection`` must be a superuser's; the probe function is made in its ``pg_temp`` if need be.
    """
    outcomes: list[Outcome] = []
    for message in checks.messages if isinstance(checks, Checks) else _messages(checks):
        if not outcomes:
            prepare(connection)
        rows = connection.execute("SELECT * FROM pg_temp.rolecall_probe(%s)", [message.payload]).fetchall()
        outcomes += [Outcome(*row) for row in rows]
        if len(rows) < message.checks:  # one was not as expected
            break
    return outcomes


def _messages(checks: Iterable[Check]) -> Iterator[Message]:
    """The checks in calls of a bounded size, as are then the server's memory for them and ours."""
    rest = iter(checks)
    while batch := list(islice(rest, AT_ONCE)):
        shared = [plan for plan, times in Counter(check.plan for check in batch).items() if times > 1]
        numbers = {plan: number for number, plan in enumerate(shared, start=1)}
        parts = [
            {"before": before, "checks": [check.as_json() | {"plan": numbers.get(check.plan)} for check in part]}
            for before, part in groupby(batch, key=lambda check: check.before)
        ]
        yield Message(len(batch), json.dumps(parts))
