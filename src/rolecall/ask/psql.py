"""A session of psql as a persona: signed in as PostgREST does it, on a fresh database with the world."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rolecall.access.persona import Persona
from rolecall.ask.live import Live, live, options, program
from rolecall.ask.names import choose
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server import choose as servers
from rolecall.server import signals

NO_PSQL = (
    "psql was found neither beside the programs of the server nor on PATH: install PostgreSQL's client, for example "
    "the package postgresql-client, or give --rolecall-pg-bin a directory that has psql."
)
ON_RUNNING = (
    "note: the server is that of --rolecall-pg-dsn, so this session is one of its user: SET ROLE NONE leads back to "
    "that user."
)
PATIENCE = 5.0  # seconds for psql to end after a signal


def run_psql(persona_name: str, arguments: Sequence[str]) -> int:
    """Open psql as a persona, and drop the database at the end. Returns psql's exit status.

    Raises RolecallError if there is no psql, no such persona, or no database.
    """
    installed = signals.install()
    try:
        with live() as database:
            persona = database.world.personas[choose("persona", persona_name, database.world.personas, "The world has")]
            path = find_psql(database)
            conninfo = database.login([persona.role])
            if database.cluster is None:
                print(ON_RUNNING, file=sys.stderr)
            database.prepare(persona)
            return _run(path, database, conninfo, persona, arguments)
    except signals.EndedBySignal as ended:
        return 128 + ended.number
    finally:
        if installed:
            signals.restore()


def find_psql(database: Live) -> Path:
    """psql: beside the server's programs, else on PATH. Raises RolecallError if there is none."""
    beside: list[Path | None] = [database.cluster.binaries if database.cluster else None, database.settings.pg_bin]
    on_path = shutil.which("psql")
    found = program("psql", beside) or (Path(on_path) if on_path else None)
    if found is None and not database.cluster:  # a running server: the programs of the embedded one will do
        with suppress(RolecallError):
            found = program("psql", [servers.embedded(database.settings.pg)])
    if found is None:
        raise RolecallError(NO_PSQL)
    return found


def _run(path: Path, database: Live, conninfo: Conninfo, persona: Persona, arguments: Sequence[str]) -> int:
    """Run psql until it ends. Ctrl-C is for psql; another signal ends it."""
    guarded = database.protect(str(conninfo.params["user"])) if database.cluster else database
    command = [str(path), "-X", *_variables(persona), *arguments, "-d", conninfo.bare]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "ROLECALL_"))}
    environment["PGOPTIONS"] = options(database.session(persona))
    if password := conninfo.secrets.get("password"):
        environment["PGPASSWORD"] = password
    process = subprocess.Popen(command, env=environment)
    try:
        return _wait(process)
    except signals.EndedBySignal:
        process.terminate()
        raise
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        if process.poll() is None:
            process.kill()
            process.wait()
        guarded.run.drop(database.database)


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except signals.EndedBySignal:
            raise
        except KeyboardInterrupt:  # psql got it, too: it cancels its statement, or ends
            continue


def _variables(persona: Persona) -> list[str]:
    """The prompts, which say who one is."""
    who = f"{persona.name} ({persona.role})".replace("%", "%%")
    return ["-v", f"PROMPT1={who}%R%x> ", "-v", f"PROMPT2={who}%R%x> "]
