"""The verdict of a cell: yes, - or ! for its own row. Everything else is an error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from psycopg import Connection

from rolecall import Grid, World, grid
from rolecall.access.custom_settings import custom_settings, initialize
from rolecall.grids.grid import Cell
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Check, Outcome, probe
from rolecall.grids.refusal import with_refusers
from rolecall.grids.verdicts import verdict
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

# An update of any note changes bob's note instead.
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
    """A copy of the toy's world, which a test may change."""
    world = World()
    world.personas, world.rows = dict(toy_worker.world.personas), dict(toy_worker.world.rows)
    return world


def notes(**options: Any) -> Grid:
    return grid("shop.notes", NOTES, **{"update": "body = 'changed'"} | options)


def try_cell(connection: Connection[Any], world: World, notes_grid: Grid, cell_id: str) -> list[tuple[Check, Outcome]]:
    (cell,) = [cell for cell in notes_grid.cells if cell.id == cell_id]
    checks = notes_grid.checks(cell, world)
    outcomes = with_refusers(connection, zip(checks, probe(connection, checks), strict=True))
    return list(zip(checks, outcomes, strict=True))


def verdict_of(connection: Connection[Any], world: World, notes_grid: Grid, cell_id: str) -> str:
    return verdict(try_cell(connection, world, notes_grid, cell_id))


def outcomes_of(connection: Connection[Any], world: World, notes_grid: Grid, cell_id: str) -> list[str]:
    return [str(outcome) for _, outcome in try_cell(connection, world, notes_grid, cell_id)]


def test_every_cell_of_a_correct_grid_passes(connection: Connection[Any], world: World) -> None:
    notes_grid = notes()
    for cell in notes_grid.cells:
        assert verdict_of(connection, world, notes_grid, cell.id) == cell.expected, cell.id


def test_every_check_is_rolled_back(connection: Connection[Any], world: World) -> None:
    notes_grid = notes(moves=None)
    probe(connection, [check for _, check in notes_grid.all_checks(world)])
    assert connection.execute("SELECT id, author, body FROM shop.notes ORDER BY id").fetchall() == [
        (1, "alice", "hers"),
        (2, "bob", "his"),
    ]
    assert connection.execute(
        "SELECT current_user = session_user, current_setting('transaction_read_only'),"
        " current_setting('request.jwt.claims', true), current_setting('request.method', true)"
    ).fetchone() == (True, "off", "", "")


@pytest.mark.parametrize(
    ("update", "message"),
    [
        pytest.param("bodi = 'changed'", '42703 column "bodi" of relation "notes" does not exist', id="wrong column"),
        pytest.param("body = ", "42601 syntax error at", id="no SQL"),
        pytest.param("id = NULL", '23502 null value in column "id" of relation "notes"', id="constraint"),
    ],
)
def test_an_error_other_than_a_refusal_is_no_verdict(
    connection: Connection[Any], world: World, update: str, message: str
) -> None:
    notes_grid, cell_id = notes(update=update), "alice's note-update-alice"
    assert verdict_of(connection, world, notes_grid, cell_id) == "error"
    assert all(text.startswith(message) for text in outcomes_of(connection, world, notes_grid, cell_id))


def test_a_wrong_column_is_no_refusal(connection: Connection[Any], world: World) -> None:
    """Not even for a persona without the privilege: PostgreSQL checks the columns before the privileges."""
    del world.personas["bob"]
    world.persona("bob", "toy_member", subject="bob", setup="REVOKE ALL ON {table} FROM toy_member")
    cell_id = "alice's note-update-bob"
    assert verdict_of(connection, world, notes(), cell_id) == "!"
    assert verdict_of(connection, world, notes(update="bodi = 'changed'"), cell_id) == "error"


@pytest.mark.parametrize("command", ["select", "insert", "update", "delete"])
def test_a_missing_grant_on_a_table_in_a_policy_is_no_refusal(
    connection: Connection[Any], world: World, command: str
) -> None:
    """Otherwise every persona would be refused by mistake, and a grid of refusals would pass."""
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
    assert set(outcomes_of(connection, world, notes(), cell_id)) == {
        f"42501 permission denied for table staff{ELSEWHERE}"
    }


def test_a_refusal_by_a_policy_of_another_table_is_an_error(connection: Connection[Any], world: World) -> None:
    connection.execute(LOGGED.encode())
    cell_id = "alice's note-update-alice"
    assert set(outcomes_of(connection, world, notes(), cell_id)) == {
        f'42501 new row violates row-level security policy for table "log"{ELSEWHERE}'
    }
    assert verdict_of(connection, world, notes(), cell_id) == "error"


def by_row_security(connection: Connection[Any], world: World, cell_id: str) -> set[bool]:
    """What the probe says of the refusals of a cell, before the client tries it once more."""
    (cell,) = [cell for cell in notes().cells if cell.id == cell_id]
    outcomes = probe(connection, notes().checks(cell, world))
    assert {outcome.sqlstate for outcome in outcomes} == {"42501"}
    return {outcome.by_row_security for outcome in outcomes}


def test_the_probe_knows_the_refusal_of_a_policy(connection: Connection[Any], world: World) -> None:
    assert by_row_security(connection, world, "alice's note-insert-bob") == {True}


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("INSERT INTO shop.log VALUES (new.id)", id="the policy of another table"),
        pytest.param(
            "RAISE 'new row violates row-level security policy for table \"notes\"' USING ERRCODE = '42501'",
            id="the same text",
        ),
        pytest.param(
            "EXECUTE 'DO $do$ BEGIN RAISE ''new row violates row-level security policy'' USING ERRCODE = ''42501''; "
            "END $do$'",
            id="the same text in a DO block",
        ),
    ],
)
def test_the_probe_does_not_take_another_refusal_for_that_of_the_policy(
    connection: Connection[Any], world: World, statement: str
) -> None:
    connection.execute(LOGGED.encode())
    body = f"BEGIN {statement}; RETURN new; END"
    connection.execute(
        f"CREATE OR REPLACE FUNCTION shop.log() RETURNS trigger LANGUAGE plpgsql AS $log$ {body} $log$".encode()
    )
    assert by_row_security(connection, world, "alice's note-update-alice") == {False}


def test_a_function_that_raises_42501_refuses(connection: Connection[Any], world: World) -> None:
    connection.execute(
        b"CREATE FUNCTION shop.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        b" RAISE EXCEPTION 'notes are kept' USING ERRCODE = '42501'; END $$;"
        b"CREATE TRIGGER no BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.no()"
    )
    assert verdict_of(connection, world, notes(), "alice's note-delete-alice") == "!"


def test_a_schema_without_usage_refuses(connection: Connection[Any], world: World) -> None:
    connection.execute("REVOKE USAGE ON SCHEMA shop FROM toy_visitor")
    assert set(outcomes_of(connection, world, notes(), "alice's note-update-visitor")) == {
        "42501 permission denied for schema shop"
    }


@pytest.mark.parametrize(
    ("command", "policy"),
    [
        pytest.param("update", "own notes are changed", id="update"),
        pytest.param("delete", "own notes are deleted", id="delete"),
    ],
)
def test_a_blind_write_reaches_a_row_that_the_select_policy_hides(
    connection: Connection[Any], world: World, command: str, policy: str
) -> None:
    connection.execute(f'ALTER POLICY "{policy}" ON shop.notes USING (true)'.encode())
    results = try_cell(connection, world, notes(), f"alice's note-{command}-bob")
    assert [(check.blind, str(outcome)) for check, outcome in results] == [
        (False, "no row"),
        (True, "1 row"),
        (False, "no row"),
    ]
    assert verdict(results) == "-/yes"


def test_a_blind_write_reaches_its_row_and_no_other(connection: Connection[Any], world: World) -> None:
    """alice may change her own note. Her blind write to bob's note finds no row."""
    assert outcomes_of(connection, world, notes(), "bob's note-update-alice") == ["no row"] * 3


def test_a_soft_delete_counts_as_yes(connection: Connection[Any], world: World) -> None:
    connection.execute(SOFT_DELETE.encode())
    message = "the row was changed, though no row was counted"
    assert outcomes_of(connection, world, notes(), "alice's note-delete-alice") == [message] * 3
    assert verdict_of(connection, world, notes(), "alice's note-delete-alice") == "yes"
    assert verdict_of(connection, world, notes(), "alice's note-delete-bob") == "-"


def test_a_write_to_another_row_is_no_yes(connection: Connection[Any], world: World) -> None:
    connection.execute(DIVERTED.encode())
    assert verdict_of(connection, world, notes(), "alice's note-update-alice") == "-"


def test_a_change_of_the_key_counts_as_yes(connection: Connection[Any], world: World) -> None:
    """The row cannot be found by its old key, so it was changed."""
    assert verdict_of(connection, world, notes(update="id = 3"), "alice's note-update-alice") == "yes"


def test_a_row_that_does_not_exist_is_an_error(connection: Connection[Any], world: World) -> None:
    connection.execute("DELETE FROM shop.notes WHERE id = 1")
    cell_id = "alice's note-update-bob"
    message = 'the check itself failed: no row of "shop"."notes" has "id" = 1'
    assert outcomes_of(connection, world, notes(), cell_id) == [message] * 3
    assert verdict_of(connection, world, notes(), cell_id) == "error"


def test_a_row_that_does_not_exist_is_an_error_for_a_select_too(connection: Connection[Any], world: World) -> None:
    """Otherwise no persona would see it, and every `-` of the grid would pass."""
    connection.execute("DELETE FROM shop.notes WHERE id = 1")
    assert verdict_of(connection, world, notes(), "alice's note-select-bob") == "error"


def test_a_setup_applies_to_its_own_persona_only(connection: Connection[Any], world: World) -> None:
    del world.personas["visitor"]
    setup = "GRANT CREATE ON SCHEMA {schema} TO toy_visitor; GRANT ALL ON {table} TO toy_visitor"
    world.persona("visitor", "toy_visitor", setup=setup)
    notes_grid = notes()
    words = [verdict_of(connection, world, notes_grid, f"alice's note-{c}-visitor") for c in notes_grid.commands]
    assert words == ["-", "!", "-", "-"]
    assert connection.execute(
        "SELECT has_schema_privilege('toy_visitor', 'shop', 'create'),"
        " has_table_privilege('toy_visitor', 'shop.notes', 'select')"
    ).fetchone() == (False, False)


def test_a_persona_whose_setup_fails_has_no_verdict(connection: Connection[Any], world: World) -> None:
    del world.personas["visitor"]
    world.persona("visitor", "toy_visitor", setup="GRANT ALL ON {table} TO toy_missing")
    message = 'the check itself failed: 42704 role "toy_missing" does not exist'
    assert outcomes_of(connection, world, notes(), "alice's note-select-visitor") == [message]


def test_a_persona_with_an_unknown_role_has_no_verdict(connection: Connection[Any], world: World) -> None:
    del world.personas["visitor"]
    world.persona("visitor", "toy_missing")
    cell_id = "alice's note-select-visitor"
    (message,) = outcomes_of(connection, world, notes(), cell_id)
    assert message.startswith("the check itself failed: 22023 ")
    assert "toy_missing" in message
    assert verdict_of(connection, world, notes(), cell_id) == "error"


def test_settings_are_set_before_each_statement(connection: Connection[Any], world: World) -> None:
    connection.execute(OPEN.encode())
    cell_id = "alice's note-select-bob"
    assert verdict_of(connection, world, notes(), cell_id) == "-"
    assert verdict_of(connection, world, notes(settings={"shop.open": "yes"}), cell_id) == "yes"


def test_a_select_cannot_write(connection: Connection[Any], world: World) -> None:
    """As in a GET of PostgREST, the transaction is READ ONLY: a policy that writes is an error."""
    connection.execute(
        b"CREATE FUNCTION shop.seen() RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        b" UPDATE shop.notes SET body = 'seen'; RETURN true; END $$;"
        b'ALTER POLICY "own notes are read" ON shop.notes USING (shop.seen())'
    )
    message = "25006 cannot execute UPDATE in a read-only transaction"
    assert outcomes_of(connection, world, notes(), "alice's note-select-alice") == [message]


def test_the_key_may_be_another_column(connection: Connection[Any], world: World) -> None:
    notes_grid = notes(key="author")
    (check, _), *_ = try_cell(connection, world, notes_grid, "alice's note-update-alice")
    assert check.statement == """UPDATE "shop"."notes" SET body = 'changed' WHERE "author" = 'alice'"""
    assert verdict_of(connection, world, notes_grid, "alice's note-update-alice") == "yes"


def test_an_insert_deletes_the_row_first(connection: Connection[Any], world: World) -> None:
    (check, _), (representation, _), (upsert, _) = try_cell(connection, world, notes(), "alice's note-insert-alice")
    assert check.room == representation.room == upsert.room == 'DELETE FROM "shop"."notes" WHERE "id" = 1'
    assert check.statement == ("""INSERT INTO "shop"."notes" ("id", "author", "body") VALUES (1, 'alice', 'hers')""")
    assert representation.statement == check.statement + " RETURNING *"
    columns = '"id" = EXCLUDED."id", "author" = EXCLUDED."author", "body" = EXCLUDED."body"'
    assert upsert.statement == f'{check.statement} ON CONFLICT ("id") DO UPDATE SET {columns}'


def test_an_upsert_may_be_refused_alone(connection: Connection[Any], world: World) -> None:
    connection.execute("REVOKE UPDATE ON shop.notes FROM toy_member")
    results = try_cell(connection, world, notes(), "alice's note-insert-alice")
    assert [outcome.word for _, outcome in results] == ["yes", "yes", "!"]
    assert verdict(results) == "yes/yes/!"


def test_an_update_that_returns_the_row_may_be_refused_alone(connection: Connection[Any], world: World) -> None:
    connection.execute("REVOKE SELECT ON shop.notes FROM toy_member; GRANT SELECT (id) ON shop.notes TO toy_member")
    assert verdict_of(connection, world, notes(), "alice's note-update-alice") == "yes/yes/!"


def test_an_insert_that_cannot_be_tried_leaves_the_next_one_as_it_is(connection: Connection[Any], world: World) -> None:
    """The inserts of a row share its deletion: after an error of a check, the row must not be looked for again."""
    (check, *_) = notes().checks(Cell("alice's note", "insert", "alice", "yes", 1), world)
    broken = replace(check, persona=replace(check.persona, role="missing"))
    outcomes = [str(outcome) for outcome in probe(connection, [check, broken, check])]
    assert outcomes[0] == outcomes[2] == "1 row"
    assert outcomes[1].startswith("the check itself failed: ")
    assert 'role "missing" does not exist' in outcomes[1]


def test_an_upsert_needs_a_unique_index(connection: Connection[Any], world: World) -> None:
    results = try_cell(connection, world, notes(key="author"), "alice's note-insert-alice")
    assert [str(outcome) for _, outcome in results] == ["1 row", "1 row", "not possible here"]
    assert verdict(results) == "yes"


def test_two_rows_with_one_key_are_no_verdict(connection: Connection[Any], world: World) -> None:
    """Otherwise bob would seem to see alice's note, although he sees another one with the same body."""
    connection.execute("INSERT INTO shop.notes VALUES (3, 'bob', 'hers')")
    notes_grid, cell_id = notes(key="body"), "alice's note-select-bob"
    text = """2 rows of "shop"."notes" have "body" = 'hers'"""
    assert outcomes_of(connection, world, notes_grid, cell_id) == [f"the check itself failed: {text}"]
    assert verdict_of(connection, world, notes_grid, cell_id) == "error"


def test_a_view_that_nobody_can_write_to(connection: Connection[Any], world: World) -> None:
    """Room cannot be made for an insert, and none is needed."""
    connection.execute(
        "CREATE VIEW shop.counts WITH (security_invoker = true) AS"
        " SELECT id, author, count(*) AS count FROM shop.notes GROUP BY id, author"
    )
    connection.execute("GRANT ALL ON shop.counts TO toy_member")
    world.rows["shop.counts"] = {"alice's note": {"id": 1, "author": "alice"}}
    counts = grid(
        "shop.counts",
        """
                       select  insert  update  delete
        alice's note
          alice        yes     55000   55000   55000
          bob          -       55000   55000   55000
        """,
        update="author = 'changed'",
    )
    assert GridOutcomes(connection, world).failures(counts) == {}


# A function in the policy refuses, so that its refusal must be looked at.
STOPS = """
CREATE FUNCTION shop.stops(author text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF author <> shop.me() THEN RAISE insufficient_privilege; END IF;
  RETURN true;
END $$;
"""


def test_a_published_table_from_which_nobody_can_delete(connection: Connection[Any], world: World) -> None:
    """Without an identity of its rows. They are inserted beside the ones that are there."""
    for statement in (
        "ALTER TABLE shop.notes DROP CONSTRAINT notes_pkey CASCADE",
        "CREATE PUBLICATION all_notes FOR TABLE shop.notes",
        'ALTER POLICY "own notes are written" ON shop.notes WITH CHECK (shop.stops(author))',
    ):
        connection.execute(STOPS + statement if "POLICY" in statement else statement)
    published = grid(
        "shop.notes",
        """
                       select  insert  update  delete
        alice's note
          alice        yes     yes     55000   55000
          bob          -       !       55000   55000
          visitor      !       !       !       !
        """,
        update="body = 'changed'",
    )
    assert GridOutcomes(connection, world).failures(published) == {}


def test_a_setting_does_not_depend_on_earlier_tests(connection: Connection[Any], world: World) -> None:
    """A setting is NULL if it was never set, and '' after an earlier test set it, as on a pooled connection."""
    connection.execute(OPEN.replace("'yes'", "''").encode())
    initialize(connection, custom_settings(connection))
    cell_id = "alice's note-select-bob"
    first = verdict_of(connection, world, notes(), cell_id)
    assert verdict_of(connection, world, notes(settings={"shop.open": "no"}), cell_id) == "-"
    assert (first, verdict_of(connection, world, notes(), cell_id)) == ("yes", "yes")
