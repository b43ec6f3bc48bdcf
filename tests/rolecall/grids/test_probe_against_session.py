"""The probe on the server has the same outcomes as a session that signs in and runs the statements."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rolecall import Grid, Session, World, grid
from rolecall.grids.probe import REFUSED, Check, Outcome, make_room, probe
from rolecall.grids.refusal import ROW_SECURITY
from rolecall.mutants.search import FirstFailure
from rolecall.worker import Worker

FOLDER = Path(__file__).parents[2] / "policies"
GRIDS = {
    f"{path.stem}-{name}": value
    for path in sorted(FOLDER.glob("test_*.py"))
    for name, value in runpy.run_path(str(path)).items()
    if isinstance(value, Grid) and value.path == path
}

# Every kind of verdict, with the difficult ones: two verdicts that differ, and a row that is soft-deleted.
AWKWARD = """
ALTER POLICY "own notes are changed" ON shop.notes USING (true);
CREATE FUNCTION shop.soft_delete() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE shop.notes SET body = 'gone' WHERE id = OLD.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER soft_delete BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.soft_delete();
"""


OPEN = 'ALTER POLICY "own notes are read" ON shop.notes USING (true)'
NOTES = """
                   select  insert  update  delete
    alice's note
      alice        yes     yes     yes     yes
      bob          -       !       -       -
      visitor      !       !       !       !
      keeper       yes     yes     yes     yes
"""


def by_session(connection: Connection[Any], world: World, check: Check) -> Outcome:
    """The outcome of a check that runs statement by statement, in a transaction that is rolled back."""
    session = Session(connection, world.personas)
    name = check.persona.name
    with connection.transaction(force_rollback=True):
        for statement in check.before:
            connection.execute(statement.encode())
        connection.execute(f"DECLARE target CURSOR FOR {check.locate} FOR UPDATE".encode())
        before = connection.execute("FETCH target").fetchone()
        if check.room:
            make_room(connection, check)
            before = None
        affected, sqlstate, message, by_row_security = 0, None, None, False
        signed_in = session.reading_as(name) if check.method == "GET" else session.acting_as(name, method=check.method)
        try:
            with connection.transaction(), signed_in:
                statement = check.statement + (" WHERE CURRENT OF target" if check.blind else "")
                affected = session.execute(statement).rowcount
                connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            affected, sqlstate, message = 0, error.sqlstate, error.diag.message_primary
            at_policy = error.diag.source_function == ROW_SECURITY and not error.diag.context
            by_row_security = sqlstate == REFUSED and at_policy
        after = connection.execute(check.locate.encode()).fetchone()
        changed = before != after
        assert not (sqlstate and changed), "a refused statement has changed its row"
        touched = changed and not affected
        return Outcome(affected, touched, sqlstate, message, None, by_row_security=by_row_security)


@pytest.fixture
def world_of_notes(toy_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> World:
    """The toy's world, to which a test may add personas."""
    monkeypatch.setattr(toy_worker.world, "personas", dict(toy_worker.world.personas))
    return toy_worker.world


def agree(connection: Connection[Any], world: World, a_grid: Grid) -> set[str]:
    """Assert that the probe and the session agree on every cell. Returns the verdicts."""
    checks = list(a_grid.all_checks(world))
    probed = probe(connection, [check for _, check in checks])
    for (cell, check), outcome in zip(checks, probed, strict=True):
        assert outcome == by_session(connection, world, check), f"{cell.id}: {check.statement}"
    return {word for outcome in probed for word in outcome.words}


def test_they_agree_on_every_kind_of_verdict(toy_worker: Worker) -> None:
    toy_worker.connection.execute(AWKWARD.encode())
    notes_grid = grid(
        "shop.notes",
        """
                       select  insert  update  delete  break
        alice's note
          alice        yes     yes     yes     yes     yes
          bob          -       !       -/yes   -       -
          visitor      !       !       !       !       !
          keeper       yes     yes     yes     yes     yes
        """,
        update="body = 'changed'",
        moves={"break": "body = 'much too long'"},
    )
    assert agree(toy_worker.connection, toy_worker.world, notes_grid) == {"yes", "-", "!", "error"}


def test_they_agree_on_a_select_that_writes(toy_worker: Worker) -> None:
    toy_worker.connection.execute(
        b"CREATE FUNCTION shop.seen() RETURNS bool LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        b" UPDATE shop.notes SET body = 'seen'; RETURN true; END $$;"
        b'ALTER POLICY "own notes are read" ON shop.notes USING (shop.seen())'
    )
    notes_grid = grid(
        "shop.notes",
        """
                       select  insert  update  delete
        alice's note
          alice        yes     yes     yes     yes
        """,
        update="body = 'changed'",
    )
    assert agree(toy_worker.connection, toy_worker.world, notes_grid) == {"error", "yes"}


def test_they_agree_on_rows_that_their_writer_may_not_read(toy_worker: Worker) -> None:
    """A shared plan has a RETURNING. It must not need the privilege to read the row."""
    toy_worker.connection.execute("ALTER POLICY \"own notes are read\" ON shop.notes USING (author = 'nobody')")
    toy_worker.connection.execute("REVOKE SELECT ON shop.notes FROM toy_member")
    notes_grid = grid("shop.notes", NOTES, update="body = 'changed'")
    assert agree(toy_worker.connection, toy_worker.world, notes_grid) == {"yes", "-", "!"}


def test_they_agree_on_two_personas_of_one_role_with_different_rights(
    toy_worker: Worker, world_of_notes: World
) -> None:
    """Personas of one role share a plan, but not if the setup of one changes what it may do."""
    toy_worker.connection.execute("CREATE POLICY keepers ON shop.notes TO toy_keeper USING (true)")
    world_of_notes.persona("apprentice", "toy_member", subject="bob", setup="GRANT toy_keeper TO toy_member")
    notes_grid = grid(
        "shop.notes",
        """
                                select  insert  update  delete
            alice's note
              alice, keeper     yes     yes     yes     yes
              apprentice        yes     yes     yes     yes
              bob               -       !       -       -
              visitor           !       !       !       !
        """,
        update="body = 'changed'",
    )
    assert agree(toy_worker.connection, world_of_notes, notes_grid) == {"yes", "-", "!"}
    assert {cell.persona: cell for cell in list(toy_worker.outcomes.try_grid(notes_grid))} == {}


def test_no_prepared_statement_stays(toy_worker: Worker) -> None:
    notes_grid = grid("shop.notes", NOTES, update="body = 'changed'")
    toy_worker.connection.execute("PREPARE rolecall_1 AS SELECT 1")  # left by a cancelled call
    assert list(toy_worker.outcomes.try_grid(notes_grid)) == []
    statements = toy_worker.connection.execute("SELECT name FROM pg_prepared_statements WHERE name LIKE 'rolecall%'")
    assert statements.fetchall() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param("SELECT 1", None, id="nothing"),
        pytest.param(OPEN, "alice's note-select-bob", id="a policy that is open"),
        pytest.param(
            "ALTER TABLE shop.notes ADD CHECK (body <> 'changed')", "alice's note-update-alice", id="an error"
        ),
        pytest.param("GRANT SELECT ON shop.notes TO toy_visitor", "alice's note-select-visitor", id="a grant"),
    ],
)
def test_the_search_finds_the_first_failing_cell(toy_worker: Worker, change: str, expected: str | None) -> None:
    """A trial stops at the first failure, and a run tries every cell. Both must name the same cell."""
    notes_grid = grid("shop.notes", NOTES, update="body = 'changed'")
    toy_worker.connection.execute(change.encode())
    first = FirstFailure(notes_grid, toy_worker.world).find(toy_worker.connection, recent=False)
    failing = [cell for cell in notes_grid.cells if toy_worker.check(notes_grid, cell)]
    assert first == (failing[0] if failing else None)
    assert (first and first.id) == expected


def test_the_project_has_grids() -> None:
    assert GRIDS, f"no grid was found in {FOLDER}"


@pytest.mark.parametrize("project_grid", GRIDS.values(), ids=GRIDS)
def test_they_agree_on_every_cell_of_the_projects_grids(db: Session, world: World, project_grid: Grid) -> None:
    assert agree(db.connection, world, project_grid.expanded(world)) <= {"yes", "-", "!"}
