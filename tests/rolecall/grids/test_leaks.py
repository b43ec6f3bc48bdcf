"""What looks like a leak is read first."""

from __future__ import annotations

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


def test_a_persona_of_a_tenant_needs_no_subject(toy_worker: Worker) -> None:
    """Where policies ask for a claim or a setting of the tenant, no request has a subject."""
    world = World()
    for persona in (
        world.persona("claim", "toy_visitor", tenant_id="a"),
        world.persona("setting", "toy_visitor", settings={"app.tenant": "a"}),
    ):
        assert not looks_like_leak(toy_worker.connection, persona, "yes", ["yes", "yes", "yes"])
