"""Access in words: the lines of a lock file, and the sentences of a difference."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from rolecall.grids.grid import COMMANDS
from rolecall.report.access import CALL, HELD, Access, Attempt

# What follows the first part of a sentence, and limits it.
ONLY, WITHOUT, ROWS = ", only the columns ", ", but not ", re.compile(r", (\d+) rows?$")
AND = " and not "


def action(attempt: Attempt, name: str) -> str:
    """What is attempted, as it follows "may": ``select "alice's note" of app.notes``."""
    row, command = attempt
    if command == CALL:
        return f"call {name}"
    if command in HELD:
        return f"use {command} on {name}"
    if not row:
        return f"{command} from {name}"
    if command in COMMANDS:
        return f"{command} {quoted(row)} of {name}"
    return f"update {quoted(row)} of {name} with {quoted(command)}"


def limits(access: Access) -> str:
    """What limits an access, as the end of a sentence; empty if nothing does."""
    columns = ONLY + ", ".join(map(quoted_name, access.columns)) if access.columns else ""
    without = WITHOUT + AND.join(access.without) if access.without else ""
    rows = f", {access.rows} {'row' if access.rows == 1 else 'rows'}" if access.rows is not None else ""
    return columns + without + rows


def read_limits(text: str) -> Access:
    """The access that :func:`limits` wrote. Raises ValueError for another text."""
    rest = text
    rows = ROWS.search(rest)
    rest = rest[: rows.start()] if rows else rest
    rest, _, without = rest.partition(WITHOUT)
    rest, _, columns = rest.partition(ONLY)
    access = Access(
        tuple(without.split(AND)) if without else (),
        tuple(map(read_name, split_names(columns))) if columns else (),
        int(rows[1]) if rows else None,
    )
    if limits(access) != text:
        raise ValueError(text)
    return access


# ------------------------------------------------------------------ names

SIMPLE = re.compile(r"[\w$]+")
NAMES = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]+)')


def quoted(text: str) -> str:
    """A text in quotes, in one line."""
    return json.dumps(text, ensure_ascii=False)


def quoted_name(name: str) -> str:
    """A name, in quotes if it is not a plain word, or one with which another line begins."""
    return name if SIMPLE.fullmatch(name) and name not in ("tried", "not") else quoted(name)


def read_name(text: str) -> str:
    """The name that :func:`quoted_name` wrote. Raises ValueError."""
    return str(json.loads(text)) if text.startswith('"') else text


def split_names(text: str) -> Sequence[str]:
    """The parts of a list with commas; commas in quotes are not its own."""
    return [part.strip() for part in NAMES.findall(text) if part.strip()]
