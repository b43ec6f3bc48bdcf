"""Many survivors as a short list: who would gain what, and what would notice it. The worst comes first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

MOST = 40  # survivors that are shown in full
DETAILED = 12  # groups that are shown with what would notice them
GROUPS = 30  # groups that are shown
PROPERTY = "rolecall survivor"  # the user property of a mutant that survived: what :meth:`Surviving.as_text` returns
OUT_OF_REACH = "rolecall out of reach"  # the user property of a mutant that nobody can reach: the reason


class Surviving(NamedTuple):
    """What the list needs of a survivor.

    ``rank`` is small for what is bad. ``headline`` says who gains what, or which kind of test is missing; ``notice``
    is a cell, a row or a test that would notice the mutant.
    """

    rank: tuple[int, int, int]
    headline: str
    notice: str
    id: str

    def as_text(self) -> str:
        """The text that :meth:`from_text` reads."""
        return json.dumps(self)

    @classmethod
    def from_text(cls, text: str) -> Surviving:
        """A survivor from the text of :meth:`as_text`."""
        rank, headline, notice, name = json.loads(text)
        return cls(tuple(rank), headline, notice, name)


def lines(survivors: Iterable[Surviving]) -> Iterator[str]:
    """A paragraph for each group. Before them, what the list is."""
    groups: dict[tuple[tuple[int, int, int], str], list[Surviving]] = {}
    for each in survivors:
        groups.setdefault((each.rank, each.headline), []).append(each)
    yield "The number of mutants, who would gain what, and what would notice it (-v shows each mutant in full):"
    ordered = sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]), group[0][1]))
    for number, ((_, headline), members) in enumerate(ordered[:GROUPS]):
        yield f"{len(members):6}  {headline}"
        if number < DETAILED:
            yield from _details(headline, members)
    if rest := ordered[GROUPS:]:
        yield f"{sum(len(members) for _, members in rest):6}  in {len(rest)} more groups"


def _details(headline: str, members: Sequence[Surviving]) -> Iterator[str]:
    """What would notice the most mutants of a group, and one of these mutants."""
    notice = Counter(each.notice for each in members).most_common(1)[0][0]
    if notice != headline:
        yield f"          {notice}"
    yield f"          e.g. {next(each.id for each in members if each.notice == notice)}"


def out_of_reach(reasons: Iterable[str]) -> str:
    """A line on the mutants that nobody can reach; empty without any."""
    counts = Counter(reasons)
    if not counts:
        return ""
    why = ", ".join(f"{reason} ({count})" for reason, count in counts.most_common(MOST_REASONS))
    more = ", …" if len(counts) > MOST_REASONS else ""
    return f"{counts.total()} mutants change what nobody can reach: {why}{more}"


MOST_REASONS = 3  # that are named
