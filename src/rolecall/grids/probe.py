"""The probe: many statements in one round trip, each as its own persona and each rolled back.

A loop on the server (``probe.sql``) does the work of :class:`rolecall.access.session.Session`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from psycopg import Connection

from rolecall.access.persona import Method, Persona
from rolecall.errors import RolecallError
from rolecall.server.waits import Timeouts

REFUSED = "42501"
BATCH_SIZE = 1000  # checks in one call
ROOM = attrgetter("room")

Verdict = Literal["yes", "-", "!"]


@dataclass(frozen=True, slots=True)
class Check:
    """One statement to try as one persona, on the row of ``target`` (quoted) that ``condition`` selects.

    ``before`` runs first, as the superuser. With ``blind``, ``statement`` has no WHERE: a cursor aims it at the row.
    With ``representation``, it returns the row that it writes. With ``upsert``, it would update a row with the same
    key, and is skipped if the table has no unique index on the key. With ``columns``, a persona that is refused the
    whole table tries the columns that are granted one by one; for an insert, those of ``new_values``: literals by
    column. If the verdict is not ``expected``, the checks after this one are not tried.
    """

    persona: Persona
    method: Method
    statement: str
    target: str
    condition: str
    before: tuple[str, ...] = ()
    blind: bool = False
    representation: bool = False
    upsert: bool = False
    columns: bool = False
    new_values: Mapping[str, str] | None = field(default=None, hash=False)
    expected: str | None = None

    @property
    def plan(self) -> Hashable:
        """Everything that the server's plan for the statement depends on: checks with equal values share one plan."""
        return self.persona.role, self.before, self.statement, self.blind

    @property
    def request(self) -> Hashable:
        """What the settings of the request depend on."""
        return id(self.persona), self.method

    @property
    def reads_row(self) -> bool:
        """Whether the statement reads the row, so that the SELECT policies decide about it too."""
        return self.representation or self.upsert or (self.method != "POST" and not self.blind)

    @property
    def room(self) -> str | None:
        """The statement that deletes the row before an insert; None for other checks."""
        return f"DELETE FROM {self.target} WHERE {self.condition}" if self.method == "POST" else None

    @property
    def locate(self) -> str:
        """The query for the physical place of the row."""
        return f"SELECT tableoid, ctid FROM {self.target} WHERE {self.condition}"

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "statement": self.statement,
            "target": self.target,
            "condition": self.condition,
            "blind": self.blind,
            "representation": self.representation,
            "upsert": self.upsert,
            "columns": self.columns,
            "new_values": self.new_values,
            "expected": self.expected,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a check.

    ``affected`` is the number of rows that the server counted. ``touched``: it counted none, but the row changed.
    ``sqlstate`` and ``message`` are the error. ``broken`` is an error of the check itself, before the persona acted.
    ``skipped``: the check is not possible (a cursor cannot aim at the row of a view; an upsert needs a unique index on
    the key, and a rule may allow neither that nor RETURNING). ``columns`` are the columns
    that are granted one by one if the table is refused, and ``column_rows`` the rows that they reached.
    ``late``: it took as long as a timeout, so it may be the outcome of the timeout.
    ``by_row_security``: the policies for new rows refused the statement itself, and no function in it.
    ``elsewhere``: another object refused the statement, not the target; see :mod:`rolecall.grids.refusal`.
    """

    affected: int
    touched: bool
    sqlstate: str | None
    message: str | None
    broken: str | None
    skipped: bool = False
    columns: Sequence[str] | None = None
    column_rows: int | None = None
    late: bool = False
    by_row_security: bool = False
    elsewhere: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """``yes``, ``-`` or ``!``; None if the statement failed for another reason than a refusal.

        A soft delete counts no row but changes it, so the row itself is compared too.
        """
        if self.broken:
            return None
        if self.sqlstate is None:
            return "yes" if self.affected or self.touched else "-"
        return "!" if self.sqlstate == REFUSED and not self.elsewhere else None

    @property
    def words(self) -> list[str]:
        """The words for the verdict of a cell: none if skipped, two if columns are granted one by one."""
        if self.skipped:
            return []
        by_columns = [] if self.column_rows is None else ["yes" if self.column_rows else "-"]
        return [self.verdict or "error", *by_columns]

    @property
    def word(self) -> str:
        """The words as in a grid, e.g. ``!/yes``."""
        return "/".join(self.words)

    def __str__(self) -> str:
        if self.skipped:
            return "not possible here"
        if self.broken:
            return f"the check itself failed: {self.broken}"
        if self.sqlstate:
            elsewhere = " (refused by another object, not by this one)" if self.elsewhere else ""
            return f"{self.sqlstate} {self.message}{elsewhere}"
        if self.touched and not self.affected:
            return "the row was changed, though no row was counted"
        return {0: "no row", 1: "1 row"}.get(self.affected, f"{self.affected} rows")


Results = list[tuple[Check, Outcome]]  # the checks of a cell, with their outcomes


class LateError(RolecallError):
    """A check took as long as a timeout: neither its outcome nor the checks after it count."""


class Checks(tuple[Check, ...]):
    """Checks and their messages, which are built once for any number of runs."""

    @cached_property
    def messages(self) -> list[Message]:
        """The checks as the probe function takes them."""
        return list(_messages(self))


class Message(NamedTuple):
    """The argument of one call of the probe function, and the number of its checks."""

    checks: int
    payload: str


@cache
def source() -> str:
    """The SQL that creates the probe function."""
    return (files("rolecall.grids") / "probe.sql").read_text(encoding="utf-8")


def prepare(connection: Connection[Any]) -> None:
    """Create the probe function if it does not exist.

    Call it outside of a transaction, so that the function is created once. If it is rolled back and created again
    each time, its plans stay in the server's memory, and every DDL statement visits all of them (after 1,900
    mutants: 350 MB, and each check four times as slow).
    """
    exists = connection.execute("SELECT to_regprocedure('pg_temp.rolecall_probe(jsonb)') IS NOT NULL").fetchone()
    if exists != (True,):
        connection.execute(source().encode())


def aim_at(connection: Connection[Any], check: Check) -> None:
    """Open the cursor ``rolecall_target`` on the row of a blind check. The probe function must exist."""
    connection.execute("SELECT pg_temp.rolecall_aim_at(%s, %s)", [check.target, check.condition])


def make_room(connection: Connection[Any], check: Check) -> None:
    """Delete the row of an insert, also where a trigger or a rule would keep it. The probe function must exist."""
    bypass = "pg_temp.rolecall_must_bypass_triggers(%(target)s::text::regclass)"
    params = {"target": check.target, "condition": check.condition}
    connection.execute(f"SELECT pg_temp.rolecall_make_room(%(target)s, %(condition)s, {bypass})".encode(), params)


def probe(connection: Connection[Any], checks: Iterable[Check]) -> list[Outcome]:
    """Try every check, in order, with one round trip for each thousand. Every check is rolled back.

    ``connection`` must be a superuser's. The probe function is created in its ``pg_temp`` if it does not exist.
    Raises LateError with what blocked the check.
    """
    outcomes: list[Outcome] = []
    checks = checks if isinstance(checks, Checks) else list(checks)
    for message in checks.messages if isinstance(checks, Checks) else _messages(checks):
        if not outcomes:
            prepare(connection)
        rows = connection.execute("SELECT * FROM pg_temp.rolecall_probe(%s)", [message.payload]).fetchall()
        outcomes += [Outcome(*row) for row in rows]
        if outcomes and outcomes[-1].late:
            raise LateError(_late(connection, checks[len(outcomes) - 1], outcomes[-1]))
        if len(rows) < message.checks:  # it stopped at a verdict that was not expected
            break
    return outcomes


def probe_in_any_order(connection: Connection[Any], checks: Sequence[Check]) -> list[Outcome]:
    """The outcomes of checks as :func:`probe` returns them. They are tried in the order that costs least.

    A setup runs once for all checks that need it. The checks of a row come together, as it is looked at once. Inserts
    come last: making room for a row may switch triggers off, and then PostgreSQL discards all plans.
    """
    order = sorted(range(len(checks)), key=lambda place: _cost(checks[place]))
    outcomes = dict(zip(order, probe(connection, [checks[place] for place in order]), strict=True))
    return [outcomes[place] for place in range(len(checks))]


def _cost(check: Check) -> tuple[tuple[str, ...], bool, str, str]:
    """The key of the order that costs least."""
    return check.before, check.method == "POST", check.target, check.condition


def _late(connection: Connection[Any], check: Check, outcome: Outcome) -> str:
    """What to say of a check that was too late."""
    watch = getattr(connection, "watch", None)
    limits = watch.timeouts if watch else Timeouts()
    lines = [
        f"the time was up, so no outcome counts: {check.persona.name}: {check.statement}: {outcome}",
        *filter(None, [watch.report(check.statement) if watch else ""]),
        f"rolecall_lock_timeout is {limits.lock} s, rolecall_statement_timeout is {limits.statement} s.",
    ]
    return "\n".join(lines)


def _messages(checks: Iterable[Check]) -> Iterator[Message]:
    """The checks in batches, which limit the memory on the server and in this process."""
    iterator = iter(checks)
    while batch := list(islice(iterator, BATCH_SIZE)):
        shared = [plan for plan, times in Counter(check.plan for check in batch).items() if times > 1]
        numbers = {plan: number for number, plan in enumerate(shared, start=1)}
        # The settings may be long: they are sent once for each request.
        requests = {check.request: check for check in batch}
        places = {request: place for place, request in enumerate(requests, start=1)}
        parts = [
            {
                "before": before,
                "blocks": [_block(room, checks, numbers, places) for room, checks in groupby(part, ROOM)],
            }
            for before, part in groupby(batch, key=lambda check: check.before)
        ]
        settings = [{"settings": check.persona.settings(check.method)} for check in requests.values()]
        yield Message(len(batch), json.dumps({"requests": settings, "parts": parts}))


def _block(
    room: str | None, checks: Iterable[Check], numbers: Mapping[Hashable, int], places: Mapping[Hashable, int]
) -> dict[str, Any]:
    return {
        "makes_room": room is not None,
        "checks": [
            check.as_json() | {"plan": numbers.get(check.plan), "request": places[check.request]} for check in checks
        ],
    }
