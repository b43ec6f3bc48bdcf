"""The export: every grid of the project as a script, tried on the database that the migrations make."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import NamedTuple

from rolecall.access.custom_settings import custom_settings
from rolecall.access.world import World
from rolecall.database.provision import provision
from rolecall.grids.grid import Grid
from rolecall.pgtap import folder
from rolecall.pgtap.cells import export
from rolecall.pgtap.script import script
from rolecall.settings import Settings
from rolecall.worker import Worker

TITLE = """\
{mark}{source}.
Change the grid, and run the command again. See https://github.com/enorae/rolecall/blob/main/docs/pgtap.md"""


class Export(NamedTuple):
    """The scripts by the name of their file, lines about what they do not test, and the cells at which pytest fails."""

    texts: dict[str, str]
    tests: int
    left_out: list[str]
    differing: list[str]


def export_all(settings: Settings, world: World, grids: Mapping[str, Grid]) -> Export:
    """Build the database and export each grid. Raises RolecallError, or SqlError for a step that fails.

    :param grids: by the id of their tests
    """
    made = Export({}, 0, [], [])
    tests = 0
    with provision(settings, world) as provisioner:
        world.missing = provisioner.build().missing_rows
        with closing(Worker(provisioner.run, settings, world, "pgtap")) as worker:
            names = {*custom_settings(worker.connection), *world.settings}
            for name, (source, grid) in zip(
                folder.names(grid.table for grid in grids.values()), grids.items(), strict=True
            ):
                exported = export(grid, worker.outcomes.results(grid))
                title = TITLE.format(mark=folder.MARK, source=source)
                made.texts[name] = script(exported.assertions, title=title, world=world, settings=names)
                tests += len(exported.assertions)
                made.left_out.extend(f"{source}: {text}" for text in exported.left_out)
                made.differing.extend(f"{source}: {text}" for text in exported.differing)
    made.left_out.extend(world.problem(*key) for key in world.missing)
    return made._replace(tests=tests)
