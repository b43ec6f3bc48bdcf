"""pytest's hooks. Everything else is imported when a project uses rolecall: others pay nothing for it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from rolecall import settings
from rolecall.errors import RolecallError
from rolecall.fixtures import hidden
from rolecall.settings import Settings

if TYPE_CHECKING:
    from rolecall import World


pytest_plugins = ["rolecall.fixtures"]


class Hooks:
    """The hooks that a conftest.py implements."""

    @pytest.hookspec(firstresult=True)
    def pytest_rolecall_world(self, seed: int) -> World | None:
        """Return the personas and the example rows; the same for the same seed in every process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    settings.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hook that a conftest.py implements."""
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
    """Register what the settings ask for."""
    try:
        found = settings.read(config)
    except RolecallError as error:
        raise pytest.UsageError(str(error)) from None
    if found.in_use:
        _register(config, found)
    elif found.mutants or found.oracle:
        raise pytest.UsageError("rolecall has nothing to build: set rolecall_baseline or rolecall_migrations.")


def _register(config: pytest.Config, found: Settings) -> None:
    from rolecall.hooks import RunHooks
    from rolecall.process.ending import Ending
    from rolecall.process.process import PROCESS, Process

    process = config.stash[PROCESS] = Process(config, found)
    ending = Ending(config, process)
    config.pluginmanager.register(RunHooks(process, ending), "rolecall-run")
    config.pluginmanager.register(ending, "rolecall-ending")
    ending.begin()
    if found.oracle:
        from rolecall.oracle.plugin import OraclePlugin

        config.pluginmanager.register(OraclePlugin(process), "rolecall-oracle")
    if found.mutants:
        from rolecall.mutants.plugin import MutantsPlugin  # takes 0.1 s to import, and is seldom used

        config.pluginmanager.register(MutantsPlugin(process), "rolecall-mutants")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> None:
    """Note the folders, for tests that are collected later."""
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

    return list(collect(collector, name, obj))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test that gets another plugin's fixture under the name of one of rolecall's."""
    if other := hidden(item):
        pytest.fail(
            f"another fixture hides rolecall's: {other}. Rename it, or have it ask for rolecall's.", pytrace=False
        )
