"""What was exercised, against what the catalog says there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeVar

import psycopg
from psycopg import Connection

from rolecall.catalog.definitions import Grant, Schema
from rolecall.catalog.objects import Object, qualified
from rolecall.coverage import policies
from rolecall.coverage.plpgsql import Body
from rolecall.database.manifest import Manifest
from rolecall.grids.grid import COMMANDS
from rolecall.sql import migrations

T = TypeVar("T")
WRITES = re.compile(r"\s*(insert|update)\b", re.IGNORECASE)


class Exercised:
    """What the tests of one process did; gathered from all workers at the end.

    Each fact is a short tuple of texts, so that it travels between processes: ``("cell", table,
    command, persona)``, ``("ran", function or view, persona)``, ``("refused", table, constraint)``,
    ``("rolled back", phase)``; with ``--coverage`` also those that :func:`complete` names. What a test does
    is only noted; it is a fact once the test has passed.
    """

    def __init__(self) -> None:
        self.facts: set[tuple[str, ...]] = set()
        self.noted: set[tuple[str, ...]] = set()
        self.by_column: Collection[str] = ()  # the tables of which columns are granted one by one
        self.look: Callable[[Exercised], None] | None = None  # at what a statement has written, if all is counted
        self._names: re.Pattern[str] | None = None

    def watch_for(self, objects: Iterable[Object]) -> None:
        """Recognise these functions and views where a statement names them."""
        names = {re.escape(item.full_name) for item in objects}
        self._names = re.compile("|".join(sorted(names, key=len, reverse=True))) if names else None

    def statement(self, text: str, persona: str | None) -> None:
        """Note the functions and views that a statement names, and who ran it."""
        if persona and self._names:
            self.noted |= {("ran", name, persona) for name in self._names.findall(text)}

    def worked(self, text: str, role: str | None) -> None:
        """Note that a statement went through: what was written, and whose grants it used."""
        if self.look and WRITES.match(text):
            self.look(self)
        if role and self._names:
            self.noted |= {("worked", name, role) for name in self._names.findall(text)}
        if role:
            self.touched(text, role)

    def touched(self, text: str, role: str) -> None:
        """Note the columns that a statement used, where it makes a difference which."""
        if any(table in text for table in self.by_column):
            from rolecall.coverage import columns  # whose parser takes 0.1 s to import

            self.noted |= {("used", *column, role) for column in columns.used(text)}

    def add(self, *fact: str) -> None:
        """Note one fact."""
        self.noted.add(fact)

    def settle(self, *, passed: bool) -> None:
        """Count what was noted since the last time if the test passed; forget it if it did not."""
        if passed:
            self.facts |= self.noted
        self.noted.clear()

    def as_json(self) -> list[list[str]]:
        return sorted(map(list, self.facts))

    def merge(self, facts: Iterable[Iterable[str]]) -> None:
        """Take over what another process noted."""
        self.facts |= {tuple(fact) for fact in facts}


@dataclass(frozen=True)
class Tally:
    """``done`` of ``total`` things of one kind, and the names of those left out."""

    what: str
    total: int
    missing: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.total - len(self.missing)

    @classmethod
    def of(cls, what: str, there: Collection[T], exercised: Callable[[T], bool]) -> Tally:
        """Count those of ``there`` for which ``exercised`` holds."""
        return cls(what, len(there), [_name(item) for item in there if not exercised(item)])


def tally(built: Manifest, exercised: Exercised, personas: Collection[str]) -> list[Tally]:
    """Count, from the catalog, what the migrations made and how much of it the tests exercised."""
    facts = exercised.facts
    cells = {fact[1:3] for fact in facts if fact[0] == "cell"}
    counted = [
        Tally.of("policies", built.of_kind("policy"), lambda item: _tried(item, cells)),
        Tally.of("constraints", _constraints(built), lambda item: ("refused", item.owner, item.name) in facts),
        *(
            Tally.of(f"{kind}s x personas", _pairs(built.of_kind(kind), personas), lambda pair: ("ran", *pair) in facts)
            for kind in ("function", "view")
        ),
        Tally.of("rollbacks", built.phases, lambda phase: ("rolled back", phase) in facts),
    ]
    return [each for each in counted if each.total]


Wanted = Mapping[str, Collection[tuple[str, ...]]]  # the facts that prove a thing, each enough, by what is missing


def complete(
    built: Manifest,
    schema: Schema,
    bodies: Iterable[Body],
    phases: Iterable[migrations.Phase],
    exercised: Exercised,
    personas: Collection[str],
) -> list[Tally]:
    """Count everything that the migrations made: what is left out is missing from the tests."""
    facts = exercised.facts
    of_ours = {item.full_name for item in built.of_kind("function", "trigger function")}
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
            for item in _constraints(built)
            for what in ("let through", "refused")
        },
        "functions x personas": _by_everybody(built, "function", personas),
        "lines of functions": {
            f"{body.signature}, {point}": [("reached", body.signature, str(number))]
            for body in bodies
            if body.name in of_ours
            for number, point in enumerate(body.points)
        },
        "views x personas": _by_everybody(built, "view", personas),
        "grants": {
            **{
                f"{each.what} on {each.object} to {each.role}": _uses(each, facts)
                for each in _one_by_one(schema.grants)
            },
            **{f"USAGE on {each.owner} to {each.name}": _entering(each, facts) for each in built.of_kind("usage")},
        },
        "indexes": {
            f"{item.owner}: {item.name}": [("served", item.name), ("refused", item.owner, item.name)]
            for item in built.of_kind("index", "unique")
        },
        "triggers": {
            f"{trigger.table}: {trigger.name}": [("fired", trigger.table, trigger.name)]
            for trigger in schema.triggers
            if trigger.function in seen
        },
        "scripts": {
            name: [("script", name)]
            for name in sorted(f"{path.parent.name}/{path.name}" for phase in phases for path in phase.files)
        },
    }
    counted = [
        Tally(what, len(things), [name for name, proofs in things.items() if facts.isdisjoint(proofs)])
        for what, things in wanted.items()
    ]
    return [each for each in counted if each.total]


NEVER = {
    "admitted": "admitted no row to",
    "turned away": "turned no row away from",
    "let through": "let no value through",
    "refused": "refused none",
}


def _by_everybody(built: Manifest, kind: str, personas: Iterable[str]) -> Wanted:
    return {" as ".join(pair): [("ran", *pair)] for pair in _pairs(built.of_kind(kind), personas)}


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


def _constraints(built: Manifest) -> list[Object]:
    return built.of_kind("constraint", "unique", "not null")


# For each constraint a condition that holds once it let a value through: NULL is none.
LET_THROUGH = """
WITH ruled AS (
  SELECT conrelid AS relation, conname AS name, conkey AS keys,
         CASE contype WHEN 'c' THEN ' OR ' ELSE ' AND ' END AS joined_by,
         CASE WHEN contype = 'c' THEN pg_get_expr(conbin, conrelid) END AS predicate,
         format('pg_catalog.pg_constraint WHERE oid = %%s', oid) AS there
  FROM pg_catalog.pg_constraint WHERE contype IN ('c', 'f', 'p', 'u', 'x')
  UNION ALL
  SELECT indrelid, relname, '{}', '', pg_get_expr(indpred, indrelid),
         format('pg_catalog.pg_index WHERE indexrelid = %%s', indexrelid)
  FROM pg_catalog.pg_index JOIN pg_catalog.pg_class c ON c.oid = indexrelid WHERE indisunique
  UNION ALL
  SELECT attrelid, attname, ARRAY[attnum], '', NULL,
         format('pg_catalog.pg_attribute WHERE attrelid = %%s AND attnum = %%s AND attnotnull', attrelid, attnum)
  FROM pg_catalog.pg_attribute WHERE attnotnull
)
SELECT n.nspname || '.' || c.relname, name,
       format('EXISTS (SELECT FROM %%s) AND EXISTS (SELECT FROM %%s WHERE %%s AND (%%s))', there, relation::regclass,
              COALESCE('(' || predicate || ')', 'true'),
              COALESCE(string_agg(quote_ident(attname) || ' IS NOT NULL', joined_by), 'true'))
FROM ruled JOIN pg_catalog.pg_class c ON c.oid = relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute ON attrelid = relation AND attnum = ANY (keys)
WHERE relation = ANY (%s::regclass[])
GROUP BY relation, n.nspname, c.relname, name, predicate, there, joined_by
"""


class Values:
    """Looks which constraints have let a value through: a row stands there for which they were asked."""

    def __init__(self, connection: Connection[Any], built: Manifest) -> None:
        self.connection = connection
        wanted = {(item.owner, item.name) for item in _constraints(built)}
        with self._aside():
            tables = sorted({owner for owner, _ in wanted})
            found = connection.execute(LET_THROUGH, [list(map(qualified, tables))]).fetchall()
        self.conditions = {(table, name): text for table, name, text in found if (table, name) in wanted}

    def look(self, exercised: Exercised) -> None:
        """Note those that have since the last look, as the open transaction sees the tables."""
        known = exercised.facts | exercised.noted
        conditions = {key: text for key, text in self.conditions.items() if ("let through", *key) not in known}
        if not conditions:
            return
        with suppress(psycopg.Error), self._aside():  # the test took a table or a column away
            (row,) = self.connection.execute(f"SELECT {', '.join(conditions.values())}".encode()).fetchall()
            for key in [key for key, is_so in zip(conditions, row, strict=True) if is_so]:
                exercised.add("let through", *key)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        with self.connection.transaction(force_rollback=True):
            self.connection.execute("SELECT set_config('search_path', '', true), set_config('role', 'none', true)")
            yield


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
