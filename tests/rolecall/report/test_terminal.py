"""The end of a run: how much of what the catalog holds was exercised, and what was not."""

from __future__ import annotations

import pytest

EVERYTHING = """\
import pytest

PERSONAS = ["alice", "bob", "visitor", "keeper"]


@pytest.mark.parametrize("persona", PERSONAS)
def test_function_and_view(db, persona):
    with db.acting_as(persona):
        for statement in ("SELECT shop.count_notes()", "SELECT * FROM shop.titles"):
            if persona == "visitor":
                with db.raises("42501"):
                    db.execute(statement)
            else:
                db.execute(statement)


def test_constraints(db):
    with db.raises("23505", constraint="notes_pkey"):
        db.execute("INSERT INTO shop.notes VALUES (1, 'alice')")
    with db.raises("23502", column="id"):
        db.execute("INSERT INTO shop.notes VALUES (NULL, 'alice')")
    with db.raises("23502", column="author"):
        db.execute("INSERT INTO shop.notes VALUES (3, NULL)")
    with db.raises("23514", constraint="short_body"):
        db.execute("INSERT INTO shop.notes VALUES (3, 'alice', 'much too long')")


def test_rollback(scratch):
    database = scratch(migrated=True)
    database.verify(1)
    database.rollback(1)
"""


def summary(result: pytest.RunResult) -> list[str]:
    """The lines of rolecall's section that count."""
    lines = result.stdout.lines
    (start,) = [number for number, line in enumerate(lines) if " rolecall " in line and line.startswith("---")]
    return [line for line in lines[start + 2 :] if line.startswith("  ")]


def test_nothing_exercised_is_nothing_of_all(toy: pytest.Pytester) -> None:
    """What the superuser runs is nothing: past all policies, it was run as nobody."""
    toy.makepyfile(test_other="def test_other(db): db.execute('SELECT shop.count_notes() FROM shop.titles')")
    result = toy.runpytest_inprocess("test_other.py")
    assert summary(result) == [
        "  policies                0 of 4   without shop.notes: own notes are changed,"
        " shop.notes: own notes are deleted, shop.notes: own notes are read and 1 more",
        "  constraints             0 of 4   without shop.notes: notes_pkey, shop.notes: short_body, shop.notes: author"
        " and 1 more",
        "  functions x personas    0 of 4   without shop.count_notes as alice, shop.count_notes as bob,"
        " shop.count_notes as visitor and 1 more",
        "  views x personas        0 of 4   without shop.titles as alice, shop.titles as bob, shop.titles as visitor"
        " and 1 more",
        "  rollbacks               0 of 1   without phase_1_notes",
    ]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_everything_exercised_is_all_of_all_by_one_process_or_several(toy: pytest.Pytester, processes: str) -> None:
    (toy.path / "test_rest.py").write_text(EVERYTHING)
    run = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = run("-n", processes)
    result.assert_outcomes(passed=47)
    assert summary(result) == [
        "  policies                4 of 4",
        "  constraints             4 of 4",
        "  functions x personas    4 of 4",
        "  views x personas        4 of 4",
        "  rollbacks               1 of 1",
    ]


def test_what_is_left_out_is_named(toy: pytest.Pytester) -> None:
    """One policy's command, one persona, one constraint: three gaps, and nothing else."""
    rest = EVERYTHING.replace(', "keeper"]', "]").replace('constraint="short_body"', 'message="short_body"')
    (toy.path / "test_rest.py").write_text(rest)
    result = toy.runpytest_inprocess("-k", "not delete")
    assert summary(result) == [
        "  policies                3 of 4   without shop.notes: own notes are deleted",
        "  constraints             3 of 4   without shop.notes: short_body",
        "  functions x personas    3 of 4   without shop.count_notes as keeper",
        "  views x personas        3 of 4   without shop.titles as keeper",
        "  rollbacks               1 of 1",
    ]


def test_what_is_not_there_is_not_counted(toy: pytest.Pytester) -> None:
    """Constraints of tables that the baseline brought are not the migrations'."""
    (toy.path / "migrations/phase_1_notes/1_2_count_notes.sql").unlink()
    baseline = toy.path / "baseline.sql"
    baseline.write_text(baseline.read_text() + "CREATE TABLE shop.old (id int PRIMARY KEY);\n")
    result = toy.runpytest_inprocess("test_notes.py")
    assert [line.split("   ")[0].strip() for line in summary(result)] == ["policies", "constraints", "rollbacks"]
    assert "shop.old" not in result.stdout.str()


def test_a_run_that_needs_no_database_makes_none(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", "postgresql://nowhere.invalid:1/")
    toy.makepyfile(test_other="def test_other(): pass")
    toy.runpytest_inprocess("test_other.py").assert_outcomes(passed=1)


def test_a_database_that_is_asked_for_late_is_made(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_other="def test_other(request): assert request.getfixturevalue('db').value('SELECT 1') == 1")
    toy.runpytest_inprocess("test_other.py").assert_outcomes(passed=1)


def test_the_rest_is_run_where_a_file_cannot_be_collected(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_broken="import nothing_of_this_name")
    result = toy.runpytest_inprocess("--continue-on-collection-errors")
    result.assert_outcomes(passed=41, errors=1)


# ------------------------------------------------------------------ one test and the next


def test_what_one_test_writes_the_next_does_not_see(toy: pytest.Pytester) -> None:
    """Two files of the same text: each finds what the other would have left."""
    for name in ("a", "b"):
        (toy.path / f"test_{name}.py").write_text(
            "def test_writing(db, scratch):\n"
            "    assert db.value('SELECT count(*) FROM shop.notes') == 2\n"
            "    assert db.value(\"SELECT current_setting('request.jwt.claims', true)\") in (None, '')\n"
            "    assert scratch(migrated=True).connection.execute('DELETE FROM shop.notes').rowcount == 2\n"
            "    with db.acting_as('alice'):\n"
            "        db.execute('DELETE FROM shop.notes')\n"
            "    db.execute('ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY')\n"
            "    db.execute('CREATE TABLE shop.made ()')\n"
            "    db.execute(\"SET request.jwt.claims = 'x'\")\n"
            "    assert db.value('SELECT count(*) FROM shop.notes') == 1\n"
        )
    result = toy.runpytest_inprocess("test_a.py", "test_b.py", "test_notes.py")
    result.assert_outcomes(passed=42)


def test_what_fails_or_breaks_a_transaction_is_undone_too(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_a="""
        def test_broken(db):
            db.execute("DELETE FROM shop.notes")
            with db.acting_as("alice"):
                db.execute("SELECT 1 / 0")

        def test_failing(db):
            db.execute("DELETE FROM shop.notes")
            assert db.persona is not None

        def test_after(db):
            assert db.value("SELECT count(*) FROM shop.notes") == 2
            assert db.value("SELECT current_user = session_user") is True
        """
    )
    toy.runpytest_inprocess("test_a.py").assert_outcomes(failed=2, passed=1)
