"""What a cell's verdict is: yes, - or ! for the row that it aims at, and nothing else taken for one of them."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from rolecall import Grid, World, grid
from rolecall.access.custom_settings import custom_settings, settle
from rolecall.grids.grid import verdict
from rolecall.grids.probe import Check, Outcome, prepare, probe
from rolecall.grids.refusal import with_refusers
from rolecall.worker import Worker

NOTES = """
                select   insert   update   delete
    alice's note
      alice     yes      yes      yes      yes
      bob       -        !        -        -
      visitor   !        !        !        !
      keeper    yes      yes      yes      yes
    bob's note
      alice     -        !        -        -
      bob       yes      yes      yes      yes
      visitor   !        !        !        !
      keeper    yes      yes      yes      yes
"""

SOFT_DELETE = """
CREATE FUNCTION shop.soft_delete() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE shop.notes SET body = 'gone' WHERE id = OLD.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER soft_delete BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.soft_delete();
"""

# Whoever changes a note changes bob's instead.
DIVERTED = """
CREATE FUNCTION shop.divert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF pg_trigger_depth() = 1 THEN
    UPDATE shop.notes SET body = NEW.body WHERE id = 2;
    RETURN NULL;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER divert BEFORE UPDATE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.divert();
"""

OPEN = """ALTER POLICY "own notes are read" ON shop.notes USING (current_setting('shop.open', true) = 'yes')"""

LOGGED = """
CREATE TABLE shop.log (id int);
GRANT INSERT ON shop.log TO toy_member;
ALTER TABLE shop.log ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION shop.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO shop.log VALUES (NEW.id);
  RETURN NEW;
END
$$;
CREATE TRIGGER log BEFORE UPDATE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.log();
"""

ELSEWHERE = " (refused by another object, not by this one)"


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    return toy_worker.connection


@pytest.fixture
def world(toy_worker: Worker) -> World:
    """A world of the same rows and people, that a test may change."""
    world = World()
    world.personas, world.rows = dict(toy_worker.world.personas), dict(toy_worker.world.rows)
    return world


def notes(**options: Any) -> Grid:
    return grid("shop.notes", NOTES, **{"update": "body = 'changed'"} | options)


def try_cell(connection: Connection[Any], world: World, held: Grid, cell_id: str) -> list[tuple[Check, Outcome]]:
    (cell,) = [cell for cell in held.cells if cell.id == cell_id]
    checks = held.checks(cell, world)
    outcomes = with_refusers(connection, zip(checks, probe(connection, checks), strict=True))
    return list(zip(checks, outcomes, strict=True))


def verdict_of(connection: Connection[Any], world: World, held: Grid, cell_id: str) -> str:
    return verdict(outcome for _, outcome in try_cell(connection, world, held, cell_id))


def told(connection: Connection[Any], world: World, held: Grid, cell_id: str) -> list[str]:
    return [str(outcome) for _, outcome in try_cell(connection, world, held, cell_id)]


def test_every_cell_of_a_right_grid_is_as_written(connection: Connection[Any], world: World) -> None:
    held = notes()
    for cell in held.cells:
        assert verdict_of(connection, world, held, cell.id) == cell.expected, cell.id


def test_nothing_that_is_tried_is_kept(connection: Connection[Any], world: World) -> None:
    held = notes(moves=None)
    probe(connection, [check for _, check in held.all_checks(world)])
    assert connection.execute("SELECT id, author, body FROM shop.notes ORDER BY id").fetchall() == [
        (1, "alice", "hers"),
        (2, "bob", "his"),
    ]
    assert connection.execute(
        "SELECT current_user = session_user, current_setting('transaction_read_only'),"
        " current_setting('request.jwt.claims', true), current_setting('request.method', true)"
    ).fetchone() == (True, "off", "", "")


@pytest.mark.parametrize(
    ("update", "said"),
    [
        pytest.param("bodi = 'changed'", '42703 column "bodi" of relation "notes" does not exist', id="wrong column"),
        pytest.param("body = ", "42601 syntax error at", id="no SQL"),
        pytest.param("id = NULL", '23502 null value in column "id" of relation "notes"', id="constraint"),
    ],
)
def test_an_error_that_is_no_refusal_is_no_verdict(
    connection: Connection[Any], world: World, update: str, said: str
) -> None:
    held, cell_id = notes(update=update), "alice's note-update-alice"
    assert verdict_of(connection, world, held, cell_id) == "error"
    assert all(text.startswith(said) for text in told(connection, world, held, cell_id))


def test_a_wrong_column_does_not_pass_as_refused(connection: Connection[Any], world: World) -> None:
    """Not for those either who may not write: PostgreSQL looks for the columns before the grants."""
    del world.personas["bob"]
    world.persona("bob", "toy_member", subject="bob", setup="REVOKE ALL ON {table} FROM toy_member")
    cell_id = "alice's note-update-bob"
    assert verdict_of(connection, world, notes(), cell_id) == "!"
    assert verdict_of(connection, world, notes(update="bodi = 'changed'"), cell_id) == "error"


@pytest.mark.parametrize("command", ["select", "insert", "update", "delete"])
def test_a_grant_missing_on_what_a_policy_reads_is_no_refusal(
    connection: Connection[Any], world: World, command: str
) -> None:
    """Everybody is refused then, by an oversight, and a grid of refusals would look right."""
    connection.execute("CREATE TABLE shop.staff (name text)")
    for policy, clause in (
        ("own notes are read", "USING"),
        ("own notes are written", "WITH CHECK"),
        ("own notes are changed", "USING"),
        ("own notes are deleted", "USING"),
    ):
        connection.execute(
            f'ALTER POLICY "{policy}" ON shop.notes {clause} (author IN (SELECT name FROM shop.staff))'.encode()
        )
    cell_id = f"alice's note-{command}-bob"
    assert verdict_of(connection, world, notes(), cell_id) == "error"
    assert set(told(connection, world, notes(), cell_id)) == {f"42501 permission denied for table staff{ELSEWHERE}"}


def test_a_policy_of_another_table_that_refuses_is_no_refusal_of_this_one(
    connection: Connection[Any], world: World
) -> None:
    connection.execute(LOGGED.encode())
    cell_id = "alice's note-update-alice"
    assert set(told(connection, world, notes(), cell_id)) == {
        f'42501 new row violates row-level security policy for table "log"{ELSEWHERE}'
    }
    assert verdict_of(connection, world, notes(), cell_id) == "error"


def test_a_function_that_refuses_in_its_own_words_refuses(connection: Connection[Any], world: World) -> None:
    connection.execute(
        b"CREATE FUNCTION shop.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        b" RAISE EXCEPTION 'notes are kept' USING ERRCODE = '42501'; END $$;"
        b"CREATE TRIGGER no BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.no()"
    )
    assert verdict_of(connection, world, notes(), "alice's note-delete-alice") == "!"


def test_a_schema_that_may_not_be_entered_refuses(connection: Connection[Any], world: World) -> None:
    connection.execute("REVOKE USAGE ON SCHEMA shop FROM toy_visitor")
    assert set(told(connection, world, notes(), "alice's note-update-visitor")) == {
        "42501 permission denied for schema shop"
    }


@pytest.mark.parametrize(
    ("command", "policy"),
    [
        pytest.param("update", "own notes are changed", id="update"),
        pytest.param("delete", "own notes are deleted", id="delete"),
    ],
)
def test_a_blind_write_reaches_what_the_select_policy_hides(
    connection: Connection[Any], world: World, command: str, policy: str
) -> None:
    connection.execute(f'ALTER POLICY "{policy}" ON shop.notes USING (true)'.encode())
    tried = try_cell(connection, world, notes(), f"alice's note-{command}-bob")
    assert [(check.blind, str(outcome)) for check, outcome in tried] == [(False, "no row"), (True, "1 row")]
    assert verdict(outcome for _, outcome in tried) == "-/yes"


def test_a_blind_write_reaches_its_row_and_no_other(connection: Connection[Any], world: World) -> None:
    """alice may change her note; aimed at bob's, her blind write finds nothing."""
    assert told(connection, world, notes(), "bob's note-update-alice") == ["no row", "no row"]


def test_a_trigger_that_deletes_softly_counts_as_yes(connection: Connection[Any], world: World) -> None:
    connection.execute(SOFT_DELETE.encode())
    said = "the row was changed, though no row was counted"
    assert told(connection, world, notes(), "alice's note-delete-alice") == [said, said]
    assert verdict_of(connection, world, notes(), "alice's note-delete-alice") == "yes"
    assert verdict_of(connection, world, notes(), "alice's note-delete-bob") == "-"


def test_a_write_that_touches_another_row_only_is_no_yes(connection: Connection[Any], world: World) -> None:
    connection.execute(DIVERTED.encode())
    assert verdict_of(connection, world, notes(), "alice's note-update-alice") == "-"


def test_giving_a_row_away_by_its_key_counts_as_yes(connection: Connection[Any], world: World) -> None:
    """The row is not found again under its key: it was changed."""
    assert verdict_of(connection, world, notes(update="id = 3"), "alice's note-update-alice") == "yes"


def test_a_row_that_is_not_there_is_an_error(connection: Connection[Any], world: World) -> None:
    connection.execute("DELETE FROM shop.notes WHERE id = 1")
    cell_id = "alice's note-update-bob"
    said = 'the check itself failed: no row of "shop"."notes" has "id" = 1'
    assert told(connection, world, notes(), cell_id) == [said, said]
    assert verdict_of(connection, world, notes(), cell_id) == "error"


def test_a_row_that_is_not_there_is_an_error_for_a_select_too(connection: Connection[Any], world: World) -> None:
    """Otherwise nobody would see it, as is written of a stranger."""
    connection.execute("DELETE FROM shop.notes WHERE id = 1")
    assert verdict_of(connection, world, notes(), "alice's note-select-bob") == "error"


def test_what_is_special_about_a_persona_holds_for_its_checks_alone(connection: Connection[Any], world: World) -> None:
    del world.personas["visitor"]
    mistake = "GRANT CREATE ON SCHEMA {schema} TO toy_visitor; GRANT ALL ON {table} TO toy_visitor"
    world.persona("visitor", "toy_visitor", setup=mistake)
    held = notes()
    words = [verdict_of(connection, world, held, f"alice's note-{c}-visitor") for c in held.commands]
    assert words == ["-", "!", "-", "-"]
    assert connection.execute(
        "SELECT has_schema_privilege('toy_visitor', 'shop', 'create'),"
        " has_table_privilege('toy_visitor', 'shop.notes', 'select')"
    ).fetchone() == (False, False)


def test_a_persona_whose_setup_fails_has_no_verdict(connection: Connection[Any], world: World) -> None:
    del world.personas["visitor"]
    world.persona("visitor", "toy_visitor", setup="GRANT ALL ON {table} TO toy_nobody_there")
    said = 'the check itself failed: 42704 role "toy_nobody_there" does not exist'
    assert told(connection, world, notes(), "alice's note-select-visitor") == [said]


def test_a_persona_whose_role_is_not_there_has_no_verdict(connection: Connection[Any], world: World) -> None:
    del world.personas["visitor"]
    world.persona("visitor", "toy_nobody_there")
    cell_id = "alice's note-select-visitor"
    (said,) = told(connection, world, notes(), cell_id)
    assert said.startswith("the check itself failed: 22023 ")
    assert "toy_nobody_there" in said
    assert verdict_of(connection, world, notes(), cell_id) == "error"


def test_settings_are_made_before_each_statement(connection: Connection[Any], world: World) -> None:
    connection.execute(OPEN.encode())
    cell_id = "alice's note-select-bob"
    assert verdict_of(connection, world, notes(), cell_id) == "-"
    assert verdict_of(connection, world, notes(settings={"shop.open": "yes"}), cell_id) == "yes"


def test_a_select_cannot_write(connection: Connection[Any], world: World) -> None:
    """As PostgREST's GET: the transaction is READ ONLY, so a policy that writes ends in an error."""
    connection.execute(
        b"CREATE FUNCTION shop.seen() RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        b" UPDATE shop.notes SET body = 'seen'; RETURN true; END $$;"
        b'ALTER POLICY "own notes are read" ON shop.notes USING (shop.seen())'
    )
    said = "25006 cannot execute UPDATE in a read-only transaction"
    assert told(connection, world, notes(), "alice's note-select-alice") == [said]


def test_the_key_need_not_be_called_id(connection: Connection[Any], world: World) -> None:
    held = notes(key="author")
    (check, _), _ = try_cell(connection, world, held, "alice's note-update-alice")
    assert check.statement == """UPDATE "shop"."notes" SET body = 'changed' WHERE "author" = 'alice'"""
    assert verdict_of(connection, world, held, "alice's note-update-alice") == "yes"


def test_an_insert_makes_room_for_the_row_itself(connection: Connection[Any], world: World) -> None:
    (check, _), (representation, _) = try_cell(connection, world, notes(), "alice's note-insert-alice")
    assert check.room == representation.room == 'DELETE FROM "shop"."notes" WHERE "id" = 1'
    assert check.statement == ("""INSERT INTO "shop"."notes" ("id", "author", "body") VALUES (1, 'alice', 'hers')""")
    assert representation.statement == check.statement + " RETURNING *"


def test_two_rows_of_one_key_are_no_verdict(connection: Connection[Any], world: World) -> None:
    """bob would be said to see alice's note where he sees another of the same body."""
    connection.execute("INSERT INTO shop.notes VALUES (3, 'bob', 'hers')")
    held, cell_id = notes(key="body"), "alice's note-select-bob"
    text = """2 rows of "shop"."notes" have "body" = 'hers'"""
    assert told(connection, world, held, cell_id) == [f"the check itself failed: {text}"]
    assert verdict_of(connection, world, held, cell_id) == "error"


def test_a_plan_is_shared_only_where_no_function_keeps_what_it_read(connection: Connection[Any]) -> None:
    prepare(connection)
    may_share = "SELECT pg_temp.rolecall_may_share_plans()"
    assert connection.execute(may_share).fetchone() == (True,)
    for body, shared in (("SELECT 1", True), ("SELECT current_setting('request.jwt.claims')", False)):
        connection.execute(f"CREATE FUNCTION shop.f() RETURNS text IMMUTABLE LANGUAGE sql AS $$ {body} $$".encode())
        assert connection.execute(may_share).fetchone() == (shared,)
        connection.execute("DROP FUNCTION shop.f()")


def test_a_setting_is_the_same_whichever_test_came_first(connection: Connection[Any], world: World) -> None:
    """Never set is NULL, and set by a test before is '': only the second is what a pool hands out."""
    connection.execute(OPEN.replace("'yes'", "''").encode())
    settle(connection, custom_settings(connection))
    cell_id = "alice's note-select-bob"
    first = verdict_of(connection, world, notes(), cell_id)
    assert verdict_of(connection, world, notes(settings={"shop.open": "no"}), cell_id) == "-"
    assert (first, verdict_of(connection, world, notes(), cell_id)) == ("yes", "yes")
