"""The expected state: what the project's SQL makes, step by step, read from a database in which it was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from rolecall.catalog import dependencies, snapshot
from rolecall.catalog.snapshot import Item, Snapshot
from rolecall.database import build, scripts
from rolecall.database.cleanup import owned
from rolecall.database.run import Run, run_on
from rolecall.drift import bodies
from rolecall.errors import RolecallError
from rolecall.server.choose import Server
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.sql.migrations import Phase

NOTHING = (
    "this folder has nothing to compare with: rolecall_migrations and rolecall_baseline are not set.\n"
    "Run rolecall check in the folder of the project's pytest configuration."
)


@dataclass(frozen=True)
class Stage:
    """The database after a step. ``phase`` is the step's; without migrations, the baseline is the only step, of 1."""

    step: str
    phase: int
    snapshot: Snapshot


@dataclass(frozen=True)
class Expected:
    """What the steps make.

    ``start`` is the database before the first step. ``needs`` has what the steps need of it, each with the first step
    that needs it and the object for which. ``role`` is the role that ran the steps. ``phases`` are their numbers; none
    without migrations.
    """

    start: Snapshot
    stages: tuple[Stage, ...]
    needs: dict[Item, tuple[str, Item]]
    role: str
    phases: tuple[int, ...]

    @property
    def head(self) -> Snapshot:
        """The database after the last step."""
        return self.stages[-1].snapshot

    def after(self, phase: int) -> Snapshot:
        """The database after a phase and those before it; for 0, before the first step."""
        return next((stage.snapshot for stage in reversed(self.stages) if stage.phase <= phase), self.start)

    def step_of(self, item: Item) -> str:
        """The first step after which an item exists; empty for one that existed before, or never does."""
        if item in self.start.items:
            return ""
        return next((stage.step for stage in self.stages if item in stage.snapshot.items), "")


@contextmanager
def built(server: Server, settings: Settings) -> Iterator[tuple[Expected, ServerConnection]]:
    """Run the project's SQL on the server, and read what it makes. Yields that, and a connection to the database.

    Raises RolecallError if there is nothing to run, and SqlError if a file fails.
    """
    if settings.migrations is None and settings.baseline is None:
        raise RolecallError(NOTHING)
    if settings.migrations:
        phases = migrations.of(settings)
        with database(server, replace(settings, migrations=None)) as (run, connection, role):
            yield after_steps(run, connection, role, phases), connection
    else:
        with (
            database(server, replace(settings, baseline=None, requires=None)) as (_, platform, _role),
            database(server, settings) as (_, connection, role),
        ):
            assert settings.baseline
            stage = Stage(settings.baseline.name, 1, snapshot.read(connection))
            yield _expected(connection, snapshot.read(platform), [stage], role, ()), connection


def after_steps(run: Run, connection: ServerConnection, role: str | None, phases: Sequence[Phase]) -> Expected:
    """Run all steps in a database that has the baseline, and read it after each. Raises SqlError if a step fails."""
    start = snapshot.read(connection)
    stages = []
    for phase in phases:
        for step in phase.steps:
            scripts.run_script(run, connection, step, role)
            stages.append(Stage(step.title, phase.number, snapshot.read(connection)))
    return _expected(connection, start, stages, role, tuple(phase.number for phase in phases))


@contextmanager
def database(
    server: Server, settings: Settings, *, roles_exist: bool = False
) -> Iterator[tuple[Run, ServerConnection, str | None]]:
    """A database with the platform and the baseline of the settings, for the block; and the migration role.

    ``roles_exist``: the server may have the roles that the baseline creates.
    """
    run = replace(run_on(server), roles_exist=roles_exist)
    if server.cluster:  # thrown away as a whole
        run = replace(run, token="")
        manifest = build.build(run, settings)
        with closing(run.connect(run.template)) as connection:
            yield run, connection, manifest.role
        return
    with owned(run):
        manifest = build.build(run, settings)
        with closing(run.connect(run.template)) as connection:
            yield run, connection, manifest.role


def _expected(
    connection: ServerConnection, start: Snapshot, stages: list[Stage], role: str | None, phases: tuple[int, ...]
) -> Expected:
    row = connection.execute("SELECT current_user").fetchone()
    assert row
    expected = Expected(start, tuple(stages), {}, role or row[0], phases)
    return replace(expected, needs=_needs(connection, expected))


def _needs(connection: ServerConnection, expected: Expected) -> dict[Item, tuple[str, Item]]:
    """What the new items need of those that existed before."""
    recorded, texts = dependencies.read(connection)
    known = bodies.known(expected.start.items)
    named = [each for body in texts for each in bodies.dependencies(body, known)]
    order = {stage.step: position for position, stage in enumerate(expected.stages)}
    needs: dict[Item, tuple[str, Item]] = {}
    for item, needed in recorded + named:
        step = expected.step_of(item)
        needed = _key_of(needed, expected.start)
        if not step or needed not in expected.start.items:
            continue
        for each in (needed.whole, needed):
            if each not in needs or order[step] < order[needs[each][0]]:
                needs[each] = step, item
    return needs


def _key_of(needed: Item, start: Snapshot) -> Item:
    """A foreign key depends on an index of the other table: the constraint that has this index."""
    constraint = needed._replace(part=needed.part.replace("index ", "constraint ", 1))
    return constraint if needed.part_kind == "index" and constraint in start.items else needed
