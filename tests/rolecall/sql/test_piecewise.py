"""A file with transactions of its own runs as ``psql -f`` runs it: as the migration role, and with places of errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.errors import SqlError
from rolecall.sql import piecewise
from tests.rolecall.sql.running import ROLE, SESSION_OBJECTS, TABLE, state

pytestmark = pytest.mark.usefixtures("working_directory")


@pytest.fixture
def autocommit(autocommit_connection: Connection[Any]) -> Iterator[Connection[Any]]:
    """A connection without a transaction. What a test creates in the schema is dropped."""
    yield autocommit_connection
    autocommit_connection.execute("DROP TABLE IF EXISTS shop.item, shop.other")


def run(connection: Connection[Any], text: str, *, role: str | None = ROLE) -> None:
    """Run a text as the file x.sql."""
    piecewise.run(connection, Path("x.sql"), text, role=role)


def refused(connection: Connection[Any], text: str) -> str:
    """The error of a text that must fail. The connection has its former role and no transaction after it."""
    before = state(connection)[:1], state(connection)[1][:3]
    with pytest.raises(SqlError) as caught:
        run(connection, text)
    assert (state(connection)[:1], state(connection)[1][:3]) == before
    return str(caught.value)


def exists(connection: Connection[Any], name: str) -> bool:
    """Whether a table exists."""
    (found,) = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone() or (None,)
    return bool(found)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("BEGIN; SELECT 1; COMMIT;", True),
        ("SELECT 1; ROLLBACK", True),
        ("CREATE INDEX CONCURRENTLY ON shop.notes (id)", True),
        ("SELECT 1;\nDROP INDEX CONCURRENTLY shop.x", True),
        ("REINDEX (VERBOSE, CONCURRENTLY) TABLE shop.notes", True),
        ("ALTER TABLE shop.notes DETACH PARTITION shop.x CONCURRENTLY", True),
        ("VACUUM shop.notes", True),
        ("BEGIN; SELECT 1", False),
        ("ANALYZE shop.notes", False),
        ("SAVEPOINT a; ROLLBACK TO a", False),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY shop.x", False),
        ("CREATE INDEX concurrently_1 ON shop.notes (id)", False),
        ("SELECT 'COMMIT; CONCURRENTLY'; -- COMMIT;", False),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", False),
    ],
)
def test_which_files_have_transactions_of_their_own(text: str, needed: bool) -> None:
    assert piecewise.is_needed(text) is needed


def test_every_statement_runs_as_the_role(autocommit: Connection[Any]) -> None:
    text = """\
        BEGIN; CREATE TABLE shop.item (who text DEFAULT current_user); INSERT INTO shop.item DEFAULT VALUES; COMMIT;
        INSERT INTO shop.item DEFAULT VALUES;
        BEGIN; DELETE FROM shop.item; ROLLBACK;
        CREATE INDEX CONCURRENTLY ON shop.item (who);
        BEGIN; INSERT INTO shop.item VALUES (session_user); COMMIT AND CHAIN;
        RESET ROLE; INSERT INTO shop.item DEFAULT VALUES; COMMIT;
    """
    run(autocommit, text)
    assert autocommit.execute("SELECT who FROM shop.item").fetchall() == [(ROLE,)] * 4


def test_without_a_role_the_connected_role_runs_it(autocommit: Connection[Any]) -> None:
    run(autocommit, TABLE + "BEGIN; COMMIT;", role=None)
    owner = autocommit.execute("SELECT tableowner = current_user FROM pg_tables WHERE tablename = 'item'")
    assert owner.fetchone() == (True,)


@pytest.mark.parametrize("change", ["SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION", "RESET ALL"])
def test_a_file_cannot_become_the_superuser_between_its_transactions(autocommit: Connection[Any], change: str) -> None:
    """RESET ALL does not reset the role."""
    text = f"BEGIN;\nCOMMIT;\n{change};\nCREATE TABLE shop.item (id int);\nALTER SYSTEM SET work_mem = '4MB';"
    error = refused(autocommit, text)
    if change == "RESET ALL":
        assert error.startswith("x.sql:5:1: permission denied to set parameter")
    else:
        assert error.startswith("x.sql:3: the file becomes rolecall, a superuser, which toy_migrator is not")
    assert exists(autocommit, "shop.item") == (change == "RESET ALL")


def test_what_was_committed_before_an_error_stays(autocommit: Connection[Any]) -> None:
    error = refused(autocommit, f"BEGIN;\n{TABLE}COMMIT;\nBEGIN;\nCREATE TABLE shop.other (id int);\nSELECT nothing;\n")
    assert error.splitlines()[:3] == [
        'x.sql:6:8: column "nothing" does not exist (42703)',
        "    SELECT nothing;",
        "           ^",
    ]
    assert exists(autocommit, "shop.item")
    assert not exists(autocommit, "shop.other")


def test_a_deferred_constraint_is_an_error_of_the_commit_that_checks_it(autocommit: Connection[Any]) -> None:
    text = "CREATE TABLE shop.item (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nBEGIN;\n"
    text += "INSERT INTO shop.item VALUES (1), (1);\nCOMMIT;\nDROP TABLE shop.item;"
    assert refused(autocommit, text).startswith("x.sql:4:1: duplicate key value violates unique constraint")


def test_a_transaction_that_stays_open_is_an_error(autocommit: Connection[Any]) -> None:
    """When psql ends, it would be rolled back."""
    error = refused(autocommit, f"BEGIN;\nCOMMIT;\nBEGIN;\n{TABLE}")
    expected = "x.sql:3: the transaction that begins here is still open at the end of the file: write COMMIT."
    assert error == expected
    assert not exists(autocommit, "shop.item")


def test_what_a_file_leaves_in_the_session_does_not_reach_the_next(autocommit: Connection[Any]) -> None:
    query = "SELECT current_setting('search_path'), current_setting('work_mem')"
    before = autocommit.execute(query).fetchone(), autocommit.execute(SESSION_OBJECTS.encode()).fetchone()
    text = """\
        BEGIN; SET search_path = shop; SET LOCAL work_mem = '1MB'; CREATE TEMP TABLE t (id int); PREPARE p AS SELECT 1;
        LISTEN x; SELECT pg_advisory_lock(7); COMMIT;
    """
    for end in ("", "SELECT 1 / 0;"):
        if end:
            refused(autocommit, text + end)
        else:
            run(autocommit, text)
        after = autocommit.execute(query).fetchone(), autocommit.execute(SESSION_OBJECTS.encode()).fetchone()
        assert after == before


def test_within_a_transaction_it_is_an_error_that_says_what_to_use(connection: Connection[Any]) -> None:
    error = refused(connection, f"-- table\n{TABLE}COMMIT;")
    assert error == (
        "x.sql:2: the file has transactions of its own, or a statement that cannot run in one, and this database has "
        "one open: use rolecall_scratch()."
    )


@pytest.mark.parametrize("text", ["COMMIT;\n\\copy x from y", "COMMIT;\nROLLBACK TO other", "COMMIT;\nSELECT :name"])
def test_what_no_file_may_have_is_still_refused_before_anything_runs(autocommit: Connection[Any], text: str) -> None:
    assert refused(autocommit, TABLE + text).startswith("x.sql:3: ")
    assert not exists(autocommit, "shop.item")


def test_without_a_superuser_every_statement_runs_as_the_role(plain_connection: Connection[Any]) -> None:
    create = "CREATE TABLE shop.item AS SELECT current_user::text AS one, session_user::text AS two;"
    run(plain_connection, f"BEGIN; ROLLBACK; CREATE TEMP TABLE t (); {create} COMMIT;")
    rows = plain_connection.execute("SET ROLE toy_migrator; SELECT * FROM shop.item")
    assert rows.nextset()
    assert rows.fetchall() == [(ROLE, "toy_runner")]
    plain_connection.execute("DROP TABLE shop.item; RESET ROLE")
    assert plain_connection.execute(SESSION_OBJECTS.encode()).fetchone() == (0, 0, 0, None, 0, 0, 0)


def test_without_a_superuser_a_file_that_resets_the_role_is_stopped(plain_connection: Connection[Any]) -> None:
    error = refused(plain_connection, "BEGIN;\nCOMMIT;\nRESET ROLE;\nSELECT 1 / 0;")
    assert error.startswith("x.sql:3: the file becomes toy_runner, a role that toy_migrator cannot become")
