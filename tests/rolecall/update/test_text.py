"""The text of a grid gets the observed verdicts. All the rest stays byte for byte."""

from __future__ import annotations

import difflib

import pytest

from rolecall.update.source import LeftAloneError
from rolecall.update.text import GridText

PERSONAS = ["alice", "bob", "carol", "dave"]
TEXT = """
    # Notes are private.
                        select   insert   update   hand over
    alice's note
      alice             yes      yes      yes      !
      # the others
      bob,  carol       -        !\t       -        -   \n
    bob's note
      bob,
      # and a friend
      carol, dave       yes      yes      yes      yes
      alice             -        !        -        -
    """


def rewritten(text: str, **observed: str) -> str:
    """The text with ``row__persona="command verdict, …"``."""
    verdicts = {}
    for names, cells in observed.items():
        row, persona = names.replace("_note", "'s note").split("__")
        verdicts[row, persona] = dict(cell.strip().rsplit(" ", 1) for cell in cells.split(","))
    return GridText(text, PERSONAS).rewritten({pair: each for pair, each in verdicts.items() if each})


def changes(text: str, new: str) -> list[str]:
    """The lines that differ, as in a diff."""
    lines = difflib.unified_diff(text.split("\n"), new.split("\n"), n=0, lineterm="")
    return [line.rstrip() for line in list(lines)[2:] if not line.startswith("@@")]


def test_without_a_difference_every_byte_stays() -> None:
    assert GridText(TEXT, PERSONAS).rewritten({}) == TEXT


def test_a_cell_changes_in_its_column() -> None:
    new = rewritten(TEXT, alice_note__alice="update -")
    assert changes(TEXT, new) == [
        "-      alice             yes      yes      yes      !",
        "+      alice             yes      yes      -?       !",
    ]


def test_a_line_of_several_personas_is_split() -> None:
    new = rewritten(TEXT, alice_note__carol="select yes")
    assert changes(TEXT, new) == [
        "-      bob,  carol       -        !\t       -        -",
        "+      bob               -        !        -        -",
        "+      carol             yes?     !        -        -",
    ]


def test_a_list_of_several_lines_is_split_and_keeps_its_comment() -> None:
    new = rewritten(TEXT, bob_note__bob="hand over !, select -")
    assert new.split("\n")[8:] == [
        "    bob's note",
        "      # and a friend",
        "      carol, dave       yes      yes      yes      yes",
        "      bob               -?       yes      yes      !?",
        "      alice             -        !        -        -",
        "    ",
    ]


def test_if_all_differ_the_largest_group_keeps_the_line() -> None:
    new = rewritten(TEXT, bob_note__bob="select -", bob_note__carol="select -", bob_note__dave="select !")
    assert new.split("\n")[10:12] == [
        "      bob, carol        -?       yes      yes      yes",
        "      dave              !?       yes      yes      yes",
    ]


def test_all_personas_of_a_line_change_together() -> None:
    new = rewritten(TEXT, alice_note__bob="select yes", alice_note__carol="select yes")
    assert changes(TEXT, new) == [
        "-      bob,  carol       -        !\t       -        -",
        "+      bob,  carol       yes?     !\t       -        -",
    ]


def test_columns_stay_aligned_where_a_verdict_does_not_fit() -> None:
    new = rewritten(TEXT, alice_note__alice="insert yes/yes/!")
    assert new.split("\n")[2:5] == [
        "                        select   insert      update   hand over",
        "    alice's note",
        "      alice             yes      yes/yes/!?  yes      !",
    ]
    assert "      alice             -        !           -        -" in new.split("\n")


def test_a_line_that_is_not_aligned_moves_alone() -> None:
    text = TEXT.replace("alice             yes      yes      yes      !", "alice  yes  yes  yes  !")
    new = rewritten(text, alice_note__alice="insert !/yes")
    assert changes(text, new) == ["-      alice  yes  yes  yes  !", "+      alice  yes  !/yes?  yes  !"]


def test_a_new_persona_gets_a_line_below_the_last() -> None:
    every = "select -, insert !, update -, hand over -"
    new = rewritten(TEXT, alice_note__dave=every)
    assert changes(TEXT, new) == ["+      dave              -?       !?       -?       -?"]
    assert new.index("bob,  carol") < new.index("dave      ") < new.index("bob's note")


def test_new_personas_with_equal_verdicts_share_a_line() -> None:
    text = "\n    select   insert\n    a note\n      alice    yes   yes\n    "
    all_equal = {(("a note"), name): {"select": "-", "insert": "!"} for name in ("bob", "carol")}
    new = GridText(text, PERSONAS).rewritten({**all_equal, ("a note", "dave"): {"select": "!", "insert": "!"}})
    assert new.split("\n")[3:-1] == [
        "      alice    yes   yes",
        "      bob,",
        "      carol    -?    !?",
        "      dave     !?    !?",
    ]


def test_a_long_name_moves_all_columns() -> None:
    text = "\n          select   insert\n    a note\n      al  yes      yes\n    "
    new = GridText(text, ["al", "bartholomew"]).rewritten({("a note", "bartholomew"): {"select": "-", "insert": "!"}})
    assert new.split("\n")[1:-1] == [
        "                   select   insert",
        "    a note",
        "      al           yes      yes",
        "      bartholomew  -?       !?",
    ]


def test_a_new_row_gets_a_heading_and_lines_at_the_end() -> None:
    observed = {
        ("carol's note", name): {"select": "-", "insert": "!", "update": "-", "hand over": "!"} for name in PERSONAS
    }
    observed["carol's note", "carol"] = {"select": "yes", "insert": "yes", "update": "yes", "hand over": "-/yes"}
    new = GridText(TEXT, PERSONAS).rewritten(observed)
    assert new.startswith(TEXT.rstrip() + "\n")
    assert new.removeprefix(TEXT.rstrip()).split("\n") == [
        "",
        "",
        "    carol's note",
        "      alice, bob, dave  -?       !?       -?       !?",
        "      carol             yes?     yes?     yes?     -/yes?",
        "    ",
    ]


@pytest.mark.parametrize("margin", ["", "    "])
def test_a_text_of_commands_alone_is_filled(margin: str) -> None:
    text = f"\n{margin}                 select   insert\n{margin}"
    observed = {(row, name): {"select": "-", "insert": "!"} for row in ("a", "b") for name in PERSONAS}
    new = GridText(text, PERSONAS).rewritten(observed)
    assert new.split("\n") == [
        "",
        f"{margin}                 select   insert",
        f"{margin}a",
        f"{margin}  alice, bob,",
        f"{margin}  carol, dave    -?       !?",
        "",
        f"{margin}b",
        f"{margin}  alice, bob,",
        f"{margin}  carol, dave    -?       !?",
        margin,
    ]


def test_a_long_list_is_as_wide_as_the_grid() -> None:
    """Only its last line must end before the verdicts."""
    text = "\n                 select   insert   update   delete\n    "
    personas = [f"persona{number}" for number in range(7)]
    verdicts = dict.fromkeys(("select", "insert", "update", "delete"), "-")
    new = GridText(text, personas).rewritten({("a", name): verdicts for name in personas})
    assert new.split("\n")[1:-1] == [
        "                 select   insert   update   delete",
        "    a",
        "      persona0, persona1, persona2, persona3,",
        "      persona4, persona5,",
        "      persona6   -?       -?       -?       -?",
    ]


def test_a_heading_without_lines_is_filled() -> None:
    text = "\n    select   insert\n    a\n    b\n      alice, bob, carol, dave   -   !\n    "
    new = GridText(text, PERSONAS).rewritten({("a", name): {"select": "-", "insert": "!"} for name in PERSONAS})
    assert new.split("\n")[2:5] == ["    a", "      alice, bob, carol, dave   -?  !?", "    b"]


# ------------------------------------------------------------------ everyone else

OTHERS = """
                      select   insert
    a note
      alice           yes      yes
      everyone else   -        !
    """


def test_one_of_everyone_else_gets_a_line_above() -> None:
    new = GridText(OTHERS, PERSONAS).rewritten({("a note", "carol"): {"select": "yes"}})
    assert changes(OTHERS, new) == ["+      carol           yes?     !"]
    assert new.index("carol") < new.index("everyone else")


def test_all_of_everyone_else_change_in_place() -> None:
    new = GridText(OTHERS, PERSONAS).rewritten({("a note", name): {"insert": "-"} for name in ("bob", "carol", "dave")})
    assert changes(OTHERS, new) == ["-      everyone else   -        !", "+      everyone else   -        -?"]


# ------------------------------------------------------------------ names that a grid cannot have


@pytest.mark.parametrize("row", ["# a note", "a\nnote", "a note,", " a note"])
def test_a_row_that_cannot_be_written_is_left_alone(row: str) -> None:
    with pytest.raises(LeftAloneError, match=r"a name in it cannot be written in a grid(: | \()"):
        GridText(OTHERS, PERSONAS).rewritten({(row, name): {"select": "-", "insert": "!"} for name in PERSONAS})


def test_the_name_that_cannot_be_written_is_told() -> None:
    with pytest.raises(LeftAloneError, match=r"cannot be written in a grid: 'a  b'$"):
        GridText(OTHERS, [*PERSONAS, "a  b"]).rewritten({("a note", "a  b"): {"select": "-", "insert": "!"}})


@pytest.mark.parametrize("persona", ["a, b", "a\nb", "a  b", "yes", "a,"])
def test_a_persona_that_cannot_be_written_is_left_alone(persona: str) -> None:
    text = OTHERS.replace("everyone else", "bob, carol, dave")
    with pytest.raises(LeftAloneError, match=r"a name in it cannot be written in a grid(: | \()"):
        GridText(text, [*PERSONAS, persona]).rewritten({("a note", persona): {"select": "-", "insert": "!"}})
