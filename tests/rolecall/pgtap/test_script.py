"""An exported grid says in pgTAP what it says in rolecall, on schemas of many shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import Connection

from rolecall import Grid, World, grid
from rolecall.access.custom_settings import custom_settings, initialize
from rolecall.access.loading import load
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import prepare
from rolecall.pgtap.cells import Exported, export
from rolecall.pgtap.script import script
from rolecall.worker import Worker
from tests.awkward import POLICIES, TABLES, TRIGGERS, Shape
from tests.rolecall.conftest import AUTHENTICATOR
from tests.rolecall.pgtap.conftest import Tap, failing

# A file of pgTAP has one session: personas share plans and session-level locks, and nobody else logs in.
ONE_SESSION = ("STABLE, but calls an IMMUTABLE function", "takes a session-level lock", "checks the login role")
VERDICTS = [
    pytest.param(shape, id=f"{kind} {name}")
    for kind, group in {"table": TABLES, "trigger": TRIGGERS, "policy": POLICIES}.items()
    for name, shape in group.items()
    if name not in ONE_SESSION
]


@pytest.fixture(scope="module")
def connection(toy_built: Worker) -> Iterator[Connection[Any]]:
    """A superuser's connection to a database with the toy's baseline, with the probe."""
    with toy_built.scratch(migrated=False) as scratch:
        prepare(scratch.connection)
        yield scratch.connection


@pytest.fixture
def database(connection: Connection[Any]) -> Iterator[Connection[Any]]:
    """The connection in a transaction, which is rolled back."""
    with connection.transaction(force_rollback=True):
        connection.execute(AUTHENTICATOR.encode())
        yield connection


def migrate(database: Connection[Any], sql: str) -> None:
    """Run SQL as the migrations do."""
    database.execute("SET LOCAL ROLE toy_migrator")
    database.execute(sql.encode())
    database.execute("RESET ROLE")


def world_of(shape: Shape) -> World:
    """Three personas, and the rows of a shape."""
    world = World()
    for name in ("alice", "bob"):
        world.persona(name, "toy_member", subject=name)
    world.persona("visitor", "toy_visitor")
    world.add(shape.table, "alice's", **shape.row)
    for number, (table, row) in enumerate(shape.more):
        world.add(table, f"another {number}", **row)
    return world


def exported(database: Connection[Any], world: World, what: Grid) -> Exported:
    """The export of a grid, tried in a database with the world. The world is rolled back."""
    with database.transaction(force_rollback=True):
        load(database, world)
        initialize(database, custom_settings(database))
        outcomes = GridOutcomes(database, world)
        return export(what, [(cell, outcomes.try_cell(what, cell)) for cell in what.cells])


@pytest.mark.parametrize("shape", VERDICTS)
def test_the_verdicts_are_those_of_rolecall(database: Connection[Any], stand_in: Tap, shape: Shape) -> None:
    """Cells that are an error, which a grid cannot expect, are left out."""
    migrate(database, shape.sql)
    world = world_of(shape)
    text = shape.verdicts.replace("error", "!")
    made = exported(database, world, grid(shape.table, text, **{"update": "body = 'changed'"} | shape.options))
    assert len(made.differing) == shape.verdicts.count("error")
    lines = stand_in(database, script(made.assertions, world=world))
    assert [name for name in failing(lines) if not name.startswith(tuple(made.differing))] == []
    assert lines[0] == f"1..{len(made.assertions)}"
    assert sum(line.startswith(("ok ", "not ok ")) for line in lines) == len(made.assertions)


# -- what else a grid and a world may have

SCHEMA = """
CREATE TABLE shop.people (id text PRIMARY KEY);
CREATE TABLE shop.notes (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  author text NOT NULL REFERENCES shop.people DEFERRABLE INITIALLY DEFERRED,
  "a ""body"" text" text DEFAULT 'it''s :new',
  tenant text DEFAULT current_setting('app.tenant', true)
);
ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO toy_member;
GRANT SELECT (id, author) ON shop.notes TO toy_visitor;
CREATE POLICY own ON shop.notes TO toy_member USING (author = shop.me() AND tenant = current_setting('app.tenant'));
CREATE POLICY visits ON shop.notes TO toy_visitor USING (author = 'alice');
CREATE POLICY keeps ON shop.notes TO toy_keeper USING (current_setting('app.tenant') = '');
CREATE FUNCTION shop.refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'notes stay'; END $$;
CREATE TRIGGER refuses BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.refuses();
INSERT INTO shop.people VALUES ('alice');
GRANT SELECT, INSERT ON shop.people TO toy_member;
"""


@pytest.fixture
def world() -> World:
    """Rows that exist, that a persona makes, and that a superuser makes; personas with settings and a setup."""
    world = World()
    world.persona("alice", "toy_member", subject="alice", settings={"app.tenant": "its $$ own"})
    world.persona("bob", "toy_member", subject="bob", settings={"app.tenant": "b"})
    world.persona("visitor", "toy_visitor")
    world.persona(
        "granted",
        "toy_keeper",
        setup="GRANT USAGE ON SCHEMA {schema} TO toy_keeper; GRANT SELECT ON {table} TO toy_keeper; -- by mistake",
    )
    world.existing("shop.people", "alice", id="alice")
    world.add("shop.people", "bob", id="bob")
    world.add_as("alice", "shop.notes", "alice's note", author="alice", **{'a "body" text': "a $$ b\\n"})
    return world


def notes() -> Grid:
    """A grid with a move, settings, a setup, single columns, and a refusal with an SQLSTATE."""
    made: Grid = grid(
        "shop.notes",
        """
                      select   insert   update   delete   give to bob
        alice's note
          alice       yes      yes      yes      P0001    !
          bob         -        !        -        -        -
          visitor     !/yes    !        !        !        !
          granted     yes      !        !        !        !
        """,
        update='"a ""body"" text" = \'changed\'',
        moves={"give to bob": "author = {bob}"},
        key="author",
        settings={"app.mode": "on"},
    )
    return made


def test_a_script_brings_the_world_and_everything_that_its_personas_set(
    database: Connection[Any], tap: Tap, world: World
) -> None:
    migrate(database, SCHEMA)
    made = exported(database, world, notes())
    assert made.differing == []
    lines = tap(database, script(made.assertions, title="two\nlines", world=world, settings={"app.tenant"}))
    assert failing(lines) == []
    assert [line for line in lines if not line.startswith(("1..", "ok "))] == []
    assert len(lines) == 1 + len(made.assertions)


def test_a_broken_policy_fails(database: Connection[Any], tap: Tap, world: World) -> None:
    migrate(database, SCHEMA)
    made = exported(database, world, notes())
    migrate(
        database, "ALTER POLICY own ON shop.notes USING (true); REVOKE SELECT (author) ON shop.notes FROM toy_visitor"
    )
    lines = tap(database, script(made.assertions, world=world, settings={"app.tenant"}))
    assert {name.removeprefix("bob: ").split(" on ")[0] for name in failing(lines) if name.startswith("bob")} == {
        "select",
        "insert",
        "update",
        "delete",
        "give to bob",
    }
    assert [name for name in failing(lines) if not name.startswith("bob")] == [
        "alice: give to bob on alice's note",
        "alice: give to bob on alice's note, without reading a column",
        "alice: give to bob on alice's note, and reads the result",
        "visitor: select on alice's note, single columns",
    ]
