"""The manifest of the templates, read from the server: now, or when both databases exist."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg

from rolecall.catalog.manifest import Manifest
from rolecall.database.run import Run
from rolecall.errors import RolecallError, UnavailableError

PATIENCE = 5.0  # seconds that a worker waits for the templates; it gets no test before they exist
COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"


def manifest_of(run: Run) -> Manifest:
    """The manifest of the migrated database. Raises RolecallError if the database does not exist."""
    with run.cursor() as cursor:
        row = cursor.execute(COMMENT, [run.template]).fetchone()
    if not row or not row[0]:
        raise RolecallError(f"there is no database {run.template} with a manifest.")
    return Manifest.from_comment(row[0])


def wait_for_manifest(run: Run) -> Manifest:
    """The manifest, when both templates exist and have the world. Raises UnavailableError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), run.cursor() as cursor:
            for _ in range(100):
                row = cursor.execute(f"{COMMENT} AND datistemplate".encode(), [run.template]).fetchone()
                if row:
                    return Manifest.from_comment(row[0])
                time.sleep(0.02)
        time.sleep(0.02)
    raise UnavailableError(f"the databases did not exist after {PATIENCE:.0f} s: see the first process's output.")
