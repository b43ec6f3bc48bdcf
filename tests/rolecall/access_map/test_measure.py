"""What is measured of tables with and without a grid, of views and functions."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rolecall import Grid, World, grid
from rolecall.access_map.measure import measure
from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell
from rolecall.grids.outcomes import GridOutcomes
from rolecall.grids.probe import Results
from rolecall.report.access import Access, AccessMap, Attempt
from rolecall.worker import Worker

Project = Callable[[str, World], Worker]

NOTES = """
CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text);
ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO toy_member;
CREATE POLICY own ON shop.notes USING (author = shop.me());
"""


def notes_grid(made: World) -> Grid:
    """A grid without a verdict: only what is tried matters."""
    return grid("shop.notes", "select   insert   update   delete", update="body = 'changed'").completed(made)


def world() -> World:
    made = World()
    made.persona("alice", "toy_member", subject="alice")
    made.persona("bob", "toy_member", subject="bob")
    made.persona("visitor", "toy_visitor")
    made.add("shop.notes", "alice's note", id=1, author="alice", body="hers")
    made.add("shop.notes", "bob's note", id=2, author="bob", body="his")
    return made


def measured(project: Project, sql: str) -> AccessMap:
    worker = project(NOTES + sql, world())
    return measure(worker.connection, worker.world, [notes_grid(worker.world)])


def test_a_table_with_a_grid_is_tried_row_by_row(project: Project) -> None:
    attempts = dict(measured(project, "").objects["shop.notes"].attempts)
    rows, commands = ("alice's note", "bob's note"), ("select", "insert", "update", "delete")
    assert attempts.pop(Attempt("", "TRUNCATE")) == {}
    assert {*attempts} == {Attempt(row, command) for row in rows for command in commands}
    for (row, _), granted in attempts.items():
        assert granted == {row.removesuffix("'s note"): Access()}


def test_ways_and_columns_limit_an_access(project: Project) -> None:
    sql = """
        DROP POLICY own ON shop.notes;
        CREATE POLICY added ON shop.notes FOR INSERT WITH CHECK (author = shop.me());
        CREATE POLICY seen ON shop.notes FOR SELECT USING (author = shop.me() AND id > 1);
        REVOKE SELECT ON shop.notes FROM toy_member;
        GRANT SELECT (id, body) ON shop.notes TO toy_member;
    """
    attempts = measured(project, sql).objects["shop.notes"].attempts
    assert attempts[Attempt("bob's note", "select")] == {"bob": Access(columns=("id", "body"))}
    assert attempts[Attempt("alice's note", "select")] == {}
    limited = Access(without=("with RETURNING", "as an upsert"))
    assert attempts[Attempt("alice's note", "insert")] == {"alice": limited}


def test_a_view_shows_rows_by_their_names_in_the_world(project: Project) -> None:
    sql = """
        CREATE VIEW shop."the titles" AS SELECT id, left(body, 3) AS title FROM shop.notes WHERE author = shop.me();
        GRANT SELECT, DELETE ON shop."the titles" TO toy_member;
    """
    item = measured(project, sql).objects["shop.the titles"]
    assert item.kind == "view"
    assert item.attempts == {
        Attempt("alice's note", "select"): {"alice": Access()},
        Attempt("bob's note", "select"): {"bob": Access()},
        Attempt("", "INSERT"): {},
        Attempt("", "UPDATE"): {},
        Attempt("", "DELETE"): {"alice": Access(), "bob": Access()},
    }


def test_rows_without_names_are_counted(project: Project) -> None:
    sql = """
        CREATE VIEW shop.counts AS SELECT author, count(*) FROM shop.notes GROUP BY 1;
        GRANT SELECT ON shop.counts TO toy_visitor;
        CREATE TABLE shop.log (line text);
        INSERT INTO shop.log VALUES ('a'), ('b'), ('c');
        GRANT SELECT (line), INSERT, UPDATE (line) ON shop.log TO toy_member;
    """
    objects = measured(project, sql).objects
    assert objects["shop.counts"].attempts[Attempt("", "select")] == {"visitor": Access(rows=2)}
    log = objects["shop.log"].attempts
    assert log[Attempt("", "select")] == dict.fromkeys(("alice", "bob"), Access(rows=3))
    assert {command for (_, command), granted in log.items() if granted} == {"select", "INSERT", "UPDATE"}


def test_who_may_select_from_what_is_empty(project: Project) -> None:
    """No row says it. Where policies decide, it is not known who would see one."""
    sql = """
        CREATE TABLE shop.log (line text);
        GRANT SELECT ON shop.log TO toy_visitor;
        CREATE TABLE shop.log_columns (line text, secret text);
        GRANT SELECT (line) ON shop.log_columns TO toy_visitor;
        CREATE TABLE shop.protected (line text);
        ALTER TABLE shop.protected ENABLE ROW LEVEL SECURITY;
        GRANT SELECT ON shop.protected TO toy_visitor;
        CREATE VIEW shop.none AS SELECT line FROM shop.log;
        GRANT SELECT ON shop.none TO toy_visitor;
    """
    found = {name: item.attempts.get(Attempt("", "select")) for name, item in measured(project, sql).objects.items()}
    assert found["shop.log"] == {"visitor": Access(rows=0)}
    assert found["shop.log_columns"] == {"visitor": Access(columns=("line",), rows=0)}
    assert (found["shop.protected"], found["shop.none"]) == ({}, {})


def test_single_columns_of_a_table_without_grid(project: Project) -> None:
    sql = """
        CREATE TABLE shop.people (id int PRIMARY KEY, name text, "secret code" text);
        INSERT INTO shop.people VALUES (1, 'Ann', 'x');
        GRANT SELECT (id, name), UPDATE (name) ON shop.people TO toy_visitor;
    """
    attempts = measured(project, sql).objects["shop.people"].attempts
    assert attempts[Attempt("", "select")] == {"visitor": Access(columns=("id", "name"), rows=1)}
    assert attempts[Attempt("", "UPDATE")] == {"visitor": Access(columns=("name",))}
    assert attempts[Attempt("", "INSERT")] == {}


ONLY_ALICE = """
CREATE TABLE shop.log (line text);
GRANT INSERT, UPDATE, DELETE ON shop.log TO toy_member;
CREATE FUNCTION shop.only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF shop.me() <> '{}' THEN RAISE 'not you' USING ERRCODE = '42501'; END IF; RETURN NULL; END $$;
CREATE TRIGGER only_one BEFORE INSERT OR UPDATE OR DELETE ON shop.log FOR EACH STATEMENT EXECUTE FUNCTION shop.only();
"""


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_a_trigger_for_statements_may_refuse_one_persona_of_a_role(project: Project, name: str) -> None:
    attempts = measured(project, ONLY_ALICE.format(name)).objects["shop.log"].attempts
    assert attempts == {Attempt("", "select"): {}} | {
        Attempt("", privilege): {} if privilege == "TRUNCATE" else {name: Access()}
        for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
    }


def test_a_function_with_and_without_its_schema(project: Project) -> None:
    sql = """
        CREATE FUNCTION shop.add(a int, b int) RETURNS int LANGUAGE sql RETURN a + b;
        REVOKE EXECUTE ON FUNCTION shop.add FROM public;
        GRANT EXECUTE ON FUNCTION shop.add TO toy_visitor;
        CREATE SCHEMA hidden;
        CREATE PROCEDURE hidden.run() LANGUAGE sql AS 'SELECT 1';
        CREATE FUNCTION shop.changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    """
    objects = measured(project, sql).objects
    assert objects["shop.add(integer, integer)"].attempts == {Attempt("", "call"): {"visitor": Access()}}
    assert objects["hidden.run()"].attempts == {Attempt("", "call"): {}}
    assert "shop.changed()" not in objects


def test_nothing_stays_behind(project: Project) -> None:
    sql = "CREATE TABLE shop.log (line text); GRANT ALL ON shop.log TO toy_member;"
    worker = project(NOTES + sql, world())
    grids = [notes_grid(worker.world)]
    first = measure(worker.connection, worker.world, grids)
    assert measure(worker.connection, worker.world, grids) == first
    assert worker.connection.execute("SELECT count(*) FROM shop.notes").fetchone() == (2,)


@pytest.mark.parametrize("statement", ["CREATE MATERIALIZED VIEW shop.m AS SELECT 1 AS one WITH NO DATA", "SELECT 1"])
def test_what_cannot_be_selected_is_no_access(project: Project, statement: str) -> None:
    sql = f"""
        {statement};
        CREATE VIEW shop.broken AS SELECT 1 / (id - id) AS x FROM shop.notes;
        GRANT SELECT ON ALL TABLES IN SCHEMA shop TO toy_member;
    """
    objects = measured(project, sql).objects
    assert objects["shop.broken"].attempts[Attempt("", "select")] == {}


def test_a_partition_with_privileges_of_its_own_is_another_way_to_the_rows(project: Project) -> None:
    sql = """
        CREATE TABLE shop.events (id int PRIMARY KEY, author text) PARTITION BY RANGE (id);
        ALTER TABLE shop.events ENABLE ROW LEVEL SECURITY;
        CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (10);
        CREATE TABLE shop.events_2 PARTITION OF shop.events FOR VALUES FROM (10) TO (20);
        INSERT INTO shop.events VALUES (1, 'alice');
        GRANT SELECT ON shop.events, shop.events_1 TO toy_visitor;
    """
    objects = measured(project, sql).objects
    assert objects["shop.events"].attempts[Attempt("", "select")] == {}
    assert objects["shop.events_1"].attempts[Attempt("", "select")] == {"visitor": Access(rows=1)}
    assert "shop.events_2" not in objects


def test_truncate_is_looked_up(project: Project) -> None:
    attempts = measured(project, "GRANT TRUNCATE ON shop.notes TO toy_visitor;").objects["shop.notes"].attempts
    assert attempts[Attempt("", "TRUNCATE")] == {"visitor": Access()}


SLOW = "CASE shop.me() WHEN 'bob' THEN pg_sleep(9) IS NULL ELSE true END"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        (
            f"CREATE POLICY slow ON shop.notes USING ({SLOW})",
            "the access to shop.notes cannot be measured: the time was up",
        ),
        (f"CREATE VIEW shop.slow AS SELECT 1 AS one WHERE {SLOW}; GRANT SELECT ON shop.slow TO toy_member", "timeout"),
    ],
    ids=["with a grid", "without a grid"],
)
def test_a_timeout_is_an_error_and_not_a_refusal(project: Project, sql: str, error: str) -> None:
    worker = project(NOTES + sql, world())
    worker.connection.execute("SET statement_timeout = '300ms'")
    with pytest.raises(RolecallError, match=error):
        measure(worker.connection, worker.world, [notes_grid(worker.world)])


def test_a_command_that_does_not_fit_the_schema_is_not_tried(project: Project) -> None:
    worker = project(NOTES, world())
    older = grid("shop.notes", "select   insert   update   delete", update="added_later = 1").completed(worker.world)
    attempts = measure(worker.connection, worker.world, [older]).objects["shop.notes"].attempts
    assert {command for _, command in attempts} == {"select", "insert", "delete", "TRUNCATE"}


def test_a_role_that_does_not_exist_has_no_access(project: Project) -> None:
    made = world()
    made.persona("carol", "toy_role_of_the_next_revision")
    worker = project(NOTES, made)
    found = measure(worker.connection, worker.world, [notes_grid(worker.world)])
    assert [each for item in found.objects.values() for each in item.attempts.values() if "carol" in each] == []


def test_a_check_that_breaks_as_one_persona_only_is_an_error(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows then whether the persona has access."""
    worker = project(NOTES, world())
    real = GridOutcomes.results

    def results(self: GridOutcomes, tried: Grid) -> Iterator[tuple[Cell, Results]]:
        for cell, found in real(self, tried):
            broken = [(check, replace(outcome, broken="XX000 a defect")) for check, outcome in found]
            yield cell, broken if cell.persona == "bob" else found

    monkeypatch.setattr(GridOutcomes, "results", results)
    with pytest.raises(RolecallError, match=r"cannot be tried as bob, so who may do it is not known: .*XX000 a defect"):
        measure(worker.connection, worker.world, [notes_grid(worker.world)])
