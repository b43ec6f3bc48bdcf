"""Every change of a block is found and named: rows, and the state of the session and the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rolecall import RolecallError, Session, deleted, inserted, rewritten, set_to, updated
from rolecall.changes.changes import Changes, changes_of
from rolecall.changes.expected import Change
from rolecall.worker import Worker
from tests.rolecall.conftest import Guarded

TABLES = """
CREATE TABLE shop.pins (note int, place text, PRIMARY KEY (note, place));
CREATE TABLE shop.visits (page text, seconds numeric);
INSERT INTO shop.visits VALUES ('home', 1), ('home', 1), ('about', 2);
CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT 'infinity');
CREATE SEQUENCE shop.numbers;
CREATE MATERIALIZED VIEW shop.busy AS SELECT count(*) FROM shop.visits;
CREATE FUNCTION shop.enter(tenant text) RETURNS void LANGUAGE sql
  AS $$ SELECT set_config('shop.tenant', tenant, false) $$;
"""


@pytest.fixture
def connection(toy_worker: Worker) -> Iterator[Connection[Any]]:
    connection = toy_worker.connection
    connection.execute(TABLES.encode())
    yield connection
    connection.execute("SELECT pg_advisory_unlock_all(); DEALLOCATE ALL")


def changes_by(connection: Connection[Any], statements: str) -> Changes:
    with changes_of(connection) as changed:
        connection.execute(statements.encode())
    return changed


# For each statement, all that it changes.
CHANGES: dict[str, tuple[str, list[Change]]] = {
    "nothing": ("SELECT * FROM shop.notes", []),
    "a row written with its own values": (
        "UPDATE shop.notes SET body = body",
        [rewritten("shop.notes", 1), rewritten("shop.notes", 2)],
    ),
    "a locked row": ("SELECT FROM shop.notes FOR UPDATE", []),
    "a new row": (
        "INSERT INTO shop.notes VALUES (3, 'alice', NULL)",
        [inserted("shop.notes", id=3, author="alice")],
    ),
    "one column": ("UPDATE shop.notes SET body = 'x' WHERE id = 1", [updated("shop.notes", 1, body="x")]),
    "a column emptied": (
        "UPDATE shop.notes SET body = NULL",
        [updated("shop.notes", 1, body=None), updated("shop.notes", 2, body=None)],
    ),
    "a row with another key": (
        "UPDATE shop.notes SET id = 9 WHERE id = 1",
        [deleted("shop.notes", 1), inserted("shop.notes", id=9, author="alice", body="hers")],
    ),
    "two rows that swap": (
        "UPDATE shop.notes SET author = CASE author WHEN 'bob' THEN 'alice' ELSE 'bob' END",
        [updated("shop.notes", 1, author="bob"), updated("shop.notes", 2, author="alice")],
    ),
    "a deleted row": ("DELETE FROM shop.notes WHERE id = 2", [deleted("shop.notes", 2)]),
    "all rows at once": ("TRUNCATE shop.notes", [deleted("shop.notes", 1), deleted("shop.notes", 2)]),
    "a key of two columns": (
        "INSERT INTO shop.pins VALUES (1, 'wall')",
        [inserted("shop.pins", note=1, place="wall")],
    ),
    "one of two equal rows": (
        "DELETE FROM shop.visits WHERE ctid = '(0,1)'",
        [deleted("shop.visits", page="home", seconds=1)],
    ),
    "a row without a key": (
        "UPDATE shop.visits SET seconds = 3 WHERE page = 'about'",
        [deleted("shop.visits", page="about", seconds=2), inserted("shop.visits", page="about", seconds=3)],
    ),
    "a number that the sequence of the column gave": (
        "INSERT INTO shop.orders DEFAULT VALUES",
        [inserted("shop.orders", id=1, at="infinity")],
    ),
    "a number taken without a row": (
        "SELECT nextval('shop.orders_id_seq')",
        [set_to("sequence shop.orders_id_seq", "1")],
    ),
    "a sequence": ("SELECT setval('shop.numbers', 7)", [set_to("sequence shop.numbers", "7")]),
    "a sequence that is not used": (
        "SELECT setval('shop.numbers', 7, false)",
        [set_to("sequence shop.numbers", "before 7")],
    ),
    "a materialized view": (
        "INSERT INTO shop.visits VALUES ('home'); REFRESH MATERIALIZED VIEW shop.busy",
        [inserted("shop.visits", page="home"), deleted("shop.busy", count=3), inserted("shop.busy", count=4)],
    ),
    "a setting": ("SET work_mem = '1MB'", [set_to("setting work_mem", "1024")]),
    "the search path": (
        "SELECT set_config('search_path', 'shop', true)",
        [set_to("setting search_path", "shop")],
    ),
    "the role": ("SET ROLE toy_member", [set_to("setting role", "toy_member")]),
    "a setting of a function": ("SELECT shop.enter('a')", [set_to("setting shop.tenant", "a")]),
    "a lock": ("SELECT pg_advisory_lock(42)", [set_to("advisory lock 42", "ExclusiveLock")]),
    "a lock of two numbers": (
        "SELECT pg_advisory_xact_lock_shared(1, 2)",
        [set_to("advisory lock 1, 2", "ShareLock")],
    ),
    "a temporary table": ("CREATE TEMPORARY TABLE cart ()", [set_to("temporary table cart", "exists")]),
    "a prepared statement": ("PREPARE one AS SELECT 1", [set_to("prepared statement one", str)]),
    "a large object": ("SELECT lo_from_bytea(777, 'x')", [set_to("large object 777", str)]),
    "an empty large object": ("SELECT lo_create(777)", [set_to("large object 777", "empty")]),
    "a notification": ("NOTIFY noted", [set_to("notifications", "sent")]),
    "a notification of a block that succeeds": (
        "DO $$ BEGIN PERFORM pg_notify('noted', 'x'); EXCEPTION WHEN OTHERS THEN NULL; END $$",
        [set_to("notifications", "sent")],
    ),
    "a notification that is rolled back": (
        "DO $$ BEGIN PERFORM pg_notify('noted', 'x'), 1 / 0; EXCEPTION WHEN OTHERS THEN NULL; END $$",
        [],
    ),
    "a new table with a row": (
        "CREATE TABLE shop.extra AS SELECT 1 AS id",
        [set_to("table shop.extra", "exists"), inserted("shop.extra", id=1)],
    ),
    "a dropped table": ("DROP TABLE shop.notes CASCADE", [set_to("table shop.notes", None)]),
    "a new column": (
        "ALTER TABLE shop.notes ADD stars int; UPDATE shop.notes SET stars = 5 WHERE id = 1",
        [updated("shop.notes", 1, stars=5)],
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_found(connection: Connection[Any], what: str) -> None:
    statements, expected = CHANGES[what]
    changed = changes_by(connection, statements)
    assert changed == expected


@pytest.mark.parametrize("what", [what for what, (_, expected) in CHANGES.items() if expected])
def test_an_unstated_change_is_a_difference(connection: Connection[Any], what: str) -> None:
    statements, expected = CHANGES[what]
    changed = changes_by(connection, statements)
    assert changed != []
    assert changed != expected[1:]
    assert changed != [*expected, deleted("shop.pins", (1, "wall"))]


def test_the_session_stays_as_it_is(connection: Connection[Any], toy_worker: Worker) -> None:
    """Within a persona's session too; and all rows are seen, whoever the session acts as."""
    connection.execute(
        "CREATE FUNCTION shop.touch() RETURNS void LANGUAGE sql SECURITY DEFINER "
        "AS $$ UPDATE shop.notes SET body = body || '!' $$; GRANT EXECUTE ON FUNCTION shop.touch TO toy_member"
    )
    session = Session(connection, toy_worker.world.personas)
    with session.acting_as("bob"):
        connection.execute("SET LOCAL timezone = 'Asia/Tokyo'; SET LOCAL search_path = shop")
        with changes_of(connection) as changed:
            session.execute("SELECT touch() FROM notes")
        assert session.row(
            "SELECT current_user::text, current_setting('timezone'), current_setting('search_path')"
        ) == (*("toy_member", "Asia/Tokyo", "shop"),)
    assert changed == [updated("shop.notes", 1, body="hers!"), updated("shop.notes", 2, body="his!")]


def test_the_texts_of_values_do_not_depend_on_settings(connection: Connection[Any]) -> None:
    connection.execute("ALTER TABLE shop.notes ADD at timestamptz DEFAULT '2026-01-01 12:00Z', ADD took interval")
    connection.execute("UPDATE shop.notes SET took = '1 month 2 days'")
    changed = changes_by(
        connection, "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET intervalstyle = 'iso_8601'"
    )
    assert changed == [
        set_to("setting TimeZone", "Asia/Tokyo"),
        set_to("setting DateStyle", "German, DMY"),
        set_to("setting IntervalStyle", "iso_8601"),
    ]


@pytest.mark.parametrize("rows", [1000, 1001], ids=["not large", "large"])
def test_a_large_table(connection: Connection[Any], rows: int) -> None:
    connection.execute("INSERT INTO shop.notes SELECT n, 'alice' FROM generate_series(3, %s) AS n", [rows])
    assert changes_by(connection, "SELECT 1") == []
    changed = changes_by(connection, "UPDATE shop.notes SET body = 'x' WHERE id = 500; DELETE FROM shop.visits")
    assert changed != []
    assert [str(each) for each in changed.found or []][:1] == ["shop.notes, row 500: changed: body NULL → 'x'"]


def test_a_setting_that_no_function_mentions_can_be_named(connection: Connection[Any]) -> None:
    with changes_of(connection) as unnamed:
        connection.execute("SET other.tenant = 'a'")
    with changes_of(connection, ["other.tenant"]) as named:
        connection.execute("SET other.tenant = 'b'")
    assert unnamed == []
    assert named == [set_to("setting other.tenant", "b")]


def test_a_committed_block(toy_built: Worker) -> None:
    """A connection without a transaction: LOCAL settings and locks of the block's transaction are gone."""
    with toy_built.scratch(migrated=True) as scratch:
        with changes_of(scratch.connection) as changed, scratch.connection.transaction():
            scratch.connection.execute(
                "SET LOCAL work_mem = '1MB'; SET lock_timeout = '5s'; SELECT pg_advisory_xact_lock(1);"
                "DELETE FROM shop.notes WHERE id = 1"
            )
        assert changed == [deleted("shop.notes", 1), set_to("setting lock_timeout", "5000")]


def test_listening(toy_built: Worker) -> None:
    with toy_built.scratch(migrated=True) as scratch:
        with changes_of(scratch.connection) as changed:
            scratch.connection.execute("LISTEN noted")
        assert changed == [set_to("listening to noted", "yes")]


def test_a_role_that_is_no_superuser(guarded: Guarded) -> None:
    """It does not see large objects and notifications."""
    with psycopg.connect(guarded.url("toy_poor"), autocommit=True) as connection:
        with changes_of(connection) as changed, connection.transaction():
            connection.execute("CREATE TEMPORARY TABLE cart (); SELECT lo_create(0); NOTIFY noted")
        assert changed == [set_to("temporary table cart", "exists")]


# ------------------------------------------------------------------ what is expected


@pytest.mark.parametrize(
    ("expected", "fits"),
    [
        pytest.param({"body": "hers"}, True, id="a value"),
        pytest.param({"body": "HERS"}, False, id="another value"),
        pytest.param({"body": str}, True, id="a type"),
        pytest.param({"body": datetime}, False, id="another type"),
        pytest.param({"body": object}, True, id="anything"),
        pytest.param({"body": lambda text: text.startswith("h")}, True, id="a function that accepts it"),
        pytest.param({"body": lambda text: text.startswith("H")}, False, id="a function that refuses it"),
        pytest.param({}, False, id="a column that is not named"),
        pytest.param({"body": "hers", "stars": None}, False, id="a column that does not exist"),
        pytest.param({"body": None}, False, id="NULL"),
    ],
)
def test_values_of_a_new_row(connection: Connection[Any], expected: dict[str, Any], fits: bool) -> None:
    changed = changes_by(connection, "INSERT INTO shop.notes VALUES (3, 'alice', 'hers')")
    assert (changed == [inserted("shop.notes", id=3, author="alice", **expected)]) is fits


@pytest.mark.parametrize(
    ("expected", "fits"),
    [
        pytest.param([updated("shop.notes", 1, body="x", author="al")], True, id="both columns"),
        pytest.param([updated("shop.notes", "1", body="x", author="al")], True, id="the key as a text"),
        pytest.param([updated("shop.notes", 1, body="x")], False, id="one of the columns"),
        pytest.param([updated("shop.notes", 1, body="x", author="al", id=1)], False, id="a third column"),
        pytest.param([updated("shop.notes", 2, body="x", author="al")], False, id="another row"),
        pytest.param([updated("shop.pins", 1, body="x", author="al")], False, id="another table"),
        pytest.param([updated("shop.notes", 1, body="x", author="al")] * 2, False, id="twice"),
    ],
)
def test_columns_of_an_update(connection: Connection[Any], expected: list[Change], fits: bool) -> None:
    changed = changes_by(connection, "UPDATE shop.notes SET body = 'x', author = 'al' WHERE id = 1")
    assert (changed == expected) is fits


def test_expectations_that_fit_several_changes_are_assigned(connection: Connection[Any]) -> None:
    changed = changes_by(connection, "INSERT INTO shop.notes VALUES (3, 'a', 'b'), (4, 'a', 'c'), (5, 'a', 'd')")
    loose = inserted("shop.notes", id=int, author="a", body=str)
    exact = [inserted("shop.notes", id=number, author="a", body=str) for number in (3, 4)]
    assert changed == [loose, *exact]
    assert changed == [exact[0], loose, exact[1]]
    assert changed != [loose, exact[0], exact[0]]


def test_the_message_says_what_differs(connection: Connection[Any]) -> None:
    changed = changes_by(connection, "UPDATE shop.notes SET body = NULL WHERE id = 1; SELECT setval('shop.numbers', 7)")
    expected = [updated("shop.notes", 1, author="x"), inserted("shop.notes", id=int, body=None)]
    assert changed.explain(expected) == [
        "2 changes that the test does not expect:",
        "  shop.notes, row 1: changed: body 'hers' → NULL",
        "  sequence shop.numbers: before 1 → 7",
        "2 changes missing that the test expects:",
        "  shop.notes, row 1: changed: author → 'x'",
        "  shop.notes: a new row: id int",
    ]


def test_changes_are_known_after_the_block(connection: Connection[Any]) -> None:
    with changes_of(connection) as changed, pytest.raises(RolecallError, match="known at the end of the block"):
        assert changed == []


def test_something_that_is_no_change_is_refused(connection: Connection[Any]) -> None:
    changed = changes_by(connection, "SELECT 1")
    with pytest.raises(RolecallError, match=r"'shop.notes' is no change: write inserted\(…\)"):
        assert changed == ["shop.notes"]


def test_changes_are_neither_true_nor_false(connection: Connection[Any]) -> None:
    changed = changes_by(connection, "SELECT 1")
    with pytest.raises(RolecallError, match="compare the changes with a list"):
        assert not changed


def test_an_error_of_the_block_is_passed_on(connection: Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction(), changes_of(connection):
        connection.execute("SELECT 1 / 0")


# ------------------------------------------------------------------ the fixture


@pytest.fixture
def outcome(toy: pytest.Pytester) -> Callable[[str], pytest.RunResult]:
    def outcome(test: str) -> pytest.RunResult:
        toy.makepyfile(test_a=f"from rolecall import inserted, updated\n\n{test}")
        return toy.runpytest_inprocess("-vv", "test_a.py")

    return outcome


def test_a_failure_is_in_words(outcome: Callable[[str], pytest.RunResult]) -> None:
    result = outcome(
        "def test_a(db, rolecall_changes):\n"
        "    with rolecall_changes() as changed, db.acting_as('alice'):\n"
        "        db.execute(\"UPDATE shop.notes SET body = 'x', author = 'alice'\")\n"
        "    assert changed == [updated('shop.notes', 1, author='x')]\n"
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*assert all changes of the block are those that the test expects",
            "E*1 change that the test does not expect:",
            "E*  shop.notes, row 1: changed: body 'hers' → 'x'",
            "E*1 change missing that the test expects:",
            "E*  shop.notes, row 1: changed: author → 'x'",
        ]
    )


def test_a_block_whose_changes_are_not_compared_fails(outcome: Callable[[str], pytest.RunResult]) -> None:
    result = outcome(
        "def test_a(db, rolecall_changes):\n    with rolecall_changes():\n        db.execute('SELECT 1')\n"
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["the changes of a block are not compared: write `assert changed == *"])


def test_a_failed_test_is_not_reported_twice(outcome: Callable[[str], pytest.RunResult]) -> None:
    test = "def test_a(db, rolecall_changes):\n    with rolecall_changes():\n        db.execute('SELECT 1 / 0')\n"
    outcome(test).assert_outcomes(failed=1)


def test_another_connection(outcome: Callable[[str], pytest.RunResult]) -> None:
    outcome(
        "def test_a(rolecall_changes, scratch):\n"
        "    database = scratch(migrated=True)\n"
        "    with rolecall_changes(database) as changed:\n"
        "        database.connection.execute(\"INSERT INTO shop.notes VALUES (3, 'x')\")\n"
        "    assert changed == [inserted('shop.notes', id=3, author='x')]\n"
    ).assert_outcomes(passed=1)
