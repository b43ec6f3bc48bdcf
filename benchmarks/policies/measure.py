"""The time of a query: prepared once, as PostgREST does, and run until its median is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from benchmarks.policies.queries import Query
from rolecall import Session, World

WARM_UP = 6  # runs: after five PostgreSQL decides whether to plan a prepared statement again each time
RUNS = 21
MAX_TOTAL = 1.0  # seconds that all runs of one form may take, once there are three
TIMEOUT = 3.0  # seconds that one run may take


class Form:
    """One form of a query, prepared. Without ``persona`` the superuser runs it, and no policy applies."""

    def __init__(self, session: Session, text: str, arguments: dict[str, str], persona: str | None) -> None:
        self.samples: list[float] = []
        self.answer: list[str] = []  # the first column of each row, or the number of changed rows
        self.plan = ""
        self._session, self._persona = session, persona
        name = "signed_in" if persona else "by_hand"
        parameters = {each: f"${number}" for number, each in enumerate(arguments, 1)}
        types = ", ".join(["uuid"] * len(arguments))
        values = ", ".join(f"'{value}'" for value in arguments.values())
        self._prepare = f"PREPARE {name} ({types}) AS {text.format(**parameters)}"
        self._execute = f"EXECUTE {name} ({values})"
        self._deallocate = f"DEALLOCATE {name}"
        self._writes = "UPDATE" in text or "mark_" in text

    @contextmanager
    def signed_in(self) -> Iterator[None]:
        """Sign in for one request in the block; its changes are undone."""
        with self._session.connection.transaction(force_rollback=True):
            if self._persona is None:
                yield
            elif self._writes:
                with self._session.acting_as(self._persona, method="PATCH"):
                    yield
            else:
                with self._session.reading_as(self._persona):
                    yield

    def run(self) -> float:
        """Seconds of one run for the client. Raises QueryCanceled after TIMEOUT."""
        with self.signed_in():
            start = time.perf_counter()
            cursor = self._session.connection.execute(self._execute.encode())
            rows = cursor.fetchall() if cursor.description else []
            seconds = time.perf_counter() - start
        self.answer = sorted(str(row[0]) for row in rows) if cursor.description else [str(cursor.rowcount)]
        return seconds

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Prepare the query and warm it up, for the block."""
        with self.signed_in():
            self._session.connection.execute(self._prepare.encode())
        try:
            start = time.perf_counter()
            for _ in range(WARM_UP):
                self.run()
                if time.perf_counter() - start > MAX_TOTAL:
                    break
            yield
        finally:
            self._session.connection.execute(self._deallocate.encode())

    def explain(self) -> str:
        """The plan of PostgreSQL, with the actual row counts."""
        with self.signed_in():
            options = "ANALYZE, BUFFERS off, COSTS off, TIMING off"
            lines = self._session.connection.execute(f"EXPLAIN ({options}) {self._execute}".encode()).fetchall()
        return "\n".join(line for (line,) in lines)

    @property
    def complete(self) -> bool:
        """Whether there are enough samples."""
        return len(self.samples) >= RUNS or (len(self.samples) >= 3 and sum(self.samples) > MAX_TOTAL)


def arguments(session: Session, query: Query, world: World) -> dict[str, str]:
    """The values of {me}, {row} and {salon}."""
    names: dict[str, Any] = {"me": world.names()[query.persona], "salon": world.names()["salon"]}
    quoted = {name: f"'{value}'::uuid" for name, value in names.items()}
    row = session.rows(query.row.format(**quoted))
    return {**names, "row": str(row[0][0]) if row else names["me"]}


def compare(session: Session, query: Query, world: World) -> tuple[Form, Form]:
    """Measure a query signed in and by hand, in turns: a slow moment of the machine affects both.

    Raises AssertionError if they return different rows.
    """
    values = arguments(session, query, world)
    signed_in = Form(session, query.signed_in, values, query.persona)
    by_hand = Form(session, query.by_hand, values, None)
    with signed_in.prepared(), by_hand.prepared():
        while not (signed_in.complete and by_hand.complete):
            for form in (signed_in, by_hand):
                if not form.complete:
                    form.samples.append(form.run())
        for form in (signed_in, by_hand):
            form.plan = form.explain()
    assert signed_in.answer == by_hand.answer, f"{query}: {signed_in.answer[:9]}, by hand {by_hand.answer[:9]}"
    return signed_in, by_hand


def measure(session: Session, query: Query, world: World) -> Form:
    """Measure a query signed in. If it takes longer than TIMEOUT, that is its only sample."""
    form = Form(session, query.signed_in, arguments(session, query, world), query.persona)
    before = session.value("SHOW statement_timeout")
    session.execute(f"SET LOCAL statement_timeout = '{TIMEOUT}s'")
    with suppress(psycopg.errors.QueryCanceled), session.connection.transaction(), form.prepared():
        while not form.complete:
            form.samples.append(form.run())
        form.plan = form.explain()
    session.execute(f"SET LOCAL statement_timeout = '{before}'")
    form.samples = form.samples or [TIMEOUT]
    return form
