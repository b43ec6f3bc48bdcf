"""A persona has the name of a role, and a token that JSON can have."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from rolecall import RolecallError, World

ALICE = UUID("00000000-0000-0000-0000-00000000000a")


@pytest.mark.parametrize("role", [None, "", " ", 5, "none"])
def test_a_role_that_is_no_name_is_refused(role: str) -> None:
    """PostgreSQL takes ``none`` as the connected role. That is a superuser, for whom no policy applies."""
    with pytest.raises(RolecallError, match=f"the persona 'alice' has the role {role!r}: write the name of a role"):
        World().persona("alice", role)


def test_a_uuid_in_a_token_is_a_text() -> None:
    world = World()
    alice = world.persona("alice", "authenticated", subject=ALICE, app_metadata={"tenants": [ALICE], "level": 7})
    assert json.loads(alice.token) == {
        "sub": str(ALICE),
        "app_metadata": {"tenants": [str(ALICE)], "level": 7},
        "role": "authenticated",
    }
    assert world.names() == {"alice": str(ALICE)}


@pytest.mark.parametrize(
    "value", [datetime(2025, 1, 1, tzinfo=UTC), Decimal("1.5"), {1, 2}, float("nan"), b"x"], ids=repr
)
def test_a_claim_that_json_cannot_have_is_refused(value: object) -> None:
    with pytest.raises(RolecallError, match="a claim of the persona 'alice' cannot be in a token: "):
        World().persona("alice", "authenticated", app_metadata={"since": [value]})


def test_a_claim_that_refers_to_itself_is_refused() -> None:
    claim: dict[str, object] = {}
    claim["self"] = claim
    with pytest.raises(RolecallError, match="cannot be in a token: Circular reference detected"):
        World().persona("alice", "authenticated", claim=claim)
