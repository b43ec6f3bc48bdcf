"""pytest's hooks and fixtures, thin: each hands over to a module below."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from rolecall import settings
from rolecall.access.session import Session
from rolecall.access.world import World
from rolecall.catalog import definitions
from rolecall.coverage import plpgsql, recorder
from rolecall.coverage.recorder import Exercised
from rolecall.database import cache, provision
from rolecall.database.manifest import Manifest
from rolecall.database.run import Run
from rolecall.database.scratch import Scratch
from rolecall.defects import trial
from rolecall.defects.files import DefectFile
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.grids.item import CellItem, cell_of, plugin_of, suite_of
from rolecall.process.ending import Ending
from rolecall.report import terminal
from rolecall.server import choose, signals
from rolecall.sql import migrations
from rolecall.worker import Worker

if TYPE_CHECKING:
    pass


class Hooks:
    """What a conftest.py tells rolecall."""

    @pytest.hookspec(firstresult=True)
    def pytest_rolecall_world(self, seed: int) -> World | None:
        """The personas and the example rows. Must give the same for the same seed in every process."""


class Plugin:
    """One process's part in a run: the first starts the server and builds, every other is told where."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.settings = settings.read(config)
        self.exercised = Exercised()
        self.started = time.monotonic()
        self.worker: Worker | None = None
        self._stack = ExitStack()
        self._told = getattr(config, "workerinput", {}).get("rolecall")  # by xdist's controller
        self._worlds: dict[int, World] = {}
        self.run = Run.of(self._told, self.settings) if self._told else None
        self._supply: provision.Supply | None = None
        self.built: Manifest | None = None
        self.tallies: list[recorder.Tally] = []  # of --coverage
        self.ending = Ending(config, self)

    @property
    def world(self) -> World:
        """The world of this run's seed, made once."""
        seed = self.settings.world_seed
        if seed not in self._worlds:
            self._worlds[seed] = self.config.hook.pytest_rolecall_world(seed=seed) or World()
        return self._worlds[seed]

    @property
    def here(self) -> Worker:
        """This process's worker."""
        if self.worker is None:
            self.ready()
            assert self.run
            name = os.environ.get("PYTEST_XDIST_WORKER", "main")
            self.worker = Worker(self.run, self.settings, self.world, name)
            self._stack.callback(self.worker.close)
        return self.worker

    def launch(self) -> None:
        """Have the server started, or find it; the databases are not there yet."""
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        if self.settings.pg_dsn and terminal and self.config.get_verbosity() < 0:  # with -q there is no header
            terminal.write_line(f"rolecall: {choose.describe(self.settings)}")
        if terminal and self.settings.kept and not self.settings.pg_dsn and (no := cache.objection(self.settings.kept)):
            terminal.write_line(f"rolecall: {no}")
        # A server that is ours is begun at once or not at all; another may let us wait, and nothing is made there yet.
        with nullcontext() if self.settings.pg_dsn else signals.held():
            self._supply = self._stack.enter_context(provision.supplied(self.settings, self.world))
        self.run = self._supply.run

    def clean_up(self) -> None:
        """Leave nothing behind."""
        self._stack.close()

    # -- hooks

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Start the server: it makes ready while tests are collected. xdist's workers are told where it is."""
        if self._told or self.config.option.collectonly:
            return
        if self._distributes():
            with _plainly():
                self.launch()
        elif not self.settings.pg_dsn and self.config.hook.pytest_rolecall_world.get_hookimpls():
            with suppress(RolecallError):  # it is said where a test needs the server
                self.launch()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the databases are; they are built while it starts and collects."""
        if self.run:
            node.workerinput["rolecall"] = self.run.as_json()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker exercised."""
        self.exercised.merge(getattr(node, "workeroutput", {}).get("rolecall", []))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Build before the first test: what is wrong with the SQL is one error, not one a test."""
        if session.testsfailed or session.config.option.collectonly:
            return
        if self._distributes() or self.settings.coverage or any(_needs_database(item) for item in session.items):
            with _plainly():
                self.ready()

    def ready(self) -> None:
        """Have the databases built, if this is the process to do it and has not done it yet."""
        if self._told or self.built:
            return
        if self._supply is None:
            self.launch()
        assert self._supply
        try:
            self.built = self._supply.build()
        except (RolecallError, psycopg.Error) as error:
            self.ending.end_workers(signal.SIGTERM)  # they would wait for tests, and xdist for them
            if why := self.ending.look(error, templates=False):
                raise RolecallError(why.text) from None
            raise

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what was exercised; with ``--coverage``, fail where something was not."""
        if self.worker:
            self.exercised.merge(self.worker.exercised.as_json())
        if self._told:
            self.config.workeroutput["rolecall"] = self.exercised.as_json()  # type: ignore[attr-defined]
        elif self.run and self.built and self.settings.coverage and not self.ending.outage:
            self.tallies = self._count(self.run, self.built)
            if any(count.missing for count in self.tallies) and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _count(self, run: Run, built: Manifest) -> list[recorder.Tally]:
        """Everything that the catalog of the template holds, and what of it was left out."""
        folder = self.settings.migrations
        phases = migrations.read(folder) if folder else ()
        with run.connect(run.template) as connection:
            there = definitions.read(connection, built, self.world, phases)
            bodies = plpgsql.read(connection, plpgsql.called(connection, built))
        return recorder.complete(built, there, bodies, phases, self.exercised, list(self.world.personas))

    def pytest_report_header(self) -> str:
        """Say which server will be used before it is."""
        told = f"rolecall: {choose.describe(self.settings)}; grants: {self.settings.grants}"
        return f"{told}; seed {self.settings.world_seed}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was exercised."""
        if self.run and self.built and not self.settings.mutants and not self.ending.outage:
            terminal.write(
                terminalreporter,
                self.run.server,
                self.settings,
                self.tallies or recorder.tally(self.built, self.exercised, list(self.world.personas)),
                time.monotonic() - self.started,
                self.built.notes,
            )

    def _distributes(self) -> bool:
        """Whether this process only hands tests out."""
        return bool(getattr(self.config.option, "tx", None)) and not self.config.option.collectonly and not self._told

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """A trial runs other tests, and so has to take over the whole of pytest's protocol."""
        if not isinstance(item, trial.TrialItem):
            return None
        item.protocol(self.here, nextitem)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What a test did counts as exercised if it passed."""
        if self.worker and (not report.passed or report.when == "teardown"):
            self.worker.exercised.settle(passed=report.passed)

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> DefectFile | None:
        """Collect the SQL files that put a defect back."""
        if file_path.suffix == ".sql" and file_path.parent == self.settings.findings:
            return DefectFile.from_parent(parent, path=file_path)
        return None


def _needs_database(item: pytest.Item) -> bool:
    fixtures = {"db", "scratch", "module_scratch", "undone_scratch", "built", "phases"}
    return isinstance(item, CellItem | trial.TrialItem) or not fixtures.isdisjoint(getattr(item, "fixturenames", ()))


@contextmanager
def _plainly() -> Iterator[None]:
    """Show a RolecallError as one error, without a traceback."""
    try:
        yield
    except RolecallError as error:
        raise pytest.UsageError(str(error)) from None


# ------------------------------------------------------------------ pytest's hooks


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    settings.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hook that a conftest.py implements."""
    pluginmanager.add_hookspecs(Hooks)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Ctrl-C while a conftest.py is imported ends what has not begun: there is no traceback to show."""
    try:
        return (yield)
    except KeyboardInterrupt:
        if not any(early_config.getini(f"rolecall_{name}") for name in ("platform", "baseline", "migrations")):
            raise
        sys.stderr.write("\n!!! KeyboardInterrupt !!!\n")
        raise SystemExit(pytest.ExitCode.INTERRUPTED) from None


def pytest_configure(config: pytest.Config) -> None:
    """Join in where the project has something to build."""
    with _plainly():
        plugin = Plugin(config)
    if plugin.settings.in_use:
        config.pluginmanager.register(plugin, "rolecall-run")
        config.pluginmanager.register(plugin.ending, "rolecall-ending")
        plugin.ending.begin()
    if plugin.settings.oracle:
        from rolecall.oracle.plugin import OraclePlugin

        config.pluginmanager.register(OraclePlugin(lambda: plugin.here, cell_of), "rolecall-oracle")
    if plugin.settings.mutants:
        from rolecall.mutants.plugin import Mutants  # 0.1 s with all that it needs, and seldom asked for

        config.pluginmanager.register(Mutants(plugin.settings, lambda: plugin.here, suite_of), "rolecall-mutants")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Know the folders, for tests that are collected later."""
    if isinstance(collector, pytest.Directory):
        trial.note_folder(collector)


def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: object) -> list[CellItem] | None:
    """Make every cell of a grid an item of the module that wrote it."""
    if not isinstance(obj, Grid) or not isinstance(collector, pytest.Module) or obj.path != collector.path:
        return None
    try:
        obj.complete(plugin_of(collector.config).world)
    except RolecallError as error:
        raise collector.CollectError(str(error)) from None
    # The id as text: pytest takes it apart as it does those that --lf has noted.
    names = [(cell, f"{name}[{cell.id}]") for cell in obj.cells]
    return [
        CellItem.from_parent(collector, name=each, nodeid=f"{collector.nodeid}::{each}", grid=obj, cell=cell)
        for cell, each in names
    ]


# ------------------------------------------------------------------ fixtures


@pytest.fixture
def db(pytestconfig: pytest.Config) -> Iterator[Session]:
    """A session on this worker's database: one transaction, undone after the test."""
    with plugin_of(pytestconfig).here.session() as session:
        yield session


@pytest.fixture(scope="session")
def world(pytestconfig: pytest.Config) -> World:
    """The personas and the named example rows."""
    return plugin_of(pytestconfig).world


@pytest.fixture(scope="session")
def built(pytestconfig: pytest.Config) -> Manifest:
    """What the migrations added to the catalog."""
    return plugin_of(pytestconfig).here.built


@pytest.fixture
def grids(request: pytest.FixtureRequest) -> list[Grid]:
    """Every grid in the test modules of the folder of the test that asks."""
    modules = [
        pytest.Module.from_parent(request.session, path=path).obj
        for path in sorted(request.path.parent.glob("test_*.py"))
    ]
    return [each for module in modules for each in vars(module).values() if isinstance(each, Grid)]


@pytest.fixture
def mismatches(pytestconfig: pytest.Config, db: Session) -> Callable[[Grid], list[str]]:
    """A function that tries a whole grid after what the test has done with ``db``, and gives the ids of
    the cells that are not as written."""
    here = plugin_of(pytestconfig).here
    assert db.connection is here.connection
    return lambda grid: [cell.id for cell in here.mismatches(grid)]


@pytest.fixture
def phases(pytestconfig: pytest.Config) -> dict[int, migrations.Phase]:
    """The phases of the migrations, by number, for tests that read their files."""
    return plugin_of(pytestconfig).here.phases


def _scratches(pytestconfig: pytest.Config) -> Iterator[Callable[..., Scratch]]:
    """A function that makes databases of the asker's own: ``scratch()`` at the baseline,
    ``scratch(migrated=True)`` with all phases and the world. They are dropped with the fixture."""
    with ExitStack() as stack:
        here = plugin_of(pytestconfig).here
        yield lambda migrated=False: stack.enter_context(here.scratch(migrated))


scratch = pytest.fixture(_scratches, name="scratch")
module_scratch = pytest.fixture(_scratches, name="module_scratch", scope="module")


@pytest.fixture
def undone_scratch(pytestconfig: pytest.Config) -> Iterator[Callable[..., Scratch]]:
    """As ``scratch``, for a test that needs no second connection to see what it did: it works in a transaction on a
    database that is there already, all of which is undone. That is some ten times as fast."""
    with ExitStack() as stack:
        here = plugin_of(pytestconfig).here
        yield lambda migrated=False: stack.enter_context(here.undone_scratch(migrated))
