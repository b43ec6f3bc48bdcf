"""--rolecall-pg-dsn: which running servers and which roles a run can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rolecall.server.choose import Server

CELL = "test_notes.py::test_grid[bob's note-select-bob]"


@contextmanager
def role(server: Server, name: str, options: str) -> Iterator[psycopg.Connection[Any]]:
    """Create a role on a server for the block. Yields a superuser's connection."""
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN {options}'.encode())
        try:
            yield connection
        finally:
            connection.execute(f'DROP ROLE "{name}"'.encode())


def test_a_role_without_the_rights_is_one_error(toy: pytest.Pytester, running_server: Server) -> None:
    with role(running_server, "toy limited", "BYPASSRLS"):
        dsn = make_conninfo(running_server.conninfo, user="toy limited")
        result = toy.runpytest_inprocess(f"--rolecall-pg-dsn={dsn}", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [
        "ERROR: --rolecall-pg-dsn: the role toy limited lacks CREATEDB, CREATEROLE, which rolecall needs to create"
        " databases and to act as the personas.",
        'Run as a superuser: ALTER ROLE "toy limited" CREATEDB CREATEROLE;',
        "",
    ]


def test_a_role_with_the_rights_need_not_be_a_superuser(
    toy: pytest.Pytester, running_server: Server, inventory: Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]
) -> None:
    with role(running_server, "toy limited", "CREATEDB CREATEROLE BYPASSRLS") as superuser:
        before = inventory(superuser)
        dsn = make_conninfo(running_server.conninfo, user="toy limited")
        result = toy.runpytest_inprocess(f"--rolecall-pg-dsn={dsn}")
        assert inventory(superuser) == before
    result.assert_outcomes(passed=41)


def test_a_server_that_does_not_answer_is_one_error(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess(f"--rolecall-pg-dsn=host='{toy.path}' dbname=postgres", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message, advice = [line for line in result.stderr.lines if line]
    assert message.startswith("ERROR: --rolecall-pg-dsn: the server does not answer: connection ")
    assert f'"{toy.path}/.s.PGSQL.5432" failed: No such file or directory' in message
    assert advice == "Start the server, correct the URL, or leave out --rolecall-pg-dsn to use an embedded server."
    result.assert_outcomes()


def test_a_dsn_that_cannot_be_read_is_one_error(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess("--rolecall-pg-dsn=what is this", CELL)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message, advice = [line for line in result.stderr.lines if line]
    assert message.startswith("ERROR: --rolecall-pg-dsn cannot be read: missing ")
    assert advice == "Give a URL (postgresql://…) or a connection string (host=… dbname=…)."
