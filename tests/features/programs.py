"""PostgreSQL's own programs, run on a scratch database as a person would run them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rolecall.database.scratch import Scratch
from rolecall.dsn import Conninfo
from rolecall.server.choose import EMBEDDED, embedded
from rolecall.server.connection import run_program


def programs(scratch: Scratch) -> Path:
    """The directory of psql, pg_dump and pg_restore: the server's own, else the oldest embedded one that knows it.

    A dump of a newer pg_dump cannot always be restored on an older server.
    """
    if scratch.run.bin and (Path(scratch.run.bin) / "psql").is_file():
        return Path(scratch.run.bin)
    version = scratch.connection.info.server_version // 10000
    return embedded(min((each for each in EMBEDDED if each >= version), default=max(EMBEDDED)))


def as_migration_role(scratch: Scratch) -> Conninfo:
    """Where the programs connect: to the scratch database, with the rights of the migration role."""
    return scratch.run.conninfo.to(dbname=scratch.name, options=f"-c role={scratch.role}")


def psql(scratch: Scratch, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run psql as the migration role, without ~/.psqlrc."""
    return run_program(programs(scratch) / "psql", ["-X", *arguments], as_migration_role(scratch))
