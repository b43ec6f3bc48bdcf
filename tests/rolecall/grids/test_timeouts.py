"""A check that runs into a timeout is an error, never a refusal; and it ends the checks of its grid."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from psycopg import Connection

from rolecall import Grid, grid
from rolecall.grids.grid import Cell
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Check, LateError, Outcome, Results, probe
from rolecall.server.connection import ServerConnection
from rolecall.server.waits import Timeouts
from rolecall.worker import Worker

NOTES = """
                select   insert   update   delete
    alice's note
      alice     yes      yes      yes      yes
      bob       -        !        -        -
      visitor   !        !        !        !
      keeper    yes      yes      yes      yes
    bob's note
      alice     -        !        -        -
      bob       yes      yes      yes      yes
      visitor   !        !        !        !
      keeper    yes      yes      yes      yes
"""
ERRORS = {
    "as it is": "",
    "that a function turns into a refusal": "RAISE insufficient_privilege;",
    "that a function turns into no row": "RETURN false;",
    "that a function turns into a row": "RETURN true;",
}


@pytest.fixture
def notes() -> Grid:
    """The grid; a grid of this module would be collected by the outer run."""
    return grid("shop.notes", NOTES, update="body = 'changed'")


@pytest.fixture
def clone(toy_worker: Worker) -> Iterator[ServerConnection]:
    """A connection with a short lock timeout to a database of its own."""
    run = replace(toy_worker.run, timeouts=Timeouts(1, 60))
    with run.clone(run.template, "timeouts") as name, run.connect(name) as connection:
        yield connection


@pytest.fixture
def other(clone: ServerConnection, toy_worker: Worker) -> Iterator[ServerConnection]:
    """Another connection to the same database, in a transaction."""
    with toy_worker.run.connect(clone.info.dbname, "other") as connection:
        connection.execute("BEGIN")
        yield connection


def texts(failures: dict[Cell, Results]) -> set[str]:
    """The errors of the checks."""
    return {str(outcome) for results in failures.values() for _, outcome in results}


def ask_a_locked_table(connection: ServerConnection, handler: str) -> None:
    """Let a policy call a function that reads another table, and handles the error."""
    exception = f"EXCEPTION WHEN OTHERS THEN {handler}" if handler else ""
    connection.execute(
        f"""
        CREATE TABLE shop.locked ();
        GRANT SELECT ON shop.locked TO toy_member;
        CREATE FUNCTION shop.ask() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM FROM shop.locked;
          RETURN true;
          {exception}
        END $$;
        ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.me() AND shop.ask());
        """.encode()
    )


def test_a_locked_table_is_an_error_of_every_cell_at_once(
    toy_worker: Worker,
    notes: Grid,
    clone: ServerConnection,
    other: ServerConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rolecall.grids.outcomes.BATCH_SIZE", 4)
    other.execute("LOCK TABLE shop.notes")
    started = time.monotonic()
    failures = GridOutcomes(clone, toy_worker.world).try_grid(notes)
    assert time.monotonic() - started < 3
    assert list(failures) == list(notes.cells)
    (text,) = texts(failures)
    assert "55P03" in text
    assert "Blocked statement (pid" in text
    assert "    SELECT * FROM" in text
    assert "other), idle in transaction for" in text
    assert "    LOCK TABLE shop.notes" in text
    assert "rolecall_lock_timeout is 1 s" in text


@pytest.mark.parametrize("handler", ERRORS.values(), ids=ERRORS)
def test_a_timeout_is_an_error(
    toy_worker: Worker, notes: Grid, clone: ServerConnection, other: ServerConnection, handler: str
) -> None:
    ask_a_locked_table(clone, handler)
    other.execute("LOCK TABLE shop.locked")
    failures = GridOutcomes(clone, toy_worker.world).try_grid(notes)
    assert list(failures) == list(notes.cells)
    assert {outcome.word for results in failures.values() for _, outcome in results} == {"error"}


def test_checks_that_take_too_long_are_errors(toy_worker: Worker, notes: Grid, clone: ServerConnection) -> None:
    clone.execute('ALTER POLICY "own notes are read" ON shop.notes USING (pg_sleep(0.4) IS NULL)')
    run = replace(toy_worker.run, timeouts=Timeouts(10, 2))
    with run.connect(clone.info.dbname) as connection:
        failures = GridOutcomes(connection, toy_worker.world).try_grid(notes)
    assert list(failures) == list(notes.cells)
    (text,) = texts(failures)
    assert "rolecall_statement_timeout is 2 s" in text


def test_a_mutant_is_not_killed_by_a_timeout(
    toy_worker: Worker, notes: Grid, clone: ServerConnection, other: ServerConnection
) -> None:
    other.execute("LOCK TABLE shop.notes")
    with pytest.raises(LateError, match="the time was up"):
        GridOutcomes(clone, toy_worker.world).try_cell(notes, notes.cells[0])


def test_a_timeout_while_a_refusal_is_looked_up_is_an_error(
    toy_worker: Worker,
    notes: Grid,
    clone: ServerConnection,
    other: ServerConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A statement that a function refused runs once more, from the client."""
    ask_a_locked_table(clone, "")
    clone.execute(
        b"CREATE FUNCTION shop.no() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        b" RAISE 'no' USING ERRCODE = '42501'; END $$;"
        b'ALTER POLICY "own notes are written" ON shop.notes '
        b"WITH CHECK (CASE WHEN shop.ask() THEN author = shop.me() OR shop.no() END)"
    )

    def probe_then_lock(connection: Connection[Any], checks: list[Check]) -> list[Outcome]:
        outcomes = probe(connection, checks)
        other.execute("LOCK TABLE shop.locked")
        return outcomes

    monkeypatch.setattr("rolecall.grids.outcomes.probe_in_any_order", probe_then_lock)
    failures = GridOutcomes(clone, toy_worker.world).try_grid(notes)
    assert list(failures) == list(notes.cells)
    assert all("canceling statement due to lock timeout" in text for text in texts(failures))
