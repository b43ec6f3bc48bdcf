"""What of a dump was left out or replaced by a stand-in, in groups, and its text for the end of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

# In the order of the report: what a test may notice comes first.
GROUPS = {
    "stand-in": "replaced by a stand-in",
    "extension": "extensions that this server lacks",
    "function": "functions that need such an extension",
    "absent": "on objects that were left out",
    "owner": "owners that do not exist here, or are superusers",
    "grant": "grants to roles that do not exist here",
    "role": "roles, which belong to the server",
    "platform": "what the platform has already, or has in another form",
    "needless": "what no test needs",
    "session": "commands of psql, transactions, settings, databases",
}
MOST_NAMES = 12


class LeftOut(NamedTuple):
    """One statement that was left out: its group, what it is about, its place ``file:line``, and its beginning."""

    group: str
    what: str
    place: str
    statement: str


def lines(left_out: Iterable[LeftOut], *, verbose: bool) -> Iterator[str]:
    """A line for each group; with ``verbose``, also one for each statement."""
    order = list(GROUPS)
    for group, members in groupby(sorted(left_out, key=lambda each: order.index(each.group)), lambda each: each.group):
        found = list(members)
        yield f"{len(found):4}  {GROUPS[group]}: {_names(found)}"
        if verbose:
            for each in found:
                yield f"        {each.place}: {each.statement}"


def _names(members: list[LeftOut]) -> str:
    names = list(dict.fromkeys(each.what for each in members))
    rest = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
