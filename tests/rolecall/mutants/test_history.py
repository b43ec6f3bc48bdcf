"""What killed a mutant in an earlier run is tried first, and must fail again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

MUTANT = 'shop.notes "own notes are read" | policy-constant | USING becomes true'
SELECT = ["--rolecall-mutants", "--rolecall-mutants-of", "are read", "--rolecall-mutants-operator", "policy-constant"]
OF_CELL = "test_notes.py::test_grid[bob's note-select-alice]"
TESTS = """
from pathlib import Path

import pytest

QUERY = "SELECT qual FROM pg_policies WHERE policyname = 'own notes are read'"

@pytest.fixture(autouse=True)
def record(request):
    with Path("runs.txt").open("a") as file:
        file.write(f"{request.node.name}\\n")

def test_there_is_a_policy(rolecall_db):  # of shop.notes
    assert rolecall_db.row(QUERY)

def test_the_policy_is_not_open(rolecall_db):  # of shop.notes
    assert rolecall_db.value(QUERY) not in ("true", "false")

def test_the_policy_is_that_of_the_author(rolecall_db):  # of shop.notes
    assert "author" in rolecall_db.value(QUERY)
"""


@pytest.fixture
def project(toy: pytest.Pytester) -> pytest.Pytester:
    """The toy project with pytest's cache."""
    path = toy.path / "pytest.ini"
    path.write_text(path.read_text().replace(" -p no:cacheprovider", ""))
    return toy


@pytest.fixture
def tests(project: pytest.Pytester) -> str:
    """The name of a module of tests that write their names into ``runs.txt``."""
    return project.makepyfile(test_it=TESTS).name


def history(project: pytest.Pytester) -> Path:
    return project.path / ".pytest_cache/v/rolecall/killers"


def ran(project: pytest.Pytester) -> list[str]:
    """The tests that have run since the last call."""
    path = project.path / "runs.txt"
    names = path.read_text().splitlines()
    path.unlink()
    return names


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_last_killer_is_tried_first(project: pytest.Pytester, tests: str, processes: str) -> None:
    options = [*SELECT, "-n", processes, tests]
    assert project.runpytest_subprocess(*options).parseoutcomes() == {"killed": 2}
    assert ran(project)[0] == "test_there_is_a_policy"
    assert json.loads(history(project).read_text())[MUTANT] == f"{tests}::test_the_policy_is_not_open"
    assert project.runpytest_subprocess(*options).parseoutcomes() == {"killed": 2}
    assert set(ran(project)) == {"test_the_policy_is_not_open"}


def test_the_last_killer_comes_before_everything_else(project: pytest.Pytester, tests: str) -> None:
    """Also before the cells of the grid, and before what killed the mutant before it."""
    project.runpytest_inprocess(*SELECT)
    killer = f"{tests}::test_the_policy_is_that_of_the_author"
    history(project).write_text(json.dumps(dict.fromkeys(json.loads(history(project).read_text()), killer)))
    (project.path / "runs.txt").unlink(missing_ok=True)
    result = project.runpytest_inprocess(*SELECT, "-v")
    assert result.parseoutcomes() == {"killed": 2}
    assert result.stdout.str().count(f"KILLED by {killer}") == 2
    assert set(ran(project)) == {"test_the_policy_is_that_of_the_author"}


def test_a_cell_can_be_the_last_killer(project: pytest.Pytester) -> None:
    result = project.runpytest_inprocess(*SELECT, "-v", "test_notes.py")
    assert "KILLED by test_notes.py: alice's note-select-bob" in result.stdout.str()
    history(project).write_text(json.dumps({MUTANT: OF_CELL}))
    result = project.runpytest_inprocess(*SELECT, "-v", "test_notes.py")
    assert "KILLED by test_notes.py: bob's note-select-alice" in result.stdout.str()
    assert json.loads(history(project).read_text())[MUTANT] == OF_CELL


@pytest.mark.parametrize(
    "killer",
    [
        pytest.param("test_it.py::test_there_is_a_policy", id="a test that passes"),
        pytest.param("test_notes.py::test_grid[alice's note-select-alice]", id="a cell that passes"),
        pytest.param("test_gone.py::test_gone", id="a test that is gone"),
        pytest.param("test_notes.py::test_grid[carol's note-select-carol]", id="a cell that is gone"),
    ],
)
def test_what_kills_no_more_is_no_kill(project: pytest.Pytester, tests: str, killer: str) -> None:
    project.runpytest_inprocess(*SELECT, tests, "test_notes.py")
    before = json.loads(history(project).read_text())
    history(project).write_text(json.dumps(before | {MUTANT: killer, "shop.other": "kept"}))
    assert project.runpytest_inprocess(*SELECT, tests, "test_notes.py").parseoutcomes() == {"killed": 2}
    after = json.loads(history(project).read_text())
    assert after[MUTANT] not in ("", killer)
    assert after["shop.other"] == "kept"  # it was not in this run
    (project.path / "test_none.py").write_text("")
    assert project.runpytest_inprocess(*SELECT, "test_none.py").parseoutcomes() == {"survived": 2}
    assert MUTANT not in json.loads(history(project).read_text())


def test_a_pin_is_not_tried_first(project: pytest.Pytester, tests: str) -> None:
    """Otherwise a mutant that a test of behaviour kills would count as pinned."""
    path = project.path / tests
    path.write_text(
        TESTS.replace("def test_the_policy_is_not", "@pytest.mark.rolecall_pin\ndef test_the_policy_is_not")
    )
    project.runpytest_inprocess(*SELECT, f"{tests}::test_the_policy_is_not_open")
    assert not history(project).exists() or MUTANT not in json.loads(history(project).read_text())
    history(project).parent.mkdir(parents=True, exist_ok=True)
    history(project).write_text(json.dumps({MUTANT: f"{tests}::test_the_policy_is_not_open"}))
    shown = project.runpytest_inprocess(*SELECT, "-v", tests).stdout.str()
    assert shown.count("KILLED by ") == shown.count(f"KILLED by {tests}::test_the_policy_is_that_of_the_author") == 2


def test_a_cell_of_another_object_is_no_killer(project: pytest.Pytester) -> None:
    """A cell that fails anyway is noticed in the grids of the mutant's object only."""
    path = project.path / "test_notes.py"
    path.write_text(
        path.read_text().replace("      bob               -        !", "      bob               yes      !")
    )
    mutant = "shop.titles | view-invoker | runs as its owner"
    history(project).parent.mkdir(parents=True)
    history(project).write_text(json.dumps({mutant: "test_notes.py::test_grid[alice's note-select-bob]"}))
    options = ["--rolecall-mutants-of", "titles", "--rolecall-mutants-operator", "view-invoker"]
    result = project.runpytest_inprocess("--rolecall-mutants", *options, "test_notes.py")
    assert result.parseoutcomes() == {"survived": 1}


@pytest.mark.parametrize("text", ["[]", "no JSON", "{", json.dumps({MUTANT: []}), "null"])
def test_a_history_that_cannot_be_read_is_none(project: pytest.Pytester, tests: str, text: str) -> None:
    history(project).parent.mkdir(parents=True)
    history(project).write_text(text)
    assert project.runpytest_inprocess(*SELECT, tests).parseoutcomes() == {"killed": 2}
    assert MUTANT in json.loads(history(project).read_text())


def test_without_a_cache_there_is_no_history(project: pytest.Pytester, tests: str) -> None:
    assert project.runpytest_inprocess(*SELECT, "-p", "no:cacheprovider", tests).parseoutcomes() == {"killed": 2}
    assert not history(project).exists()
