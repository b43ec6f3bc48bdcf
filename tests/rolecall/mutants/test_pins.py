"""Pins, which compare a definition with a copy of it, do not count as behaviour. Items that try a whole grid do."""

from __future__ import annotations

import pytest

PIN = """\
import pytest


@pytest.mark.rolecall_pin
def test_the_definition_of_titles(db):
    assert "3" in db.value("SELECT pg_get_viewdef('shop.titles'::regclass)")
"""
BEHAVIOUR = """\
def test_a_title_of_titles_has_three_letters(db):
    assert db.value("SELECT title FROM shop.titles WHERE id = 1") == "her"
"""
EDITS_OF_TITLES = (
    "--rolecall-mutants",
    "--rolecall-mutants-of",
    "titles",
    "--rolecall-mutants-operator",
    "view-edit",
)
LOWER, HIGHER = (f"shop.titles | view-edit | 3 becomes {number}" for number in (2, 4))


@pytest.fixture
def pinned(toy: pytest.Pytester) -> pytest.Pytester:
    """The project, in which only a pin is about the view."""
    (toy.path / "test_pins.py").write_text(PIN)
    with (toy.path / "pytest.ini").open("a") as file:
        file.write("rolecall_equivalents = equivalents.txt\nrolecall_pinned = pinned.txt\n")
    for name in ("equivalents.txt", "pinned.txt"):
        (toy.path / name).write_text("")
    return toy


def declare(toy: pytest.Pytester, name: str, *mutants: str) -> None:
    (toy.path / name).write_text("".join(f"{each} :: the reason\n" for each in mutants))


def test_what_only_a_pin_notices_fails_the_run(pinned: pytest.Pytester) -> None:
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines_random(
        [
            "only a pin noticed: shop.titles: 3 becomes 2",
            "  pin         test_pins.py::test_the_definition_of_titles",
            f"  or declare  {LOWER} :: why only a pin can notice it",
            "by pins 2 · *",
        ]
    )


def test_a_declared_one_passes_and_is_counted(pinned: pytest.Pytester) -> None:
    declare(pinned, "pinned.txt", LOWER, HIGHER)
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES, "-v")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["mutants::*3 becomes 2 PINNED by test_pins.py::test_the_definition_of_titles*", "by pins 2 · *"]
    )


@pytest.mark.parametrize("name", ["pinned.txt", "equivalents.txt"])
def test_a_declared_one_that_behaviour_shows_is_an_error(pinned: pytest.Pytester, name: str) -> None:
    (pinned.path / "test_titles.py").write_text(BEHAVIOUR)
    declare(pinned, name, LOWER)
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES, "--rolecall-mutants-declared")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    killer = "test_titles.py::test_a_title_of_titles_has_three_letters"
    word = name.removesuffix("s.txt").removesuffix(".txt")
    result.stdout.fnmatch_lines_random(
        [
            f"{pinned.path}/{name}: {LOWER} is declared {word} (the reason), but {killer} kills it. Remove it.",
            "killed by behaviour 1 (100.0%), error 1 · *",
        ]
    )


def test_without_the_option_not_every_test_is_run_on_a_declared_one(pinned: pytest.Pytester) -> None:
    (pinned.path / "test_titles.py").write_text(BEHAVIOUR)
    declare(pinned, "pinned.txt", LOWER, HIGHER)
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["by pins 2 · *"])


def test_a_declared_equivalent_that_a_pin_notices_is_an_error(pinned: pytest.Pytester) -> None:
    declare(pinned, "equivalents.txt", LOWER)
    declare(pinned, "pinned.txt", HIGHER)
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES)
    killer = "test_pins.py::test_the_definition_of_titles"
    result.stdout.fnmatch_lines([f"*{LOWER} is declared equivalent (the reason), but {killer} kills it. Remove it."])


def test_a_declared_pin_that_no_longer_notices_it_is_a_survivor(pinned: pytest.Pytester) -> None:
    declare(pinned, "pinned.txt", LOWER, HIGHER)
    (pinned.path / "test_pins.py").write_text("")
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["survived 2 · *"])


def test_no_mutant_is_declared_in_both_files(pinned: pytest.Pytester) -> None:
    declare(pinned, "equivalents.txt", LOWER)
    declare(pinned, "pinned.txt", LOWER)
    result = pinned.runpytest_inprocess(*EDITS_OF_TITLES)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    first = f"in {pinned.path}/equivalents.txt:1"
    result.stderr.fnmatch_lines([f"ERROR: {pinned.path}/pinned.txt:1: {LOWER} is already declared, {first}."])


WHOLE_GRID = '''\
import pytest

from rolecall.item import CellItem
from rolecall.process.process import process_of


class Whole(pytest.Item):
    """Fails if somebody else's note is read. It is no function, and no cell."""

    grid = None

    def runtest(self):
        session = process_of(self.config).get_worker().session()
        with session as db, db.reading_as("bob"):
            assert db.value("SELECT count(*) FROM shop.notes") == 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    (cell, *_) = [item for item in items if isinstance(item, CellItem)]
    items[:] = [item for item in items if not isinstance(item, CellItem)]
    whole = Whole.from_parent(cell.parent, name="test_grid[whole]", nodeid=f"{cell.parent.nodeid}::test_grid[whole]")
    whole.grid = cell.grid
    items.append(whole)
'''


def test_an_item_that_tries_a_whole_grid_kills(toy: pytest.Pytester) -> None:
    with (toy.path / "conftest.py").open("a") as file:
        file.write(WHOLE_GRID)
    result = toy.runpytest_inprocess(
        *("--rolecall-mutants", "--rolecall-mutants-of", "are read"),
        *("--rolecall-mutants-operator", "policy-constant", "-v"),
    )
    killed = 'mutants::*"own notes are read" | policy-constant | USING becomes {} KILLED by {}*'
    result.stdout.fnmatch_lines(
        [killed.format(word, "test_notes.py::test_grid[[]whole[]]") for word in ("true", "false")]
    )
