"""pgrls: its linter, its proofs, and its comparison of two snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from league.lab import SCHEMAS, Database, Lab
from league.programs import PythonProgram
from league.tools.tool import Tool

CONFIG = ("--config", str(Path(__file__).parent / "pgrls.toml"))
JSON = ("--format", "json")
PROBED = ("anon", "cross-tenant", "write")  # --probe also tries on the database what the proof says
STATIC = ("escalation", "reachability")


class Pgrls(Tool):
    """One command of pgrls."""

    package = "pgrls"

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.program = PythonProgram("pgrls")

    def json(self, command: str, database: Database, *options: str) -> Any:
        """The result of a command."""
        return json.loads(self.program.run(command, "--database-url", database.url, *CONFIG, *JSON, *options))

    def close(self) -> None:
        self.program.close()


class Lint(Pgrls):
    """``pgrls lint``: every rule, every severity."""

    name = "pgrls lint"
    made_for = "policies that are wrong in a known way: 68 rules"
    commands = ("pgrls lint",)
    is_linter = True

    def findings(self, database: Database) -> Iterator[str]:
        for found in self.json("lint", database)["violations"]:
            yield f"{found['rule_id']} {found['location']}"


class Verify(Pgrls):
    """``pgrls verify``: a proof by Z3 in each mode, tried on the database where the mode can be."""

    name = "pgrls verify"
    made_for = "a proof that a policy keeps users and tenants apart, or a row that leaks"
    commands = (
        *(f"pgrls verify --mode {mode} --probe" for mode in PROBED),
        *(f"pgrls verify --mode {mode}" for mode in STATIC),
    )
    is_linter = True

    def findings(self, database: Database) -> Iterator[str]:
        for mode in PROBED:
            for found in self.json("verify", database, "--mode", mode, "--probe")["tables"]:
                if found["static_verdict"] == "leak" or found["agreement"] in ("mismatch", "leak_confirmed"):
                    yield f"{mode} {found['table']} {found['policy']}"
        for mode in STATIC:
            for table in self.json("verify", database, "--mode", mode)["tables"]:
                if table["verdict"] == "leak":
                    yield f"{mode} {table['table']}"


class Diff(Pgrls):
    """``pgrls diff``: every change of the snapshot that pgrls does not call safe."""

    name = "pgrls diff"
    made_for = "a review of what a pull request changes in policies, grants and functions"
    compares_with = "a snapshot of the unchanged schema"
    is_clean = True
    commands = ("pgrls diff snapshot.json --fail-on breaking",)

    def prepare(self, database: Database) -> None:
        self.folder = TemporaryDirectory()
        self.snapshot = str(Path(self.folder.name) / "snapshot.json")
        self.program.run("snapshot", "--database-url", database.url, *CONFIG, "-o", self.snapshot, expected=[0])

    def findings(self, database: Database) -> Iterator[str]:
        options = ["--database-url", database.url, "--schemas", ",".join(SCHEMAS), *CONFIG, *JSON]
        for found in json.loads(self.program.run("diff", self.snapshot, *options))["violations"]:
            if found["classification"] != "safe":
                yield f"{found['rule_id']} {found['location']}"

    def close(self) -> None:
        super().close()
        self.folder.cleanup()
