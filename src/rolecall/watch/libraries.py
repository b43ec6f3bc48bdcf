"""Import once what every run needs: pytest with its plugins, and the libraries of the project."""

from __future__ import annotations

import gc
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rolecall.server import signals

FOLDERS = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
# pytest rewrites the asserts of plugins when it imports them, and warns of one that is imported already. Those of
# rolecall are: they say nothing that a user must see.
ALREADY_IMPORTED = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"


class _Imports:
    """Imports modules while pytest rewrites the asserts of its plugins. What fails is left to the runs."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = names

    def pytest_sessionstart(self) -> None:
        for name in self.names:
            with suppress(Exception):
                import_module(name)


def import_once(names: Iterable[str] = ()) -> None:
    """Import pytest's plugins and these modules, as pytest does it, without any file of the project.

    A run of no tests, in an empty folder and an empty environment, does that. If it fails, each run imports them.
    """
    with TemporaryDirectory() as folder, _empty_environment(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        configuration = Path(folder) / "pytest.ini"
        configuration.write_text("[pytest]\n", encoding="utf-8")
        options = ["--noconftest", "-p", "no:cacheprovider", "-W", ALREADY_IMPORTED]
        with signals.deferred(), suppress(Exception, SystemExit):  # pytest would keep Ctrl-C to itself
            pytest.main(["-c", str(configuration), "--rootdir", folder, *options, folder], plugins=[_Imports(names)])
    gc.freeze()  # what a fork does not look at is not copied


@contextmanager
def _empty_environment() -> Iterator[None]:
    environment = dict(os.environ)
    for name in environment:
        if name.startswith(("PYTEST_", "DJANGO_", "ROLECALL_", "COV_")):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)


def is_library(name: str) -> bool:
    """Whether a module that is imported is no file of the project."""
    path = getattr(sys.modules.get(name), "__file__", None)
    if path is None:
        return False
    return name.split(".")[0] == "rolecall" or any(Path(path).is_relative_to(folder) for folder in FOLDERS)


def imported_files() -> set[str]:
    """The files of the modules that this process has imported."""
    return {path for module in list(sys.modules.values()) if (path := getattr(module, "__file__", None))}
