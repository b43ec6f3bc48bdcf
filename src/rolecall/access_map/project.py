"""Measure the access map of a project: its own SQL, or that of another revision with the same personas and rows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rolecall import settings as options_of
from rolecall.access_map import reader, text
from rolecall.access_map.measure import measure
from rolecall.access_map.statements import statements
from rolecall.collect import Collected
from rolecall.database.provision import provision
from rolecall.errors import RolecallError
from rolecall.grids.grid import Grid
from rolecall.report.access import HEAD, AccessMap, AccessMaps, Attempt
from rolecall.report.difference import Witness
from rolecall.settings import Settings
from rolecall.worker import Worker

OF_SQL = ("platform", "baseline", "requires", "migrations", "layout", "seed", "migration_role", "default_privileges")
FILE = "access.lock"  # how errors name a text that comes from another process


@dataclass(frozen=True)
class Requests:
    """How each persona signs in, and a statement for each attempt of each object: what a witness is made of."""

    personas: dict[str, dict[str, Any]]
    statements: dict[str, dict[Attempt, str]]

    def witness(self, persona: str, name: str, attempt: Attempt) -> Witness | None:
        """How to try an attempt as a persona; None if it is not known."""
        statement = self.statements.get(name, {}).get(attempt)
        return Witness(**self.personas[persona], statement=statement) if statement else None


@dataclass(frozen=True)
class Measured:
    """The access maps of a project, and how to try what is in them."""

    maps: AccessMaps
    requests: Requests

    def as_json(self) -> str:
        """The text that :meth:`from_json` reads."""
        tried = {
            name: [[*attempt, statement] for attempt, statement in each.items()]
            for name, each in self.requests.statements.items()
        }
        data = {"lock": text.write(self.maps), "personas": self.requests.personas, "statements": tried}
        return json.dumps(data, ensure_ascii=False)

    @classmethod
    def from_json(cls, written: str) -> Measured:
        """What :meth:`as_json` wrote."""
        data = json.loads(written)
        tried = {
            name: {Attempt(row, command): statement for row, command, statement in each}
            for name, each in data["statements"].items()
        }
        return cls(reader.parse(data["lock"], FILE), Requests(data["personas"], tried))


def measure_project(collected: Collected, sql_of: Path | None = None) -> Measured:
    """Build the databases of a project and measure them. With ``sql_of``, the SQL is that of the project in a folder.

    Raises RolecallError, or SqlError for a step that fails.
    """
    assert collected.process
    own, world, grids = collected.process.settings, collected.world, list(collected.grids.values())
    used = replace(own, **{name: getattr(settings_of(sql_of), name) for name in OF_SQL}) if sql_of else own
    with provision(used, world) as provisioner:
        manifest = provisioner.build(fit=sql_of is not None)
        provisioner.world.missing = manifest.missing_rows
        with closing(Worker(provisioner.run, used, provisioner.world, "access")) as worker:
            maps = dict(_maps(worker, grids, used))
    personas = {
        name: {"role": each.role, "claims": dict(each.claims), "settings": dict(each.custom)}
        for name, each in world.personas.items()
    }
    return Measured(maps, Requests(personas, statements(world, grids, maps[HEAD])))


def _maps(worker: Worker, grids: Sequence[Grid], used: Settings) -> Iterator[tuple[int, AccessMap]]:
    """The access after all phases, and after each earlier one if the tests run after these too."""
    yield HEAD, measure(worker.connection, worker.world, grids)
    for phase in [*worker.phases][:-1] if used.after_each_phase else ():
        earlier = worker.earlier(phase)
        yield phase, measure(earlier.connection, earlier.world, grids)


def settings_of(folder: Path) -> Settings:
    """The settings of the project in another folder. Its conftest.py is not loaded. Raises RolecallError."""
    found: list[Settings] = []

    class Reader:
        @pytest.hookimpl(tryfirst=True)
        def pytest_cmdline_main(self, config: pytest.Config) -> int:
            found.append(options_of.read(config))
            return 0

    with _inside(folder):
        pytest.main(["--assert=plain", "--noconftest", "-p", "no:cacheprovider"], plugins=[Reader()])
    if not found:
        raise RolecallError(f"pytest cannot read the configuration in {folder}: see its message.")
    return found[0]


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Be in a folder for the block: pytest looks there for its configuration."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
