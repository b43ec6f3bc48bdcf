"""One process of a run. The first one starts the server and builds the templates; the workers get their names."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import pytest

from rolecall.access.world import World
from rolecall.catalog.manifest import Manifest
from rolecall.coverage.count import count_all, count_tried
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.database import cache, provision
from rolecall.database.provision import Provisioner
from rolecall.database.run import Run
from rolecall.errors import RolecallError
from rolecall.grids.grid import Cell, Grid
from rolecall.report.progress import Progress, no_progress
from rolecall.report.results import CoverageCount
from rolecall.server import choose, signals
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.worker import Worker

MESSAGE = "rolecall"  # the key of the messages between xdist's controller and its workers


class Template(NamedTuple):
    """The templates that this process has built: their run, and the manifest of the migrations."""

    run: Run
    manifest: Manifest


class Process:
    """The state of one process of a run."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.started = time.monotonic()
        self.recorder = CoverageRecorder()  # of this process; in the first process, of all workers
        self.worker: Worker | None = None
        self.template: Template | None = None
        self._stack = ExitStack()
        self._provisioner: Provisioner | None = None
        self._worlds: dict[int, World] = {}
        self._parts: dict[Grid, Grid] = {}
        message = getattr(config, "workerinput", {}).get(MESSAGE)
        self.is_worker = message is not None
        self.run = Run.of(message, settings) if message else None

    @property
    def world(self) -> World:
        """The world of this run's seed, created once."""
        seed = self.settings.world_seed
        if seed not in self._worlds:
            self._worlds[seed] = self.config.hook.pytest_rolecall_world(seed=seed, config=self.config) or World()
        return self._worlds[seed]

    def get_worker(self) -> Worker:
        """This process's worker, created at the first call. Builds the templates if no other process does."""
        if self.worker is None:
            self.build()
            if self.run is None:
                raise RolecallError(nothing_to_build(self.config))
            name = os.environ.get("PYTEST_XDIST_WORKER", "main")
            self.worker = Worker(self.run, self.settings, self.world, name)
            self.worker.parts = self._parts
            self._stack.callback(self.worker.close)
        return self.worker

    def select(self, cells: Iterable[tuple[Grid, Cell]]) -> None:
        """Note the cells that the run has: no others are tried, if it has a part of a grid.

        With ``--rolecall-coverage`` all are tried, because what they cover belongs to the whole grid.
        """
        by_grid: dict[Grid, list[Cell]] = {}
        for grid, cell in () if self.settings.coverage else cells:
            by_grid.setdefault(grid, []).append(cell)
        self._parts.update(
            (grid, replace(grid, cells=tuple(some))) for grid, some in by_grid.items() if len(some) < len(grid.cells)
        )

    @property
    def has_server(self) -> bool:
        """Whether another process keeps the server up, so that this one starts none."""
        return self.config.stash.get(KEPT, False)

    @property
    def distributes(self) -> bool:
        """Whether this process only distributes tests to xdist's workers."""
        option = self.config.option
        return bool(getattr(option, "tx", None)) and not option.collectonly and not self.is_worker

    def launch(self) -> Provisioner:
        """Start the server, or connect to a running one. The databases and the world do not exist yet."""
        if self._provisioner is None:
            # Our own server starts quickly, so no signal interrupts it. A connection to a running server may take long,
            # and there is nothing to clean up yet.
            with nullcontext() if self.settings.pg_dsn else signals.deferred():
                provisioner = self._stack.enter_context(provision.provision(self.settings, World()))
            self._provisioner, self.run = provisioner, provisioner.run
        return self._provisioner

    def use(self, provisioner: Provisioner) -> None:
        """Use a server that another process keeps up. It stays at the end of this one."""
        self._provisioner, self.run = provisioner, provisioner.run

    def announce(self) -> None:
        """Say which running server is used, if there is no header, and why the cache is not."""
        terminal, settings = self.config.pluginmanager.getplugin("terminalreporter"), self.settings
        if terminal and settings.pg_dsn and self.config.get_verbosity() < 0:  # with -q there is no header
            terminal.write_line(f"rolecall: {choose.describe(settings)}")
        if terminal and settings.cache_dir and not settings.pg_dsn and (reason := cache.objection(settings.cache_dir)):
            terminal.write_line(f"rolecall: {reason}")

    def build(self, progress: Progress = no_progress) -> None:
        """Build the templates, if this is the first process and they are not built yet."""
        if not self.is_worker and self.template is None:
            provisioner = self.launch()
            provisioner.world = self.world
            manifest = provisioner.build(progress)
            self.world.missing = manifest.missing_rows
            self.template = Template(provisioner.run, manifest)

    def close(self) -> None:
        """Close connections, drop databases, stop the server."""
        self._stack.close()

    @cached_property
    def phase_numbers(self) -> list[int]:
        """The numbers of the phases of the migrations, in order."""
        with suppress(RolecallError):  # the build reports it
            return [phase.number for phase in migrations.of(self.settings)]
        return []

    @property
    def earlier_phases(self) -> list[int]:
        """The numbers of the phases after which tests run too: all but the last, or none without the option.

        None for mutants either: they change what all phases together have made.
        """
        return self.phase_numbers[:-1] if self.settings.after_each_phase and not self.settings.mutants else []

    # -- coverage

    def add_facts(self, facts: Any) -> None:
        """Add the facts that another process recorded."""
        self.recorder.merge(facts)

    def count(self) -> list[CoverageCount]:
        """What the tests covered. With ``--rolecall-coverage``, everything that the migrations created is counted."""
        if self.template is None:
            return []
        run, manifest = self.template
        personas = list(self.world.personas)
        if not self.settings.coverage:
            return count_tried(manifest, self.recorder, personas)
        from rolecall.catalog import definitions
        from rolecall.coverage import plpgsql

        phases = migrations.of(self.settings)
        with run.connect(run.template) as connection:
            schema = definitions.read(connection, manifest, self.world, phases)
            bodies = plpgsql.read(connection, plpgsql.called(connection, manifest))
        return count_all(manifest, schema, bodies, phases, self.recorder, personas)


def nothing_to_build(config: pytest.Config) -> str:
    """The error of a project without a setting that says what to build: the file that pytest read, and what to do.

    pytest searches the file in the common folder of all its arguments. It cannot tell yet which of them is the value
    of an option, so a folder elsewhere hides the file of the project.
    """
    text = "rolecall has nothing to build: "
    if config.inipath:
        return f"{text}set rolecall_baseline or rolecall_migrations in {config.inipath}."
    return (
        f"{text}pytest has found no configuration file for {config.rootpath}.\n"
        "Run the command in the folder of that file. Give a folder elsewhere with '=': --rolecall-report=/tmp/report."
    )


PROCESS = pytest.StashKey[Process]()
KEPT = pytest.StashKey[bool]()  # see Process.has_server


def process_of(config: pytest.Config) -> Process:
    """This process. Raises RolecallError in a project that has nothing to build."""
    process = config.stash.get(PROCESS, None)
    if process is None:
        raise RolecallError(nothing_to_build(config))
    return process
