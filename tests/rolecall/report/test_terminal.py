"""The summary of a run: how much of the schema was covered, and what was not."""

from __future__ import annotations

import pytest

from tests.rolecall.toy_suite import SUITE, coverage_lines


def test_superuser_statements_cover_nothing(toy: pytest.Pytester) -> None:
    """The superuser bypasses all policies, and is no persona."""
    toy.makepyfile(test_other="def test_other(db): db.execute('SELECT shop.count_notes() FROM shop.titles')")
    result = toy.runpytest_inprocess("test_other.py")
    assert coverage_lines(result) == [
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
def test_a_complete_suite_covers_everything(toy: pytest.Pytester, processes: str) -> None:
    (toy.path / "test_rest.py").write_text(SUITE)
    run = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    result = run("-n", processes)
    result.assert_outcomes(passed=47)
    assert coverage_lines(result) == [
        "  policies                4 of 4",
        "  constraints             4 of 4",
        "  functions x personas    4 of 4",
        "  views x personas        4 of 4",
        "  rollbacks               1 of 1",
    ]


def test_a_gap_in_the_suite_is_named(toy: pytest.Pytester) -> None:
    """One command of a policy, one persona, one constraint: three gaps, and nothing else."""
    rest = SUITE.replace(', "keeper"]', "]").replace('constraint="short_body"', 'message="short_body"')
    (toy.path / "test_rest.py").write_text(rest)
    result = toy.runpytest_inprocess("-k", "not delete")
    assert coverage_lines(result) == [
        "  policies                3 of 4   without shop.notes: own notes are deleted",
        "  constraints             3 of 4   without shop.notes: short_body",
        "  functions x personas    3 of 4   without shop.count_notes as keeper",
        "  views x personas        3 of 4   without shop.titles as keeper",
        "  rollbacks               1 of 1",
    ]


def test_only_objects_of_the_migrations_are_counted(toy: pytest.Pytester) -> None:
    """Constraints of the baseline's tables are not counted."""
    (toy.path / "migrations/phase_1_notes/1_2_count_notes.sql").unlink()
    baseline = toy.path / "baseline.sql"
    baseline.write_text(baseline.read_text() + "CREATE TABLE shop.old (id int PRIMARY KEY);\n")
    result = toy.runpytest_inprocess("test_notes.py")
    assert [line.split("   ")[0].strip() for line in coverage_lines(result)] == ["policies", "constraints", "rollbacks"]
    assert "shop.old" not in result.stdout.str()
