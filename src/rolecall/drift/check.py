"""Check a database against the expected state: which phases it has, what differs in them, and what stops the others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from rolecall.catalog.snapshot import Item, Snapshot
from rolecall.drift import needs, scope
from rolecall.drift.compare import Comparison, Rewrite, name_of, schema_of
from rolecall.drift.difference import Difference, Rank
from rolecall.drift.expected import Expected

ENOUGH = 0.5  # a phase is applied if at least this part of what it makes is there as it makes it
# Parts that a step makes with a name of their own, so that another one of this name is in its way.
NAMED = {"column", "constraint", "index", "policy", "trigger", "rule"}
# A step makes these after its table. If they are missing, the step will add them.
ADDED = {"index", "policy", "trigger", "privileges"}
# A role that has these settings is not bound by the triggers or policies, or is another role.
RISKY_SETTINGS = {"setting session_replication_role", "setting row_security", "setting role"}
# Superusers of managed platforms. Their event triggers belong to the platform.
PLATFORM_OWNERS = {"supabase_admin", "rdsadmin", "rds_superuser", "cloudsqladmin", "azuresu"}

OVERLOAD = "the name of another function"  # the property of a function that has a name of ours and other arguments
Predicate = Callable[[Item], bool]


@dataclass(frozen=True)
class Report:
    """What a check found.

    ``applied`` is the last phase that the database has. ``drift`` is what differs in the phases up to it. ``missing``
    is what the steps need and the database does not have. ``in_the_way`` has what stands under the names of later steps
    and is not as they make it, ``ours`` what stands there as they make it. ``unseen`` says what was not compared.
    ``owner`` is the role that owns the objects, if it is another one than the role that ran the steps here.
    """

    phases: tuple[int, ...]
    applied: int
    objects: int
    drift: list[Difference]
    missing: list[Difference]
    in_the_way: list[Difference]
    ours: list[Item]
    unseen: list[str]
    owner: str | None

    @property
    def differences(self) -> list[Difference]:
        """All of them, in the order of the report."""
        return [*self.drift, *self.missing, *self.in_the_way]

    def fails(self, *, strict: bool) -> bool:
        """Whether there is a difference; a warning counts only with ``strict``."""
        return any(strict or each.rank < Rank.WARNING for each in self.differences)


def check(
    expected: Expected,
    found: Snapshot,
    *,
    personas: Collection[str] = (),
    phase: int | None = None,
    rewrite: Rewrite = lambda _query: None,
) -> Report:
    """Compare a database with the expected state.

    ``personas`` are the personas' roles. ``phase`` is the last phase that the database should have; without it, it is
    found out. ``rewrite`` is as in :class:`~rolecall.drift.compare.Comparison`.
    """
    all_made = scope.made(expected.head, expected.start)
    owner = scope.owner(found, all_made)
    strangers = scope.roles(expected.head, [i for i in expected.head.items if i.whole in all_made], personas)
    if owner and owner != expected.role and Item("role", scope.quoted(owner)) not in strangers:
        expected = scope.with_owner(expected, owner)
    else:
        owner = None
    if phase is None:
        phase = applied_phase(expected, found) if expected.phases else 1
    wanted = expected.after(phase)
    after = After(Comparison(wanted, found, expected.step_of, rewrite), expected, set(personas))
    before = Comparison(expected.head, found, expected.step_of, rewrite)
    in_the_way, ours = _before(before, wanted)
    drift = list(dict.fromkeys(after.differences()))
    named = {(each.item, each.property) for each in drift}
    missing = [each for each in needs.missing(expected, found) if (each.item, each.property) not in named]
    return Report(
        expected.phases,
        phase,
        len(scope.made(wanted, expected.start)),
        sorted((each for each in drift if not _is_made_later(each, wanted, expected.head)), key=lambda d: d.rank),
        sorted(missing, key=lambda each: each.rank),
        in_the_way,
        ours,
        list(found.unseen.values()),
        owner,
    )


def applied_phase(expected: Expected, found: Snapshot) -> int:
    """The last phase of which the database has at least half as its steps make it; 0 if it has none."""
    applied, before = 0, expected.start
    for phase in expected.phases:
        after = expected.after(phase)
        new = [item for item in after.items if item.kind in scope.OBJECTS and item not in before.items]
        same = [item for item in new if found.items.get(item) == after.items[item]]
        if new and len(same) >= ENOUGH * len(new):
            applied = phase
        before = after
    return applied


def _is_made_later(difference: Difference, wanted: Snapshot, head: Snapshot) -> bool:
    """Whether a difference is what a later step makes. Then it is not drift: that step was applied already."""
    item, name = difference.item, difference.property
    if difference.found is None or head.items.get(item) == wanted.items.get(item):
        return False
    return not name or head.items.get(item, {}).get(name) == difference.found


def _before(comparison: Comparison, base: Snapshot) -> tuple[list[Difference], list[Item]]:
    """What is in the way of the steps after ``base``, and what they would find as they make it."""
    head, found = comparison.wanted, comparison.found
    in_the_way: list[Difference] = []
    ours = []
    for whole in scope.made(head, base):
        in_the_way += overloads(comparison, whole)
        if whole in found.items:
            differences = [each for each in comparison.whole(whole) if not _will_be_added(each)]
            in_the_way += differences
            ours += [] if differences else [whole]
    for item, names in scope.changed(head, base):
        if names is None and item.part_kind in NAMED and item in found.items:
            differences = list(comparison.item(item))
            in_the_way += differences
            ours += [] if differences else [item]
    return in_the_way, ours


def _will_be_added(difference: Difference) -> bool:
    is_addition = difference.item.part_kind in ADDED or difference.property == "comment"
    return is_addition and difference.found is None


def overloads(comparison: Comparison, routine: Item) -> Iterator[Difference]:
    """Functions with the name of a function of ours and other arguments: a call may reach them, or be ambiguous."""
    if routine.kind != "routine":
        return
    for item in comparison.found.parts:
        if item.kind == "routine" and name_of(item) == name_of(routine) and item not in comparison.wanted.items:
            yield Difference(
                item,
                comparison.found.kind(item),
                OVERLOAD,
                None,
                f"security {comparison.found.items[item]['security']}",
                comparison.step_of(routine),
                Rank.EXPOSES,
            )


@dataclass(frozen=True)
class After:
    """Finds what differs in the phases that are applied."""

    comparison: Comparison
    expected: Expected
    personas: Collection[str]

    def differences(self) -> Iterator[Difference]:
        """What is missing, of another shape, or weakens what the steps make."""
        wanted, start = self.comparison.wanted, self.expected.start
        ours = scope.made(wanted, start)
        for whole in ours:
            yield from self.comparison.whole(whole)
            yield from overloads(self.comparison, whole)
        changed = list(scope.changed(wanted, start))
        for item, names in changed:
            yield from self.comparison.item(item, names)
        for item in scope.dropped(wanted, start):
            if item in self.comparison.found.items:
                yield self.comparison.difference(item, "", None, "the steps drop it")
        for schema in scope.schemas(ours):
            if schema not in ours:
                yield from self.comparison.whole(schema)
        yield from self._guarded({item.whole for item, _ in changed if item.part_kind in scope.GUARDED})
        parts = [item for item in wanted.items if item.whole in ours] + [item for item, _ in changed]
        yield from self._roles(scope.roles(wanted, parts, self.personas))
        yield from self._surroundings({schema_of(item) for item in ours})

    def _guarded(self, tables: Collection[Item]) -> Iterator[Difference]:
        """Policies and rules of others on a table on which the steps made policies."""
        for table in tables:
            yield from self.comparison.item(table, ["row level security"])
            for item in self.comparison.found.parts.get(table, []):
                if item.part_kind in scope.GUARDED and item not in self.comparison.wanted.items:
                    yield from self.comparison.item(item)

    def _roles(self, roles: Collection[Item]) -> Iterator[Difference]:
        """Attributes, memberships and settings of the roles that the steps rely on."""
        for role in roles:
            if role.object == scope.quoted(self.expected.role):
                continue
            if role not in self.comparison.found.items and "role" not in self.comparison.found.unseen:
                yield self.comparison.difference(role, "", "role", None)
                continue
            yield from self.comparison.item(role)
            yield from self._parts(role, lambda item: item.part_kind == "membership" or item.part in RISKY_SETTINGS)
        yield from self._parts(Item("role", "every role"), lambda item: item.part in RISKY_SETTINGS)

    def _parts(self, whole: Item, is_relevant: Predicate) -> Iterator[Difference]:
        wanted, found = self.comparison.wanted.parts, self.comparison.found.parts
        for item in dict.fromkeys([*wanted.get(whole, []), *found.get(whole, [])]):
            if is_relevant(item):
                yield from self.comparison.item(item)

    def _surroundings(self, schemas: Collection[str]) -> Iterator[Difference]:
        """Default privileges of the owner, and event triggers: they act on what is made next."""
        start = f"{scope.quoted(self.expected.role)} for new "
        wanted, found = self.comparison.wanted.items, self.comparison.found.items
        for item in dict.fromkeys([*wanted, *found]):
            if item.kind == "default privileges" and item.object.startswith(start):
                schema = item.object.partition(" in ")[2]
                if not schema or schema in schemas:
                    yield from self.comparison.item(item)
            elif item.kind == "event trigger" and found.get(item, {}).get("owner") not in PLATFORM_OWNERS:
                yield from self.comparison.item(item)
