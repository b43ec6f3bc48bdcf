"""What a test sets on its connection ends with it, and does not change what a session returns."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import pytest
from psycopg.rows import dict_row

from rolecall.access import session
from rolecall.access.session import Session

TESTS = """
import pytest
from psycopg import ClientCursor
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg.types.numeric import FloatLoader

notices = []


@pytest.fixture
def connection({fixture}):
    return {connection}


def test_sets(connection):
    connection.row_factory = dict_row
    connection.cursor_factory = ClientCursor
    connection.prepare_threshold = 0
    set_json_loads(len, connection)
    connection.adapters.register_loader("int8", FloatLoader)
    connection.add_notice_handler(notices.append)
    assert connection.execute("SELECT 1 AS one").fetchone() == {{"one": 1}}


def test_next(connection):
    assert connection.execute("SELECT 1 AS one").fetchone() == (1,)
    assert connection.prepare_threshold == 5
    assert connection.execute("SELECT '{{}}'::jsonb, 1::bigint::text, 1::bigint").fetchone() == ({{}}, "1", 1)
    assert type(connection.execute("SELECT 1::bigint").fetchone()[0]) is int
    connection.execute("DO $$ BEGIN RAISE NOTICE 'seen'; END $$")
    assert type(connection.cursor()).__name__ == "Cursor"
    assert not notices
"""
CONNECTIONS = {
    "db": "db.connection",
    "rolled_back_scratch": "rolled_back_scratch().connection",
    "rolled_back_scratch, migrated": "rolled_back_scratch(migrated=True).connection",
}
IN_ONE_TEST = """
import pytest
from psycopg.rows import dict_row
from rolecall import inserted


@pytest.fixture(autouse=True)
def dictionaries(db):
    db.connection.row_factory = dict_row


def test_a_session_returns_tuples(db):
    assert db.value("SELECT 7 AS seven") == 7
    assert db.row("SELECT 7 AS seven") == (7,)
    assert db.rows("SELECT 7 AS seven") == [(7,)]
    assert db.execute("SELECT 7 AS seven").fetchall() == [{"seven": 7}]


def test_a_persona_acts(db):
    with db.reading_as("alice"):
        assert db.value("SELECT count(*) FROM shop.notes") == 1


def test_changes_are_found(db, rolecall_changes):
    with rolecall_changes() as changed, db.acting_as("alice"):
        db.execute("INSERT INTO shop.notes (id, author) VALUES (3, 'alice')")
    assert changed == [inserted("shop.notes", id=3, author="alice", body=None)]


def test_files_run(rolled_back_scratch):
    scratch = rolled_back_scratch()
    scratch.connection.row_factory = dict_row
    scratch.apply(1)
    scratch.verify(1)
    scratch.rollback(1)


def test_a_file_takes_a_lock(rolled_back_scratch, tmp_path):
    scratch = rolled_back_scratch()
    scratch.connection.row_factory = dict_row
    path = tmp_path / "lock.sql"
    path.write_text("SELECT pg_advisory_lock(1);")
    scratch.connection.execute("SELECT pg_advisory_lock(2)")  # the test's own
    scratch.execute(path)
    locks = scratch.connection.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory'").fetchall()
    assert locks == [{"objid": 2}]


def test_a_persona_has_settings(db):
    with db.acting_as("tenant"):
        assert db.value("SELECT current_setting('app.tenant')") == "7"
    assert db.value("SELECT current_setting('app.tenant', true)") == ""
"""


@pytest.mark.parametrize("database", CONNECTIONS)
def test_the_attributes_of_a_connection_end_with_the_test(toy: pytest.Pytester, database: str) -> None:
    fixture, connection = database.split(",")[0], CONNECTIONS[database]
    toy.makepyfile(test_it=TESTS.format(fixture=fixture, connection=connection))
    toy.runpytest_inprocess("-p", "no:randomly", "test_it.py", "test_notes.py").assert_outcomes(passed=42)


def test_rows_of_another_kind_change_nothing(toy: pytest.Pytester) -> None:
    """dict_row is what many applications use."""
    toy.makepyfile(test_it=IN_ONE_TEST)
    conftest, more = toy.path / "conftest.py", 'world.persona("tenant", "toy_visitor", settings={"app.tenant": 7})\n'
    conftest.write_text(conftest.read_text().replace("    return world\n", f"    {more}    return world\n"))
    toy.runpytest_inprocess("test_it.py").assert_outcomes(passed=6)


def test_a_persona_logs_in(rolecall_db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_logins", WeakKeyDictionary())
    rolecall_db.connection.row_factory = dict_row
    with rolecall_db.acting_as("customer"):
        assert rolecall_db.value("SELECT session_user") == session.AUTHENTICATOR
