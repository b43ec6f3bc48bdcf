"""The difference of two access maps, and its words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from rolecall.access_map.sentences import quoted, quoted_name
from rolecall.grids.grid import COMMANDS
from rolecall.report.access import CALL, HEAD, HELD, Access, AccessMap, AccessMaps, Attempt, ObjectAccess
from rolecall.report.difference import AccessChange, AccessDifference

MOST = 12  # names in a sentence, before "and n more"


def compare(before: AccessMaps, after: AccessMaps) -> AccessDifference:
    """The changes after each phase that both have. A change after all phases is not repeated for each earlier one."""
    whole = _compare(before[HEAD], after[HEAD])
    gained, lost, not_compared = [*whole.gained], [*whole.lost], [*whole.not_compared]
    for number in sorted(({*before} & {*after}) - {HEAD}):
        earlier = _compare(before[number], after[number])
        gained += [replace(change, phase=number) for change in earlier.gained if change not in whole.gained]
        lost += [replace(change, phase=number) for change in earlier.lost if change not in whole.lost]
        not_compared += [
            f"after phase {number}: {text}" for text in earlier.not_compared if text not in whole.not_compared
        ]
    for number in sorted({*before} ^ {*after}):
        not_compared.append(f"the access after phase {number}: only one of the two has it")
    return AccessDifference(gained, lost, not_compared)


def _compare(before: AccessMap, after: AccessMap) -> AccessDifference:
    gained: list[AccessChange] = []
    lost: list[AccessChange] = []
    not_compared = list(_other_personas(before, after))
    common = {*before.personas} & {*after.personas}
    for name in sorted({*before.objects} | {*after.objects}):
        old, new = before.objects.get(name), after.objects.get(name)
        known = old or new
        assert known
        empty = ObjectAccess(name, known.kind)
        # To an object that does not exist, nobody has access.
        changes = list(_changes(old or empty, new or empty, common, exists_in_both=bool(old and new)))
        gained += [change for is_gain, change in changes if is_gain]
        lost += [change for is_gain, change in changes if not is_gain]
        if old and new:
            not_compared += _only_tried_once(old, new)
    return AccessDifference(gained, lost, not_compared)


def _other_personas(before: AccessMap, after: AccessMap) -> Iterator[str]:
    for name in sorted({*before.personas} ^ {*after.personas}):
        yield f"the persona {name}: only one of the two has it"
    for name in sorted({*before.personas} & {*after.personas}):
        if before.personas[name] != after.personas[name]:
            yield f"the persona {name} had the role {before.personas[name]}, and has {after.personas[name]}"


def _only_tried_once(old: ObjectAccess, new: ObjectAccess) -> Iterator[str]:
    rows: dict[tuple[str, bool], list[str]] = {}
    for row, command in [*new.attempts, *old.attempts]:
        attempt = Attempt(row, command)
        if (attempt in old.attempts) != (attempt in new.attempts):
            commands = rows.setdefault((row, attempt in new.attempts), [])
            commands.append(command)
    for (row, is_new), commands in rows.items():
        when = "after, and not before" if is_new else "before, and not after"
        yield f"{', '.join(commands)} on {_place(row, new)}: it was tried {when}"


def _changes(
    old: ObjectAccess, new: ObjectAccess, personas: Iterable[str], *, exists_in_both: bool
) -> Iterator[tuple[bool, AccessChange]]:
    """Each change, and whether it is a gain."""
    people = sorted(personas)
    for attempt in dict.fromkeys([*new.attempts, *old.attempts]):
        if exists_in_both and not (attempt in old.attempts and attempt in new.attempts):
            continue
        had, has = old.attempts.get(attempt, {}), new.attempts.get(attempt, {})
        for persona in people:
            yield from _of_persona(new, attempt, persona, had.get(persona), has.get(persona))


def _of_persona(
    item: ObjectAccess, attempt: Attempt, persona: str, had: Access | None, has: Access | None
) -> Iterator[tuple[bool, AccessChange]]:
    for is_gain, detail in _details(had, has):
        verb = "gained" if is_gain else "lost"
        sentence = f"{quoted_name(persona)} {verb} {what(attempt, detail)} {_place(attempt.row, item)}"
        change = AccessChange(persona, item.name, item.kind, attempt.row, attempt.command, sentence, detail)
        yield is_gain, change


def _details(had: Access | None, has: Access | None) -> Iterator[tuple[bool, str]]:
    """Each gain (True) and loss of one persona, with its detail: empty for the whole access."""
    if had is None or has is None:
        if had is not has:
            yield has is not None, ""
        return
    for way in had.without:
        if way not in has.without:
            yield True, way
    for way in has.without:
        if way not in had.without:
            yield False, way
    yield from _columns({*had.columns}, {*has.columns})
    if had.rows != has.rows and had.rows is not None and has.rows is not None:
        yield has.rows > had.rows, f"{abs(has.rows - had.rows)} more rows"


def _columns(had: set[str], has: set[str]) -> Iterator[tuple[bool, str]]:
    """Columns that are granted one by one; without any, the whole table is granted."""
    if bool(had) != bool(has):
        yield bool(had), "all columns"
        return
    for is_gain, columns in ((True, has - had), (False, had - has)):
        if columns:
            yield is_gain, f"the columns {', '.join(map(quoted_name, sorted(columns)))}"


# ------------------------------------------------------------------ words


def what(attempt: Attempt, detail: str = "") -> str:
    """What was gained or lost, up to the name of the object: ``delete on``."""
    command = attempt.command
    if command == CALL:
        return "the call of"
    is_part = detail.startswith(("the columns", "all columns")) or detail.endswith("more rows")
    end = f" of {detail}" if is_part else f" {detail}" if detail else ""
    if command in HELD:
        return f"the privilege {command}{end} on"
    if command in COMMANDS:
        return f"{command}{end} on"
    return f"update with {quoted(command)}{end} on"


def _place(row: str, item: ObjectAccess) -> str:
    return f"{quoted(row)} of {item.name}" if row else item.name


class Group(NamedTuple):
    """Changes that one sentence says: the same for several personas and rows."""

    phase: int
    sentence: str
    changes: list[AccessChange]


def groups(changes: Iterable[AccessChange], verb: str) -> list[Group]:
    """Changes in as few sentences as possible. ``verb`` is "gained" or "lost"."""
    by_row: dict[tuple[int, str, str, str], dict[str, list[AccessChange]]] = {}
    for change in changes:
        key = change.phase, change.object, change.command, change.detail
        by_row.setdefault(key, {}).setdefault(change.row, []).append(change)
    found: list[Group] = []
    for (phase, name, command, detail), rows in by_row.items():
        by_personas: dict[tuple[str, ...], dict[str, list[AccessChange]]] = {}
        for row, each in rows.items():
            by_personas.setdefault(tuple(change.persona for change in each), {})[row] = each
        for personas, same in by_personas.items():
            place = f"{some(map(quoted, same))} of {name}" if "" not in same else name
            sentence = f"{some(map(quoted_name, personas))} {verb} {what(Attempt('', command), detail)} {place}"
            found.append(Group(phase, sentence, [change for each in same.values() for change in each]))
    return sorted(found, key=lambda group: (group.phase != HEAD, group.phase))


def some(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    every = list(dict.fromkeys(names))
    if len(every) > MOST + 1:
        return f"{', '.join(every[:MOST])} and {len(every) - MOST} more"
    return " and ".join(filter(None, [", ".join(every[:-1]), every[-1]]))


def counts(difference: AccessDifference) -> Mapping[str, int]:
    """How many accesses were gained and lost, and how much was not compared."""
    return {
        "gained": len(difference.gained),
        "lost": len(difference.lost),
        "not compared": len(difference.not_compared),
    }
