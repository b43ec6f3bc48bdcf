"""The explanation of a failing cell: persona, statement, expected, got, and the policies that decided."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Any

import pytest

from rolecall import Grid, grid
from rolecall.report import terminal
from rolecall.worker import Worker

GRANTS = "  grants      toy_member holds SELECT, INSERT, UPDATE, DELETE on shop.notes\n"
READS = """\
  reads       the row in its WHERE: the SELECT policies decide too
  policy      "own notes are read" (permissive, for select, to public) using (author = shop.me())
              -> stops the row
"""


def notes(expected: str, **options: Any) -> Grid:
    """A grid of one row with the same expected verdict in every cell."""
    return grid(
        "shop.notes",
        """
                    select  insert  update  delete  hand over
        alice's note
          alice     X       X       X       X       X
          bob       X       X       X       X       X
          visitor   X       X       X       X       X
        """.replace("X", expected),
        **{"update": "body = 'changed'", "moves": {"hand over": "author = {bob}"}} | options,
    )


def explanation(worker: Worker, notes_grid: Grid, cell_id: str) -> str:
    """Why a cell failed, without the line with its place in the file."""
    (cell,) = [cell for cell in notes_grid.cells if cell.id == cell_id]
    failure = worker.check(notes_grid, cell)
    assert failure is not None, "the cell passes"
    first, written, rest = terminal.cell_failure(failure).split("\n", 2)
    assert written == f"  written     test_explain.py:{cell.line}"
    return f"{first}\n{rest}\n"


def test_a_read_that_is_stopped(toy_worker: Worker) -> None:
    assert explanation(toy_worker, notes("yes"), "alice's note-select-bob") == textwrap.dedent("""\
        bob: select on "alice's note" of shop.notes
          signed in   role toy_member, claims {"sub": "bob", "role": "toy_member"}
          expected    yes  allowed
          ran         SELECT * FROM "shop"."notes" WHERE "id" = 1
          got         -    no row
          grants      toy_member holds SELECT, INSERT, UPDATE, DELETE on shop.notes
          policy      "own notes are read" (permissive, for select, to public) using (author = shop.me())
                      -> stops the row
        """)


def test_a_key_with_two_rows(toy_worker: Worker) -> None:
    """A migration or a trigger may have made the other row."""
    toy_worker.connection.execute("INSERT INTO shop.notes VALUES (3, 'bob', 'hers')")
    text = explanation(toy_worker, notes("-", key="body"), "alice's note-select-bob")
    assert text.endswith("""'hers': set key= of the grid to columns that are unique in the whole table\n""")


def test_a_read_that_is_let_through(toy_worker: Worker) -> None:
    """One of two permissive policies admits the row, and the restrictive one does not stop it."""
    toy_worker.connection.execute("CREATE POLICY open ON shop.notes FOR SELECT TO toy_member USING (true)")
    toy_worker.connection.execute("CREATE POLICY most ON shop.notes AS RESTRICTIVE USING (author <> 'nobody')")
    assert explanation(toy_worker, notes("-"), "alice's note-select-bob") == textwrap.dedent("""\
        bob: select on "alice's note" of shop.notes
          signed in   role toy_member, claims {"sub": "bob", "role": "toy_member"}
          expected    -    no error, no row
          ran         SELECT * FROM "shop"."notes" WHERE "id" = 1
          got         yes  1 row
          grants      toy_member holds SELECT, INSERT, UPDATE, DELETE on shop.notes
          policy      "open" (permissive, for select, to toy_member) using true
                      -> lets the row through
          policy      "own notes are read" (permissive, for select, to public) using (author = shop.me())
                      -> stops the row
          policy      "most" (RESTRICTIVE, for all, to public) using (author <> 'nobody'::text)
                      -> lets the row through
        """)


def test_a_grant_that_is_missing(toy_worker: Worker) -> None:
    assert explanation(toy_worker, notes("yes"), "alice's note-select-visitor") == textwrap.dedent("""\
        visitor: select on "alice's note" of shop.notes
          signed in   role toy_visitor, claims {"role": "toy_visitor"}
          expected    yes  allowed
          ran         SELECT * FROM "shop"."notes" WHERE "id" = 1
          got         !    42501 permission denied for table notes
          grants      toy_visitor holds nothing on shop.notes
          policy      "own notes are read" (permissive, for select, to public) using (author = shop.me())
                      -> stops the row
        """)


def test_a_command_without_a_policy(toy_worker: Worker) -> None:
    toy_worker.connection.execute('DROP POLICY "own notes are read" ON shop.notes')
    text = explanation(toy_worker, notes("yes"), "alice's note-select-alice")
    assert text.endswith(GRANTS + "  policy      none applies to select for toy_member\n")


def test_an_insert(toy_worker: Worker) -> None:
    assert explanation(toy_worker, notes("yes"), "alice's note-insert-bob") == textwrap.dedent("""\
        bob: insert on "alice's note" of shop.notes
          signed in   role toy_member, claims {"sub": "bob", "role": "toy_member"}
          expected    yes  allowed
          ran         INSERT INTO "shop"."notes" ("id", "author", "body") VALUES (1, 'alice', 'hers')
          got         !    42501 new row violates row-level security policy for table "notes"
          grants      toy_member holds SELECT, INSERT, UPDATE, DELETE on shop.notes
          policy      "own notes are written" (permissive, for insert, to public) with check (author = shop.me())
                      -> stops the row
        """)


def test_an_insert_whose_returning_is_refused(toy_worker: Worker) -> None:
    toy_worker.connection.execute('ALTER POLICY "own notes are read" ON shop.notes USING (false)')
    text = explanation(toy_worker, notes("yes"), "alice's note-insert-alice")
    assert "  got         yes  1 row\n" in text
    assert "  reads       the row in its RETURNING: the SELECT policies decide too\n" in text


def test_an_insert_under_a_policy_for_all(toy_worker: Worker) -> None:
    """Without WITH CHECK, USING also applies to new rows."""
    toy_worker.connection.execute('DROP POLICY "own notes are written" ON shop.notes')
    toy_worker.connection.execute("CREATE POLICY own ON shop.notes USING (author = shop.me())")
    policy = '  policy      "own" (permissive, for all, to public) using (author = shop.me())\n'
    text = explanation(toy_worker, notes("!"), "alice's note-insert-alice")
    assert text.endswith(GRANTS + policy + "              -> lets the row through\n")
    text = explanation(toy_worker, notes("yes"), "alice's note-insert-bob")
    assert text.endswith(GRANTS + policy + "              -> stops the row\n")


@pytest.mark.parametrize(
    ("persona", "expected", "meaning", "got", "decision"),
    [
        pytest.param("alice", "-", "no error, no row", "yes  1 row", "lets the row through", id="let through"),
        pytest.param("bob", "yes", "allowed", "-    no row", "stops the row", id="stopped"),
    ],
)
@pytest.mark.parametrize(
    ("command", "statement", "policy"),
    [
        pytest.param("update", """UPDATE "shop"."notes" SET body = 'changed'""", "changed", id="update"),
        pytest.param("delete", 'DELETE FROM "shop"."notes"', "deleted", id="delete"),
    ],
)
def test_a_write_is_shown_with_and_without_a_where(
    toy_worker: Worker,
    persona: str,
    expected: str,
    meaning: str,
    got: str,
    decision: str,
    command: str,
    statement: str,
    policy: str,
) -> None:
    assert explanation(toy_worker, notes(expected), f"alice's note-{command}-{persona}") == textwrap.dedent(f"""\
        {persona}: {command} on "alice's note" of shop.notes
          signed in   role toy_member, claims {{"sub": "{persona}", "role": "toy_member"}}
          expected    {expected:4} {meaning}
          ran         {statement} WHERE "id" = 1
          got         {got}
          ran         {statement}  (blind: a cursor aims at the row, no column is read)
          got         {got}
          grants      toy_member holds SELECT, INSERT, UPDATE, DELETE on shop.notes
          policy      "own notes are {policy}" (permissive, for {command}, to public) using (author = shop.me())
                      -> {decision}
        """) + (READS if got.startswith("-") else "")


def test_only_the_blind_write_succeeds(toy_worker: Worker) -> None:
    toy_worker.connection.execute('ALTER POLICY "own notes are changed" ON shop.notes USING (true)')
    lines = explanation(toy_worker, notes("-"), "alice's note-update-bob").splitlines()
    assert [line for line in lines if line.startswith("  got")] == [
        "  got         -    no row",
        "  got         yes  1 row",
    ]


def test_both_expected_verdicts_are_explained(toy_worker: Worker) -> None:
    text = explanation(toy_worker, notes("-/yes"), "alice's note-update-bob")
    assert "  expected    -/yes no error, no row / allowed\n" in text


@pytest.mark.parametrize(
    ("condition", "shown", "decision"),
    [
        pytest.param(
            "author = shop.me()",
            "(author = shop.me())",
            "lets the row through, stops the updated row",
            id="stopped",
        ),
        pytest.param("true", "true", "lets the row through", id="let through"),
    ],
)
def test_the_updated_row_is_checked_too(toy_worker: Worker, condition: str, shown: str, decision: str) -> None:
    """The update fails at WITH CHECK: that USING admits the row explains nothing."""
    for statement in (
        f'ALTER POLICY "own notes are changed" ON shop.notes WITH CHECK ({condition})',
        'ALTER POLICY "own notes are read" ON shop.notes USING (true)',
    ):
        toy_worker.connection.execute(statement.encode())
    text = explanation(toy_worker, notes("-"), "alice's note-hand over-alice")
    assert text.endswith(f"using (author = shop.me()) with check {shown}\n              -> {decision}\n")


def test_a_trigger_that_skips_the_update_is_named(toy_worker: Worker) -> None:
    toy_worker.connection.execute(
        b"CREATE FUNCTION shop.skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        b"CREATE TRIGGER skips BEFORE UPDATE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.skip();"
    )
    text = explanation(toy_worker, notes("yes"), "alice's note-update-alice")
    expected = 'lets the row through; then the update changes no row, because of the trigger "skips"'
    assert text.endswith(f"              -> {expected}\n")


def test_without_with_check_using_decides_about_the_updated_row(toy_worker: Worker) -> None:
    text = explanation(toy_worker, notes("yes"), "alice's note-hand over-alice")
    assert text.endswith("              -> lets the row through, stops the updated row\n")


def test_the_setup_of_a_persona_is_shown(toy_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = replace(toy_worker.world.personas["visitor"], setup="GRANT SELECT ON {table} TO toy_visitor")
    monkeypatch.setitem(toy_worker.world.personas, "visitor", visitor)
    text = explanation(toy_worker, notes("yes"), "alice's note-select-visitor")
    assert '  and before  GRANT SELECT ON "shop"."notes" TO toy_visitor\n' in text
    assert "  grants      toy_visitor holds SELECT on shop.notes\n" in text


def test_an_error_is_shown(toy_worker: Worker) -> None:
    text = explanation(toy_worker, notes("!", update="bodi = 'changed'"), "alice's note-update-bob")
    assert '  got         error 42703 column "bodi" of relation "notes" does not exist\n' in text


def test_a_role_that_does_not_exist_is_shown(toy_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = replace(toy_worker.world.personas["visitor"], role="toy_missing")
    monkeypatch.setitem(toy_worker.world.personas, "visitor", visitor)
    text = explanation(toy_worker, notes("!"), "alice's note-select-visitor")
    assert "  got         error the check itself failed: 22023 " in text


def test_an_explanation_is_rolled_back(toy_worker: Worker) -> None:
    catalog = "SELECT policyname, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'shop' ORDER BY 1"
    before = toy_worker.connection.execute(catalog.encode()).fetchall()
    failures = [toy_worker.check(each, cell) for each in (notes("yes"), notes("!")) for cell in each.cells]
    assert len(list(filter(None, failures))) == 19
    assert toy_worker.connection.execute(catalog.encode()).fetchall() == before
    assert toy_worker.connection.execute("SELECT current_user = session_user").fetchone() == (True,)
    assert toy_worker.connection.execute("SELECT author, body FROM shop.notes ORDER BY id").fetchall() == [
        ("alice", "hers"),
        ("bob", "his"),
    ]


def test_pytest_shows_the_explanation_and_no_traceback(toy: pytest.Pytester) -> None:
    path = toy.path / "test_notes.py"
    path.write_text(path.read_text().replace("bob               -        !", "bob               yes      !"))
    result = toy.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=39, failed=1)
    shown = result.stdout.str().split("= FAILURES =")[1]
    assert (
        textwrap.dedent("""\
        bob: select on "alice's note" of shop.notes
          written     test_notes.py:9
          signed in   role toy_member, claims {"sub": "bob", "role": "toy_member"}
          expected    yes  allowed
          ran         SELECT * FROM "shop"."notes" WHERE "id" = 1
          got         -    no row
          grants      toy_member holds SELECT, INSERT, UPDATE, DELETE on shop.notes
          policy      "own notes are read" (permissive, for select, to public) using (author = shop.me())
                      -> stops the row
        ---""")
        in shown
    )
    assert "rolecall/" not in shown
