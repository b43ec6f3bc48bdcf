"""Schemas that are hard to probe: each cell has the correct verdict.

With ``--rolecall-oracle``, each verdict is also compared with the result of a client's committed request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from rolecall import World, grid, settings
from rolecall.grids.grid import Cell
from rolecall.grids.probe import Results
from rolecall.grids.verdicts import verdict
from rolecall.oracle.requests import Difference, Oracle
from rolecall.worker import Worker
from tests.awkward import POLICIES, TABLES, TRIGGERS, Shape

Project = Callable[[str, World], Worker]
Verdicts = dict[str, str]
Compare = Callable[[Shape], tuple[Verdicts, Verdicts, list[Difference]]]


@pytest.fixture
def compare(project: Project, pytestconfig: pytest.Config) -> Compare:
    """A function that tries the cells of a shape.

    It returns their verdicts, cell by cell and all at once, and the checks with another result as a request.
    """
    with_oracle = settings.read(pytestconfig).oracle

    def compare(shape: Shape) -> tuple[Verdicts, Verdicts, list[Difference]]:
        world = World()
        for name in ("alice", "bob"):
            world.persona(name, "toy_member", subject=name)
        world.persona("visitor", "toy_visitor")
        world.add(shape.table, "alice's", **shape.row)
        for number, (table, row) in enumerate(shape.more):
            world.add(table, f"another {number}", **row)
        worker = project(shape.sql, world)
        text = shape.verdicts.replace("error", "!")  # a grid cannot expect an error
        shape_grid = grid(shape.table, text, **{"update": "body = 'changed'"} | shape.options)
        results = {cell: worker.outcomes.try_cell(shape_grid, cell) for cell in shape_grid.cells}
        oracle = Oracle(worker.run, worker.name)
        differences = [
            difference for pairs in results.values() if with_oracle for difference in oracle.differences(pairs)
        ]
        oracle.close()
        return verdicts(results.items()), verdicts(worker.outcomes.results(shape_grid)), differences

    return compare


def verdicts(results: Iterable[tuple[Cell, Results]]) -> Verdicts:
    """The verdict of each cell."""
    return {f"{cell.persona} {cell.command}": verdict(pairs, cell.expected) for cell, pairs in results}


def expected(text: str) -> Verdicts:
    """The verdicts of a grid's text, in which a cell may also be an error."""
    commands, _, *lines = (line.split() for line in text.strip().splitlines())
    return {
        f"{persona} {command}": word for persona, *words in lines for command, word in zip(commands, words, strict=True)
    }


def shapes(**groups: dict[str, Shape]) -> pytest.MarkDecorator:
    """A parameter for each shape of each group."""
    return pytest.mark.parametrize(
        "shape",
        [pytest.param(shape, id=f"{kind} {name}") for kind, group in groups.items() for name, shape in group.items()],
    )


@shapes(table=TABLES, trigger=TRIGGERS, policy=POLICIES)
def test_the_verdicts_are_those_of_a_client(compare: Compare, shape: Shape) -> None:
    assert compare(shape) == (expected(shape.verdicts), expected(shape.verdicts), [])
