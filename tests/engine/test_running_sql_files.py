"""A step is run as production runs it: one session and one transaction a file, as the migration role throughout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall import sqlfile
from rolecall.errors import SqlError
from rolecall.worker import Worker

ROLE = "toy_migrator"


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    """A connection in a transaction that is undone, as tests of migrations have it."""
    toy_worker.connection.execute("GRANT CREATE, USAGE ON SCHEMA shop TO toy_migrator")
    return toy_worker.connection


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder from which pytest is started: files in it are called by their names alone."""
    monkeypatch.chdir(tmp_path)


def run(connection: Connection[Any], text: str | bytes, *, role: str | None = ROLE, name: str = "x.sql") -> None:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    sqlfile.run(connection, path, role=role)


def refused(connection: Connection[Any], text: str | bytes, *, role: str | None = ROLE) -> SqlError:
    """The error, after which the connection is as it was: usable, in its transaction, as who it was."""
    before = standing(connection)
    with pytest.raises(SqlError) as caught:
        run(connection, text, role=role)
    assert standing(connection) == before
    return caught.value


def standing(connection: Connection[Any]) -> Any:
    return (
        connection.info.transaction_status,
        connection.execute(
            "SELECT session_user, current_user, current_setting('role'), to_regclass('shop.made') IS NULL"
        ).fetchone(),
    )


# ------------------------------------------------------------------ the file ends its transaction

ENDS = "the file ends the transaction that it runs in: take BEGIN, COMMIT and ROLLBACK out."
MADE = "CREATE TABLE shop.made (id int);\n"


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
    error = refused(connection, MADE + command)
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
def test_what_ends_nothing_is_no_harm(connection: Connection[Any], text: str) -> None:
    run(connection, text)
    assert connection.info.transaction_status.name == "INTRANS"


# ------------------------------------------------------------------ who runs it


@pytest.mark.parametrize(
    "text",
    ["RESET ROLE;", "SET ROLE NONE;", "SELECT set_config('role', 'none', false);", "DO $$ BEGIN RESET ROLE; END $$;"],
)
def test_a_file_that_resets_the_role_is_the_migration_role_still(connection: Connection[Any], text: str) -> None:
    """A superuser would make a table that belongs to him, and be let in everywhere."""
    run(connection, text + MADE)
    query = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'shop.made'::regclass"
    assert connection.execute(query).fetchone() == (ROLE,)
    assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


def test_it_is_the_session_user_as_in_production(connection: Connection[Any]) -> None:
    run(connection, "CREATE TABLE shop.made AS SELECT session_user::text AS one, current_user::text AS two")
    assert connection.execute("SELECT * FROM shop.made").fetchone() == (ROLE, ROLE)


# ------------------------------------------------------------------ one session a file


def test_a_setting_does_not_reach_the_next_file(connection: Connection[Any]) -> None:
    before = connection.execute("SHOW search_path").fetchone()
    run(connection, "SET search_path = shop;")
    assert connection.execute("SHOW search_path").fetchone() == before


# ------------------------------------------------------------------ texts that no server gets


def test_a_nul_byte_is_refused(connection: Connection[Any]) -> None:
    error = refused(connection, MADE.encode() + b"SELECT 1;\0\nSELECT 1 / 0;")
    assert str(error).startswith("x.sql:2: a NUL byte")


def test_a_quote_that_is_not_closed_is_one_error(connection: Connection[Any]) -> None:
    error = refused(connection, MADE + "SELECT 'it;\nCOMMIT;\n")
    assert str(error).startswith("x.sql:2:8: ")


def test_rows_for_psql_are_refused(connection: Connection[Any]) -> None:
    error = refused(connection, MADE + "COPY shop.made FROM stdin;\n1\n\\.\n")
    assert str(error).startswith("x.sql:2: COPY … FROM stdin")
