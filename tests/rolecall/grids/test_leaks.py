"""What looks like a leak is read first."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import World
from rolecall.grids.leaks import looks_like_leak
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
    assert looks_like_leak(toy_worker.connection, persona, first, others) == reason


@pytest.mark.parametrize("details", [{"settings": {"app.tenant_id": 1}}, {"tenant_id": 1}], ids=["setting", "claim"])
def test_settings_and_claims_say_who_a_persona_is(toy_worker: Worker, details: Any) -> None:
    persona = World().persona("x", "toy_member", **details)
    assert looks_like_leak(toy_worker.connection, persona, "yes", ["yes", "yes", "-"]) == ""
