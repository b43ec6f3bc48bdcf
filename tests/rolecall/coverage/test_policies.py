"""What a policy can do for a command."""

from __future__ import annotations

import pytest

from rolecall.coverage import policies


@pytest.mark.parametrize(
    ("using", "check", "command", "can"),
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
def test_what_cannot_be_is_not_asked_for(using: str, check: str | None, command: str, can: set[str]) -> None:
    assert policies.outcomes(using, check, command) == can
