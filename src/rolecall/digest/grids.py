"""Failed cells, put together again as the grids that they are cells of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from rolecall.digest.failures import KINDS
from rolecall.digest.sections import cell_groups
from rolecall.digest.tally import TriedCell
from rolecall.report.failures import CellInGrid, FailedGrid, Failure, FailureGroup, GridLine, GridVerdict

LEAST = 2  # failed cells of one grid; a single one is a paragraph


def failed_grids(failures: Iterable[Failure], tried: Mapping[str, TriedCell]) -> list[FailedGrid]:
    """The grids with more than one failed cell, the worst first. ``tried`` are all cells of the run, by id."""
    by_grid: dict[tuple[str, int], list[tuple[Failure, CellInGrid]]] = defaultdict(list)
    for failure in failures:
        if failure.cell and failure.in_grid:
            by_grid[failure.in_grid.test, failure.in_grid.call].append((failure, failure.in_grid))
    return sorted((_grid(each, tried) for each in by_grid.values() if len(each) >= LEAST), key=_rank)


def _rank(grid: FailedGrid) -> list[int]:
    """The smallest is the worst: the number of cells of each kind, from the worst kind to the least."""
    kinds = Counter(_kind(failure) for failure in grid.failures)
    return [-kinds[kind] for kind in KINDS]


def _kind(failure: Failure) -> str:
    return failure.cell.kind if failure.cell else ""


def _grid(pairs: Iterable[tuple[Failure, CellInGrid]], tried: Mapping[str, TriedCell]) -> FailedGrid:
    in_order = sorted(pairs, key=lambda pair: pair[1].number)  # workers report in any order
    groups = list(_groups([failure for failure, _ in in_order]))
    first = in_order[0][1]
    lines = list(_lines(in_order, tried))
    wrong = {(line.row, persona) for line in lines for persona in line.personas}
    right = {(cell.row, cell.persona) for cell in tried.values() if (cell.grid, cell.outcome) == (first.test, "right")}
    return FailedGrid(
        test=first.test,
        file=first.file,
        line=first.call,
        table=first.table,
        cells=first.cells,
        commands=first.commands,
        lines=lines,
        others=Counter(row for row, _ in right - wrong),
        failures=[failure for _, group in groups for failure in group.failures],
        reasons=list(_of_others(groups)),
    )


def _groups(failures: Sequence[Failure]) -> Iterator[tuple[str, FailureGroup]]:
    """The failures by kind and cause: the worst kind first, and in it the largest group."""
    for kind in KINDS:
        for group in cell_groups([failure for failure in failures if _kind(failure) == kind], with_table=False):
            yield kind, group


def _of_others(groups: Sequence[tuple[str, FailureGroup]]) -> Iterator[tuple[str, FailureGroup]]:
    """The groups without the worst failure, which is explained in full."""
    (kind, worst), *others = groups
    yield from ((kind, group) for group in cell_groups(worst.failures[1:], with_table=False))
    yield from others


# ------------------------------------------------------------------ lines


def _lines(pairs: Iterable[tuple[Failure, CellInGrid]], tried: Mapping[str, TriedCell]) -> Iterator[GridLine]:
    """The lines with a wrong cell. Personas of one line of the file who have the same verdicts stay together."""
    for (row, line), same_line in groupby(pairs, key=lambda pair: (pair[1].row, pair[1].line)):
        by_persona: dict[str, list[tuple[Failure, CellInGrid]]] = defaultdict(list)
        for pair in same_line:
            by_persona[pair[1].persona].append(pair)
        personas: dict[tuple[GridVerdict, ...], list[str]] = defaultdict(list)
        for persona, cells in by_persona.items():
            personas[tuple(_verdicts(cells, tried))].append(persona)
        for verdicts, names in personas.items():
            yield GridLine(row, names, line, verdicts)


def _verdicts(pairs: Sequence[tuple[Failure, CellInGrid]], tried: Mapping[str, TriedCell]) -> Iterator[GridVerdict]:
    """The verdicts of one persona on one row."""
    wrong = {cell.command: (cell.got, _kind(failure)) for failure, cell in pairs}
    cell = pairs[0][1]
    for command, expected in zip(cell.commands, cell.verdicts, strict=True):
        if command in wrong:
            yield GridVerdict(expected, *wrong[command])
        else:
            was_tried = f"{cell.test}[{cell.row}-{command}-{cell.persona}]" in tried
            yield GridVerdict(expected, expected, tried=was_tried)
