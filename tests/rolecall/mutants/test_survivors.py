"""The list of many survivors: groups in order, and no longer than a screen or two."""

from __future__ import annotations

from rolecall.mutants.survivors import DETAILED, GROUPS, Surviving, lines, out_of_reach


def test_groups_are_ordered_by_rank_and_then_by_size() -> None:
    survivors = [
        Surviving((4, 0, 0), "a test of a value", "a test of a value", "d"),
        Surviving((1, 1, 0), "a stranger could read t", "a cell", "c"),
        Surviving((0, 1, 0), "anon could read t", "a cell", "a"),
        Surviving((0, 1, 0), "anon could read t", "another cell", "b"),
        Surviving((0, 1, 0), "anon could read t", "another cell", "e"),
        Surviving((0, 0, 0), "anon could write t", "a cell", "f"),
    ]
    assert list(lines(survivors))[1:] == [
        "     1  anon could write t",
        "          a cell",
        "          e.g. f",
        "     3  anon could read t",
        "          another cell",
        "          e.g. b",
        "     1  a stranger could read t",
        "          a cell",
        "          e.g. c",
        "     1  a test of a value",
        "          e.g. d",
    ]


def test_the_list_has_an_end() -> None:
    survivors = [Surviving((0, 0, 0), f"group {number}", "", str(number)) for number in range(50)]
    shown = list(lines(survivors))
    assert len(shown) <= 2 + GROUPS + 2 * DETAILED
    assert shown[-1] == "    20  in 20 more groups"


def test_a_survivor_can_be_sent_to_another_process() -> None:
    survivor = Surviving((0, 1, 0), "a\ttab", 'a "quote"', "é | x\n")
    assert Surviving.from_text(survivor.as_text()) == survivor


def test_what_nobody_can_reach_is_counted_by_reason() -> None:
    text = out_of_reach(["no role", "no privilege", "no role"])
    assert text == "3 mutants change what nobody can reach: no role (2), no privilege (1)"
    assert out_of_reach([]) == ""
