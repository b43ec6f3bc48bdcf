"""Writes observed verdicts into the grids of the test modules."""

from __future__ import annotations

import hashlib
import io
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from rolecall.access.world import World
from rolecall.report.results import ObservedCell
from rolecall.update.source import LeftAloneError, find, with_text
from rolecall.update.text import GridText, Pair


@dataclass
class Update:
    """What was written: the number of cells, by file. ``left`` says what was left alone, and why."""

    cells: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def write(cells: Iterable[ObservedCell], world: World) -> Update:
    """Write the verdicts of cells into the files of their grids, in the order of the world."""
    update, personas = Update(), list(world.personas)

    def place(cell: ObservedCell) -> tuple[str, int, int, int]:
        rows = list(world.rows[cell.table])
        return cell.path, cell.call, rows.index(cell.row), personas.index(cell.persona)

    for path, of_file in groupby(sorted(cells, key=place), key=attrgetter("path")):
        _write_file(Path(path), list(of_file), personas, update)
    return update


def _write_file(path: Path, cells: list[ObservedCell], personas: Sequence[str], update: Update) -> None:
    file = cells[0].file
    try:
        content = path.read_bytes()
        if {hashlib.sha256(content).hexdigest()} != {cell.digest for cell in cells}:
            update.left.append(f"{file} has changed since the run began: nothing is written there. Run again.")
            return
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        source, written = content.decode(encoding), 0
        calls = {call: list(group) for call, group in groupby(cells, key=attrgetter("call"))}
        for call in sorted(calls, reverse=True):  # from the end: the lines before it stay where they are
            try:
                source, count = _rewritten(source, call, calls[call], personas, update)
                written += count
            except LeftAloneError as error:
                update.left.append(f"{file}:{call}: this grid is left alone: {error}.")
        if written:
            path.write_bytes(source.encode(encoding))
            update.cells[file] = written
    except OSError as error:
        update.left.append(f"{file} cannot be written: {error.strerror}.")


def _rewritten(
    source: str, call: int, cells: list[ObservedCell], personas: Sequence[str], update: Update
) -> tuple[str, int]:
    """The source with the cells of one grid, and their number."""
    if len({cell.table for cell in cells}) > 1:
        raise LeftAloneError("the line makes several grids")
    literal = find(source, call)
    text = GridText(literal.text, personas)
    observed, incomplete = _complete(cells, text.commands)
    update.left += [
        f"{cells[0].file}:{call}: {persona!r} under {row!r} is left out: not all of its cells have a verdict."
        for row, persona in incomplete
    ]
    if not observed:
        return source, 0
    new = with_text(source, literal, text.rewritten(observed))
    return new, sum(map(len, observed.values()))


def _complete(
    cells: Iterable[ObservedCell], commands: Sequence[str]
) -> tuple[dict[Pair, Mapping[str, str]], list[Pair]]:
    """The verdicts by row and persona. A persona that the grid lacks needs one for each command."""
    found: dict[Pair, dict[str, str]] = {}
    new: set[Pair] = set()
    for cell in cells:
        found.setdefault((cell.row, cell.persona), {})[cell.command] = cell.verdict
        if not cell.written:
            new.add((cell.row, cell.persona))
    incomplete = [pair for pair, verdicts in found.items() if pair in new and len(verdicts) < len(commands)]
    return {pair: verdicts for pair, verdicts in found.items() if pair not in incomplete}, incomplete
