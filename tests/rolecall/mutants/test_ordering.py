"""The order in which the tests are tried against a mutant."""

from __future__ import annotations

import pytest

from rolecall.mutants.operators.operator import Mutant, Target
from rolecall.mutants.selection import Suite

TESTS = """
import pytest

@pytest.mark.parametrize("name", ["shop.titles", "shop.notes.body", "shop.notes.author"])
def test_columns(rolecall_db, name):
    assert rolecall_db.value("SELECT 1") == 1

def test_notes(rolecall_db):
    assert rolecall_db.value("SELECT 1") == 1
"""
COUNTED = """
from pathlib import Path

def test_no_policy_is_open(rolecall_db):  # of shop.notes
    with Path("runs.txt").open("a") as file:
        file.write("run\\n")
    query = "SELECT qual FROM pg_policies WHERE policyname = 'own notes are deleted'"
    assert rolecall_db.value(query) != "true"
"""


def mutant(operator: str, what: str, policy: str = "own notes are read") -> Mutant:
    """A mutant of a policy of shop.notes."""
    return Mutant(operator, Target("policy", policy, "shop.notes"), "shop.notes", what, "before", "sql")


@pytest.fixture
def suite(toy: pytest.Pytester) -> Suite:
    """A suite of two test functions and a grid with ``decided_by``."""
    path = toy.path / "test_notes.py"
    path.write_text(path.read_text().replace("    moves=", '    decided_by=["author"],\n    moves='))
    items, _ = toy.inline_genitems(toy.makepyfile(test_it=TESTS), path)
    return Suite(items)


def test_what_killed_the_same_change_is_tried_first(suite: Suite) -> None:
    """USING and WITH CHECK count as one change."""
    killed = mutant("policy-or", "USING or a header")
    tests = suite.relevant_tests(killed)
    killer = next(test for test in tests.tests if test.name == "test_notes")
    assert tests.behaviour.killers_of_same_change(killed) == []
    tests.put_first(killer, killed)
    for what in ("WITH CHECK or a header", "USING or a setting"):
        assert tests.behaviour.killers_of_same_change(mutant("policy-or", what, "own notes are deleted")) == [killer]
    assert tests.behaviour.killers_of_same_change(mutant("policy-and", "USING or a header")) == []


def test_the_killer_of_the_same_change_comes_before_that_of_the_same_operator(suite: Suite) -> None:
    header, setting = mutant("policy-or", "USING or a header"), mutant("policy-or", "USING or a setting")
    tests = suite.relevant_tests(header)
    first, last = (next(test for test in tests.tests if name in test.name) for name in ("test_notes", "shop.titles"))
    tests.put_first(first, header)
    tests.put_first(last, setting)
    assert [
        test.name for test in tests.behaviour.killers_of_same_change(mutant("policy-or", "WITH CHECK or a header"))
    ] == [
        "test_notes",
        "test_columns[shop.titles]",
        "test_columns[shop.notes.body]",
        "test_columns[shop.notes.author]",
    ]


def test_a_test_whose_id_names_the_object_comes_before_others_of_its_function(suite: Suite) -> None:
    """Also if the target is a part of the object, which no id names."""
    changed = mutant("policy-or", "USING or a header")
    tests = [test.name for test in suite.relevant_tests(changed).behaviour.in_turn(changed)]
    assert tests.index("test_columns[shop.notes.body]") < tests.index("test_columns[shop.titles]")


def test_a_slow_killer_is_no_quick_one(suite: Suite) -> None:
    """Tests of a whole grid count as slow until they have run."""
    killed = mutant("policy-or", "USING or a header")
    tests = suite.relevant_tests(killed)
    slow, quick = (
        next(test for test in tests.tests if test.name == name)
        for name in ("test_grid[decided by: columns]", "test_notes")
    )
    tests.put_first(slow, killed)
    tests.put_first(quick, killed)
    assert tests.behaviour.recent_killers(killed, only_quick=True) == [quick]
    assert tests.behaviour.recent_killers(killed) == [slow, quick]


def test_no_test_runs_twice_with_one_mutant(toy: pytest.Pytester) -> None:
    """It kills the first mutant, so that it is a recent killer, and not the second."""
    toy.makepyfile(test_it=COUNTED)
    options = ["--rolecall-mutants-of", "own notes are deleted", "--rolecall-mutants-operator", "policy-constant"]
    result = toy.runpytest_inprocess("--rolecall-mutants", *options, "test_it.py")
    assert result.parseoutcomes() == {"killed": 1, "survived": 1}
    assert (toy.path / "runs.txt").read_text().splitlines() == ["run"] * 3  # two mutants, and once without a mutant
