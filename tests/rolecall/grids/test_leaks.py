"""What looks like a leak is read first."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import World
from rolecall.grids.leaks import is_own, looks_like_leak
from rolecall.worker import Worker


@pytest.mark.parametrize(
    ("role", "subject", "verdicts", "reason"),
    [
        pytest.param("toy_visitor", None, "yes ! yes yes", "x has no subject", id="without a subject"),
        pytest.param("anon", "a", "yes ! yes yes", "x has the role anon", id="role anon"),
        pytest.param("toy_member", "a", "-/yes ! - -", "x may do nothing else with this row", id="all others refuse"),
        pytest.param("toy_member", "a", "yes yes - -", "", id="another is allowed"),
        pytest.param("toy_visitor", None, "- yes yes yes", "", id="no access"),
        pytest.param("toy_keeper", None, "yes yes yes yes", "", id="a role that bypasses policies"),
    ],
)
def test_a_leak(toy_worker: Worker, role: str, subject: str | None, verdicts: str, reason: str) -> None:
    persona = World().persona("x", role, subject=subject)
    first, *others = verdicts.split()
    assert looks_like_leak(toy_worker.connection, persona, first, others, is_own=False) == reason


@pytest.mark.parametrize("details", [{"settings": {"app.tenant_id": 1}}, {"tenant_id": 1}], ids=["setting", "claim"])
def test_settings_and_claims_say_who_a_persona_is(toy_worker: Worker, details: Any) -> None:
    persona = World().persona("x", "toy_member", **details)
    assert looks_like_leak(toy_worker.connection, persona, "yes", ["yes", "yes", "-"], is_own=False) == ""


@pytest.mark.parametrize(
    ("name", "columns", "own"),
    [
        ("x's note", {}, True),
        ("member 1", {"id": 1, "user_id": "7f0e"}, True),
        ("xy's note", {"user_id": "7f0"}, False),
        ("note of x", {"user_id": None}, False),
    ],
)
def test_a_row_of_ones_own_is_no_leak_if_it_can_only_be_read(
    toy_worker: Worker, name: str, columns: dict[str, Any], own: bool
) -> None:
    persona = World().persona("x", "toy_member", subject="7f0e")
    assert is_own(persona, name, columns) is own
    leak = looks_like_leak(toy_worker.connection, persona, "yes", ["-", "!"], is_own=own)
    assert leak == ("" if own else "x may do nothing else with this row")


def test_no_row_belongs_to_a_persona_without_a_subject_because_of_a_missing_value() -> None:
    assert not is_own(World().persona("x", "toy_visitor"), "member 1", {"user_id": None, "title": "None", "text": ""})
