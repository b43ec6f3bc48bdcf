"""pgTAP: the cells of the grids, and the structure of the schema, as its tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

from league.lab import Database, Lab
from league.tools.tool import Tool
from rolecall.access.custom_settings import custom_settings
from rolecall.pgtap.cells import export
from rolecall.pgtap.script import script

STRUCTURE = Path(__file__).parent / "pgtap_structure.sql"


class Pgtap(Tool):
    """Scripts of pgTAP's assertions, run by psql."""

    package = "@electric-sql/pglite-pgtap"
    is_clean = True
    needs_pgtap = True

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.folder = TemporaryDirectory()
        self.scripts: dict[str, Path] = {}  # by the object that they are about

    @property
    def version(self) -> str:
        return f"pgTAP {self.lab.pgtap_version}, from {super().version}"

    def add(self, name: str, text: str) -> None:
        """Write a script."""
        self.scripts[name] = Path(self.folder.name) / f"{name}.sql"
        self.scripts[name].write_text(text, encoding="utf-8")

    def findings(self, database: Database) -> Iterator[str]:
        for name in sorted(self.scripts, key=lambda name: name not in database.concerns):
            yield from failures(self.lab.psql(database, "-f", self.scripts[name]))

    def close(self) -> None:
        self.folder.cleanup()


class Cells(Pgtap):
    """Each check of each cell of the grids, as the persona: an assertion of its verdict. Each table is a script."""

    name = "pgTAP, the grids' cells"
    made_for = "unit tests of a database, in SQL; here generated from rolecall's grids"
    compares_with = "the grids, written by hand"
    commands = ("psql -f, for each table: is(verdict, …) for each check",)

    def prepare(self, database: Database) -> None:  # noqa: ARG002  # it has the grids
        worker = self.lab.project.worker
        settings = {*custom_settings(worker.connection), *worker.world.settings}
        table = attrgetter("table")
        for name, grids in groupby(sorted(self.lab.project.grids, key=table), key=table):
            assertions = [
                assertion._replace(name=f"{name} {assertion.name}")
                for grid in grids
                for assertion in export(grid, worker.outcomes.results(grid)).assertions
            ]
            self.add(name, script(assertions, settings=settings))


class Structure(Pgtap):
    """What the catalog of the unchanged schema has, as pgTAP's assertions about it."""

    name = "pgTAP, the structure"
    made_for = "unit tests of a database, in SQL; here generated from the catalog"
    compares_with = "the catalog of the unchanged schema"
    commands = ("psql -f: policies_are, policy_cmd_is, table_privs_are and 24 more",)

    def prepare(self, database: Database) -> None:
        assertions = self.lab.psql(database, "-f", STRUCTURE)
        lines = ["BEGIN;", "SELECT * FROM no_plan();", assertions, "SELECT * FROM finish();", "ROLLBACK;", ""]
        self.add("structure", "\n".join(lines))


def failures(output: str) -> Iterator[str]:
    """The names of the tests that fail in TAP, and the errors that ended a script."""
    for line in output.splitlines():
        if found := re.match(r"not ok \d+(?: - )?(.*)", line):
            yield found[1]
        elif "ERROR:" in line and not line.startswith("#"):
            yield line.partition("ERROR:")[2].strip()
