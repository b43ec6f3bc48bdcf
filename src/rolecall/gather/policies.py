"""The policies of a table in a report: which rows each lets through alone, by persona."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from rolecall.access.persona import Persona
from rolecall.catalog.objects import Policy
from rolecall.grids.policy import PolicyProbe
from rolecall.report.report import Place, ReportedPolicy

ByPersona = Mapping[str, Sequence[str]]


class Admissions:
    """Tries the policies of one table, each alone. Policies with the same condition are tried once.

    ``rows`` are the conditions that select the rows, by name. ``before`` has the statements that prepare a persona.
    ``members`` has each pair of a persona's role and a role of a policy that applies to it.
    """

    def __init__(
        self,
        probe: PolicyProbe,
        personas: Collection[Persona],
        rows: Mapping[str, str],
        before: Mapping[str, Sequence[str]],
        members: Collection[tuple[str, str]],
    ) -> None:
        self.probe, self.personas, self.rows, self.before, self.members = probe, personas, rows, before, members
        self._admitted: dict[tuple[str, str], Sequence[str]] = {}

    def reported(self, policy: Policy, place: Callable[[Policy], Place]) -> ReportedPolicy:
        """A policy with the rows that it lets through."""
        applies_to = [
            persona for persona in self.personas if any((persona.role, role) in self.members for role in policy.roles)
        ]
        current = policy.using if policy.command != "insert" else None
        new = (policy.check or policy.using) if policy.command in ("insert", "update", "all") else None
        return ReportedPolicy(
            policy.name,
            policy.permissive,
            policy.command,
            policy.roles,
            policy.using,
            policy.check,
            place(policy),
            self._by_persona(current, applies_to),
            self._by_persona(new, applies_to),
        )

    def _by_persona(self, predicate: str | None, personas: Sequence[Persona]) -> ByPersona:
        if predicate is None or not self.rows:
            return {}
        untried = [persona for persona in personas if (predicate, persona.name) not in self._admitted]
        if untried:
            requests = [(persona, self.before.get(persona.name, ())) for persona in untried]
            for name, rows in self.probe.admitted(predicate, requests, self.rows).items():
                self._admitted[predicate, name] = rows
        return {persona.name: self._admitted[predicate, persona.name] for persona in personas}
