"""Growth with the schema and with the grids: time and memory by size, and their exponents."""

from __future__ import annotations

import math
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
from psycopg import Connection

from benchmarks import enorae
from benchmarks.clock import time_pytest
from benchmarks.results import Ratio, Result
from benchmarks.synthetic import CELLS, lay_out
from rolecall import Grid, World
from rolecall.catalog import definitions, objects
from rolecall.catalog.manifest import Manifest
from rolecall.coverage import plpgsql
from rolecall.coverage.count import count_all, count_tried
from rolecall.database import build, load
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.sql import migrations
from rolecall.worker import Worker

TABLES = (10, 100, 1000)
CELL_COUNTS = (1_000, 10_000, 100_000)
OF_CELLS = 5  # tables for the numbers of cells
MAX_EXPONENT = 1.2  # counts as linear
MEMORY = 500  # MB
TICK = 0.02  # seconds; the clock is not more precise


def run() -> Result:
    """Measure with more and more tables, then with more and more cells."""
    result = Result("growth", "CPU time by size: tables with four policies each and one row, then cells of five tables")
    with choose.running(enorae.configuration()) as server:
        for tables in TABLES:
            _in_process(result, server, tables, 1, f"{tables:,} tables")
            _as_items(result, server, tables, 1, f"{tables:,} tables")
        for cells in CELL_COUNTS:
            rows = cells // CELLS // OF_CELLS
            _in_process(result, server, OF_CELLS, rows, f"{cells:,} cells", only=("probe", "report"))
            _as_items(result, server, OF_CELLS, rows, f"{cells:,} cells")
    _exponents(result, [f"{size:,} tables" for size in TABLES])
    _exponents(result, [f"{size:,} cells" for size in CELL_COUNTS])
    return result


def _in_process(
    result: Result, server: Server, tables: int, rows: int, size: str, only: tuple[str, ...] | None = None
) -> None:
    """Each step of a run, called as the plugin calls it, in this process."""
    clock = Clock(server)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out(folder, tables, rows)
        run_settings = replace(
            enorae.configuration(),
            platform=folder / "platform.sql",
            baseline=None,
            requires=None,
            migrations=folder / "migrations",
            migration_role=(),
        )
        world: World = runpy.run_path(str(folder / "conftest.py"))["pytest_rolecall_world"](1)
        grids = [_grid(folder / f"test_t{table}.py") for table in range(tables)]
        run = run_on(server)
        with owned(run):
            with clock.step("build"):
                manifest = build.build(run, run_settings)
                load.load(run, world)
            with clock.step("clone"), run.clone(run.template, "copy"):
                pass
            worker = Worker(run, run_settings, world, "bench")
            _steps_of_a_worker(clock, worker, manifest, grids, folder / "migrations")
            result.facts[f"memory of the server's process, {size}, MB"] = _megabytes(_backend(worker.connection))
            worker.close()
    for step, seconds in clock.seconds.items():
        if only is None or step in only:
            result.samples[f"{step}, {size}"] = [seconds]


def _steps_of_a_worker(clock: Clock, worker: Worker, manifest: Manifest, grids: list[Grid], folder: Path) -> None:
    world = worker.world
    assert worker.connection
    with clock.step("introspect"):
        objects.added([], objects.objects(worker.connection))
        catalog = definitions.read(worker.connection, manifest, world, migrations.read(folder))
    with clock.step("complete"):
        for grid in grids:
            grid.validate(world)
    with clock.step("probe"):
        failures = [cell.id for grid in grids for cell in grid.cells if worker.check(grid, cell)]
    assert not failures, failures[:3]
    with clock.step("report"):
        bodies = plpgsql.read(worker.connection, plpgsql.called(worker.connection, manifest))
        count_tried(manifest, worker.recorder, list(world.personas))
        count_all(manifest, catalog, bodies, migrations.read(folder), worker.recorder, list(world.personas))
        StringIO().write(str(worker.recorder.as_json()))


def _as_items(result: Result, server: Server, tables: int, rows: int, size: str) -> None:
    """A run of pytest with one item per cell."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out(folder, tables, rows)
        timed = time_pytest(folder, ["-n", "0"], {"ROLECALL_PG_DSN": server.conninfo})
    assert timed.ran == rows * tables * CELLS
    result.samples[f"collect, {size}"] = [timed.collection_cpu]
    result.samples[f"run items, {size}"] = [timed.tests_cpu]
    result.facts[f"memory of pytest, {size}, MB"] = timed.memory
    if size in (f"{TABLES[-1]:,} tables", f"{CELL_COUNTS[-1]:,} cells"):
        result.ratios.append(Ratio(f"memory of pytest, {size}, MB", timed.memory, at_most=MEMORY))


def _exponents(result: Result, sizes: list[str]) -> None:
    """How each step grows over the last tenfold: 1 is linear, 2 quadratic."""
    last, biggest = sizes[-2:]
    for step in [name.removesuffix(f", {biggest}") for name in result.samples if name.endswith(f", {biggest}")]:
        times = result.median(f"{step}, {biggest}") / max(result.median(f"{step}, {last}"), TICK)
        result.ratios.append(
            Ratio(f"exponent of {step}, to {biggest}", math.log10(max(times, 1)), at_most=MAX_EXPONENT)
        )


def _grid(path: Path) -> Grid:
    grid: Grid = runpy.run_path(str(path))["test_grid"]
    return grid


class Clock:
    """Measures steps in CPU seconds of this process and the server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the block."""
        start = _cpu(self.server)
        yield
        self.seconds[name] = _cpu(self.server) - start


def _cpu(server: Server) -> float:
    """CPU seconds of this process and of all processes of the server."""
    with psycopg.connect(server.conninfo) as connection:
        postmaster = _backend(connection).parent()
        assert postmaster
        processes = [psutil.Process(), *postmaster.children()]
        children = postmaster.cpu_times()
        times = [process.cpu_times() for process in processes]
    return float(children.children_user + children.children_system + sum(each.user + each.system for each in times))


def _backend(connection: Connection[Any]) -> psutil.Process:
    return psutil.Process(connection.info.backend_pid)


def _megabytes(process: psutil.Process) -> float:
    """Its own memory in MB, without the memory that it shares: that is the server's buffers."""
    memory = process.memory_info()
    return round((memory.rss - getattr(memory, "shared", 0)) / 2**20, 1)
