"""A copy of a database has its privileges and settings, which CREATE DATABASE leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from rolecall.database.cleanup import owned
from rolecall.database.run import Run, run_on
from rolecall.server.choose import Server

ROLE = 'copied "role"'
PRIVILEGES = """
SELECT NULLIF(grantee, 0)::regrole::text, privilege_type, is_grantable FROM pg_database, aclexplode(datacl)
WHERE datname = %s ORDER BY 1, 2
"""
SETTINGS = """
SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
WHERE datname = %s ORDER BY 1
"""


@pytest.fixture
def run(toy_server: Server) -> Iterator[Run]:
    run = run_on(toy_server)
    with owned(run):
        run.create(run.baseline)
        yield run


def state(run: Run, database: str) -> tuple[object, object]:
    with run.cursor() as cursor:
        return (
            cursor.execute(PRIVILEGES, [database]).fetchall(),
            cursor.execute(SETTINGS, [database]).fetchall(),
        )


def test_privileges_and_settings_are_copied(run: Run) -> None:
    role = sql.Identifier(ROLE)
    with run.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE ROLE {}").format(role))
        for command in (
            "GRANT CREATE ON DATABASE {} TO {} WITH GRANT OPTION",
            "REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
            "ALTER DATABASE {} SET search_path = \"$user\", 'a b', public",
            "ALTER DATABASE {} SET app.secret = 'a=b, ''c'''",
            "ALTER DATABASE {} SET statement_timeout = '1ms'",
        ):
            cursor.execute(sql.SQL(command).format(sql.Identifier(run.baseline), role))
        command = "ALTER ROLE {1} IN DATABASE {0} SET timezone = 'Asia/Kolkata'"
        cursor.execute(sql.SQL(command).format(sql.Identifier(run.baseline), role))
    before = state(run, run.baseline)
    assert len(str(before)) > 200
    with run.clone(run.baseline, "first") as first, run.clone(first, "second") as second:
        assert state(run, first) == before
        assert state(run, second) == before
        with run.connect(second) as connection:
            assert connection.execute("SHOW app.secret").fetchone() == ("a=b, 'c'",)
    with run.cursor() as cursor:
        run.drop(run.baseline)
        cursor.execute(sql.SQL("DROP ROLE {}").format(role))


def test_a_database_without_any_is_only_copied(run: Run) -> None:
    with run.clone(run.baseline, "copy") as copy:
        assert state(run, copy) == ([], [])
