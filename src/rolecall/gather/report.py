"""The report of the project in the current folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version

from rolecall.access.world import World
from rolecall.catalog import places
from rolecall.collect import Collected
from rolecall.database.provision import provision
from rolecall.gather import objects, phases
from rolecall.gather.findings import findings
from rolecall.gather.objects import Sources
from rolecall.gather.project import Project
from rolecall.grids.grid import Grid
from rolecall.report.report import Report, ReportedPersona
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.worker import Worker


def measure(collected: Collected) -> Report:
    """Build the database of a project, and measure what a report shows; without the results of runs.

    Raises RolecallError, SqlError for a step that fails, and psycopg.Error if something cannot be tried.
    """
    assert collected.process
    settings, root = collected.process.settings, collected.process.config.rootpath
    return _measure(settings, collected.world, collected.grids, Project(root))


def _measure(settings: Settings, world: World, grids: Mapping[str, Grid], project: Project) -> Report:
    of_phases = migrations.of(settings)
    with provision(settings, world) as provisioner:
        manifest = provisioner.build()
        world.missing = manifest.missing_rows
        run = provisioner.run
        measured = phases.measure(run, of_phases, manifest.role, project)
        sources = Sources(world, grids, places.of(settings, project.root), project, measured.made_by)
        with closing(Worker(run, settings, world, "report")) as worker:
            found = objects.read(worker.connection, sources)
            server = run.server
    return Report(
        project=project.name,
        rolecall=version("rolecall"),
        server=server,
        default_privileges=settings.default_privileges,
        seed=settings.world_seed,
        personas=personas(world),
        objects=found,
        phases=measured.phases,
        findings=findings(settings.defects, project),
    )


def personas(world: World) -> list[ReportedPersona]:
    """The personas of a world, in its order."""
    return [
        ReportedPersona(each.name, each.role, dict(each.claims), dict(each.custom), each.setup)
        for each in world.personas.values()
    ]
