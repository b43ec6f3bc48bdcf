"""Access maps as the text of a lock file: a line for each access, in the order of the alphabet.

::

    table app.notes  3f1c09ab
      tried select, insert, update, delete on "alice's note"
      alice may select "alice's note" of app.notes

The hexadecimal digits are a checksum of the lines below. After the objects comes a section for each earlier phase,
with what differs from all phases. :mod:`rolecall.access_map.reader` reads the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from rolecall.access_map.sentences import action, limits, quoted, quoted_name
from rolecall.grids.grid import COMMANDS
from rolecall.report.access import CALL, HEAD, HELD, SELECT, AccessMap, AccessMaps, Attempt, ObjectAccess

TITLE = """\
# Who may do what, as rolecall measured it. `pytest --rolecall-update` writes this file; do not edit it.
# A new line is access that somebody gained.
"""
FORMAT = "format 1"
PHASES = "also measured after phase "
TRIED, NOT_TRIED, MAY, MAY_NOT = "tried ", "not tried ", " may ", " may not "
PLAIN = (*COMMANDS, CALL, *HELD)  # commands that are written without quotes
ORDER = {command: place for place, command in enumerate((SELECT, *COMMANDS, CALL, *HELD))}


def write(maps: AccessMaps) -> str:
    """The text of the access after each phase."""
    head = maps[HEAD]
    roles = sorted(head.personas.items())
    lines = [FORMAT, "", *(f"persona {quoted_name(name)} has the role {quoted_name(role)}" for name, role in roles)]
    if earlier := sorted(set(maps) - {HEAD}):
        lines.insert(1, f"{PHASES}{', '.join(map(str, earlier))}")
    for name in sorted(head.objects):
        lines += ["", *section(head.objects[name])]
    for number in earlier:
        for first, *others in phase_sections(maps[number], head):
            lines += ["", f"after phase {number}, {first}", *others]
    return TITLE + "\n".join(lines) + "\n"


def section(item: ObjectAccess) -> list[str]:
    """The lines of one object."""
    return _with_checksum(title(item), [*_tried(item.attempts), *_granted(item)])


def title(item: ObjectAccess) -> str:
    """The first line of an object, without its checksum."""
    return f"{item.kind} {item.name}"


def phase_sections(earlier: AccessMap, head: AccessMap) -> Iterator[list[str]]:
    """The lines of each object whose access differs after an earlier phase."""
    if missing := sorted(set(head.objects) - set(earlier.objects)):
        yield _with_checksum("these do not exist", [title(head.objects[name]) for name in missing])
    for name in sorted(earlier.objects):
        item, later = earlier.objects[name], head.objects.get(name)
        if later is None:
            yield section(item)
        elif lines := _differing(item, later):
            yield _with_checksum(f"other access to {title(item)}", lines)


def _differing(item: ObjectAccess, later: ObjectAccess) -> list[str]:
    only = {attempt: granted for attempt, granted in item.attempts.items() if attempt not in later.attempts}
    left_out = [attempt for attempt in later.attempts if attempt not in item.attempts]
    # What was not tried is not denied either.
    lost = [
        f"{quoted_name(persona)}{MAY_NOT}{what}"
        for attempt, persona, what, _ in _accesses(later)
        if attempt in item.attempts and persona not in item.attempts[attempt]
    ]
    gained = [line for line in _granted(item) if line not in {*_granted(later)}]
    return [*_tried(only), *(f"not {line}" for line in _tried(left_out)), *lost, *gained]


def _tried(attempts: Iterable[Attempt]) -> list[str]:
    by_row: dict[str, list[str]] = {}
    for row, command in sorted(attempts, key=_order):
        by_row.setdefault(row, []).append(command if command in PLAIN else quoted(command))
    return [f"{TRIED}{', '.join(commands)}{f' on {quoted(row)}' if row else ''}" for row, commands in by_row.items()]


def _granted(item: ObjectAccess) -> list[str]:
    return [f"{quoted_name(persona)}{MAY}{what}{end}" for _, persona, what, end in _accesses(item)]


def _accesses(item: ObjectAccess) -> Iterator[tuple[Attempt, str, str, str]]:
    """Each access: the attempt, the persona, what it may, and what limits it."""
    for attempt in sorted(item.attempts, key=_order):
        what = action(attempt, item.name)
        for persona, access in sorted(item.attempts[attempt].items()):
            yield attempt, persona, what, limits(access)


def _order(attempt: Attempt) -> tuple[str, int, str]:
    return attempt.row, ORDER.get(attempt.command, len(ORDER)), attempt.command


def _with_checksum(first: str, lines: list[str]) -> list[str]:
    return [f"{first}  {checksum(lines)}", *(f"  {line}" for line in lines)]


def checksum(lines: Iterable[str]) -> str:
    """The checksum of the lines of an object, without their indentation."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
