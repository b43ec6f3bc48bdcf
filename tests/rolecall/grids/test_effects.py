"""A grid with ``changes`` finds writes that change anything but their row, and says what to add."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from psycopg import Connection

from rolecall import Grid, RolecallError, grid
from rolecall.worker import Worker

NOTES = """
                select   insert   update   delete   rename
    alice's note
      alice     yes      yes      yes      yes      yes
      bob       -        !        -        -        -
      visitor   !        !        !        !        !
      keeper    yes      yes      yes      yes      yes
    bob's note
      alice     -        !        -        -        -
      bob       yes      yes      yes      yes      yes
      visitor   !        !        !        !        !
      keeper    yes      yes      yes      yes      yes
"""

SHAPE = """
CREATE TABLE shop.log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
CREATE TABLE shop.stars (note int REFERENCES shop.notes ON DELETE CASCADE, stars int);
INSERT INTO shop.stars VALUES (1, 5), (2, 4);
ALTER TABLE shop.notes ADD changed_at timestamptz, ADD token uuid DEFAULT gen_random_uuid(), ADD score int DEFAULT 3;
"""


def trigger(when: str, body: str, result: str = "NEW") -> str:
    return f"""
        CREATE FUNCTION shop.react() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
          IF pg_trigger_depth() = 1 THEN
            {body};
          END IF;
          RETURN {result};
        END $$;
        CREATE TRIGGER react {when} ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.react();
    """


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    toy_worker.connection.execute(SHAPE)
    return toy_worker.connection


def notes(changes: Mapping[str, Mapping[str, Any]]) -> Grid:
    return grid("shop.notes", NOTES, update="body = 'changed'", moves={"rename": "author = author"}, changes=changes)


def effects(worker: Worker, changes: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
    return worker.check_effects(notes(changes or {}))


@pytest.mark.usefixtures("connection")
def test_writes_that_change_their_row_alone_pass(toy_worker: Worker) -> None:
    """With the rows that a foreign key deletes, and defaults that are random."""
    assert effects(toy_worker) == []
    assert toy_worker.connection.execute("SELECT count(*), sum(stars) FROM shop.stars").fetchone() == (2, 9)


UNWANTED = {
    "another column": (
        trigger("BEFORE UPDATE", "NEW.score := NULL"),
        "update",
        "shop.notes, row 1: changed: body 'hers' → 'changed', score 3 → NULL",
    ),
    "another value": (
        trigger("BEFORE UPDATE", "NEW.body := upper(NEW.body)"),
        "update",
        "shop.notes, row 1: changed: body 'hers' → 'CHANGED'",
    ),
    "another row": (
        trigger("AFTER UPDATE", "UPDATE shop.notes SET score = 0 WHERE id <> NEW.id"),
        "update",
        "shop.notes, row 2: changed: score 3 → 0",
    ),
    "another table": (
        trigger("AFTER INSERT", "INSERT INTO shop.log (what) VALUES ('x')"),
        "insert",
        "shop.log, row 1: a new row: id 1, what 'x'",
    ),
    "a write that is undone": (
        trigger("BEFORE UPDATE", "NULL", "OLD"),
        "update",
        "shop.notes, row 1: changed: body 'hers' → 'changed'",
    ),
    "a default": (
        trigger("BEFORE INSERT", "NEW.score := 4"),
        "insert",
        "shop.notes, row 1: a new row: id 1, author 'alice', body 'hers', token *, score 4",
    ),
    "more rows deleted": (
        trigger("AFTER DELETE", "DELETE FROM shop.notes WHERE id <> OLD.id", "OLD"),
        "delete",
        "shop.notes, row 2: deleted",
    ),
    "a row that stays": (trigger("BEFORE DELETE", "RETURN NULL"), "delete", "shop.notes, row 1: deleted"),
    "a notification": (trigger("AFTER UPDATE", "PERFORM pg_notify('a', 'b')"), "update", "notifications: none → sent"),
    "a lock": (
        trigger("AFTER UPDATE", "PERFORM pg_advisory_lock(7)"),
        "update",
        "advisory lock 7: none → ExclusiveLock",
    ),
    "a deferred trigger": (
        trigger("AFTER INSERT", "INSERT INTO shop.log (what) VALUES ('x')").replace(
            "CREATE TRIGGER react AFTER INSERT ON shop.notes",
            "CREATE CONSTRAINT TRIGGER react AFTER INSERT ON shop.notes DEFERRABLE INITIALLY DEFERRED",
        ),
        "insert",
        "shop.log, row 1: a new row: id 1, what 'x'",
    ),
    "a rule": (
        "CREATE RULE react AS ON UPDATE TO shop.notes DO ALSO INSERT INTO shop.log (what) VALUES ('x'); "
        "GRANT ALL ON shop.log TO toy_migrator",
        "update",
        "shop.log, row 1: a new row: id 1, what 'x'",
    ),
}


@pytest.mark.parametrize("what", UNWANTED)
def test_everything_else_that_a_write_changes_is_named(
    toy_worker: Worker, connection: Connection[Any], what: str
) -> None:
    sql, command, line = UNWANTED[what]
    connection.execute(sql.encode())
    texts = effects(toy_worker)
    assert texts[0].startswith(
        f'alice: {command} on "alice\'s note" of shop.notes has other effects than the grid says'
    )
    before, _, after = line.partition("*")
    assert any(each.strip().startswith(before) and each.endswith(after) for each in texts[0].splitlines()), texts[0]
    assert not connection.execute(
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    ).rowcount


TOUCH = trigger("BEFORE UPDATE", "NEW.changed_at := clock_timestamp()")
SOFT = trigger("BEFORE DELETE", "UPDATE shop.notes SET body = 'gone' WHERE id = OLD.id; RETURN NULL")


def test_the_message_says_what_to_add(toy_worker: Worker, connection: Connection[Any]) -> None:
    connection.execute(TOUCH.encode())
    text, *_ = effects(toy_worker)
    assert text.splitlines()[1:] == [
        f"  written     test_effects.py:{notes({}).cells[0].line}",
        '  ran         UPDATE "shop"."notes" SET body = \'changed\' WHERE "id" = 1',
        "  1 change that the test does not expect:",
        text.splitlines()[4],
        "  1 change missing that the test expects:",
        "    shop.notes, row 1: changed: body 'hers' → 'changed'",
        '  If that is right, say so in the grid: changes={"update": {"changed_at": object}}',
    ]
    said = {"update": {"changed_at": datetime}, "rename": {"changed_at": datetime}}
    assert effects(toy_worker, said) == []


@pytest.mark.parametrize(
    ("columns", "right"),
    [({"body": "gone"}, True), ({"body": "GONE"}, False), ({"body": "gone", "score": int}, False)],
    ids=["as it is", "another value", "one column more"],
)
def test_a_delete_that_keeps_the_row(
    toy_worker: Worker, connection: Connection[Any], columns: dict[str, Any], right: bool
) -> None:
    connection.execute(SOFT.encode())
    assert (effects(toy_worker, {"delete": columns}) == []) is right


def test_a_delete_that_keeps_the_rows_of_one_role(toy_worker: Worker, connection: Connection[Any]) -> None:
    connection.execute(SOFT.replace("ROW EXECUTE", "ROW WHEN (row_security_active('shop.notes')) EXECUTE").encode())
    assert effects(toy_worker, {"delete": {"body": "gone"}}) == []


@pytest.mark.parametrize("condition", ["OLD.id = 1", "shop.me() = 'alice'"], ids=["one row", "one persona"])
def test_a_delete_that_keeps_some_rows_of_a_role(
    toy_worker: Worker, connection: Connection[Any], condition: str
) -> None:
    when = f"ROW WHEN (row_security_active('shop.notes') AND {condition}) EXECUTE"
    connection.execute(SOFT.replace("ROW EXECUTE", when).encode())
    (text,) = effects(toy_worker, {"delete": {"body": "gone"}})
    assert text.startswith('bob: delete on "bob\'s note" of shop.notes has other effects than the grid says')


@pytest.mark.usefixtures("connection")
def test_changes_that_no_write_makes_are_named(toy_worker: Worker) -> None:
    assert effects(toy_worker, {"delete": {"body": "gone"}}) == [
        "no delete of shop.notes changes body as changes= says: correct it, or remove it."
    ]


def test_a_write_that_fails(toy_worker: Worker, connection: Connection[Any]) -> None:
    connection.execute(trigger("BEFORE UPDATE", "PERFORM 1 / 0").encode())
    texts = effects(toy_worker)
    assert texts[0].startswith('alice: update on "alice\'s note" of shop.notes cannot be tried: division by zero')


@pytest.mark.parametrize("command", ["select", "move"])
def test_a_command_that_does_not_write_is_refused(toy_worker: Worker, command: str) -> None:
    wrong = notes({command: {"body": "x"}})
    with pytest.raises(RolecallError, match=rf"test_effects.py:\d+: changes= has '{command}': name commands"):
        wrong.validate(toy_worker.world)


def test_a_grid_with_changes_has_two_tests_more(toy: pytest.Pytester) -> None:
    (toy.path / "defects/f1_anybody_reads.sql").unlink()
    notes = toy.path / "test_notes.py"
    notes.write_text(notes.read_text().replace('moves={"hand over"', 'changes={}, moves={"hand over"'))
    toy.runpytest_inprocess("test_notes.py").assert_outcomes(passed=42)
    toy.runpytest_inprocess("test_notes.py::test_grid[changes]").assert_outcomes(passed=1)
    step = toy.path / "migrations/phase_1_notes/1_1_notes.sql"
    step.write_text(step.read_text() + trigger("BEFORE UPDATE", "NEW.body := 'x'"))
    result = toy.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=40, failed=2)
    result.stdout.fnmatch_lines(["*alice: update on *has other effects than the grid says", "and * more"])


@pytest.mark.usefixtures("connection")
def test_a_sequence_that_an_insert_advances_is_no_effect_of_the_next_write(toy_worker: Worker) -> None:
    """A rollback does not reset a sequence."""
    toy_worker.connection.execute("ALTER TABLE shop.notes ADD number int GENERATED ALWAYS AS IDENTITY")
    assert effects(toy_worker) == []


def test_a_command_on_some_columns_only_is_not_tried_on_others(toy_worker: Worker) -> None:
    toy_worker.connection.execute(
        "ALTER TABLE shop.notes ADD token text; GRANT UPDATE (token) ON shop.notes TO toy_visitor;"
        "CREATE POLICY open ON shop.notes FOR UPDATE TO toy_visitor USING (true)"
    )
    some = NOTES.replace("visitor   !        !        !   ", "visitor   !        !        !/yes")
    assert "!/yes" in some
    tokens = grid("shop.notes", some, update="body = 'changed'", moves={"rename": "author = author"}, changes={})
    assert toy_worker.check_effects(tokens) == []
