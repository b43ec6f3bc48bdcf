"""pytest's hooks for a run that answers a save: use the databases that are up, and select what the save concerns."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator

import psycopg
import pytest

from rolecall.errors import RolecallError
from rolecall.hooks import usage_error
from rolecall.process.process import KEPT, PROCESS, nothing_to_build
from rolecall.report.progress import BuildProgress
from rolecall.settings import Settings
from rolecall.watch.concern import Concern, Project
from rolecall.watch.databases import Kept, KeptProvisioner, NewServerError
from rolecall.watch.inputs import Inputs
from rolecall.watch.libraries import is_library
from rolecall.watch.selection import Selection

NEW_SERVER = 90  # the exit status of a run that needs a server with other settings, or without roles


class Verdict:
    """The message that a run has shown its result."""


class Rest:
    """The message that slower tests are left for a second run."""


Message = Project | Kept | Verdict | Rest | list[str]


class Answer:
    """The hooks of one run. ``send`` sends a message to the watching process.

    ``kept`` is None as long as there is no server. ``since`` are the inputs of the last run that was complete.
    """

    def __init__(
        self, concern: Concern, kept: Kept | None, since: Inputs | None, send: Callable[[Message], None]
    ) -> None:
        self.concern, self.kept, self.since, self.send = concern, kept, since, send
        self._modules = set(sys.modules)

    # -- the databases

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> None:
        """Let the run start no server."""
        early_config.stash[KEPT] = True

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Use the server that is up. If there is none for these settings, ask for one, and end."""
        self._config = config
        process = config.stash.get(PROCESS, None)
        if process is None:
            raise pytest.UsageError(nothing_to_build(config))
        project = project_of(config, process.settings)
        self.send(project)
        self._selection = Selection(self.concern, project)
        _check(project, config)
        if self.kept is None or self.kept.settings != process.settings:
            os._exit(NEW_SERVER)  # nothing has begun
        with usage_error():
            self._provisioner = KeptProvisioner(self.kept, process.world, self.send)
        process.use(self._provisioner)

    def _build(self, config: pytest.Config) -> Inputs:
        """Build what is not right any more. Returns the inputs of now."""
        process, progress = config.stash[PROCESS], BuildProgress(config.pluginmanager.getplugin("terminalreporter"))
        try:
            process.build(progress)
        except NewServerError:
            os._exit(NEW_SERVER)
        except psycopg.Error as error:
            raise RolecallError(" ".join(str(error).split())) from None
        finally:
            progress.end()
        return self._provisioner.now

    # -- the selection

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Build, choose the files to collect, and say why."""
        config, selection = session.config, self._selection
        with usage_error():
            now = self._build(config)
            line = selection.choose(config.stash[PROCESS], self.since, now)
        config.pluginmanager.getplugin("terminalreporter").write_line(f"-- {line}")
        if selection.arguments == [] and not config.stash[PROCESS].worker:
            self._end_without_tests()
        if selection.arguments is not None:
            config.args = selection.arguments

    def _end_without_tests(self) -> None:
        """End at once: there is nothing to tear down."""
        sys.stdout.flush()
        self.send(Verdict())
        os._exit(pytest.ExitCode.NO_TESTS_COLLECTED)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave only the tests that the save concerns."""
        self._selection.select(items)
        if self._selection.has_rest:
            self.send(Rest())

    # -- the end

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, None, None]:
        """Report when the result is on the screen, and which libraries the watching process can import next time."""
        yield
        self.send(Verdict())
        self.send([name for name in sys.modules if name not in self._modules and is_library(name)])

    def pytest_keyboard_interrupt(self) -> None:
        """Show no summary of a run that a new save ends."""
        self._config.pluginmanager.unregister(name="terminalreporter")


def _check(project: Project, config: pytest.Config) -> None:
    """Raise pytest's error for an argument that names no file. pytest itself finds that only when it collects."""
    for argument in project.arguments:
        if not project.path_of(argument).exists() and not config.option.pyargs:
            raise pytest.UsageError(f"file or directory not found: {argument}")


def project_of(config: pytest.Config, settings: Settings) -> Project:
    """What the watching process needs to know of a project."""
    return Project(
        settings=settings,
        root=config.rootpath,
        folder=config.invocation_params.dir,
        configuration=config.inipath,
        patterns=tuple(config.getini("python_files")),
        arguments=tuple(config.args),
        has_xdist=config.pluginmanager.hasplugin("xdist"),
    )
