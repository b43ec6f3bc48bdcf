"""How much of what the migrations created was covered by the tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from rolecall.catalog.manifest import Manifest
from rolecall.catalog.objects import Object
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.grids.grid import COMMANDS
from rolecall.report.results import CoverageCount
from rolecall.sql.migrations import Phase

if TYPE_CHECKING:
    from rolecall.catalog.definitions import Grant, Schema
    from rolecall.coverage.plpgsql import Body

T = TypeVar("T")


def count_tried(manifest: Manifest, recorder: CoverageRecorder, personas: Collection[str]) -> list[CoverageCount]:
    """Count what the migrations created, and how much of it the tests tried."""
    facts = recorder.facts
    cells = {fact[1:3] for fact in facts if fact[0] == "cell"}
    counts = [
        _count("policies", manifest.of_kind("policy"), lambda item: _is_tried(item, cells)),
        _count("constraints", manifest.constraints, lambda item: ("refused", item.owner, item.name) in facts),
        *(
            _count(f"{kind}s x personas", _pairs(manifest, kind, personas), lambda pair: ("ran", *pair) in facts)
            for kind in ("function", "view")
        ),
        _count("rollbacks", manifest.rollbacks, lambda title: ("rolled back", title) in facts),
        _not_deciding(facts),
    ]
    return [count for count in counts if count.total]


Requirements = Mapping[str, Collection[tuple[str, ...]]]  # by name: the facts of which one must be recorded


def count_all(
    manifest: Manifest,
    schema: Schema,
    bodies: Collection[Body],
    phases: Collection[Phase],
    recorder: CoverageRecorder,
    personas: Collection[str],
) -> list[CoverageCount]:
    """Count everything that the migrations created, and how much of it the tests covered."""
    from rolecall.coverage import scripts

    facts = recorder.facts
    instrumented = {body.name for body in bodies}
    created = {item.full_name for item in manifest.of_kind("function", "trigger function")}
    requirements: dict[str, Requirements] = {
        "policies": _policies(schema),
        "constraints": {
            f"{item.owner}: {item.name} {NEVER[what]}": [(what, item.owner, item.name)]
            for item in manifest.constraints
            for what in ("let through", "refused")
        },
        "functions x personas": _by_persona(manifest, "function", personas),
        "lines of functions": _lines(body for body in bodies if body.name in created),
        "views x personas": _by_persona(manifest, "view", personas),
        "grants": _grants(manifest, schema, facts),
        "indexes": {
            f"{item.owner}: {item.name}": [("served", item.name), ("refused", item.owner, item.name)]
            for item in manifest.of_kind("index", "unique")
        },
        "triggers": {
            f"{trigger.table}: {trigger.name}": [("fired", trigger.table, trigger.name)]
            for trigger in schema.triggers
            if trigger.function in instrumented
        },
        # Counted by the fixture rolecall_conditions, whose test fails if a condition does not decide.
        "conditions that decide": {name: [("condition", name)] for what, name, *_ in facts if what == "condition"},
        "scripts": {
            name: [("script", name)] for name in sorted(script.id for phase in phases for script in phase.tested)
        },
        "lines of DO blocks": scripts.requirements(phases),
    }
    counts = [
        CoverageCount(what, len(names), [name for name, proofs in names.items() if facts.isdisjoint(proofs)])
        for what, names in requirements.items()
    ]
    counts.append(_not_deciding(facts))
    return [count for count in counts if count.total]


def _not_deciding(facts: Iterable[tuple[str, ...]]) -> CoverageCount:
    """The columns that do not decide about a grid: each was changed, and no verdict. Others are not counted."""
    return CoverageCount("columns not deciding", sum(fact[0] == "varied" for fact in facts))


NEVER = {
    "admitted": "admitted no row to",
    "turned away": "turned no row away from",
    "let through": "let no value through",
    "refused": "refused none",
}


def _policies(schema: Schema) -> Requirements:
    """Each outcome that a policy can have for a command."""
    from rolecall.coverage import policies

    return {
        f'{policy.table}: "{policy.name}" {NEVER[what]} {command}': [(what, policy.table, policy.name, command)]
        for policy in schema.policies
        for command in (COMMANDS if policy.command == "all" else [policy.command])
        for what in sorted(policies.outcomes(policy.using, policy.check, command))
    }


def _lines(bodies: Iterable[Body]) -> Requirements:
    """Each statement and branch of functions."""
    return {
        f"{body.signature}, {point}": [("reached", body.signature, str(number))]
        for body in bodies
        for number, point in enumerate(body.points)
    }


OF_ALL = {"TRUNCATE", "REFERENCES", "TRIGGER"}  # what no cell of a grid uses


def _grants(manifest: Manifest, schema: Schema, facts: Iterable[tuple[str, ...]]) -> Requirements:
    """Each grant, by column, and each USAGE on a schema. Of ALL, only what a cell can use."""
    held: dict[tuple[str, str], set[str]] = {}
    for grant in schema.grants:
        held.setdefault((grant.name, grant.role), set()).add(grant.privilege)
    names = {each.signature: each.full_name for each in manifest.overloads}
    grants = {
        f"{grant.what} on {grant.object} to {grant.role}": _uses(grant, names.get(grant.signature, grant.name), facts)
        for grant in _by_column(schema.grants)
        if not (held[grant.name, grant.role] >= OF_ALL and grant.privilege in {*OF_ALL, "MAINTAIN"})
    }
    usages = manifest.of_kind("usage")
    return grants | {f"USAGE on {usage.owner} to {usage.name}": _schema_uses(usage, facts) for usage in usages}


def _by_persona(manifest: Manifest, kind: str, personas: Iterable[str]) -> Requirements:
    return {" as ".join(pair): [("ran", *pair)] for pair in _pairs(manifest, kind, personas)}


def _by_column(grants: Iterable[Grant]) -> Iterator[Grant]:
    """The grants, with one for each column instead of one on several columns."""
    for grant in grants:
        yield from [grant._replace(columns=[column]) for column in grant.columns] or [grant]


def _uses(grant: Grant, name: str, facts: Iterable[tuple[str, ...]]) -> Collection[tuple[str, ...]]:
    """The facts that use a grant: a cell with yes, or a statement that succeeds and names the function or view.

    ``name`` is that of the function or view in the facts.
    """
    uses: list[tuple[str, ...]] = [("used", grant.name, grant.privilege.lower(), *grant.columns)]
    if grant.privilege in ("SELECT", "EXECUTE") and not grant.columns:
        uses.append(("worked", name))
    if grant.role == "public":
        return [fact for fact in facts if fact[:-1] in uses]
    return [(*fact, grant.role) for fact in uses]


def _schema_uses(usage: Object, facts: Iterable[tuple[str, ...]]) -> Collection[tuple[str, ...]]:
    """The facts that use a schema: the role used an object in it."""
    return [
        fact
        for fact in facts
        if fact[0] in ("used", "worked")
        and fact[1].startswith(f"{usage.owner}.")
        and usage.name in (fact[-1], "public")
    ]


def _count(what: str, items: Collection[T], is_covered: Callable[[T], bool]) -> CoverageCount:
    """Count the items for which ``is_covered`` holds."""
    return CoverageCount(what, len(items), [_name(item) for item in items if not is_covered(item)])


def _is_tried(policy: Object, cells: set[tuple[str, ...]]) -> bool:
    """Whether the grids tried every command of a policy. ``cells`` are pairs of a table and a command."""
    commands = COMMANDS if policy.detail == "all" else [policy.detail]
    return all((policy.owner, command) in cells for command in commands)


def _pairs(manifest: Manifest, kind: str, personas: Iterable[str]) -> list[tuple[str, str]]:
    return list(product(map(manifest.called, manifest.of_kind(kind)), personas))


def _name(item: object) -> str:
    if isinstance(item, Object):
        return f"{item.owner}: {item.name}"
    return " as ".join(item) if isinstance(item, tuple) else str(item)
