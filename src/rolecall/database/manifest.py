"""The manifest: what the migrations made, written into the template's comment for every process to read."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from rolecall.catalog.objects import Object
from rolecall.database.run import Run
from rolecall.errors import RolecallError, UnavailableError

PATIENCE = 5.0  # seconds a worker waits for the templates: no test is handed to it before they exist
KEY = "manifest"  # in the comment


@dataclass(frozen=True)
class Manifest:
    """What the migrations made: the role that ran them, and what they added to the catalog."""

    role: str | None
    added: list[Object]
    tables: list[str]  # every table that the migrations made, or put a policy on
    phases: list[str]  # names of the folders, in order
    notes: list[str]  # on the migrations' files, for the summary

    @classmethod
    def from_comment(cls, text: str) -> Manifest:
        """The manifest in a database's comment."""
        data = json.loads(text)[KEY]
        added = [Object(*item) for item in data["added"]]
        return cls(data["role"], added, data["tables"], data["phases"], data["notes"])

    def as_comment(self) -> dict[str, Any]:
        """What :meth:`from_comment` reads."""
        return {KEY: asdict(self)}

    def of_kind(self, *kinds: str) -> list[Object]:
        """The added objects of these kinds."""
        return [item for item in self.added if item.kind in kinds]


COMMENT = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"


def read(run: Run) -> Manifest:
    """The manifest of the migrated database. Raises RolecallError if the database does not exist."""
    with run.cursor() as cursor:
        found = cursor.execute(COMMENT, [run.template]).fetchone()
    if not found or not found[0]:
        raise RolecallError(f"there is no database {run.template} with a manifest.")
    return Manifest.from_comment(found[0])


def wait_for(run: Run) -> Manifest:
    """The manifest, once both templates exist and hold the world. Raises UnavailableError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), run.cursor() as cursor:
            for _ in range(100):
                found = cursor.execute(f"{COMMENT} AND datistemplate".encode(), [run.template]).fetchone()
                if found:
                    return Manifest.from_comment(found[0])
                time.sleep(0.02)
        time.sleep(0.02)
    raise UnavailableError(f"the databases did not exist after {PATIENCE:.0f} s: see the first process's output.")
