"""How long a statement may wait, and which sessions block it: seen from another connection while it waits."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import psycopg
from psycopg import Connection

if TYPE_CHECKING:
    from rolecall.settings import Settings

T = TypeVar("T")
R = TypeVar("R")

LOOK = 2.0  # seconds between two looks at a statement that waits; shorter with short timeouts
LOOK_LIMIT = "5s"  # for the look itself
WIDTH = 500  # characters of a statement in a report

# Where the server ends a statement that waits: lock_timeout and statement_timeout, or a deadlock. A NOWAIT and a
# RAISE of a function have other places.
ENDED_BY_SERVER = {"ProcessInterrupts", "DeadLockReport"}

# A statement, the sessions that block it, those that block them, and so on. A prepared transaction has the pid 0.
CHAIN = """
WITH RECURSIVE chain (pid) AS (
  VALUES (%(pid)s::int)
  UNION
  SELECT blocker FROM chain, unnest(pg_blocking_pids(chain.pid)) AS blocker
)
SELECT c.pid, a.application_name, a.state, extract(epoch FROM clock_timestamp() - a.state_change)::float, a.query,
  (SELECT concat_ws(' ', l.mode, 'on', coalesce(l.relation::regclass::text, l.locktype))
   FROM pg_locks AS l WHERE l.pid = c.pid AND NOT l.granted LIMIT 1)
FROM chain AS c LEFT JOIN pg_stat_activity AS a ON a.pid = c.pid
ORDER BY c.pid <> %(pid)s, a.xact_start
"""
# When the statement waits no more, nothing shows what has blocked it. Only a session with a transaction can have.
OTHERS = """
SELECT a.pid, a.application_name, a.state, extract(epoch FROM clock_timestamp() - a.state_change)::float, a.query, NULL
FROM pg_stat_activity AS a
WHERE a.pid = %(pid)s
   OR (a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
       AND a.backend_type = 'client backend')
ORDER BY a.pid <> %(pid)s, a.xact_start
"""


@dataclass(frozen=True)
class Timeouts:
    """How many seconds a statement may wait for a lock, and how many it may take. 0: no limit."""

    lock: int = 10
    statement: int = 60

    @classmethod
    def of(cls, settings: Settings) -> Timeouts:
        """Those that the settings of a run say."""
        return cls(settings.lock_timeout, settings.statement_timeout)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of PostgreSQL, by name."""
        return {"lock_timeout": f"{self.lock}s", "statement_timeout": f"{self.statement}s"}


class Waiting(NamedTuple):
    """A session that waits or blocks. ``seconds``: how long it has been in its state. ``lock``: what it waits for."""

    pid: int
    application: str | None
    state: str | None
    seconds: float | None
    statement: str | None
    lock: str | None

    @property
    def who(self) -> str:
        return f"pid {self.pid}, {self.application or 'without a name'}" if self.pid else "a prepared transaction"

    @property
    def since(self) -> str:
        return f", {self.state} for {self.seconds:.0f} s" if self.state and self.seconds is not None else ""

    @property
    def text(self) -> str:
        """Its statement in one line, indented."""
        words = " ".join((self.statement or "(not shown)").split())
        return "    " + (words if len(words) <= WIDTH else words[:WIDTH] + "…")


def report(blocked: Waiting | None, others: Sequence[Waiting], *, certain: bool) -> str:
    """A paragraph on a blocked statement and the sessions that block it, or that may have; "" without any."""
    if not others:
        return ""
    lines, what = [], "Blocking statement" if certain else "Other open transaction"
    if blocked:
        waits = f", waits for {blocked.lock}" if blocked.lock else ""
        lines += [f"Blocked statement ({blocked.who}){waits}:", blocked.text]
    for other in others:
        waits = f", waits itself for {other.lock}" if other.lock else ""
        lines += [f"{what} ({other.who}){other.since}{waits}:", other.text]
    return "\n".join(lines)


class Watch:
    """Watches the statements of one connection. While one waits, it looks from another connection what blocks it.

    ``connect`` opens that connection.
    """

    def __init__(self, pid: int, timeouts: Timeouts, connect: Callable[[], Connection[Any]]) -> None:
        self.pid, self.timeouts, self.connect = pid, timeouts, connect
        limits = [limit / 4 for limit in (timeouts.lock, timeouts.statement) if limit]
        self.interval = min([LOOK, *limits])
        self._started = 0.0
        self._chain: list[Waiting] = []  # of the last look, while the statement waited: itself, and what blocks it

    def over(self, generator: Generator[T, Any, R], is_active: Callable[[], bool]) -> Generator[T, Any, R]:
        """The same generator of psycopg, watched. psycopg resumes it with nothing while the server does not answer."""
        self._chain, self._started = [], monotonic()
        next_look = self._started + self.interval
        try:
            wants = next(generator)
            while True:
                ready = yield wants
                if not ready and monotonic() > next_look and is_active():
                    self._chain = self._look(CHAIN)
                    next_look = monotonic() + self.interval
                wants = generator.send(ready)
        except StopIteration as end:
            return cast(R, end.value)

    def report(self, statement: str | None = None) -> str:
        """What has blocked the last statement; "" if nothing is known. ``statement`` is shown in its place."""
        certain = len(self._chain) > 1
        sessions = self._chain if certain else self._look(OTHERS)
        blocked, others = (sessions[0], sessions[1:]) if sessions else (None, [])
        if blocked and statement:
            blocked = blocked._replace(statement=statement)
        return report(blocked, others, certain=certain)

    def open_transactions(self) -> str:
        """The transactions that are open in this database, for the error of a program."""
        return report(None, [each for each in self._look(OTHERS) if each.state != "idle"], certain=False)

    def explain(self, error: psycopg.Error) -> None:
        """Add a note to an error of a statement that a timeout or a deadlock ended: what blocked it, what to do."""
        if ended_by_server(error) and (lines := [*filter(None, [self.report(), self._limit(error)])]):
            error.add_note("\n".join(lines))

    def _limit(self, error: psycopg.Error) -> str:
        """Which timeout of the run it was; "" if the SQL itself has set a shorter one, or for a deadlock."""
        is_lock = isinstance(error, psycopg.errors.LockNotAvailable)
        limit, name = (self.timeouts.lock, "lock") if is_lock else (self.timeouts.statement, "statement")
        if not limit or monotonic() - self._started < limit:
            return ""
        return f"rolecall_{name}_timeout is {limit} s."

    def _look(self, query: str) -> list[Waiting]:
        with suppress(psycopg.Error), closing(self.connect()) as connection:
            connection.execute(f"SET statement_timeout = '{LOOK_LIMIT}'".encode())
            return [Waiting(*row) for row in connection.execute(query.encode(), {"pid": self.pid})]
        return []


def ended_by_server(error: psycopg.Error) -> bool:
    """Whether a timeout, a cancel or a deadlock ended the statement."""
    return error.diag.source_function in ENDED_BY_SERVER
