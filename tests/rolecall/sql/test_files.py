"""A file runs in one transaction, which it cannot end. Deferred constraints are checked at its end."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from tests.rolecall.sql.running import TABLE, refused, run

pytestmark = pytest.mark.usefixtures("working_directory")

# ------------------------------------------------------------------ the file ends its transaction

ENDS = "the file ends the transaction that it runs in: remove BEGIN, COMMIT and ROLLBACK."


@pytest.mark.parametrize(
    "command",
    [
        "COMMIT -- done\n;",
        "COMMIT /* done */ ;",
        "COMMIT",
        "ROLLBACK",
        "commit\nwork ; -- the last",
        "End",
        "ABORT;",
        "/* so */ COMMIT AND /* and again */ CHAIN;",
        "ROLLBACK AND NO CHAIN",
        "PREPARE TRANSACTION 'later';",
        "COMMIT PREPARED 'later';",
        "ROLLBACK PREPARED 'later';",
    ],
)
def test_a_command_that_ends_the_transaction_is_refused(connection: Connection[Any], command: str) -> None:
    error = refused(connection, TABLE + command)
    assert str(error) == f"x.sql:2: {ENDS}"
    assert (error.sqlstate, error.line) == (None, 2)


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN;\nSELECT 1;",
        "START TRANSACTION;",
        "SAVEPOINT a;\nSELECT 1;\nROLLBACK TO a;\nRELEASE a;",
        "SAVEPOINT a; ROLLBACK TRANSACTION TO SAVEPOINT a;",
        "CREATE FUNCTION shop.one() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\nSELECT shop.one();",
        "CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END",
        "DO $$ BEGIN BEGIN PERFORM 1; EXCEPTION WHEN others THEN NULL; END; END $$",
        "SELECT 'COMMIT;', $$ ROLLBACK; $$; -- COMMIT;\n/* END; /* ABORT; */ COMMIT; */",
        'CREATE TABLE shop.commit ("end" int); SELECT "end" FROM shop.commit',
    ],
)
def test_a_command_that_does_not_end_the_transaction_is_allowed(connection: Connection[Any], text: str) -> None:
    run(connection, text)
    assert connection.info.transaction_status.name == "INTRANS"


@pytest.mark.parametrize("name", ["_pg3_1", "rolecall_ask", "other"])
@pytest.mark.parametrize("command", ["ROLLBACK TO {}", "RELEASE {}"])
def test_a_savepoint_from_outside_the_file_is_refused(connection: Connection[Any], command: str, name: str) -> None:
    """psycopg's savepoints have predictable names: a file could undo what a test has done."""
    connection.execute("SAVEPOINT other")
    error = refused(connection, TABLE + command.format(name))
    assert str(error) == f'x.sql:2: savepoint "{name}" does not exist in this file: write SAVEPOINT {name} before it.'


def test_a_released_savepoint_does_not_exist(connection: Connection[Any]) -> None:
    assert "does not exist" in str(refused(connection, "SAVEPOINT a; SAVEPOINT b; RELEASE a; ROLLBACK TO b;"))
    assert "does not exist" in str(refused(connection, "SAVEPOINT a; SAVEPOINT b; ROLLBACK TO a; RELEASE b;"))
    run(connection, "SAVEPOINT a; SAVEPOINT a; RELEASE a; ROLLBACK TO a; ROLLBACK TO a; RELEASE a;")


def test_a_body_cannot_end_the_transaction(connection: Connection[Any]) -> None:
    error = refused(connection, TABLE + "DO $$\nBEGIN\n  COMMIT;\nEND $$")
    assert (error.sqlstate, error.line) == ("2D000", 4)
    procedure = "CREATE PROCEDURE shop.ends() LANGUAGE plpgsql AS $$ BEGIN ROLLBACK; END $$;\n"
    error = refused(connection, procedure + "CALL shop.ends();")
    assert (error.sqlstate, error.line) == ("2D000", 2)


@pytest.mark.parametrize(
    "command", ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL REPEATABLE READ"]
)
def test_a_file_may_set_its_isolation_level(
    connection: Connection[Any], autocommit_connection: Connection[Any], command: str
) -> None:
    run(connection, command + ";\nSELECT 1;")
    run(
        autocommit_connection,
        command + ";\nCREATE TABLE shop.level AS SELECT current_setting('transaction_isolation') AS name;",
    )
    level = autocommit_connection.execute("SELECT name FROM shop.level").fetchone()
    autocommit_connection.execute("DROP TABLE shop.level")
    assert level == (command.split("LEVEL ")[-1].split("ISOLATION ")[-1].lower(),)


def test_a_command_that_cannot_run_in_a_transaction_is_refused_with_a_hint(connection: Connection[Any]) -> None:
    error = refused(connection, TABLE + "\nCREATE INDEX CONCURRENTLY ON shop.item (id);")
    assert (error.sqlstate, error.line) == ("25001", 3)
    assert str(error).endswith(
        "HINT: A file runs in one transaction, as with psql -1. This command cannot run in a transaction."
    )


def test_a_role_that_exists_is_refused_with_a_hint(connection: Connection[Any]) -> None:
    """Another database of the server may have it: then the file is right, and only this server is in the way."""
    connection.execute("ALTER ROLE toy_migrator CREATEROLE")
    connection.execute("CREATE ROLE files_role")
    error = refused(connection, TABLE + "\nCREATE ROLE files_role;")
    assert (error.sqlstate, error.line) == ("42710", 3)
    assert "HINT: A role belongs to all databases of a server." in str(error)


# ------------------------------------------------------------------ deferred constraints

DEFERRED = """
CREATE TABLE shop.parent (id int PRIMARY KEY);
CREATE TABLE shop.child (id int CONSTRAINT of_parent REFERENCES shop.parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE shop.aside (id int CONSTRAINT of_aside REFERENCES shop.parent DEFERRABLE);
"""


def test_a_deferred_constraint_is_checked_at_the_end_of_its_file(either_connection: Connection[Any]) -> None:
    run(either_connection, DEFERRED)
    try:
        error = refused(either_connection, "INSERT INTO shop.child VALUES (1);\n\n")
        assert str(error).startswith(
            "x.sql:1:35: at the end of the file, where production commits: "
            'insert or update on table "child" violates foreign key constraint "of_parent" (23503)'
        )
        assert "DETAIL: Key (id)=(1) is not present" in str(error)
        # Each file begins with the constraints that are INITIALLY DEFERRED, not with the settings of the file before.
        for command in ("", "SET CONSTRAINTS ALL IMMEDIATE;", "SET CONSTRAINTS ALL DEFERRED;"):
            run(either_connection, "INSERT INTO shop.child VALUES (2); INSERT INTO shop.parent VALUES (2);" + command)
            run(
                either_connection,
                "ALTER TABLE shop.child ADD x int; TRUNCATE shop.child, shop.parent, shop.aside;" + command,
            )
            run(either_connection, "ALTER TABLE shop.child DROP x;")
        assert refused(either_connection, "SELECT 1;\nINSERT INTO shop.aside VALUES (1);").line == 2
    finally:
        either_connection.execute("DROP TABLE shop.aside, shop.child, shop.parent")


# ------------------------------------------------------------------ texts that are not sent to the server


def test_a_nul_byte_is_refused(connection: Connection[Any]) -> None:
    error = refused(connection, TABLE.encode() + b"SELECT 1;\0\nSELECT 1 / 0;")
    assert str(error).startswith("x.sql:2: the file has a NUL byte")


def test_an_open_quote_is_one_error(connection: Connection[Any]) -> None:
    error = refused(connection, TABLE + "SELECT 'it;\nCOMMIT;\n")
    assert str(error).startswith("x.sql:2:8: ")


def test_rows_for_psql_are_refused(connection: Connection[Any]) -> None:
    error = refused(connection, TABLE + "COPY shop.item FROM stdin;\n1\n\\.\n")
    assert str(error).startswith("x.sql:2: COPY … FROM stdin")
