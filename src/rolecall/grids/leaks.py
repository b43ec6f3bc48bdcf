"""Which access looks like a leak. It only decides what a person reads first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection

from rolecall.access.persona import Persona
from rolecall.access.world import Row

ANONYMOUS = "anon"  # Supabase's role for requests without a user
ROLE, SUBJECT, NOTHING_ELSE = f"has the role {ANONYMOUS}", "has no subject", "may do nothing else with this row"
BYPASSES = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s"


def looks_like_leak(
    connection: Connection[Any], persona: Persona, verdict: str, others: Sequence[str], *, is_own: bool
) -> str:
    """Why a persona should perhaps not have the access that a verdict says. Empty if it does not look so.

    ``others`` are the verdicts of the other commands on the row; see :func:`is_own` for the row. A role that bypasses
    row-level security is meant to have access.
    """
    if not _allows(verdict) or connection.execute(BYPASSES, [persona.role]).fetchone() == (True,):
        return ""
    if persona.role == ANONYMOUS:
        return f"{persona.name} {ROLE}"
    is_known = persona.custom or set(persona.claims) - {"sub", "role"}  # they may say who it is
    if not persona.claims.get("sub") and not is_known:
        return f"{persona.name} {SUBJECT}"
    if others and not is_own and not any(map(_allows, others)):
        return f"{persona.name} {NOTHING_ELSE}"
    return ""


def is_own(persona: Persona, name: str, row: Row) -> bool:
    """Whether a row of the world is a persona's own: its name says so, or a column has the persona's subject."""
    subject = str(persona.claims.get("sub") or "")
    return name.startswith(f"{persona.name}'s ") or (subject != "" and subject in map(str, row.values()))


def rank(leak: str) -> int:
    """The place of a reason among others: a client who has not signed in comes first, and no reason last."""
    reasons = (ROLE, SUBJECT, NOTHING_ELSE)
    return next((place for place, reason in enumerate(reasons) if leak.endswith(reason)), len(reasons))


def _allows(verdict: str) -> bool:
    return "yes" in verdict.split("/")
