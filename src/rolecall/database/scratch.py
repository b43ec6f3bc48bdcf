"""Scratch databases: migrations are applied, verified and rolled back in them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from rolecall.access.session import Recorder
from rolecall.database.build import run_file
from rolecall.database.run import Run
from rolecall.errors import RolecallError
from rolecall.server.choose import embedded
from rolecall.server.connection import ServerConnection, run_program
from rolecall.sql.migrations import Phase, Script


class Scratch:
    """A database in which migrations are applied, verified and rolled back for real, through ``connection``."""

    def __init__(
        self,
        run: Run,
        name: str,
        connection: ServerConnection,
        phases: Mapping[int, Phase],
        role: str | None,
        recorder: Recorder,
    ) -> None:
        self.run, self.name, self.connection = run, name, connection
        self.phases, self.role, self._recorder = phases, role, recorder

    def apply(self, *numbers: int) -> None:
        """Apply the phases of these numbers (none: all), in this order. Raises SqlError."""
        for number in numbers or self.phases:
            for step in self.phases[number].steps:
                self.execute(step.path)

    def execute(self, path: Path) -> None:
        """Run an SQL file as the migration role. Raises SqlError."""
        run_file(self.run, self.connection, path, self.role)
        self._recorder.add("script", Script(path).id)

    def verify(self, number: int) -> None:
        """Run a phase's verify.sql. Raises SqlError if something is missing or different."""
        self.execute(self.phases[number].verify.path)

    def rollback(self, number: int) -> None:
        """Run a phase's rollback.sql. Raises SqlError if it stops."""
        script = self.phases[number].rollback
        self.execute(script.path)
        self._recorder.add("rolled back", script.folder)

    def dump(self) -> str:
        """The schema as pg_dump writes it: ACLs, policies, bodies, defaults and comments included."""
        program = self._pg_dump()
        arguments = ["--schema-only", "--restrict-key=rolecall", "--lock-wait-timeout=10s"]
        done = run_program(program, arguments, self.run.conninfo.to(dbname=self.name))
        if done.returncode:
            raise RolecallError(f"{program} failed: {self.run.conninfo.scrub(done.stderr.strip())}")
        return done.stdout

    def _pg_dump(self) -> Path:
        """The server's own, which knows what its vendor added; else the newest, which can dump them all.

        Before August 2025 it has no ``--restrict-key``, and its dumps differ by a random one.
        """
        if self.run.bin:
            own = Path(self.run.bin) / "pg_dump"
            known = own.is_file() and subprocess.run([own, "--help"], capture_output=True, check=True).stdout
            if known and b"--restrict-key" in known:
                return own
        return embedded(18) / "pg_dump"
