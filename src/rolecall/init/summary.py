"""What ``rolecall init`` prints: what looks like a leak comes first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rolecall.init.observe import Leak
from rolecall.init.propose import Proposal

MOST = 20  # lines of one kind


def lines(proposal: Proposal, seconds: float) -> Iterator[str]:
    """The summary."""
    yield from _section("looks like a leak, read it first:", _leaks(proposal.leaks))
    yield from _section("not protected by row-level security, and clients may use it:", proposal.open)
    reasons = [
        f"{table}: {reason.removeprefix('TODO: ')}"
        for table, reason in proposal.without_grid.items()
        if table not in proposal.open
    ]
    yield from _section("tables without a grid, and why:", reasons)
    errors = [f"{each.table}: {each.problem}" for each in proposal.grids if each.problem]
    yield from _section("cells that end with an error, written as its SQLSTATE:", errors)
    unsure = [f"{policy}: {what}" for policy, what in proposal.unsure]
    yield from _section("policies that did not both admit and refuse a row:", unsure)
    decided = proposal.policies - len(proposal.unsure)
    rows = sum(map(len, proposal.rows.values()))
    cells = sum(len(verdicts) for each in proposal.grids for verdicts in each.cells.values())
    yield (
        f"{_count(len(proposal.grids), 'table')}, {_count(len(proposal.actors), 'persona')}, {_count(rows, 'row')}, "
        f"{_count(cells, 'cell')} in {seconds:.0f} s"
    )
    if proposal.policies:
        yield f"{decided} of {_count(proposal.policies, 'policy', 'policies')} admitted a row and refused one"


def _leaks(leaks: Sequence[Leak]) -> list[str]:
    """A line for each group of rows, and the personas that may do the same with them. Writes come first."""
    return [
        f"{each.table}: {', '.join(each.commands)} on {each.rows[0]!r}"
        f"{f' and {len(each.rows) - 1} more' if len(each.rows) > 1 else ''} as {', '.join(each.personas)}"
        for each in sorted(leaks, key=lambda each: list(each.commands) == ["select"])
    ]


def _section(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield title
        yield from (f"  {' '.join(text.split())}" for text in texts[:MOST])
        if len(texts) > MOST:
            yield f"  and {len(texts) - MOST} more"
        yield ""


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def missing_settings(file: str, folder: str, settings: Mapping[str, str], without: Iterable[str]) -> Iterator[str]:
    """What to add to a configuration that exists, as it is written there."""
    is_toml = file.endswith(".toml")
    yield f"{file} configures pytest already, and is not changed. Add these settings there:"
    yield f"  testpaths: {folder}, besides what it has"
    yield from (f"  {name} = {json.dumps(value) if is_toml else value}" for name, value in settings.items())
    if tables := list(without):
        yield "  rolecall_tables_without_grid, with a reason each: " + ", ".join(tables)
