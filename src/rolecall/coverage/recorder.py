"""The recorder: what the tests of one process did, as facts that can be sent to another process."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby, product
from operator import attrgetter

from rolecall.catalog.objects import Object, identifier
from rolecall.catalog.overloads import Overload

WRITES = re.compile(r"\s*(insert|update)\b", re.IGNORECASE)


class CoverageRecorder:
    """What the tests of one process did. The first process merges the facts of all workers.

    A fact is a short tuple of texts: ``("cell", table, command, persona)``, ``("ran", function or view, persona)``,
    ``("refused", table, constraint)``, ``("rolled back", phase)``, ``("varied", table, column)``;
    with ``--rolecall-coverage`` also those that :func:`rolecall.coverage.count.count_all` counts. What a test does is
    pending first, and becomes a fact when the test passes.
    """

    def __init__(self) -> None:
        self.facts: set[tuple[str, ...]] = set()
        self.pending: set[tuple[str, ...]] = set()
        self.column_grants: Collection[str] = ()  # the tables with a privilege on single columns
        self.observe: Callable[[CoverageRecorder], None] | None = None  # after each write, with --rolecall-coverage
        self._names: dict[str, str] = {}  # of the objects to watch for, by how a statement may write them
        self._overloads: dict[str, list[Overload]] = {}  # the functions that share a name
        self._pattern: re.Pattern[str] | None = None

    def watch_for(self, objects: Iterable[Object], overloads: Iterable[Overload] = ()) -> None:
        """Record these functions and views if a statement names them.

        ``overloads``, sorted by name, are functions that share a name: these are recorded with their arguments.
        """
        self._overloads = {name: list(same) for name, same in groupby(overloads, attrgetter("name"))}
        self._names = {written: item.full_name for item in objects for written in _spellings(item)}
        names = sorted(map(re.escape, self._names), reverse=True)
        # A name within a longer one is another object: app.note within app.notes, and within my_app.note.
        self._pattern = re.compile(rf"(?<![\w.$])(?:{'|'.join(names)})(?![\w$])") if names else None

    def record_statement(self, text: str, persona: str | None) -> None:
        """Record the functions and views that a statement names, and the persona that ran it."""
        if persona:
            self.pending |= {("ran", name, persona) for name in self._named(text)}

    def _named(self, text: str) -> set[str]:
        """The functions and views that a statement names."""
        found = {self._names[written] for written in self._pattern.findall(text)} if self._pattern else set()
        for name in found & self._overloads.keys():
            from rolecall.coverage.calls import called  # its parser takes 0.1 s to import

            found = (found - {name}) | called(text, self._overloads[name])
        return found

    def record_success(self, text: str, role: str | None) -> None:
        """Record that a statement succeeded: the values that it wrote, and the grants that it used."""
        if self.observe and WRITES.match(text):
            self.observe(self)
        if role:
            self.pending |= {("worked", name, role) for name in self._named(text)}
            self.record_columns(text, role)

    def record_columns(self, text: str, role: str) -> None:
        """Record the columns that a statement used, for tables with grants on single columns."""
        if any(table.partition(".")[2] in text for table in self.column_grants):
            from rolecall.coverage.columns import columns_used  # its parser takes 0.1 s to import

            self.pending |= {("used", *column, role) for column in columns_used(text)}

    def add(self, *fact: str) -> None:
        """Record one fact."""
        self.pending.add(fact)

    def finish(self, *, passed: bool) -> None:
        """End a test: its pending facts count if it passed, and are discarded if it failed."""
        if passed:
            self.facts |= self.pending
        self.pending.clear()

    def as_json(self) -> list[list[str]]:
        return sorted(map(list, self.facts))

    def merge(self, facts: Iterable[Iterable[str]]) -> None:
        """Add the facts of another process."""
        self.facts |= {tuple(fact) for fact in facts}


def _spellings(item: Object) -> Iterator[str]:
    """How a statement may write a qualified name: each part with or without quotes."""
    for owner, name in product((item.owner, identifier(item.owner)), (item.name, identifier(item.name))):
        yield f"{owner}.{name}"
