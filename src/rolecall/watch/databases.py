"""The databases that stay up between runs: what of them is still right, and how the rest is built again."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.world import World
from rolecall.catalog import objects
from rolecall.catalog.manifest import Manifest
from rolecall.database import build, load
from rolecall.database.build import Baseline
from rolecall.database.cache import YOUNG
from rolecall.database.provision import Provisioner
from rolecall.database.run import Run
from rolecall.database.scripts import run_script
from rolecall.database.templates import manifest_of
from rolecall.report.progress import BuildStep, Progress, no_progress
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.watch import inputs
from rolecall.watch.inputs import Inputs

# What a role of ours may have left on a throwaway server besides itself. Each row is something that no drop removed.
LEFT = """
SELECT 1 FROM pg_db_role_setting
UNION ALL SELECT 1 FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')
UNION ALL SELECT 1 FROM pg_auth_members WHERE member >= 16384 OR roleid >= 16384
"""
ROLES = "SELECT rolname FROM pg_roles WHERE oid >= 16384"  # those of initdb have lower oids


class NewServerError(Exception):
    """The databases cannot be built on this server: it has, or may have, roles of the last build."""


@dataclass(frozen=True)
class Kept:
    """What the server has. ``inputs`` are those of the baseline and of the copy; None: nothing is right.

    ``copied`` is how many steps the copy has; None without a copy. ``is_built`` says whether the migrated database has
    all steps. ``world`` is the digest of the rows in it; empty: it has none.
    """

    run: Run
    settings: Settings
    inputs: Inputs | None
    copied: int | None = None
    manifest: Manifest | None = None
    of_baseline: list[objects.Object] = field(default_factory=list)
    is_built: bool = True
    world: str = ""
    since: float = 0.0  # when it was built

    @property
    def copy(self) -> str:
        """The database that was copied before the step that changes."""
        return f"{self.run.name}_copy"

    @property
    def is_young(self) -> bool:
        """Whether rows with ``now()`` have not aged too much."""
        return time.time() - self.since < YOUNG


def start(provisioner: Provisioner, progress: Progress = no_progress) -> Kept:
    """Build the databases on a new server, without the world. Raises RolecallError."""
    now, since = inputs.read(provisioner.settings), time.time()
    if archive := getattr(provisioner, "archive", None):
        with suppress(OSError):  # another run may have removed it
            since = archive.stat().st_mtime
    manifest = provisioner.build_schema(progress)
    of_baseline = _objects(provisioner.run)
    kept = Kept(provisioner.run, provisioner.settings, now, len(now.steps), manifest, of_baseline, since=since)
    kept.run.create(kept.copy, kept.run.template)
    return kept


def _objects(run: Run) -> list[objects.Object]:
    with run.connect(run.baseline) as connection:
        return objects.objects(connection)


def digest(world: World) -> str:
    """A digest of the rows; empty if they cannot be compared with others."""
    try:
        return hashlib.sha256(pickle.dumps(world.__getstate__())).hexdigest()
    except Exception:  # a value of any type may refuse it in its own way
        return ""


class OneConnectionRun(Run):
    """A run that creates and drops its databases with one connection, which takes as long to open as much of that."""

    @contextmanager
    def cursor(self, database: str | None = None) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor of the one connection; for another database, as in other runs."""
        if database:
            with super().cursor(database) as cursor:
                yield cursor
            return
        if self._connection.closed:
            del self.__dict__["_connection"]
        with self._connection.cursor() as cursor:
            yield cursor

    @cached_property
    def _connection(self) -> ServerConnection:
        return self.maintain()

    def close(self) -> None:
        """Close the connection, if it was opened."""
        if "_connection" in self.__dict__:
            self._connection.close()


class KeptProvisioner(Provisioner):
    """Builds what is not right any more, and reports what is there after each step."""

    def __init__(self, kept: Kept, world: World, report: Callable[[Kept], None]) -> None:
        self.settings, self.world = kept.settings, world
        self.run: OneConnectionRun = OneConnectionRun(
            **{each.name: getattr(kept.run, each.name) for each in fields(kept.run)}
        )
        self.kept, self._report = kept, report
        self.now = inputs.read(self.settings)

    def build(self, progress: Progress = no_progress, *, fit: bool = False) -> Manifest:  # noqa: ARG002 - as the base
        """The manifest of the migrated database, with the steps and the world of now.

        Raises RolecallError, and NewServerError if only a new server helps.
        """
        kept, now, rows = self.kept, self.now, digest(self.world)
        is_right = kept.is_built and kept.inputs == now and kept.is_young
        self._drop_others()
        if not is_right or (kept.world and kept.world != rows):
            self._build_schema(progress)
        elif kept.world:
            return manifest_of(self.run)
        progress(BuildStep("the rows of the world"))
        self._note(is_built=False)
        manifest = manifest_of(self.run)
        manifest = manifest.without(load.load(self.run, self.world, self.settings.seed, manifest.role))
        self._note(is_built=True, world=rows or "unknown")
        return manifest

    def close(self) -> None:
        """Close the connection that creates databases. The end of a process does the same."""
        self.run.close()

    def _note(self, **changes: Any) -> None:
        self.kept = replace(self.kept, **changes)
        self._report(self.kept)

    def _drop_others(self) -> None:
        """Drop the copies of a run that was killed."""
        names = [self.run.baseline, self.run.template, self.kept.copy]
        with self.run.cursor() as cursor:
            found = cursor.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND datname <> ALL (%s)",
                [f"{self.run.name}_", names],
            ).fetchall()
        for (name,) in found:
            self.run.drop(name)

    def _build_schema(self, progress: Progress) -> None:
        old, manifest, now = self.kept.inputs, self.kept.manifest, self.now
        self._note(is_built=False, world="")
        if old is None or manifest is None or old.base != now.base or not (now.steps and self.kept.is_young):
            self._build_all(progress)
            return
        equal = old.equal_steps(now)
        if inputs.changes_roles((*old.steps[equal:], *now.steps[equal:])):
            self._build_all(progress)
            return
        with ExitStack() as stack:
            connection = self._build_from(equal, progress, stack)
            if old.steps != now.steps:
                is_open = build.open_in_baseline(self.run, self.settings)
                baseline = Baseline(manifest.role, [], self.kept.of_baseline, manifest.left_out, is_open)
                manifest = build.describe(connection, self.settings, baseline)
        self.run.comment_on(self.run.template, **manifest.as_comment())
        self._note(inputs=now, manifest=manifest, is_built=True)

    def _build_all(self, progress: Progress) -> None:
        """Build everything again, on a server without any role of the last build."""
        self._note(inputs=None, copied=None)
        if not self.run.throwaway:
            raise NewServerError
        since = time.time()
        for name in (self.run.template, self.kept.copy, self.run.baseline):
            self.run.drop(name)
        with closing(self.run.maintain()) as connection:
            _drop_roles(connection)
        manifest = build.build(self.run, self.settings, progress)
        of_baseline = _objects(self.run)
        self._note(inputs=self.now, manifest=manifest, of_baseline=of_baseline, is_built=True, since=since)

    def _build_from(self, step: int, progress: Progress, stack: ExitStack) -> ServerConnection:
        """Run the steps from one on. If they have changed, the database before them is copied for the next time.

        Returns a connection to the database that was built, which the stack closes.
        """
        run, copied, end = self.run, self.kept.copied, len(self.now.steps)
        copied = copied if copied is not None and copied <= step else None
        run.drop(run.template)
        run.create(run.template, run.baseline if copied is None else self.kept.copy)
        connection = stack.enter_context(run.connect(run.template, "build"))
        self._run(connection, copied or 0, step, progress)
        if step not in (0, copied, end):
            connection.close()
            self._note(copied=None)
            run.drop(self.kept.copy)
            run.create(self.kept.copy, run.template)
            copied = step
            connection = stack.enter_context(run.connect(run.template, "build"))
        self._note(copied=copied)
        self._run(connection, step, end, progress)
        return connection

    def _run(self, connection: ServerConnection, first: int, end: int, progress: Progress) -> None:
        steps = [step for phase in migrations.of(self.settings) for step in phase.steps]
        role = self.kept.manifest.role if self.kept.manifest else None
        for number, step in enumerate(steps[first:end], first + 1):
            progress(BuildStep(step.path.name, number, len(steps)))
            run_script(self.run, connection, step, role)


def _drop_roles(connection: Connection[Any]) -> None:
    """Drop all roles that initdb has not made. Raises NewServerError if something of them is left."""
    for (name,) in connection.execute(ROLES).fetchall():
        try:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
        except Exception as error:
            raise NewServerError from error
    if connection.execute(LEFT.encode()).fetchone():
        raise NewServerError
