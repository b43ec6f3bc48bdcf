"""The tables, views and functions of a report: verdicts, privileges, policies, and what they use."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rolecall import Grid, World, grid
from rolecall.catalog import places
from rolecall.catalog.snapshot import Item
from rolecall.gather import objects
from rolecall.gather.objects import Sources
from rolecall.gather.project import Project
from rolecall.report.report import Place, ReportedColumn, ReportedCommand, ReportedObject
from rolecall.worker import Worker

Create = Callable[[str, World], Worker]


def read(worker: Worker, grids: Mapping[str, Grid] | None = None) -> dict[str, ReportedObject]:
    """The objects of a project, by name."""
    assert worker.settings.platform
    root = worker.settings.platform.parent
    world = worker.world
    expanded = {name: each.expanded(world) for name, each in (grids or {}).items()}
    made_by = {Item("relation", "shop.notes"): 1}
    sources = Sources(world, expanded, places.of(worker.settings, root), Project(root), made_by)
    return {each.name: each for each in objects.read(worker.connection, sources)}


def command(found: ReportedObject, row: str, name: str) -> ReportedCommand:
    (only,) = [each for each in found.commands if (each.row, each.command) == (row, name)]
    return only


@pytest.fixture
def notes_grid(toy_worker: Worker) -> Grid:
    """The grid of the toy project."""
    assert toy_worker.settings.platform
    found: Grid = runpy.run_path(str(toy_worker.settings.platform.parent / "test_notes.py"))["test_grid"]
    return found


# ------------------------------------------------------------------ with a grid


def test_a_table_with_a_grid(toy_worker: Worker, notes_grid: Grid) -> None:
    notes = read(toy_worker, {"test_notes.py::test_grid": notes_grid})["shop.notes"]
    assert (notes.kind, notes.phase, notes.row_security) == ("table", 1, True)
    assert notes.place == Place("migrations/phase_1_notes/1_1_notes.sql", 1)
    assert (notes.test, notes.test_place) == ("test_notes.py::test_grid", Place("test_notes.py", 3))
    assert [(each.row, each.command) for each in notes.commands] == [
        (row, name)
        for row in ("alice's note", "bob's note")
        for name in ("select", "insert", "update", "delete", "hand over")
    ]
    select = command(notes, "alice's note", "select")
    assert select.statement == 'SELECT * FROM "shop"."notes" WHERE "id" = 1'
    assert list(select.verdicts) == ["yes", "-", "!", "yes"]
    assert list(select.lines) == [8, 9, 10, 11]
    assert (select.details, select.expected) == ({}, {})
    assert command(notes, "alice's note", "hand over").statement.endswith("SET author = 'bob' WHERE \"id\" = 1")
    assert notes.privileges == {
        "toy_member": ["SELECT", "INSERT", "UPDATE", "DELETE"],
        "toy_visitor": [],
        "toy_keeper": ["SELECT", "INSERT", "UPDATE", "DELETE"],
    }
    both = ["toy_member", "toy_keeper"]
    assert [each.name for each in notes.columns] == ["id", "author", "body"]
    assert notes.columns[0] == ReportedColumn("id", "integer", both, both, both)
    assert list(notes.depends_on) == ["shop.me()"]


def test_policies_and_the_rows_that_each_lets_through(toy_worker: Worker) -> None:
    policies = {each.command: each for each in read(toy_worker)["shop.notes"].policies}
    own = {"alice": ["alice's note"], "bob": ["bob's note"], "visitor": []}  # the keeper bypasses policies
    assert policies["select"].name == "own notes are read"
    assert policies["select"].place == Place("migrations/phase_1_notes/1_1_notes.sql", 8)
    assert (policies["select"].admits, policies["select"].admits_new) == (own, {})
    assert (policies["insert"].admits, policies["insert"].admits_new) == ({}, own)
    assert (policies["update"].admits, policies["update"].admits_new) == (own, own)
    assert (policies["delete"].admits, policies["delete"].admits_new) == (own, {})


def test_verdicts_that_differ_from_the_grid(toy_worker: Worker, notes_grid: Grid) -> None:
    toy_worker.connection.execute(
        'ALTER POLICY "own notes are read" ON shop.notes USING (true);'
        "GRANT SELECT (id, body) ON shop.notes TO toy_visitor;"
        "REVOKE SELECT ON shop.notes FROM toy_keeper"
    )
    notes = read(toy_worker, {"test_notes.py::test_grid": notes_grid})["shop.notes"]
    select = command(notes, "alice's note", "select")
    assert list(select.verdicts) == ["yes", "yes", "!/yes", "!"]
    assert select.expected == {"bob": "-", "visitor": "!", "keeper": "yes"}
    assert select.details == {"visitor": "!/yes: 42501 permission denied for table notes; only id, body: 1 row"}
    update = command(notes, "alice's note", "update")
    assert update.verdicts[3] == "!/yes"
    assert update.details["keeper"].startswith("! with a condition: 42501 permission denied")
    assert notes.columns[2] == ReportedColumn(
        "body", "text", ["toy_member", "toy_visitor"], ["toy_member", "toy_keeper"], ["toy_member", "toy_keeper"]
    )
    (reads,) = [each for each in notes.policies if each.command == "select"]
    assert reads.admits["bob"] == ["alice's note", "bob's note"]


def test_a_row_that_cannot_be_loaded_and_a_cell_that_nobody_decided(project: Create) -> None:
    world = World()
    world.persona("alice", "toy_member", subject="alice")
    world.add("shop.notes", "good", id=1)
    world.add("shop.notes", "bad", id=-1)
    sql = "CREATE TABLE shop.notes (id int PRIMARY KEY CHECK (id > 0)); GRANT SELECT ON shop.notes TO toy_member;"
    text = "select  insert  update  delete\ngood\n alice  yes?  !  !  !\nbad\n alice  yes  !  !  !"
    notes = read(project(sql, world), {"test": grid("shop.notes", text, update="id = 2")})["shop.notes"]
    good, bad = command(notes, "good", "select"), command(notes, "bad", "select")
    assert (good.verdicts, good.details) == (
        ["yes"],
        {"alice": "the grid has a question mark here: nobody has decided this yet"},
    )
    assert bad.verdicts == [""]
    assert bad.details["alice"].startswith("the world's row 'bad' of shop.notes cannot be loaded: ")


# ------------------------------------------------------------------ without a grid


def test_a_view_without_a_grid(toy_worker: Worker) -> None:
    titles = read(toy_worker)["shop.titles"]
    assert (titles.kind, titles.row_security, titles.test, titles.test_place) == ("view", False, "", Place())
    assert list(titles.depends_on) == ["shop.notes"]
    assert " ".join(titles.definition.split()) == 'SELECT id, "left"(body, 3) AS title FROM shop.notes;'
    select = command(titles, "alice's note", "select")
    assert list(select.verdicts) == ["yes", "-", "!", "yes"]
    assert select.statement == "SELECT * FROM shop.titles"
    assert select.details == {"visitor": "42501 permission denied for view titles"}
    # Nobody may update it, but it has a column that could be.
    assert list(command(titles, "", "DELETE").verdicts) == ["!"] * 4


def test_functions(toy_worker: Worker) -> None:
    toy_worker.connection.execute(
        "CREATE FUNCTION shop.count_notes(of text, since date) RETURNS int LANGUAGE sql AS 'SELECT 1 FROM shop.titles';"
        "REVOKE EXECUTE ON FUNCTION shop.count_notes(text, date) FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION shop.count_notes(text, date) TO toy_keeper"
    )
    found = read(toy_worker)
    assert [name for name, each in found.items() if each.kind == "function"] == [
        "shop.count_notes()",
        "shop.count_notes(text, date)",
        "shop.me()",
    ]
    limited, old = found["shop.count_notes(text, date)"], found["shop.count_notes()"]
    assert limited.privileges == {"toy_member": [], "toy_visitor": [], "toy_keeper": ["EXECUTE"]}
    (call,) = limited.commands
    assert (call.row, call.command, list(call.verdicts)) == ("", "call", ["!", "!", "!", "yes"])
    assert call.statement == "SELECT has_function_privilege('shop.count_notes(text,date)', 'EXECUTE')"
    assert list(limited.depends_on) == ["shop.titles"]
    assert list(old.depends_on) == ["shop.notes"]
    assert old.definition.startswith("CREATE OR REPLACE FUNCTION shop.count_notes()")
    assert old.place == Place("migrations/phase_1_notes/1_2_count_notes.sql", 1)


ODD = """\
CREATE TABLE "it's ""mine""\"."Odd Table" ("the key" int, "group" text, PRIMARY KEY ("the key", "group"));
ALTER TABLE "it's ""mine""\"."Odd Table" ENABLE ROW LEVEL SECURITY;
GRANT SELECT, UPDATE ("group") ON "it's ""mine""\"."Odd Table" TO toy_member;
CREATE POLICY "it's ok" ON "it's ""mine""\"."Odd Table" USING (1 / ("the key" - 1) > 0) WITH CHECK ("group" = 'a');
CREATE FUNCTION "it's ""mine""\"."a trigger"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER "on change" BEFORE UPDATE ON "it's ""mine""\"."Odd Table"
  FOR EACH ROW EXECUTE FUNCTION "it's ""mine""\"."a trigger"();
CREATE VIEW "it's ""mine""\"."A View" AS SELECT count(*) AS "of all" FROM "it's ""mine""\"."Odd Table";
GRANT SELECT ON "it's ""mine""\"."A View" TO toy_member;
CREATE FUNCTION "it's ""mine""\"."F"("Arg" "it's ""mine""\"."Odd Table") RETURNS int LANGUAGE sql RETURN 1;
CREATE TABLE "it's ""mine""\"."Empty" (id int);
"""


def test_odd_names_and_no_grid(project: Create) -> None:
    world = World()
    for name in ("a <b>", "other"):
        world.persona(name, "toy_member", subject=name)
    world.persona("granted", "toy_visitor", setup="GRANT SELECT ON {table} TO toy_visitor")
    table = 'it\'s "mine".Odd Table'
    for key in (2, 3):
        world.add(table, f'row "{key}"', **{"the key": key, "group": "ab"[key - 2]})
    found = read(project(ODD, world))
    odd = found[table]
    select = command(odd, 'row "2"', "select")
    assert list(select.verdicts) == ["yes", "yes", "yes"]
    assert odd.place.line == 1
    update = command(odd, "", "UPDATE")
    assert (list(update.verdicts), update.details["other"]) == (["!/yes", "!/yes", "!"], "only group")
    (policy,) = odd.policies
    assert policy.place == Place("migrations/phase_1_shape/1_1_shape.sql", 4)
    assert policy.admits == {name: ['row "2"'] for name in ("a <b>", "other", "granted")}
    assert policy.admits_new == {name: ['row "2"'] for name in ("a <b>", "other", "granted")}
    assert [trigger.startswith('CREATE TRIGGER "on change" BEFORE UPDATE') for trigger in odd.triggers] == [True]
    assert list(odd.depends_on) == ['"it\'s ""mine"""."a trigger"()']
    view = found['it\'s "mine".A View']
    assert list(view.depends_on) == [table]
    assert [each.command for each in view.commands] == ["select"]  # no statement could write it
    assert list(view.commands[0].verdicts) == ["yes", "yes", "yes"]
    assert view.commands[0].details["other"] == "1 row"
    empty = found['it\'s "mine".Empty']
    select = command(empty, "", "select")
    assert (list(select.verdicts), select.details["granted"]) == (["!", "!", "yes"], "0 rows")
    assert empty.policies == []
    (name,) = [name for name, each in found.items() if each.kind == "function" and "F" in name]
    assert found[name].phase == 0
    assert found[name].place.line == 10


def test_a_policy_that_fails_lets_nothing_through(project: Create) -> None:
    world = World()
    world.persona("alice", "toy_member", subject="alice")
    world.add("shop.notes", "zero", id=0)
    sql = """
    CREATE TABLE shop.notes (id int PRIMARY KEY);
    GRANT SELECT ON shop.notes TO toy_member;
    CREATE POLICY fails ON shop.notes FOR SELECT USING (1 / id > 0);
    ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
    """
    notes = read(project(sql, world))["shop.notes"]
    assert [(each.name, each.admits) for each in notes.policies] == [("fails", {"alice": []})]
    select = command(notes, "zero", "select")
    assert (list(select.verdicts), select.details) == (["error"], {"alice": "22012 division by zero"})


def test_a_foreign_key_is_no_use_and_a_schema_may_be_closed(project: Create) -> None:
    """A privilege in a schema that a role may not enter is of no use, and so not shown."""
    world = World()
    world.persona("alice", "toy_member", subject="alice")
    sql = """
    CREATE TABLE shop.notes (id int PRIMARY KEY);
    CREATE SCHEMA closed;
    CREATE TABLE closed.tags (note int REFERENCES shop.notes);
    GRANT SELECT ON closed.tags TO toy_member;
    """
    tags = read(project(sql, world))["closed.tags"]
    assert tags.privileges == {"toy_member": []}
    assert tags.columns == [ReportedColumn("note", "integer", [], [], [])]
    assert list(command(tags, "", "select").verdicts) == ["!"]
    assert list(tags.depends_on) == []


def test_a_world_without_personas(project: Create) -> None:
    worker = project("CREATE TABLE shop.notes (id int PRIMARY KEY);", World())
    found = read(worker)
    assert [list(each.verdicts) for each in found["shop.notes"].commands] == [[]] * 4
    assert found["shop.notes"].privileges == {}


def test_a_view_with_a_grid(project: Create, tmp_path: Path) -> None:
    world = World()
    world.persona("alice", "toy_member", subject="alice")
    world.add("shop.notes", "hers", id=1)
    world.existing("shop.seen", "hers", id=1)
    sql = """
    CREATE TABLE shop.notes (id int PRIMARY KEY);
    CREATE VIEW shop.seen AS SELECT id FROM shop.notes;
    GRANT SELECT ON shop.seen TO toy_member;
    """
    text = "select  insert  update  delete\nhers\n alice  yes  !  !  !"
    seen = read(project(sql, world), {"test": grid("shop.seen", text, update="id = 2")})["shop.seen"]
    assert (seen.kind, seen.test, seen.test_place.file) == ("view", "test", str(Path(__file__)))
    assert [each.verdicts for each in seen.commands] == [["yes"], ["!"], ["!"], ["!"]]
    assert seen.test_place.file != str(tmp_path)
