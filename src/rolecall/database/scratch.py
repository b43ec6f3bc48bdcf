"""Scratch databases, in which tests apply, verify and roll back migrations."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from psycopg import errors

from rolecall.access.session import Recorder
from rolecall.database.run import Run
from rolecall.database.scripts import run_script
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server.choose import embedded
from rolecall.server.connection import ServerConnection, run_program
from rolecall.sql.migrations import Phase, Script
from rolecall.sql.script import Statement


class ScriptObserver(Protocol):
    """Observes which statements of a script run, with ``--rolecall-coverage``."""

    def rewrite(self, path: Path, text: str, statement: Statement) -> str: ...
    def record(self, notice: errors.Diagnostic) -> None: ...


class Scratch:
    """A database in which a test applies, verifies and rolls back migrations. ``connection`` is a superuser's."""

    def __init__(
        self,
        run: Run,
        name: str,
        connection: ServerConnection,
        phases: Mapping[int, Phase],
        role: str | None,
        recorder: Recorder,
        observer: ScriptObserver | None = None,
    ) -> None:
        self.run, self.name, self.connection = run, name, connection
        self.phases, self.role, self._recorder = phases, role, recorder
        self._observer = observer
        self._copies = 0

    @property
    def conninfo(self) -> Conninfo:
        """The connection string of the database, as a superuser, for the application that a test runs.

        ``psycopg.connect`` takes it as it is, and ``params`` has its parameters by name. Printed, it has ``***`` for
        its password.
        """
        return self.run.conninfo.to(dbname=self.name)

    def apply(self, *numbers: int) -> None:
        """Apply the phases with these numbers, in this order; without numbers, all phases. Raises SqlError."""
        for number in numbers or self.phases:
            for step in self.phases[number].steps:
                self._run(step)

    def execute(self, path: Path) -> None:
        """Run an SQL file as the migration role, in one transaction. Raises SqlError."""
        self._run(Script(path))

    def _run(self, script: Script) -> None:
        if self._observer:
            with self.connection.reporting_to(self._observer.record):
                run_script(self.run, self.connection, script, self.role, self._observer.rewrite)
        else:
            run_script(self.run, self.connection, script, self.role)
        self._recorder.add("script", script.id)

    def verify(self, number: int) -> None:
        """Run a phase's verify.sql. Raises SqlError if it fails, MigrationError if the phase has none."""
        self._run(self.phases[number].verify)

    def rollback(self, number: int) -> None:
        """Run a phase's rollback.sql. Raises SqlError if it fails, MigrationError if the phase has none."""
        phase = self.phases[number]
        self._run(phase.rollback)
        self._recorder.add("rolled back", phase.title)

    def dump(self) -> str:
        """The schema as pg_dump writes it, with ACLs, policies, bodies, defaults and comments.

        Raises RolecallError if pg_dump fails.
        """
        program = self._pg_dump()
        # It sets its own timeouts. 0 is not no limit here, but no waiting.
        limit = [f"--lock-wait-timeout={self.run.timeouts.lock}s"] if self.run.timeouts.lock else []
        arguments = ["--schema-only", "--restrict-key=rolecall", *limit]
        result = run_program(program, arguments, self.conninfo, self.run.timeouts)
        if result.returncode:
            lines = [f"{program} failed: {self.run.conninfo.scrub(result.stderr.strip())}"]
            if self.connection.watch:
                lines += filter(None, [self.connection.watch.open_transactions()])
            raise RolecallError("\n".join(lines))
        return result.stdout

    @contextmanager
    def copy(self) -> Iterator[Scratch]:
        """A new database for the block, with everything that was committed to this one.

        It takes much less time than to apply the phases and to insert the rows again. All sessions on this database
        are ended, ``connection`` too, because PostgreSQL does not copy a database that is in use. So this one can only
        be copied again.
        """
        self.connection.close()
        self._copies += 1
        suffix = f"{self.name.removeprefix(self.run.name + '_')}_{self._copies}"
        with self.run.clone(self.name, suffix) as name, self.run.connect(name, "rolecall_scratch") as connection:
            yield Scratch(self.run, name, connection, self.phases, self.role, self._recorder, self._observer)

    def _pg_dump(self) -> Path:
        """The server's own pg_dump, which knows the vendor's additions; else the newest, which can dump all versions.

        A pg_dump from before August 2025 has no ``--restrict-key``: each of its dumps has a random key.
        """
        if self.run.bin:
            own = Path(self.run.bin) / "pg_dump"
            help_text = own.is_file() and subprocess.run([own, "--help"], capture_output=True, check=True).stdout
            if help_text and b"--restrict-key" in help_text:
                return own
        return embedded(18) / "pg_dump"
