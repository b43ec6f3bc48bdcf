"""A line of ``everyone else`` has a cell for each persona that no other line of its heading names."""

from __future__ import annotations

import pytest

from rolecall import Grid, World, grid
from rolecall.errors import GridError

COMMANDS = "                   select   insert   update   delete"
ALICE = "  alice            yes      yes      yes      yes"
OTHERS = "  everyone else    -        !        -        -"
BOB = "  bob              -        !        -        yes"


@pytest.fixture
def world() -> World:
    world = World()
    for name in ("alice", "bob", "carol"):
        world.persona(name, "toy_member", subject=name)
    world.add("shop.notes", "alice's note", id=1, author="alice")
    world.add("shop.notes", "bob's note", id=2, author="bob")
    return world


def notes(*lines: str, before: tuple[str, ...] = ()) -> Grid:
    differing = {2: "\n".join(["# a reason", COMMANDS, *before])} if before else {}
    return grid("shop.notes", "\n".join([COMMANDS, *lines]), update="body = NULL", before=differing)


def verdicts(notes_grid: Grid, command: str) -> dict[str, str]:
    return {f"{cell.row} {cell.persona}": cell.expected for cell in notes_grid.cells if cell.command == command}


def test_it_stands_for_all_personas_that_no_other_line_of_the_heading_names(world: World) -> None:
    written = notes("alice's note", OTHERS, ALICE, "bob's note", ALICE, BOB, OTHERS)
    expanded = written.expanded(world)
    expanded.validate(world)
    assert verdicts(expanded, "select") == {
        "alice's note bob": "-",
        "alice's note carol": "-",
        "alice's note alice": "yes",
        "bob's note alice": "yes",
        "bob's note bob": "-",
        "bob's note carol": "-",
    }
    assert verdicts(expanded, "delete")["bob's note bob"] == "yes"


def test_a_heading_without_it_needs_a_line_for_each_persona(world: World) -> None:
    written = notes("alice's note", ALICE, OTHERS, "bob's note", ALICE, BOB)
    with pytest.raises(GridError, match=r"\"bob's note\" has no line for 'carol': add one for each, or one for 'every"):
        written.expanded(world).validate(world)


def test_a_grid_without_it_stays_itself(world: World) -> None:
    """Outcomes are stored by grid."""
    written = notes("alice's note", ALICE, BOB)
    assert written.expanded(world) is written


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param([OTHERS, OTHERS], r"'everyone else' already has a line under \"alice's note\"\.", id="twice"),
        pytest.param(
            [ALICE, OTHERS.replace("every", "bob, every")],
            r"'everyone else' stands for all personas that no other line names: give it a line of its own\.",
            id="in a list",
        ),
        pytest.param(
            [ALICE, BOB, BOB.replace("bob", "carol"), OTHERS],
            r"'everyone else' stands for nobody: every persona of the world has a line under \"alice's note\"\. "
            r"Remove this line\.",
            id="no persona left",
        ),
    ],
)
def test_a_line_that_cannot_be_meant_is_an_error(world: World, lines: list[str], message: str) -> None:
    with pytest.raises(GridError, match=rf"test_everyone_else\.py:\d+: {message}$"):
        notes("alice's note", *lines).expanded(world)


def test_no_persona_may_have_this_name(world: World) -> None:
    world.persona("everyone else", "toy_member")
    with pytest.raises(GridError, match="the world has a persona 'everyone else', which a grid cannot name: rename it"):
        notes("alice's note", ALICE, OTHERS).expanded(world)


# ------------------------------------------------------------------ with before=


def test_a_before_may_name_a_persona_that_the_grid_does_not(world: World) -> None:
    written = notes("alice's note", ALICE, OTHERS, before=("alice's note", BOB))
    earlier = written.expanded(world).after(1)
    assert verdicts(earlier, "delete") == {
        "alice's note alice": "yes",
        "alice's note bob": "yes",
        "alice's note carol": "-",
    }


def test_in_a_before_it_stands_for_all_that_the_before_does_not_name(world: World) -> None:
    written = notes(
        "alice's note", ALICE, OTHERS, before=("alice's note", BOB, OTHERS.replace("-        !", "!        !"))
    )
    assert verdicts(written.expanded(world).after(1), "select") == {
        "alice's note alice": "!",
        "alice's note bob": "-",
        "alice's note carol": "!",
    }


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (["alice's note", BOB.replace("yes", "-")], "'bob' has the same verdicts as in the grid itself"),
        (["alice's note", ALICE.replace("yes", "-"), OTHERS], "'everyone else' has the same verdicts as in the grid"),
        (["bob's note", OTHERS], "the grid itself has no line for 'alice' under \"bob's note\""),
    ],
    ids=["a persona without a difference", "no difference", "another row"],
)
def test_a_before_without_a_difference_is_an_error(world: World, before: list[str], message: str) -> None:
    with pytest.raises(GridError, match=message):
        notes("alice's note", ALICE, OTHERS, before=tuple(before)).expanded(world)


# ------------------------------------------------------------------ in a run


@pytest.fixture
def others(toy: pytest.Pytester) -> pytest.Pytester:
    """The project: its grid has ``everyone else`` in place of bob and the visitor, below one of two headings."""
    path = toy.path / "test_notes.py"
    text = path.read_text()
    assert text.count("visitor           !") == 2
    path.write_text(text.replace("visitor           !", "everyone else     !", 1))
    return toy


def test_each_persona_is_a_test(others: pytest.Pytester) -> None:
    name = "test_notes.py::test_grid[alice's note-select-visitor]"
    result = others.runpytest_inprocess("-v", "test_notes.py")
    result.assert_outcomes(passed=40)
    result.stdout.fnmatch_lines([f"{name.replace('[', '[[]')} PASSED *"])


def test_a_new_persona_is_a_test_too(others: pytest.Pytester) -> None:
    conftest = others.path / "conftest.py"
    text = conftest.read_text()
    conftest.write_text(text.replace("    return world", '    world.persona("guest", "toy_visitor")\n    return world'))
    path = others.path / "test_notes.py"
    path.write_text(path.read_text().replace("visitor           !", "visitor, guest    !"))
    others.runpytest_inprocess("test_notes.py").assert_outcomes(passed=50)


def test_effects_and_decided_by_work_with_it(others: pytest.Pytester) -> None:
    path = others.path / "test_notes.py"
    path.write_text(path.read_text().replace(",\n)\n", ',\n    changes={},\n    decided_by=["author"],\n)\n'))
    others.runpytest_inprocess("test_notes.py").assert_outcomes(passed=40 + 2 + 5)


USES_GRIDS = """
from test_notes import test_grid as notes


def test_all_cells(rolecall_grids, rolecall_db, rolecall_mismatches, rolecall_dependencies):
    assert [{cell.persona for cell in grid.cells} for grid in rolecall_grids] == [
        {"alice", "bob", "visitor", "keeper"}, {"alice", "bob", "visitor", "keeper"}
    ]  # the grid and its import
    rolecall_db.execute("GRANT SELECT ON shop.notes TO toy_visitor")
    assert "alice's note-select-visitor" in rolecall_mismatches(notes)
    assert rolecall_dependencies(notes) == []
"""


def test_the_fixtures_that_have_grids_or_try_them_have_all_cells(others: pytest.Pytester) -> None:
    path = others.path / "test_notes.py"
    path.write_text(path.read_text().replace(",\n)\n", ',\n    decided_by=["author"],\n)\n'))
    others.makepyfile(test_uses_grids=USES_GRIDS)
    others.runpytest_inprocess("-o", "pythonpath=.", "test_uses_grids.py").assert_outcomes(passed=1)


def test_the_oracle_works_with_it(others: pytest.Pytester) -> None:
    result = others.runpytest_inprocess("--rolecall-oracle", "test_notes.py", "-k", "visitor")
    result.assert_outcomes(passed=10, deselected=30)
    result.stdout.fnmatch_lines(["10 cells, * statements: each also sent as a request"])


def test_a_mutant_is_killed_by_its_cell(others: pytest.Pytester) -> None:
    options = ("--rolecall-mutants", "--rolecall-mutants-of", "shop.notes", "--rolecall-mutants-operator", "grant-add")
    result = others.runpytest_inprocess(*options, "-v")
    result.stdout.fnmatch_lines(["*toy_visitor* KILLED*"])


def test_coverage_counts_the_cells_of_each_persona(others: pytest.Pytester) -> None:
    result = others.runpytest_inprocess("--rolecall-coverage", "test_notes.py")
    result.stdout.fnmatch_lines(["  grants                  8 of 11 *"])


def test_a_cell_of_it_that_differs_is_explained(others: pytest.Pytester) -> None:
    path = others.path / "test_notes.py"
    path.write_text(path.read_text().replace("everyone else     !", "everyone else     -"))
    result = others.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=39, failed=1)
    result.stdout.fnmatch_lines(['visitor: select on "alice\'s note" of shop.notes', "  written     test_notes.py:10"])
