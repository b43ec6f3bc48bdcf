"""A file runs as the migration role, and cannot become a role that the migration role cannot become."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from tests.rolecall.sql.running import ROLE, SESSION_OBJECTS, TABLE, refused, run, state

pytestmark = pytest.mark.usefixtures("working_directory")

# ------------------------------------------------------------------ on a superuser's connection


@pytest.mark.parametrize(
    "text",
    ["RESET ROLE;", "SET ROLE NONE;", "SELECT set_config('role', 'none', false);", "DO $$ BEGIN RESET ROLE; END $$;"],
)
def test_resetting_the_role_keeps_the_migration_role(connection: Connection[Any], text: str) -> None:
    """As a superuser, the file would own its tables and pass every check."""
    run(connection, text + TABLE)
    query = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'shop.item'::regclass"
    assert connection.execute(query).fetchone() == (ROLE,)
    assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


def test_the_migration_role_is_the_session_user_as_in_production(connection: Connection[Any]) -> None:
    run(connection, "CREATE TABLE shop.item AS SELECT session_user::text AS one, current_user::text AS two")
    assert connection.execute("SELECT * FROM shop.item").fetchone() == (ROLE, ROLE)


SUPERUSER = "a superuser, which toy_migrator is not in production: remove what changes the role."


@pytest.mark.parametrize(
    "text",
    [
        "RESET SESSION AUTHORIZATION;",
        "SET SESSION AUTHORIZATION DEFAULT;",
        "SET LOCAL SESSION AUTHORIZATION DEFAULT;",
        "SELECT set_config('session_authorization', (SELECT rolname FROM pg_roles WHERE oid = 10), true);",
        "SELECT shop.up();",
        "CALL shop.up_too();",
        "SELECT 1 WHERE shop.up() IS NOT NULL;",
        "CREATE TEMP VIEW pg_roles AS SELECT 'toy_migrator'::name AS rolname, false AS rolsuper; SELECT shop.up();",
    ],
)
def test_a_file_that_becomes_a_superuser_is_stopped(either_connection: Connection[Any], text: str) -> None:
    """In production, these commands change nothing: the next ones must not run with a superuser's rights."""
    body = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE concat('RESET SESSION ', 'AUTHORIZATION'); END $$"
    functions = f"CREATE FUNCTION shop.up() RETURNS void {body};CREATE PROCEDURE shop.up_too() {body};\n"
    error = refused(either_connection, TABLE + functions + text + "\nALTER ROLE toy_keeper SUPERUSER;")
    assert str(error).startswith("x.sql:3: the file becomes ")
    assert str(error).endswith(SUPERUSER)
    assert either_connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'toy_keeper'").fetchone() == (
        False,
    )


def test_a_deferred_trigger_that_becomes_a_superuser_is_stopped(either_connection: Connection[Any]) -> None:
    error = refused(
        either_connection,
        TABLE
        + "CREATE FUNCTION shop.up() RETURNS trigger LANGUAGE plpgsql AS "
        + "$$ BEGIN EXECUTE concat('RESET SESSION ', 'AUTHORIZATION'); RETURN NULL; END $$;"
        + "CREATE CONSTRAINT TRIGGER up AFTER INSERT ON shop.item DEFERRABLE INITIALLY DEFERRED "
        + "FOR EACH ROW EXECUTE FUNCTION shop.up(); INSERT INTO shop.item VALUES (1);",
    )
    assert str(error).endswith(SUPERUSER)


@pytest.mark.parametrize(
    "command",
    [
        "RESET SESSION AUTHORIZATION",
        "SET SESSION  AUTHORIZATION toy_migrator",
        "PERFORM set_config('session_authorization', 'x', false)",
        "EXECUTE 'RESET SESSION AUTHORIZATION'",
        "EXECUTE 'SET session_authorization = DEFAULT'",
    ],
)
def test_a_body_that_changes_the_session_user_does_not_run(connection: Connection[Any], command: str) -> None:
    """It could change it back before rolecall checks."""
    error = refused(connection, f"{TABLE}DO $$\nBEGIN\n  {command};\nEND $$")
    assert str(error).startswith("x.sql:4: SESSION AUTHORIZATION in a body")


def test_a_role_of_which_the_migration_role_is_a_member_is_allowed(either_connection: Connection[Any]) -> None:
    either_connection.execute("GRANT toy_keeper TO toy_migrator")
    try:
        run(either_connection, "SET ROLE toy_keeper; SELECT 1; DO $$ BEGIN ASSERT current_user = 'toy_keeper'; END $$;")
        error = refused(either_connection, "SELECT 1;\nSET ROLE toy_visitor;")
    finally:
        either_connection.execute("REVOKE toy_keeper FROM toy_migrator")
    assert (error.sqlstate, error.line) == ("42501", 2)


def test_a_file_without_a_role_runs_as_the_connected_role(either_connection: Connection[Any]) -> None:
    run(either_connection, "DO $$ BEGIN RESET SESSION AUTHORIZATION; END $$; RESET ROLE;", role=None)


def test_the_role_is_restored(connection: Connection[Any]) -> None:
    connection.execute("SET LOCAL ROLE toy_member")
    before = state(connection)
    run(connection, "SET ROLE NONE; SELECT 1")
    assert state(connection) == before
    refused(connection, "SELECT 1 / 0")
    connection.execute("RESET ROLE")


# ------------------------------------------------------------------ on another role's connection


OTHER_ROLE = "the file becomes {}, a role that toy_migrator cannot become in production: remove what changes the role."


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("RESET ROLE;", "toy_runner"),
        ("SET ROLE NONE", "toy_runner"),
        ("SET ROLE toy_visitor;", "toy_visitor"),
        ("SELECT set_config('role', 'none', false);", "toy_runner"),
        ("DO $$ BEGIN RESET ROLE; END $$;", "toy_runner"),
        (
            "CREATE TEMP VIEW pg_roles AS SELECT 1::oid AS oid, 'toy_runner'::name AS rolname, false AS rolsuper;"
            "SELECT set_config('role', 'none', false);",
            "toy_runner",
        ),
    ],
)
def test_without_a_superuser_a_file_that_resets_the_role_is_stopped(
    plain_connection: Connection[Any], text: str, becomes: str
) -> None:
    error = refused(plain_connection, f"{TABLE}{text}\n;SELECT 1 / 0;")
    assert str(error) == f"x.sql:2: {OTHER_ROLE.format(becomes)}"


def test_without_a_superuser_a_file_runs_as_the_migration_role(plain_connection: Connection[Any]) -> None:
    run(
        plain_connection,
        TABLE + "SET search_path = shop; INSERT INTO item VALUES (1); CREATE TEMP TABLE t (); PREPARE q AS SELECT 1",
    )
    query = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'item'"
    owner = plain_connection.execute(query).fetchone()
    session_objects = plain_connection.execute(SESSION_OBJECTS).fetchone()
    plain_connection.execute("SET ROLE toy_migrator; DROP TABLE shop.item; RESET ROLE")
    assert owner == (ROLE,)
    assert session_objects == (0, 0, 0, None, 0, 0, 0)
