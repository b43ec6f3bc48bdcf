"""Many survivors as a short list: grouped by the kind of test that would kill them, those about access first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

MOST = 40  # survivors that are shown in full
SHOWN = 3  # of each group
PROPERTY = "rolecall survivor"  # the user property of a mutant that survived: what :meth:`Surviving.as_text` returns


class Surviving(NamedTuple):
    """What the list needs of a survivor. ``by_grid``: a cell of a grid would most likely kill it."""

    by_grid: bool
    catches: str
    id: str

    def as_text(self) -> str:
        """The text that :meth:`from_text` reads."""
        return "\t".join(["access" if self.by_grid else "", self.catches, self.id])

    @classmethod
    def from_text(cls, text: str) -> Surviving:
        """A survivor from the text of :meth:`as_text`."""
        access, catches, name = text.split("\t", 2)
        return cls(bool(access), catches, name)


def lines(survivors: Iterable[Surviving]) -> Iterator[str]:
    """A paragraph for each kind of test that is missing. Before them, what the list is."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for each in survivors:
        groups.setdefault((each.by_grid, each.catches), []).append(each.id)
    yield "What is missing, with the number of mutants that such tests would kill (-v shows each mutant in full):"
    for (_, catches), ids in sorted(groups.items(), key=lambda group: (not group[0][0], -len(group[1]))):
        yield f"{len(ids):6}  {catches}"
        yield from (f"          {name}" for name in ids[:SHOWN])
        if len(ids) > SHOWN:
            yield f"          … and {len(ids) - SHOWN} more"
