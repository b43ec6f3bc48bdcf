"""A grid with its wrong cells marked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rolecall.report.failures import FailedGrid, GridLine, GridVerdict
from rolecall.report.grids import Piece, as_text, grid_lines

COMMANDS = ("select", "insert", "update", "delete")


def verdict(word: str) -> GridVerdict:
    """A verdict from a short text: ``yes``, ``-≠yes``, or ``·`` for a cell that was not tried."""
    expected, _, got = word.partition("≠")
    if word == "·":
        return GridVerdict("-", "-", tried=False)
    return GridVerdict(expected, got or expected, "let in" if got == "yes" else "refused" if got else "")


def line(personas: str, words: str, *, row: str = "alice's note", number: int = 9) -> GridLine:
    return GridLine(row, personas.split(", "), number, [verdict(word) for word in words.split()])


def grid(*lines: GridLine, commands: Sequence[str] = COMMANDS, others: int = 0) -> FailedGrid:
    counts = {each.row: others for each in lines}
    return FailedGrid("t.py::test_grid", "t.py", 3, "app.notes", 40, commands, lines, counts, [], [])


def text(failed: FailedGrid, width: int = 80, most: int | None = None) -> list[str]:
    return [each.rstrip() for each in as_text(grid_lines(failed, width, most)).splitlines()]


def test_a_wrong_cell_has_what_was_expected_and_got() -> None:
    assert text(grid(line("bob", "-≠yes ! - -≠!"), line("eve", "- - yes≠- -", number=10), others=2)) == [
        "t.py:3: -≠yes: expected -, got yes",
        "             select   insert   update   delete",
        "     alice's note  (2 other personas are right)",
        "   9   bob   -≠yes    !        -        -≠!",
        "  10   eve   -        -        yes≠-    -",
    ]


def test_each_row_has_a_heading() -> None:
    failed = grid(line("bob", "-≠yes ! - -"), line("al", "! ! ! !≠yes", row="bob's note", number=12), others=1)
    assert text(failed)[2:] == [
        "     alice's note  (1 other persona is right)",
        "   9   bob   -≠yes    !        -        -",
        "     bob's note  (1 other persona is right)",
        "  12   al    !        !        !        !≠yes",
    ]


def test_personas_of_one_line_stay_together_as_in_the_file() -> None:
    names = "owner_of_both, staff_of_both, former_staff, other_owner, bob"
    assert text(grid(line(names, "-≠yes ! - -")), width=80)[2:] == [
        "     alice's note",
        "       owner_of_both, staff_of_both, former_staff,",
        "   9   other_owner, bob   -≠yes    !        -        -",
    ]


def test_a_cell_that_was_not_tried_has_no_verdict() -> None:
    lines = text(grid(line("bob", "-≠yes · · -")))
    assert lines[0] == "t.py:3: -≠yes: expected -, got yes; · was not tried"
    assert lines[-1] == "   9   bob   -≠yes    ·        ·        -"


def test_titles_have_many_lines_if_they_do_not_fit_beside_each_other() -> None:
    failed = grid(line("bob", "- ! -≠yes - ! !≠yes"), commands=[*COMMANDS, "give to another", "move to another salon"])
    assert "give to another   move to another salon" in text(failed, width=90)[1]
    assert text(failed, width=70)[1:] == [
        "                                                           move to",
        "                                                 give to   another",
        "             select   insert   update   delete   another   salon",
        "     alice's note",
        "   9   bob   -        !        -≠yes    -        !         !≠yes",
    ]


def test_only_columns_with_a_wrong_cell_are_left_if_not_all_fit() -> None:
    failed = grid(line("bob", "- ! -≠yes - ! !≠yes"), commands=[*COMMANDS, "give", "move"])
    assert text(failed, width=40)[1:] == [
        "             update   move",
        "     alice's note",
        "   9   bob   -≠yes    !≠yes",
    ]


def test_columns_that_do_not_fit_are_below_the_others() -> None:
    commands = ["give to another", "move to another", "hand over to bob"]
    assert text(grid(line("bob", "!≠yes !≠yes -≠yes"), commands=commands), width=35)[1:] == [
        "             give to   move to",
        "             another   another",
        "     alice's note",
        "   9   bob   !≠yes     !≠yes",
        "             hand over to",
        "             bob",
        "     alice's note",
        "   9   bob   -≠yes",
    ]


def test_what_is_left_out_is_counted() -> None:
    lines = [line("bob", "-≠yes ! - -"), line("eve, al", "-≠yes ! - -≠yes"), line("x", "yes≠! ! - -")]
    assert text(grid(*lines), most=1)[-1] == "     and 2 more lines with 5 wrong cells"
    assert text(grid(*lines[::2]), most=1)[-1] == "     and 1 more line with 1 wrong cell"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lines_are_not_wider_than_the_terminal(width: int) -> None:
    names = ", ".join(f"persona_{number}" for number in range(20))
    assert max(map(len, text(grid(line(names, "-≠yes -≠yes -≠! yes≠!")), width))) <= width


def test_what_lets_somebody_in_is_red() -> None:
    pieces = [piece for each in grid_lines(grid(line("bob", "-≠yes yes≠! - -")), 80) for piece in each]
    assert Piece("-≠yes", {"red": True, "bold": True}) in pieces
    assert Piece("yes≠!", {"yellow": True, "bold": True}) in pieces


def test_a_cell_without_a_verdict_in_the_grid() -> None:
    assert text(grid(line("bob", "≠error ! - -")))[0] == "t.py:3: ?≠error: expected nothing yet, got error"
