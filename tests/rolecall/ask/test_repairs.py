"""The shortest repair: ten mistakes, and what must not be named as a repair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolecall.ask import text
from rolecall.ask.answer import Repairs
from rolecall.ask.edits import changed_words, words
from rolecall.ask.project import Project
from rolecall.ask.questions import explain, fix
from rolecall.errors import RolecallError

NOTES = '"shop"."notes"'


def repaired(
    project: Project,
    mistake: str,
    command: str,
    persona: str,
    row: str | None = "alice's note",
    expected: str | None = None,
    name: str = "shop.notes",
) -> Repairs:
    project.connection.execute(mistake.encode())
    return fix(project, explain(project, name, command, persona, row, expected))


@pytest.mark.parametrize(
    ("mistake", "command", "persona", "repair"),
    [
        (
            "CREATE POLICY public ON shop.notes FOR SELECT USING (true)",
            *("select", "bob", f'DROP POLICY "public" ON {NOTES}'),
        ),
        (
            'ALTER POLICY "own notes are read" ON shop.notes USING (true)',
            *("select", "bob", f'ALTER POLICY "own notes are read" ON {NOTES} USING ((author = shop.me()))'),
        ),
        (
            'ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.me() OR id > 0)',
            *("select", "bob", f'ALTER POLICY "own notes are read" ON {NOTES} USING (author = shop.me())'),
        ),
        (
            'ALTER POLICY "own notes are changed" ON shop.notes WITH CHECK (true)',
            *(
                "hand over",
                "alice",
                f'DROP POLICY "own notes are changed" ON {NOTES}; CREATE POLICY "own notes are changed" ON {NOTES}'
                " AS PERMISSIVE FOR UPDATE TO PUBLIC USING ((author = shop.me()))",
            ),
        ),
        (
            'ALTER POLICY "own notes are written" ON shop.notes WITH CHECK (body = shop.me())',
            *("insert", "alice", f'ALTER POLICY "own notes are written" ON {NOTES} WITH CHECK ((author = shop.me()))'),
        ),
        (
            "ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY",
            *("select", "bob", f"ALTER TABLE {NOTES} ENABLE ROW LEVEL SECURITY"),
        ),
        ("GRANT ALL ON shop.notes TO PUBLIC", "select", "visitor", f"REVOKE ALL ON {NOTES} FROM PUBLIC"),
        ("REVOKE DELETE ON shop.notes FROM toy_member", "delete", "alice", f'GRANT DELETE ON {NOTES} TO "toy_member"'),
        (
            "REVOKE USAGE ON SCHEMA shop FROM toy_member",
            *("select", "alice", 'GRANT USAGE ON SCHEMA "shop" TO "toy_member"'),
        ),
        (
            'ALTER POLICY "own notes are deleted" ON shop.notes TO toy_keeper',
            *("delete", "alice", f'ALTER POLICY "own notes are deleted" ON {NOTES} TO "toy_member"'),
        ),
        (
            "REVOKE EXECUTE ON FUNCTION shop.me FROM PUBLIC",
            *("select", "alice", 'GRANT EXECUTE ON FUNCTION shop.me() TO "toy_member"'),
        ),
    ],
)
def test_the_repair_of_a_mistake(toy_project: Project, mistake: str, command: str, persona: str, repair: str) -> None:
    found = repaired(toy_project, mistake, command, persona)
    assert found.best
    assert found.best.sql == repair
    # It was not applied.
    assert explain(toy_project, "shop.notes", command, persona, "alice's note", None)[0].differs


def test_a_dropped_policy_comes_back(toy_project: Project) -> None:
    found = repaired(toy_project, 'DROP POLICY "own notes are deleted" ON shop.notes', "delete", "alice", None)
    assert found.best
    assert "FOR DELETE" in found.best.sql
    assert "author = shop.me()" in found.best.sql
    assert len(found.best.green) == 1  # that of bob


def test_a_view_that_runs_as_its_owner(toy_project: Project) -> None:
    # The world has no row of the view: --fix cannot know what a change changes.
    with pytest.raises(RolecallError, match=r"--fix needs a row of shop\.titles in the world"):
        repaired(toy_project, "SELECT 1", "select", "bob", None, "-", "shop.titles")


def test_no_repair(toy_project: Project) -> None:
    found = repaired(toy_project, "SELECT 1", "select", "bob", expected="yes")
    if found.best is None:
        assert found.tried > 100
        assert text.repairs(found).startswith(f"no repair found: {found.tried} changes tried")
        assert found.almost
    else:  # a policy that only bob gets
        pytest.fail(found.best.sql)


def test_nothing_to_repair(toy_project: Project) -> None:
    with pytest.raises(RolecallError, match="nothing differs from what the grid says: give the verdict that you want"):
        repaired(toy_project, "SELECT 1", "select", "bob")


def test_a_function(toy_project: Project) -> None:
    found = repaired(toy_project, "SELECT 1", "execute", "alice", None, "!", "shop.me")
    assert found.best is None  # the policies need it
    create = "CREATE FUNCTION shop.secret() RETURNS int LANGUAGE sql RETURN 1"
    toy_project = replace(toy_project)  # the names are read again
    found = repaired(toy_project, create, "execute", "visitor", None, "!", "shop.secret")
    assert found.best
    grant = 'GRANT EXECUTE ON FUNCTION shop.secret() TO "toy_member", "toy_keeper"'
    assert found.best.sql == f"REVOKE EXECUTE ON FUNCTION shop.secret() FROM PUBLIC; {grant}"
    assert not found.best.also


def test_words() -> None:
    assert words("a.b = 'x y' AND \"c d\"(1)") == ["a.b", "=", "'x y'", "AND", '"c d"', "1"]
    assert changed_words("USING (true)", "USING (a = b)") == 3
    assert changed_words("a OR b OR c OR d", "a OR b") == 2
