"""What a tool finds, compared: a change is noticed if there is a finding that the unchanged schema does not have."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 160  # characters of a finding in the stored results


def new(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """The findings of the changed schema that the unchanged one does not have; sorted, each once.

    A finding is the rule and the object, e.g. ``SEC004 app.notes.own notes``, or the name of a test that fails. A tool
    that prints neither rule nor object has a message that says both.
    """
    return sorted(set(after) - set(before))


def shortened(finding: str) -> str:
    """A finding in one line, for the stored results."""
    line = " ".join(finding.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
