"""Values are readable, and fit the constraints that say what they want."""

from __future__ import annotations

import pytest

from rolecall.init.facts import SET, Constant
from rolecall.init.shape import Column
from rolecall.init.values import best, candidates, constants_of, key, of_constant, uuid


def column(type: str, category: str, name: str = "name", modifier: int = -1) -> Column:  # noqa: A002 - as the field
    return Column(name, type, category, modifier, ("low", "high"), True, False, False, False)


@pytest.mark.parametrize(
    ("of", "value"),
    [
        (column("text", "S"), "alice name"),
        (column("text", "S", "contact_email"), "alice@example.com"),
        (column("varchar", "S", "code", modifier=6), "al"),
        (column("int4", "N"), 1),
        (column("bool", "B"), False),
        (column("level", "E"), "low"),
        (column("jsonb", "U"), {}),
        (column("timestamptz", "D"), "2026-01-15 09:00+00"),
        (column("_text", "A"), "{}"),
    ],
)
def test_the_best_value(of: Column, value: object) -> None:
    assert best(of, "alice", 1) == value


def test_keys_differ() -> None:
    assert key(column("uuid", "U"), "alice", 3, 2) == uuid(3, 2) == "00000003-0000-4000-8000-000000000002"
    assert key(column("int4", "N"), "alice", 3, 2) == 2
    assert key(column("text", "S", "slug"), "alice", 3, 2) == "alice-2"


def test_what_a_check_wants_comes_early() -> None:
    constants = constants_of(["length(code) = 6 AND code <> 'abc'", "price > 100", "not an expression ("])
    assert constants == [6, "abc", 100]
    assert "alice " in list(candidates(column("text", "S"), "alice", 1, constants))[:4]
    assert list(candidates(column("int4", "N"), "alice", 1, [100]))[:3] == [1, 100, 101]


@pytest.mark.parametrize(
    ("constant", "of", "value"),
    [
        (Constant("admin"), column("text", "S"), "admin"),
        (Constant("5"), column("int4", "N"), 5),
        (Constant("t"), column("bool", "B"), True),
        (SET, column("date", "D"), "2026-01-15"),
    ],
)
def test_the_value_that_a_policy_asks_for(constant: Constant, of: Column, value: object) -> None:
    assert of_constant(constant, of, "alice", 1) == value
