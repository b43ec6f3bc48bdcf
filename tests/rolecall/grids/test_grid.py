"""Reading a grid: every error has a file and a line, and is reported before any test runs."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from rolecall import Grid, World, grid
from rolecall.errors import GridError, RolecallError
from rolecall.grids.grid import fill

COMMANDS = "               select  insert  update  delete  hand over"
ROW = "alice's note"
ALICE = "  alice        yes     yes     yes     yes     !"
BOB = "  bob          -       !       -       -       -"

CALL, FIRST = 3, 6  # lines of the file that `read` writes: of the call, and of the grid's first line

ADVICE = "add one for each, or one for 'everyone else', or let --rolecall-update do it."
NO_CELL = "the grid has no cell: write the name of a row, and a line for each persona, or let --rolecall-update do it."
EVERY_COMMAND = "'select', 'insert', 'update', 'delete', 'hand over'"
VERDICTS = "expected names, then 5 verdicts (yes, -, !): "


def read(folder: Path, *lines: str) -> Grid:
    """The grid of a module whose text has these lines."""
    text = "\n".join("    " + line for line in lines)
    path = folder / "test_notes.py"
    path.write_text(
        f'from rolecall import grid\n\nnotes = grid(\n    "shop.notes",\n    """\n{text}\n    """,\n'
        '    update="body = NULL",\n    moves={"hand over": "author = {bob}"},\n)\n'
    )
    notes_grid: Grid = runpy.run_path(str(path))["notes"]
    return notes_grid


@pytest.fixture
def world() -> World:
    world = World()
    world.persona("alice", "member", subject="alice")
    world.persona("bob", "member", subject="bob")
    world.add("shop.notes", ROW, id=1)
    return world


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        pytest.param(
            [COMMANDS + "  upsert", ROW, ALICE],
            FIRST,
            f"unknown command 'upsert': use {EVERY_COMMAND}, or declare a move.",
            id="unknown command",
        ),
        pytest.param(
            ["               select insert  update  delete  hand over", ROW, ALICE],
            FIRST,
            "'select insert' is one name: write at least two spaces between two commands.",
            id="one space between two commands",
        ),
        pytest.param(
            ["               select  insert  update  hand over", ROW, "  alice        yes     yes     yes     !"],
            FIRST,
            "no column for 'delete': every command needs one.",
            id="built-in command without a column",
        ),
        pytest.param(
            ["               select  insert  update  delete", ROW, "  alice        yes     yes     yes     yes"],
            FIRST,
            "no column for 'hand over': every command needs one.",
            id="move without a column",
        ),
        pytest.param(
            [COMMANDS + "  select", ROW, ALICE + " yes"],
            FIRST,
            "a command has two columns: remove one.",
            id="command twice",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice  yes  yes  yes  yes"],
            FIRST + 2,
            VERDICTS + "'alice  yes  yes  yes  yes'.",
            id="one verdict missing",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice, bob  yes  yes  yes  yes"],
            FIRST + 2,
            VERDICTS + "'alice, bob  yes  yes  yes  yes'.",
            id="one verdict missing after a list",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE + "  yes"],
            FIRST + 2,
            VERDICTS + f"'{ALICE.strip()}  yes'.",
            id="one verdict too many",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice  yes  yes  maybe  yes  !"],
            FIRST + 2,
            VERDICTS + "'alice  yes  yes  maybe  yes  !'.",
            id="unknown verdict",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice  yes  yes  42501  yes  !"],
            FIRST + 2,
            VERDICTS + "'alice  yes  yes  42501  yes  !'.",
            id="the SQLSTATE of a refusal",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice  yes  yes  P0001/P0001  yes  !"],
            FIRST + 2,
            VERDICTS + "'alice  yes  yes  P0001/P0001  yes  !'.",
            id="two equal SQLSTATEs",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice  yes  yes  -/-  yes  !"],
            FIRST + 2,
            VERDICTS + "'alice  yes  yes  -/-  yes  !'.",
            id="two equal verdicts",
        ),
        pytest.param(
            [COMMANDS, ROW, "  alice  yes  yes  -/-/-  yes  !"],
            FIRST + 2,
            VERDICTS + "'alice  yes  yes  -/-/-  yes  !'.",
            id="a verdict twice",
        ),
        pytest.param(
            [COMMANDS, ROW, "  yes  yes  yes  yes  !"],
            FIRST + 2,
            VERDICTS + "'yes  yes  yes  yes  !'.",
            id="verdicts without a persona",
        ),
        pytest.param(
            [COMMANDS, "", "# alice's own", ALICE],
            FIRST + 3,
            "a persona before the first row: write the name of the row above, without indentation.",
            id="personas before a row",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE, "  bob, alice    -  !  -  -  -"],
            FIRST + 3,
            f"'alice' already has a line under {ROW!r}.",
            id="persona twice",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE, BOB, ROW, BOB],
            FIRST + 4,
            f"{ROW!r} already has a heading, in line {FIRST + 1}.",
            id="row twice",
        ),
        pytest.param(
            [""],
            CALL,
            "the grid has no cell: write the commands, the name of a row, and a line for each persona.",
            id="no text",
        ),
    ],
)
def test_a_grid_that_cannot_be_read_is_an_error_with_file_and_line(
    tmp_path: Path, lines: list[str], line: int, message: str
) -> None:
    with pytest.raises(GridError) as caught:
        read(tmp_path, *lines)
    assert str(caught.value) == f"{tmp_path / 'test_notes.py'}:{line}: {message}"


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        pytest.param(
            [COMMANDS],
            CALL,
            NO_CELL,
            id="commands alone",
        ),
        pytest.param(
            [COMMANDS, ROW],
            CALL,
            NO_CELL,
            id="row alone",
        ),
        pytest.param(
            [COMMANDS, "bob's note", ROW, ALICE, BOB],
            FIRST + 1,
            f'the world has no row "bob\'s note" in shop.notes; it has: {ROW!r}.',
            id="unknown row without personas",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE, BOB, "bob's note", ALICE, BOB],
            FIRST + 4,
            f'the world has no row "bob\'s note" in shop.notes; it has: {ROW!r}.',
            id="row unknown",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE, BOB, "  carol        -       !       -       -       -"],
            FIRST + 4,
            "unknown persona 'carol': the world has 'alice', 'bob'.",
            id="persona unknown",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE],
            FIRST + 1,
            f"{ROW!r} has no line for 'bob': {ADVICE}",
            id="persona missing",
        ),
        pytest.param(
            [COMMANDS, ROW, ALICE, "  bob,"],
            FIRST + 1,
            f"{ROW!r} has no line for 'bob': {ADVICE}",
            id="list that does not continue",
        ),
    ],
)
def test_a_grid_that_does_not_fit_the_world_is_an_error_with_file_and_line(
    tmp_path: Path, world: World, lines: list[str], line: int, message: str
) -> None:
    with pytest.raises(GridError) as caught:
        read(tmp_path, *lines).validate(world)
    assert str(caught.value) == f"{tmp_path / 'test_notes.py'}:{line}: {message}"


def test_every_row_of_the_world_needs_a_heading(tmp_path: Path, world: World) -> None:
    world.add("shop.notes", "bob's note", id=2)
    world.add("shop.notes", "nobody's note", id=3)
    with pytest.raises(GridError) as caught:
        read(tmp_path, COMMANDS, ROW, ALICE, BOB).validate(world)
    message = 'no heading for "bob\'s note", "nobody\'s note", which the world has in shop.notes: '
    message += "add one for each, or let --rolecall-update do it."
    assert str(caught.value) == f"{tmp_path / 'test_notes.py'}:{CALL}: {message}"


def test_a_table_without_rows_in_the_world_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r":7: the world has no row .* in shop\.notes; it has: nothing\.$"):
        read(tmp_path, COMMANDS, ROW, ALICE).validate(World())


def test_an_unknown_name_in_a_move_is_an_error(tmp_path: Path, world: World) -> None:
    del world.personas["bob"]
    notes_grid = read(tmp_path, COMMANDS, ROW, ALICE)
    (cell,) = [cell for cell in notes_grid.cells if cell.command == "hand over"]
    message = re.escape("'author = {bob}': the world has no name 'bob'; it has: 'alice'.")
    with pytest.raises(GridError, match=message):
        notes_grid.checks(cell, world)


@pytest.mark.parametrize("braces", ["{}", "{0}", '{"a": 1}', "{"])
def test_braces_of_the_sql_are_an_error_that_says_how_to_write_them(world: World, braces: str) -> None:
    with pytest.raises(GridError, match=re.escape("as in {name}: write {{ and }} for braces of the SQL.")):
        fill(f"data = '{braces}'", world)
    doubled = braces.replace("{", "{{").replace("}", "}}")
    assert fill(f"data = '{doubled}'", world) == f"data = '{braces}'"


def test_a_row_without_the_key_is_an_error_with_its_line(tmp_path: Path, world: World) -> None:
    world.rows["shop.notes"] = {"alice's note": {"author": "a1"}}
    with pytest.raises(GridError) as caught:
        read(tmp_path, COMMANDS, ROW, ALICE, BOB).validate(world)
    path, text = str(caught.value).split(f":{FIRST + 1}: ")
    assert Path(path).suffix == ".py"
    assert text == (
        "\"alice's note\" has no 'id' in the world, which is the key of the grid: "
        "add it, or set key= to columns that every row has."
    )


def test_two_rows_with_one_key_are_an_error(tmp_path: Path, world: World) -> None:
    """Otherwise a check of one row would also act on the other."""
    world.rows["shop.notes"]["another"] = dict(world.rows["shop.notes"]["alice's note"])
    lines = [COMMANDS, ROW, ALICE, BOB, "another", ALICE, BOB]
    with pytest.raises(
        GridError, match=r"have the same key \(\"id\" = 1\): set key= to columns that are unique together"
    ):
        read(tmp_path, *lines).validate(world)


def test_a_list_continues_in_the_next_line(tmp_path: Path, world: World) -> None:
    """A cell is reported on the line of its verdict, where it can be corrected."""
    notes_grid = read(
        tmp_path, COMMANDS, "# everybody's", ROW, "  alice,", "  bob          -/yes   !       -       -       -"
    )
    notes_grid.validate(world)
    assert [
        (cell.id, cell.expected, cell.line) for cell in notes_grid.cells if cell.command in ("select", "hand over")
    ] == [
        ("alice's note-select-alice", "-/yes", FIRST + 4),
        ("alice's note-hand over-alice", "-", FIRST + 4),
        ("alice's note-select-bob", "-/yes", FIRST + 4),
        ("alice's note-hand over-bob", "-", FIRST + 4),
    ]


def test_a_name_may_look_like_a_sqlstate(tmp_path: Path) -> None:
    cells = read(tmp_path, COMMANDS, ROW, "  USER1, USER2   yes  P0001  23503?  -/P0001  !").cells
    assert [cell.persona for cell in cells[::5]] == ["USER1", "USER2"]
    assert [(cell.expected, cell.decided) for cell in cells[1:4]] == [
        ("P0001", True),
        ("23503", False),
        ("-/P0001", True),
    ]


def test_every_cell_has_an_id_and_its_line(tmp_path: Path, world: World) -> None:
    notes_grid = read(tmp_path, COMMANDS, "", ROW, ALICE, "", BOB)
    notes_grid.validate(world)
    assert [(cell.id, cell.expected, cell.line) for cell in notes_grid.cells] == [
        ("alice's note-select-alice", "yes", FIRST + 3),
        ("alice's note-insert-alice", "yes", FIRST + 3),
        ("alice's note-update-alice", "yes", FIRST + 3),
        ("alice's note-delete-alice", "yes", FIRST + 3),
        ("alice's note-hand over-alice", "!", FIRST + 3),
        ("alice's note-select-bob", "-", FIRST + 5),
        ("alice's note-insert-bob", "!", FIRST + 5),
        ("alice's note-update-bob", "-", FIRST + 5),
        ("alice's note-delete-bob", "-", FIRST + 5),
        ("alice's note-hand over-bob", "-", FIRST + 5),
    ]


def test_names_of_rows_and_personas_must_be_unique() -> None:
    world = World()
    world.persona("alice", "member")
    world.add("shop.notes", "a note")
    world.add("shop.drafts", "a note")
    with pytest.raises(RolecallError, match=r"^the world has two personas named 'alice'\.$"):
        world.persona("alice", "visitor")
    with pytest.raises(RolecallError, match=r"^the world has two rows named 'a note' in shop\.notes\.$"):
        world.add("shop.notes", "a note")


def test_a_grid_with_a_text_built_at_run_time_has_the_line_of_its_call() -> None:
    text = "\n".join([COMMANDS.replace("hand over", ""), "a note", "  alice  yes  yes  yes"])
    with pytest.raises(GridError) as caught:
        grid("shop.notes", text, update="body = NULL")
    assert re.fullmatch(r".*/test_grid\.py:\d+: expected names, then 4 verdicts .*", str(caught.value))


# ------------------------------------------------------------------ in pytest's report


def test_a_single_cell_is_selected_by_its_id(toy: pytest.Pytester) -> None:
    ids = ["test_notes.py::test_grid[alice's note-select-bob]", "test_notes.py::test_grid[bob's note-hand over-keeper]"]
    result = toy.runpytest_inprocess("-v", *ids)
    result.stdout.fnmatch_lines([name.replace("[", "[[]") + " PASSED *" for name in ids])
    result.assert_outcomes(passed=2)


def test_a_cell_is_reported_on_its_line(toy: pytest.Pytester) -> None:
    items, _ = toy.inline_genitems("test_notes.py::test_grid[bob's note-update-bob]")
    assert [(item.nodeid, item.location) for item in items] == [
        (
            "test_notes.py::test_grid[bob's note-update-bob]",
            ("test_notes.py", 14, "test_grid[bob's note-update-bob]"),  # counted from 0
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("insert ", "upsert ", "test_notes.py:6: unknown command 'upsert'", id="cannot be read"),
        pytest.param("keeper ", "cheater", "test_notes.py:11: unknown persona 'cheater'", id="does not fit the world"),
    ],
)
def test_a_wrong_grid_stops_the_run_before_any_test(toy: pytest.Pytester, old: str, new: str, message: str) -> None:
    path = toy.path / "test_notes.py"
    path.write_text(path.read_text().replace(old, new, 1))
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    assert message in result.stdout.str()
