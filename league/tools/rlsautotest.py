"""rlsautotest: the tests that it generates, its linter, and its comparison with a snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from league.lab import SCHEMAS, Database, Lab
from league.programs import PythonProgram
from league.tools.pgtap import failures
from league.tools.tool import Tool

ALLOWED = "storage.allow_delete_query=true"


class Rlsautotest(Tool):
    """One command of rlsautotest, which takes one schema at a time."""

    package = "rlsautotest"

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.program = PythonProgram("rlsautotest")
        self.folder = TemporaryDirectory()

    def path(self, name: str) -> Path:
        """A path in the tool's own folder."""
        return Path(self.folder.name) / name

    def each_schema(self, command: str, database: Database, **options: str) -> Iterator[tuple[str, Any]]:
        """The name of each schema, and the JSON that a command writes for it.

        ``options`` are file names, to which the name of the schema is added.
        """
        for schema in SCHEMAS:
            output = self.path(f"{database.name}-{command}-{schema}.json")
            files = [f"--{option}={self.path(name + schema)}" for option, name in options.items()]
            self.program.run(command, "--schema", schema, "--db-url", database.url, f"--json={output}", *files)
            yield schema, json.loads(output.read_text(encoding="utf-8")) if output.exists() else []
            output.unlink(missing_ok=True)

    def close(self) -> None:
        self.program.close()
        self.folder.cleanup()


class Findings(Rlsautotest):
    """``rlsautotest lint``."""

    name = "rlsautotest lint"
    made_for = "open policies, and ways around them"
    commands = ("rlsautotest lint --schema, for each schema",)
    is_linter = True

    def findings(self, database: Database) -> Iterator[str]:
        for schema, found in self.each_schema("lint", database):
            for each in found:
                yield f"{schema}.{each['table']} {each['policy'] or ''} {each['message']}"


class Changes(Rlsautotest):
    """``rlsautotest diff``: every difference from the snapshot."""

    name = "rlsautotest diff"
    made_for = "which policies are not what they were"
    compares_with = "a snapshot of the unchanged schema"
    is_clean = True
    commands = ("rlsautotest diff --schema, for each schema",)

    def prepare(self, database: Database) -> None:
        for schema in SCHEMAS:
            out = f"--out={self.path('snapshot-' + schema)}"
            self.program.run("snapshot", "--schema", schema, "--db-url", database.url, out, expected=[0])

    def findings(self, database: Database) -> Iterator[str]:
        for schema, found in self.each_schema("diff", database, snapshot="snapshot-"):
            for kind in ("added", "removed", "changed", "rls_changes"):
                for each in found[kind]:
                    yield f"{kind} {schema}.{each['table']} {each.get('name', '')}"


class Suite(Rlsautotest):
    """The tests that ``rlsautotest --emit`` writes for the unchanged schema, run by psql."""

    name = "rlsautotest, its tests"
    made_for = "pgTAP tests of the policies without writing any"
    compares_with = "tests that it generated from the unchanged schema"
    commands = ("psql -f, for each file of rlsautotest --emit",)
    needs_pgtap = True

    def prepare(self, database: Database) -> None:
        # Its tests delete the rows that they find, which Supabase's trigger lets the Storage API alone do.
        url = f"{database.url}&options={quote(f'-c {ALLOWED}')}"
        for schema in SCHEMAS:
            self.program.run("--schema", schema, "--db-url", url, "--emit", str(self.path(schema)))
        self.scripts = sorted(self.path("").rglob("*.sql"))

    def findings(self, database: Database) -> Iterator[str]:
        for script in self.scripts:
            for failure in failures(self.lab.psql(database, "-c", f"SET {ALLOWED}", "-f", script)):
                yield f"{script.relative_to(self.folder.name).parts[0]}/{script.name}: {failure}"
