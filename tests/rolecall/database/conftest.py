"""A running server that the project uses, and runs that are killed there."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator

import psycopg
import pytest

from rolecall.server.choose import Server
from tests.rolecall.database.server_objects import Connection, execute, names


@pytest.fixture
def superuser(running_server: Server, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A superuser's connection to a running server, which the project uses.

    The databases and roles that the test creates there are dropped.
    """
    assert toy.path.is_dir()
    monkeypatch.setenv("ROLECALL_PG_DSN", running_server.conninfo)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # set if the outer run has workers
    with psycopg.connect(running_server.conninfo, autocommit=True) as connection:
        before = names(connection)
        yield connection
        for kind, name in sorted(names(connection) - before):  # databases before roles
            if kind == "DATABASE":
                execute(connection, "ALTER DATABASE {} WITH is_template false", name)
            execute(connection, "DROP " + kind + " {}", name)


@pytest.fixture
def kill_run(toy: pytest.Pytester) -> Callable[[], None]:
    """A function that starts a run which kills itself in its only test."""
    toy.makepyfile(test_killed="import os, signal\ndef test_killed(db): os.kill(os.getpid(), signal.SIGKILL)")

    def kill() -> None:
        assert toy.runpytest_subprocess("test_killed.py").ret == -signal.SIGKILL

    return kill


@pytest.fixture
def killed_run(superuser: Connection, kill_run: Callable[[], None]) -> str:
    """The name of a killed run, which has left its databases and roles on the server."""
    before = names(superuser)
    kill_run()
    leftovers = names(superuser) - before
    (run,) = {name for kind, name in leftovers if kind == "ROLE" and name.startswith("rolecall_")}
    databases = {f"{run}_{suffix}" for suffix in ("baseline", "migrated", "main")}
    assert {name for kind, name in leftovers if kind == "DATABASE"} == databases
    return run


@pytest.fixture
def sweep(toy: pytest.Pytester) -> Callable[[], str]:
    """A function that runs ``rolecall sweep`` and returns its output."""

    def run() -> str:
        result = toy.run(sys.executable, "-m", "rolecall", "sweep")
        assert result.ret == 0, result.stderr.str()
        return result.stdout.str()

    return run
