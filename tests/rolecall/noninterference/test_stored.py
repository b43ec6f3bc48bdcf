"""changes=: what a client writes is what is stored, whatever the value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rolecall import Grid, grid
from rolecall.worker import Worker

TRIGGER = (
    "CREATE FUNCTION shop.change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$;"
    "CREATE TRIGGER change BEFORE INSERT OR UPDATE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.change()"
)


def notes(**changes: dict[str, Any]) -> Grid:
    """The grid of the toy project."""
    return grid(
        "shop.notes",
        """
                            select   insert   update   delete
        alice's note
          alice, keeper     yes      yes      yes      yes
          bob               -        !        -        -
          visitor           !        !        !        !

        bob's note
          bob, keeper       yes      yes      yes      yes
          alice             -        !        -        -
          visitor           !        !        !        !
        """,
        update="body = 'changed'",
        changes=changes,
    )


def test_without_a_trigger_every_value_is_stored(toy_worker: Worker) -> None:
    assert toy_worker.check_stored(notes()) == []


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            "IF NEW.body = '' THEN NEW.body := NULL; END IF;",
            "insert of \"alice's note\" with body = '' stores body = NULL instead of ''",
            id="blank text becomes NULL",
        ),
        pytest.param(
            "NEW.body := COALESCE(NEW.body, 'none');",
            "insert of \"alice's note\" with body = NULL stores body = 'none' instead of NULL",
            id="NULL becomes a text",
        ),
        pytest.param(
            "NEW.body := lower(NEW.body);",
            "insert of \"alice's note\" with body = 'HERS' stores body = 'hers' instead of 'HERS'",
            id="lower case",
        ),
        pytest.param(
            "IF NEW.body = 'secret' THEN RETURN NULL; END IF;",
            "insert of \"alice's note\" with body = 'secret' stores no row",
            id="a row with a string of the code is ignored",
        ),
    ],
)
def test_a_trigger_that_stores_another_value_is_named(toy_worker: Worker, body: str, text: str) -> None:
    toy_worker.connection.execute(TRIGGER.format(body).encode())
    assert f"alice: {text}" in toy_worker.check_stored(notes())


def test_a_column_of_changes_may_differ(toy_worker: Worker) -> None:
    toy_worker.connection.execute(TRIGGER.format("NEW.body := btrim(NEW.body);").encode())
    assert toy_worker.check_stored(notes())
    assert toy_worker.check_stored(notes(insert={"body": str}, update={"body": str})) == []


def test_a_trigger_that_refuses_a_value_is_named(toy_worker: Worker) -> None:
    raised = "IF NEW.body = '' THEN RAISE 'no blank notes'; END IF;"
    toy_worker.connection.execute(TRIGGER.format(raised).encode())
    text = "alice: insert of \"alice's note\" with body = '' ends with P0001 no blank notes"
    assert toy_worker.check_stored(notes())[0] == text
    assert toy_worker.check_stored(notes(insert={"body": str}, update={"body": str})) == []


def test_a_value_that_a_policy_or_a_constraint_refuses_is_not_compared(toy_worker: Worker) -> None:
    """The texts of the toy may have nine characters, and alice may write only her own notes."""
    toy_worker.connection.execute(TRIGGER.format("").encode())
    assert toy_worker.check_stored(notes()) == []


def test_nothing_to_compare_is_no_success(toy_worker: Worker) -> None:
    toy_worker.connection.execute("ALTER TABLE shop.notes ADD CONSTRAINT only_these CHECK (body IN ('hers', 'his'))")
    toy_worker.connection.execute(TRIGGER.format("RAISE 'closed' USING ERRCODE = '42501';").encode())
    text = "no value could be compared: a policy or a constraint refuses all of them"
    assert toy_worker.check_stored(notes()) == [text]


IDENTITY = "ALTER TABLE shop.notes {} GENERATED ALWAYS AS IDENTITY (START 100)"


@pytest.mark.parametrize(
    ("column", "sql"),
    [
        pytest.param("id", IDENTITY.format("ALTER id ADD"), id="the key"),
        pytest.param("number", IDENTITY.format("ADD number int"), id="another column"),
    ],
)
def test_the_number_of_an_identity_is_not_compared(
    toy_worker: Worker, monkeypatch: pytest.MonkeyPatch, column: str, sql: str
) -> None:
    """It is another one for each insert. The row is found by it, if it is the key."""
    world = toy_worker.world
    monkeypatch.setattr(world, "identities", {"shop.notes": [column]})
    if column == "number":
        rows = {name: {**row, "number": 1} for name, row in world.rows["shop.notes"].items()}
        monkeypatch.setitem(world.rows, "shop.notes", rows)
    toy_worker.connection.execute(sql.encode())
    assert toy_worker.check_stored(notes()) == []
    toy_worker.connection.execute(TRIGGER.format("IF NEW.body = '' THEN NEW.body := NULL; END IF;").encode())
    text = "alice: insert of \"alice's note\" with body = '' stores body = NULL instead of ''"
    assert text in toy_worker.check_stored(notes())


INSTEAD_OF = """
CREATE VIEW shop.mine AS SELECT id, author, body FROM shop.notes;
GRANT SELECT, INSERT ON shop.mine TO toy_member;
CREATE FUNCTION shop.store() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO shop.notes VALUES (NEW.id, NEW.author, 'from the view'); RETURN NEW;
END $$;
CREATE TRIGGER store INSTEAD OF INSERT ON shop.mine FOR EACH ROW EXECUTE FUNCTION shop.store();
"""


def test_what_an_instead_of_trigger_stores_is_not_compared(toy_worker: Worker) -> None:
    toy_worker.connection.execute(INSTEAD_OF)
    view = replace(notes(), table="shop.mine")
    assert toy_worker.check_stored(view) == []
