"""What the tests covered, counted against what the catalog says the migrations made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import product
from typing import TypeVar

from rolecall.catalog.definitions import Grant, Schema
from rolecall.catalog.manifest import Manifest
from rolecall.catalog.objects import Object
from rolecall.coverage import policies
from rolecall.coverage.plpgsql import Body
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.grids.grid import COMMANDS
from rolecall.report.results import CoverageCount
from rolecall.sql.migrations import Phase

T = TypeVar("T")


def count_tried(manifest: Manifest, recorder: CoverageRecorder, personas: Collection[str]) -> list[CoverageCount]:
    """Count what the migrations made, from the catalog, and how much of it the tests tried."""
    facts = recorder.facts
    cells = {fact[1:3] for fact in facts if fact[0] == "cell"}
    counted = [
        _count("policies", manifest.of_kind("policy"), lambda item: _tried(item, cells)),
        _count("constraints", manifest.constraints, lambda item: ("refused", item.owner, item.name) in facts),
        *(
            _count(
                f"{kind}s x personas", _pairs(manifest.of_kind(kind), personas), lambda pair: ("ran", *pair) in facts
            )
            for kind in ("function", "view")
        ),
        _count("rollbacks", manifest.phases, lambda phase: ("rolled back", phase) in facts),
    ]
    return [each for each in counted if each.total]


Wanted = Mapping[str, Collection[tuple[str, ...]]]  # the facts that prove a thing, each enough, by what is missing


def count_all(
    manifest: Manifest,
    schema: Schema,
    bodies: Iterable[Body],
    phases: Iterable[Phase],
    recorder: CoverageRecorder,
    personas: Collection[str],
) -> list[CoverageCount]:
    """Count everything that the migrations made: what is left out is missing from the tests."""
    facts = recorder.facts
    of_ours = {item.full_name for item in manifest.of_kind("function", "trigger function")}
    seen = {body.name for body in bodies}
    wanted: dict[str, Wanted] = {
        "policies": {
            f'{policy.table}: "{policy.name}" {NEVER[what]} {command}': [(what, policy.table, policy.name, command)]
            for policy in schema.policies
            for command in (COMMANDS if policy.command == "all" else [policy.command])
            for what in sorted(policies.outcomes(policy.using, policy.check, command))
        },
        "constraints": {
            f"{item.owner}: {item.name} {NEVER[what]}": [(what, item.owner, item.name)]
            for item in manifest.constraints
            for what in ("let through", "refused")
        },
        "functions x personas": _by_everybody(manifest, "function", personas),
        "lines of functions": {
            f"{body.signature}, {point}": [("reached", body.signature, str(number))]
            for body in bodies
            if body.name in of_ours
            for number, point in enumerate(body.points)
        },
        "views x personas": _by_everybody(manifest, "view", personas),
        "grants": {
            **{
                f"{each.what} on {each.object} to {each.role}": _uses(each, facts)
                for each in _one_by_one(schema.grants)
            },
            **{f"USAGE on {each.owner} to {each.name}": _entering(each, facts) for each in manifest.of_kind("usage")},
        },
        "indexes": {
            f"{item.owner}: {item.name}": [("served", item.name), ("refused", item.owner, item.name)]
            for item in manifest.of_kind("index", "unique")
        },
        "triggers": {
            f"{trigger.table}: {trigger.name}": [("fired", trigger.table, trigger.name)]
            for trigger in schema.triggers
            if trigger.function in seen
        },
        "scripts": {
            name: [("script", name)] for name in sorted(script.id for phase in phases for script in phase.scripts)
        },
    }
    counted = [
        CoverageCount(what, len(things), [name for name, proofs in things.items() if facts.isdisjoint(proofs)])
        for what, things in wanted.items()
    ]
    return [each for each in counted if each.total]


NEVER = {
    "admitted": "admitted no row to",
    "turned away": "turned no row away from",
    "let through": "let no value through",
    "refused": "refused none",
}


def _by_everybody(manifest: Manifest, kind: str, personas: Iterable[str]) -> Wanted:
    return {" as ".join(pair): [("ran", *pair)] for pair in _pairs(manifest.of_kind(kind), personas)}


def _one_by_one(grants: Iterable[Grant]) -> Iterator[Grant]:
    """Grants with those on several columns taken apart."""
    for grant in grants:
        yield from [grant._replace(columns=[column]) for column in grant.columns] or [grant]


def _uses(grant: Grant, facts: Iterable[tuple[str, ...]]) -> Collection[tuple[str, ...]]:
    """What uses a grant: a cell that says yes, or a statement that names the function or view and works."""
    used: list[tuple[str, ...]] = [("used", grant.name, grant.privilege.lower(), *grant.columns)]
    if grant.privilege in ("SELECT", "EXECUTE") and not grant.columns:
        used.append(("worked", grant.name))
    if grant.role == "public":
        return [fact for fact in facts if fact[:-1] in used]
    return [(*fact, grant.role) for fact in used]


def _entering(usage: Object, facts: Iterable[tuple[str, ...]]) -> Collection[tuple[str, ...]]:
    """What uses the right to enter a schema: whatever a role used of something in it."""
    return [
        fact
        for fact in facts
        if fact[0] in ("used", "worked")
        and fact[1].startswith(f"{usage.owner}.")
        and usage.name in (fact[-1], "public")
    ]


def _count(what: str, existing: Collection[T], covered: Callable[[T], bool]) -> CoverageCount:
    """Count those of ``existing`` for which ``covered`` holds."""
    return CoverageCount(what, len(existing), [_name(item) for item in existing if not covered(item)])


def _tried(policy: Object, cells: set[tuple[str, ...]]) -> bool:
    """Whether the grids tried every command of a policy, of all that they tried: tables and commands."""
    commands = COMMANDS if policy.detail == "all" else [policy.detail]
    return all((policy.owner, command) in cells for command in commands)


def _pairs(objects: Iterable[Object], personas: Iterable[str]) -> list[tuple[str, str]]:
    return list(product((item.full_name for item in objects), personas))


def _name(item: object) -> str:
    if isinstance(item, Object):
        return f"{item.owner}: {item.name}"
    return " as ".join(item) if isinstance(item, tuple) else str(item)
