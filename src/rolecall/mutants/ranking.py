"""The rank of a survivor: those first whose mutant lets somebody do more."""

from __future__ import annotations

from collections.abc import Collection

from rolecall.catalog.definitions import Schema
from rolecall.mutants.operators.operator import Gain, Mutant, Operator
from rolecall.mutants.survivors import Surviving
from rolecall.mutants.witness import ANONYMOUS, OTHER, STRANGER, TRUSTED, Difference, Witnesses

NO_GAIN, BEHAVIOUR = TRUSTED + 1, TRUSTED + 2  # access that is lost or has no use, and everything else
WHO = {
    ANONYMOUS: "somebody who has not signed in",
    STRANGER: "somebody without any right to the row",
    OTHER: "somebody who may use the row in another way",
    TRUSTED: "a role that bypasses row-level security",
}
VERBS = {"select": "read", "execute": "call"}  # the others write
NO_REQUEST = ("truncate", "references", "trigger")  # privileges that no request of a client uses


def surviving(
    operator: Operator,
    mutant: Mutant,
    found: Difference | None,
    row: str,
    gain: Gain | None,
    witnesses: Witnesses,
) -> Surviving:
    """What the list says of a survivor.

    A gain that a cell shows comes before one that none shows; then writes come before reads.

    ``found`` is a cell that differs, though no grid has it; ``row`` is code of a row that would make a cell differ.
    ``gain`` is that of the mutant, or None if it has no effect.
    """
    notice = f"add this row to the world: {row}" if row else operator.catches
    if found:
        notice = cell(found)
        if found.who is not None:
            headline = f"{WHO[found.who]} could {verb(found.command)} {found.table}"
            return Surviving((found.who, 0, found.command == "select"), headline, notice, mutant.id)
    elif gain:
        who = _worst(gain.roles, witnesses)
        headline = f"{', '.join(gain.roles)} could perhaps {verb(gain.command)} {mutant.concerns}"
        return Surviving((who, 1, gain.command in VERBS), headline, notice, mutant.id)
    if mutant.gain and mutant.gain.command in NO_REQUEST:
        headline = "TRUNCATE, REFERENCES or TRIGGER for a role, which no request of a client uses"
        return Surviving((NO_GAIN, 1, 0), headline, "a test that compares the grants with the expected ones", mutant.id)
    if operator.by_grid or found:
        headline = f"other access to {mutant.concerns}, with which nobody gains anything"
        return Surviving((NO_GAIN, 0, 0), headline, notice, mutant.id)
    return Surviving((BEHAVIOUR, 0, 0), operator.catches, operator.catches, mutant.id)


def _worst(roles: Collection[str], witnesses: Witnesses) -> int:
    """The worst of these roles; PUBLIC includes those who have not signed in."""
    if {*roles} & {"public", *witnesses.anonymous}:
        return ANONYMOUS
    return TRUSTED if {*roles} <= witnesses.trusted else OTHER


def effective(mutant: Mutant, schema: Schema, protected: Collection[str]) -> Gain | None:
    """What a mutant lets roles do.

    None for a privilege that row-level security makes useless, because no policy applies, and for a policy whose roles
    hold no privilege on the table.
    """
    gain, table = mutant.gain, mutant.concerns
    if gain is None or gain.command in NO_REQUEST:
        return None
    if mutant.operator in ("grant-add", "grant-columns") and table in protected:
        applying = [
            policy
            for policy in schema.policies
            if policy.table == table and policy.permissive and policy.command in ("all", gain.command)
        ]
        for_everybody = "public" in gain.roles
        if not any(for_everybody or {*policy.roles} & {*gain.roles, "public"} for policy in applying):
            return None
    holders = schema.grantees(table)
    if mutant.operator.startswith("policy-") and "public" not in holders:
        roles = tuple(role for role in holders if "public" in gain.roles or role in gain.roles)
        return gain._replace(roles=roles) if roles else None
    return gain


def cell(found: Difference) -> str:
    """The line of a grid that notices a difference."""
    line = f"{found.persona}  {found.command} {found.before}"
    return f"no grid has {found.table}: write one; below {found.row!r}, {line}  (it becomes {found.after})"


def verb(command: str) -> str:
    """read, call or write."""
    return VERBS.get(command, "write")
