"""pytest's hooks. All other modules are imported only in a project that uses rolecall."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from rolecall.errors import RolecallError
from rolecall.fixtures import hidden_fixture
from rolecall.settings import Settings, add_options
from rolecall.settings import read as read_settings

if TYPE_CHECKING:
    from rolecall import World
    from rolecall.process.ending import Ending
    from rolecall.process.process import Process


MARKS = (
    "rolecall_from_phase(number): with rolecall_after_each_phase, run the test after each phase from this one on",
    "rolecall_pin: the test compares a definition with a copy of it, and fails for every change, harmful or not",
)

# pytest's options with which no test runs.
WITHOUT_TESTS = ("collectonly", "help", "version", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")

pytest_plugins = ["rolecall.fixtures"]


class Hooks:
    """The hooks that a conftest.py implements."""

    @pytest.hookspec(firstresult=True)
    def pytest_rolecall_world(self, seed: int, config: pytest.Config) -> World | None:
        """Return the personas and the example rows. Every process calls it: equal seeds must give equal worlds.

        As for all hooks of pytest, leave out the arguments that you do not need.
        """


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a conftest.py implements."""
    pluginmanager.add_hookspecs(Hooks)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """End the run without a traceback if Ctrl-C comes while a conftest.py is imported."""
    try:
        return (yield)
    except KeyboardInterrupt:
        if not any(early_config.getini(f"rolecall_{name}") for name in ("platform", "baseline", "migrations")):
            raise
        sys.stderr.write("\n!!! KeyboardInterrupt !!!\n")
        raise SystemExit(pytest.ExitCode.INTERRUPTED) from None


def pytest_configure(config: pytest.Config) -> None:
    """Register the parts that the settings switch on."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    try:
        settings = read_settings(config)
    except RolecallError as error:
        raise pytest.UsageError(str(error)) from None
    if settings.in_use:
        with _interrupt_shown():
            _register(config, settings)
    elif settings.mutants or settings.oracle:
        from rolecall.process.process import nothing_to_build

        raise pytest.UsageError(nothing_to_build(config))


@contextmanager
def _interrupt_shown() -> Iterator[None]:
    """Show a signal that comes now: pytest ends the run, but its reporter does not exist yet."""
    try:
        yield
    except KeyboardInterrupt as error:
        sys.stderr.write(f"\n!!! {': '.join(filter(None, [type(error).__name__, str(error)]))} !!!\n")
        raise


def _register(config: pytest.Config, settings: Settings) -> None:
    from rolecall.process.ending import Ending
    from rolecall.process.process import PROCESS, Process

    process = config.stash[PROCESS] = Process(config, settings)
    ending = Ending(config, process)
    ending.begin()
    if _starts_server(config, process):
        with suppress(RolecallError):  # reported later, by the first test that needs the server
            process.launch()
    _register_parts(config, settings, process, ending)


def _starts_server(config: pytest.Config, process: Process) -> bool:
    """Whether a throwaway server starts now, while rolecall and the tests are imported."""
    runs_no_test = any(getattr(config.option, name, False) for name in WITHOUT_TESTS)
    has_world = bool(config.hook.pytest_rolecall_world.get_hookimpls())
    has_server = process.has_server or process.is_worker or process.settings.pg_dsn
    return has_world and not (runs_no_test or has_server)


def _register_parts(config: pytest.Config, settings: Settings, process: Process, ending: Ending) -> None:
    from rolecall.digest.folded import Folded
    from rolecall.digest.plugin import DigestPlugin
    from rolecall.digest.tally import Tally
    from rolecall.hooks import RunHooks
    from rolecall.update.plugin import UpdatePlugin

    cells, folded = Tally(), Folded()
    hooks = RunHooks(process, ending, cells)
    config.pluginmanager.register(hooks, "rolecall-run")
    config.pluginmanager.register(ending, "rolecall-ending")
    config.pluginmanager.register(cells, "rolecall-cells")
    config.pluginmanager.register(folded, "rolecall-folded")
    config.pluginmanager.register(DigestPlugin(settings.digest_from, cells, folded), "rolecall-digest")
    config.pluginmanager.register(UpdatePlugin(process), "rolecall-update")
    if settings.access_lock:
        from rolecall.access_map.plugin import AccessLockPlugin

        config.pluginmanager.register(AccessLockPlugin(process, settings.access_lock), "rolecall-access-lock")
    if settings.oracle:
        from rolecall.oracle.plugin import OraclePlugin

        config.pluginmanager.register(OraclePlugin(process), "rolecall-oracle")
    if settings.mutants:
        from rolecall.mutants.plugin import MutantsPlugin  # takes 0.1 s to import, and few runs need it

        config.pluginmanager.register(MutantsPlugin(process), "rolecall-mutants")
    if config.getoption("xmlpath", default=None):
        from rolecall.gather.junit import JunitPlugin

        config.pluginmanager.register(JunitPlugin(config), "rolecall-junit")
    if settings.report:
        from rolecall.gather.plugin import ReportPlugin  # comes last: it writes what the others found

        config.pluginmanager.register(ReportPlugin(process, hooks, settings.report), "rolecall-report")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Remember the collected folders: a trial collects tests of them later."""
    if trial := sys.modules.get("rolecall.defects.trial"):
        trial.note_folder(collector)


def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: object) -> list[pytest.Item] | None:
    """Make every cell of a grid an item of the module that defines the grid."""
    grids = sys.modules.get("rolecall.grids.grid")  # if it is not imported, there is no grid
    if not grids or not isinstance(obj, grids.Grid) or not isinstance(collector, pytest.Module):
        return None
    if obj.path != collector.path:
        return None
    from rolecall.item import collect

    return collect(collector, name, obj)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say in words which changes of a block differ from those that a test expects."""
    changes = sys.modules.get("rolecall.changes.changes")
    if op != "==" or not changes or not isinstance(left, changes.Changes) or not isinstance(right, list):
        return None
    return ["all changes of the block are those that the test expects", *left.explain(right)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the mark after each earlier phase, too."""
    if metafunc.definition.get_closest_marker("rolecall_from_phase"):
        from rolecall.item import parametrize_by_phase

        parametrize_by_phase(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that gets another plugin's fixture in place of rolecall's."""
    if other := hidden_fixture(item):
        pytest.fail(
            f"another fixture hides rolecall's: {other}. Rename it, or let it request rolecall's.", pytrace=False
        )
