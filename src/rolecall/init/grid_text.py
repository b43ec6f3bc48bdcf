"""The text of the modules with the grids, and of pytest's configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rolecall.grids.reader import EVERYONE_ELSE
from rolecall.grids.verdicts import UNDECIDED
from rolecall.init.observe import Observed, Verdicts
from rolecall.init.world_text import repr_of

WIDEST = 30  # characters of a list of names
INI = """\
[pytest]
testpaths = {folder}
addopts = --import-mode=importlib
{settings}
"""
MODULE = '''\
"""Access to {table}. The verdicts were observed. Read each, and remove the question mark if it is right."""

from rolecall import grid

test_{name} = grid(
    {literal},
    """
{text}
    """,
{arguments}
)
'''


def ini(folder: str, settings: Mapping[str, str], without_grid: Mapping[str, str]) -> str:
    """pytest's configuration. ``without_grid`` has the tables without a grid, with the reasons."""
    lines = [f"{name} = {value}" for name, value in settings.items()]
    if without_grid:
        lines.append("rolecall_tables_without_grid =")
        lines += [f"    {table}: {' '.join(reason.split())}" for table, reason in without_grid.items()]
    return INI.format(folder=folder, settings="\n".join(lines))


def module(observed: Observed, name: str, personas: Sequence[str]) -> str:
    """The text of the module with the grid of a table."""
    arguments = [f"update={repr_of(observed.update)}"]
    if observed.moves:
        moves = ", ".join(f"{repr_of(move)}: {repr_of(text)}" for move, text in observed.moves.items())
        arguments.append(f"moves={{{moves}}}")
    if list(observed.key) != ["id"]:
        keys = ", ".join(map(repr_of, observed.key))
        arguments.append(f"key={keys}" if len(observed.key) == 1 else f"key=({keys})")
    return MODULE.format(
        table=observed.table,
        name=name,
        literal=repr_of(observed.table),
        text="\n".join(f"    {line}".rstrip() for line in grid_lines(observed, personas)),
        arguments="\n".join(f"    {argument}," for argument in arguments),
    )


def grid_lines(observed: Observed, personas: Sequence[str]) -> list[str]:
    """The lines of a grid. Personas with equal verdicts share a line; the largest such group is ``everyone else``."""
    rows: list[list[tuple[list[str], tuple[str, ...]]]] = []
    titles = list(dict.fromkeys(row for row, _ in observed.cells))
    for title in titles:
        groups: dict[tuple[str, ...], list[str]] = {}
        for persona in personas:
            words = _words(observed.cells[title, persona], observed.commands)
            groups.setdefault(words, []).append(persona)
        rest = _everyone_else(groups)
        named = [(_wrapped(names), words) for words, names in groups.items() if words != rest]
        rows.append([*named, *([([EVERYONE_ELSE], rest)] if rest else [])])
    width = max(len(names[-1]) for row in rows for names, _ in row) + 2
    widths = [
        max(len(command), *(len(words[number]) for row in rows for _, words in row))
        for number, command in enumerate(observed.commands)
    ]
    lines = [" " * (width + 3) + _columns(observed.commands, widths)]
    for title, row in zip(titles, rows, strict=True):
        lines += [*([""] if len(lines) > 1 else []), title]
        for names, words in row:
            lines += [f"  {line}" for line in names[:-1]]
            lines.append(f"  {names[-1]}".ljust(width + 3) + _columns(words, widths))
    return [line.rstrip() for line in lines]


def _words(verdicts: Verdicts, commands: Sequence[str]) -> tuple[str, ...]:
    return tuple(verdicts[command] + UNDECIDED for command in commands)


def _everyone_else(groups: Mapping[tuple[str, ...], list[str]]) -> tuple[str, ...] | None:
    """The words of the line for all other personas: those of the most, and nobody of them has access.

    A persona that comes later must not have access by default.
    """
    closed = [words for words, names in groups.items() if not any("yes" in word for word in words) and len(names) > 1]
    if len(groups) == 1:
        return next(iter(groups))
    return max(closed, key=lambda words: len(groups[words]), default=None)


def _columns(words: Sequence[str], widths: Sequence[int]) -> str:
    return "   ".join(word.ljust(width) for word, width in zip(words, widths, strict=True))


def _wrapped(names: Sequence[str]) -> list[str]:
    """A list of names in lines; all but the last end with a comma."""
    lines = [names[0]]
    for name in names[1:]:
        if len(lines[-1]) + len(name) + 2 > WIDEST:
            lines[-1] += ","
            lines.append(name)
        else:
            lines[-1] += f", {name}"
    return lines
