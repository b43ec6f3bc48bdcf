"""The possible outcomes of a policy for a command."""

from __future__ import annotations

import pytest

from rolecall.coverage import policies


@pytest.mark.parametrize(
    ("using", "check", "command", "expected"),
    [
        ("true", None, "select", {"admitted"}),
        ("false", None, "delete", {"turned away"}),
        ("a = 1", None, "select", {"admitted", "turned away"}),
        ("true", "a = 1", "update", {"admitted", "turned away"}),
        ("a = 1", "false", "update", {"turned away"}),
        ("false", "true", "insert", {"admitted"}),
        ("true", None, "insert", {"admitted"}),
    ],
)
def test_the_possible_outcomes_of_a_policy(using: str, check: str | None, command: str, expected: set[str]) -> None:
    assert policies.outcomes(using, check, command) == expected
