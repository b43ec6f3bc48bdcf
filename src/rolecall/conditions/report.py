"""Which conditions decide, and what the world lacks for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from psycopg import Connection

from rolecall.access.world import World
from rolecall.catalog.definitions import Schema
from rolecall.conditions.conditions import Variant
from rolecall.conditions.proposals import Proposals
from rolecall.conditions.subjects import Subject, Subjects
from rolecall.conditions.trial import Trial
from rolecall.errors import RolecallError

Kind = Literal["policies", "views", "functions"]
KINDS: tuple[Kind, ...] = ("policies", "views", "functions")
Record = Callable[[str, str], None]

# What is not there, by the value with which the condition does not decide.
LACKS = {
    "false": "No row and persona for which only this is false: with true in its place, nothing changes.",
    "true": "No row and persona for which this is true and matters: with false in its place, nothing changes.",
    "NULL": "No row and persona for which only this is NULL: if NULL counts as true, nothing changes.",
}


class Conditions:
    """The value of the fixture ``rolecall_conditions``.

    ``connection`` is a superuser's, to a migrated database with the world, in a transaction that is rolled back.
    ``record`` receives ``"condition"`` and the id of each condition that decides.
    """

    def __init__(self, connection: Connection[Any], schema: Schema, world: World, record: Record) -> None:
        self.world, self._record = world, record
        self._subjects = Subjects(connection, schema, world)
        self._trial = Trial(connection, world.personas)
        self._proposals = Proposals(connection, self._trial, world)

    def check(
        self,
        kind: Kind,
        *,
        calls: Mapping[str, Sequence[str]] | None = None,
        cannot_decide: Mapping[str, str] | None = None,
    ) -> None:
        """Check that every condition of the ``"policies"``, ``"views"`` or ``"functions"`` decides.

        ``calls`` has more statements that try a function, by its qualified name: each persona runs each of them.
        ``cannot_decide`` has the conditions that no world could make decide, each with the reason.
        Raises AssertionError with the conditions that do not decide, and with the entries of ``cannot_decide`` that
        are wrong; RolecallError if ``kind`` or a name in ``calls`` is unknown.
        """
        declared = dict(cannot_decide or {})
        problems = [
            f"{name}\n    Give a reason in cannot_decide." for name, reason in declared.items() if not reason.strip()
        ]
        found: set[str] = set()
        for subject in self._of(kind, calls or {}):
            if not subject.statements and subject.variants:
                problems.append(self._not_tried(subject))
                continue
            original = self._trial.original(subject) if subject.variants else {}
            for variant in subject.variants:
                name = f"{subject.name} | {variant.condition} | {variant.value} never decides"
                found.add(name)
                if self._trial.decides(subject, variant, original):
                    self._record("condition", name)
                    problems += (
                        [f"{name}\n    It does decide: remove it from cannot_decide."] if name in declared else []
                    )
                elif name not in declared:
                    problems.append("\n".join([name, *self._lacking(subject, variant)]))
        problems += [
            f"{name}\n    There is no such condition: remove it from cannot_decide."
            for name in declared
            if name not in found
        ]
        if problems:
            raise AssertionError("\n\n".join(problems))

    def _of(self, kind: str, calls: Mapping[str, Sequence[str]]) -> Iterator[Subject]:
        if kind == "functions":
            self._subjects.require_functions(calls)
            return self._subjects.functions(calls)
        if calls:
            raise RolecallError(f'calls= is for "functions", not for {kind!r}.')
        if kind == "views":
            return self._subjects.views()
        if kind == "policies":
            return self._subjects.policies()
        raise RolecallError(f"there are no conditions of {kind!r}; write one of {', '.join(map(repr, KINDS))}.")

    def _not_tried(self, subject: Subject) -> str:
        count = len(subject.variants)
        return (
            f"{subject.name}: {count} conditions were not tried, because nothing calls this function.\n"
            f"    Give statements that do: calls={{{subject.name.removesuffix('()')!r}: […]}}"
        )

    def _lacking(self, subject: Subject, variant: Variant) -> Iterator[str]:
        if self._trial.refusal:
            yield f"    It cannot be tried: the server does not accept the SQL without it: {self._trial.refusal}"
            yield "    Give that as the reason in cannot_decide."
            return
        yield f"    {LACKS[variant.value]}"
        if row := self._proposals.row_for(subject, variant):
            yield f"    With this row it decides:\n        {row}"
