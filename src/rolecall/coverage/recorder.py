"""The recorder: what the tests of one process did, as facts that travel between processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from rolecall.catalog.objects import Object

WRITES = re.compile(r"\s*(insert|update)\b", re.IGNORECASE)


class CoverageRecorder:
    """What the tests of one process did; merged from all workers at the end.

    A fact is a short tuple of texts: ``("cell", table, command, persona)``, ``("ran", function or view, persona)``,
    ``("refused", table, constraint)``, ``("rolled back", phase)``; with ``--rolecall-coverage`` also those that
    :func:`rolecall.coverage.count.count_all` names. What a test does is noted first, and becomes a fact when the
    test has passed.
    """

    def __init__(self) -> None:
        self.facts: set[tuple[str, ...]] = set()
        self.noted: set[tuple[str, ...]] = set()
        self.by_column: Collection[str] = ()  # the tables of which single columns are granted
        self.observe: Callable[[CoverageRecorder], None] | None = None  # after each write, with --rolecall-coverage
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
        if self.observe and WRITES.match(text):
            self.observe(self)
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
