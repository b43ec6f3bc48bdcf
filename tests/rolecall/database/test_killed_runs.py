"""A sweep drops everything that a killed run left, if it has the rights."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.rolecall.database.server_objects import Inventory

CELL = "test_notes.py::test_grid[bob's note-select-bob]"
Guarded = Any  # of conftest.py

# Kills the process at a statement: before the server gets it, or while the server runs it.
KILL = """

import os
import signal
from rolecall.server.connection import ServerConnection

execute, countdown = ServerConnection.execute, [int(os.environ["KILL_AT"])]


def execute_or_die(self, query, *args, **kwargs):
    countdown[0] -= 1
    if countdown[0] == 0:
        if os.environ["KILL_WHEN"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        self.pgconn.send_query(query if isinstance(query, bytes) else b"SELECT 1")
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, query, *args, **kwargs)


ServerConnection.execute = execute_or_die
"""


@pytest.mark.parametrize("user", ["toy_boss", "toy_poor"])
@pytest.mark.parametrize("when", ["before", "while"])
def test_a_sweep_drops_everything_after_a_kill_at_any_statement(
    toy: pytest.Pytester,
    guarded: Guarded,
    inventory: Inventory,
    sweep: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    when: str,
) -> None:
    """Above all between the creation of a role or database and its mark. The sweep has the same rights as the run."""
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url(user))
    monkeypatch.setenv("KILL_WHEN", when)
    with (toy.path / "conftest.py").open("a") as file:
        file.write(KILL)
    with psycopg.connect(guarded.server.conninfo, autocommit=True) as connection:
        before = inventory(connection)
        leftovers = set()
        for number in range(5 if when == "before" else 6, 60, 5):
            monkeypatch.setenv("KILL_AT", str(number))
            result = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", CELL], cwd=toy.path, capture_output=True, check=False
            )
            if result.returncode == 0:
                break
            assert result.returncode == -signal.SIGKILL
            leftovers |= set(inventory(connection)) - set(before)
            sweep()
            assert inventory(connection) == before, number
        assert len(leftovers) > 10


def test_a_role_with_only_the_rights_that_it_needs_leaves_nothing(
    toy: pytest.Pytester, guarded: Guarded, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_poor"))
    with psycopg.connect(guarded.server.conninfo, autocommit=True) as connection:
        before = inventory(connection)
        result = toy.runpytest_subprocess("-n", "2", "-v")
        result.assert_outcomes(passed=41)
        guarded.shown(result)
        assert inventory(connection) == before


def test_a_sweep_keeps_and_reports_what_it_may_not_drop(
    kill_run: Callable[[], None],
    guarded: Guarded,
    inventory: Inventory,
    sweep: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only a superuser can drop what a superuser's run has left."""
    with psycopg.connect(guarded.server.conninfo, autocommit=True) as connection:
        before = inventory(connection)
        monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_boss"))
        kill_run()
        after = inventory(connection)
        monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_poor"))
        assert "_migrated: must be owner of database rolecall_" in sweep()
        assert inventory(connection) == after
        monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_boss"))
        sweep()
        assert inventory(connection) == before
