"""The same access checks, every cell of Enorae's grids, five ways in one run on one server."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks import enorae
from benchmarks.clock import time_pytest
from benchmarks.enorae import Project
from benchmarks.results import Result, seconds
from benchmarks.scripts import VERDICT, Case, pgtap_script, psql_script, psql_verdicts, verdict_of
from rolecall.grids.probe import probe
from rolecall.server.choose import embedded

TIMES = 5
FILES = 20  # that pg_prove runs two at once
A_DATABASE_EACH = 40  # tests of pytest-postgresql: one a cell would take minutes
DEBIAN = Path("/usr/lib/postgresql/15/bin")
NO_PGTAP = (
    "pgTAP is left out: it wants PostgreSQL 15 of Debian with it (apt install postgresql-15-pgtap), "
    "and pg_prove (apt install libtap-parser-sourcehandler-pgtap-perl)"
)

PROBING, ITEMS, EMPTY = "rolecall, probing", "rolecall, an item a cell", "empty parametrized tests"
PSQL, PSQL_FIVE, PROBING_FIVE = "psql -f", "psql -f, five statements each", "rolecall, probing the same"
LOOP, TAP, TAP_FILES = "psycopg in a loop", "pgTAP, one file", f"pgTAP, {FILES} files, -j2"
DATABASE = "pytest-postgresql, one test with its database"


def run() -> Result:
    """All ways in turn, several times over; every one of them must come to what the grids say."""
    pgtap = bool(shutil.which("pg_prove")) and Path("/usr/share/postgresql/15/extension/pgtap.control").is_file()
    binaries = DEBIAN if DEBIAN.is_dir() else embedded(18)
    with enorae.project(binaries) as project, TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        return Comparison(project, binaries, Path(place)).result(pgtap)


class Comparison:
    """The ways to try the same checks."""

    def __init__(self, project: Project, binaries: Path, place: Path) -> None:
        self.project, self.binaries, self.place = project, binaries, place
        cells = project.checks()
        self.cells = len(cells)
        self.cases = [
            Case(cell.id, check, expected)
            for _, cell, checks in cells
            for check, expected in zip(checks, cycle(cell.expected.split("/")), strict=False)
        ]
        self.five = [case for case in self.cases if case.is_five]
        self.ids = [cell.id for _, cell, _ in cells]

    def result(self, pgtap: bool) -> Result:
        """Measure, and hold the ways against each other."""
        result = Result("checks", f"The same {self.cells} cells ({len(self.cases)} statements to try), five ways")
        result.facts = {
            "server": self.project.run.server,
            "cells": self.cells,
            "checks": len(self.cases),
            "checks of five statements": len(self.five),
        }
        ways = {
            PROBING: lambda: seconds(self.probing),
            PSQL: lambda: self.psql(self.cases),
            PROBING_FIVE: lambda: seconds(lambda: self.probed(self.five)),
            PSQL_FIVE: lambda: self.psql(self.five),
            LOOP: lambda: seconds(self.loop),
        }
        with self.databases_for_pgtap(pgtap) as database:
            if database:
                one, several = self.tap_files(1), self.tap_files(FILES)
                ways[TAP] = lambda: self.pg_prove(database, one, "1")
                ways[TAP_FILES] = lambda: self.pg_prove(database, several, "2")
            else:
                result.facts["left out"] = NO_PGTAP
            for way in [way for _ in range(TIMES) for way in ways.items()]:
                result.samples.setdefault(way[0], []).append(way[1]())
        self.items(result)
        self.database_a_test(result)
        self.compare(result, pgtap)
        return result

    def compare(self, result: Result, pgtap: bool) -> None:
        """What we want of it."""
        result.ratio(PROBING, PSQL, at_most=0.3)
        result.ratio(PROBING_FIVE, PSQL_FIVE, at_most=0.3)
        result.ratio(ITEMS, EMPTY, at_most=1.4)
        if pgtap:
            result.ratio(TAP, PROBING, at_least=5)
            result.ratio(TAP_FILES, PROBING, at_least=5)
            result.ratio(TAP, ITEMS, at_least=1)
            result.ratio(TAP_FILES, ITEMS, at_least=1)
        result.samples["rolecall, one item of those"] = [each / self.cells for each in result.samples[ITEMS]]
        result.ratio(DATABASE, "rolecall, one item of those", at_least=50)

    # -- rolecall

    def probing(self) -> None:
        """Every grid, from its cells to their verdicts."""
        for grid in self.project.grids:
            _same([], self.project.worker.outcomes.try_grid(grid))

    def probed(self, cases: Sequence[Case]) -> None:
        """Some of the checks."""
        connection = self.project.connection
        with connection.transaction(force_rollback=True):
            outcomes = probe(connection, [case.check for case in cases])
        got = [outcome.verdict for case, outcome in zip(cases, outcomes, strict=True)]
        _same([case.expected for case in cases], got)

    def items(self, result: Result) -> None:
        """pytest with an item a cell, and with as many tests that do nothing."""
        empty = self.place / "empty" / "test_empty.py"
        empty.parent.mkdir()
        empty.write_text(
            f"import pytest\n\n@pytest.mark.parametrize('cell', {self.ids!r})\ndef test_grid(cell):\n    pass\n",
            encoding="utf-8",
        )
        common: list[str | Path] = ["-n", "0", "-k", "test_grid", "-c", enorae.ROOT / "pyproject.toml"]
        server = {"ROLECALL_PG_DSN": self.project.run.conninfo}
        for _ in range(TIMES):
            for what, where in ((ITEMS, enorae.POLICIES), (EMPTY, empty)):
                timed = time_pytest(enorae.ROOT, [*common, where], server)
                _same(self.cells, timed.ran)
                result.samples.setdefault(what, []).append(timed.collection + timed.tests)
                result.samples.setdefault(f"{what}: whole command", []).append(timed.whole)

    # -- the bare statements

    def psql(self, cases: Sequence[Case]) -> float:
        """``psql -f``, one connection."""
        script = self.place / "checks.sql"
        script.write_text(psql_script(cases), encoding="utf-8")
        command: list[str | Path] = [self.program("psql"), "-X", "-q", "-o", os.devnull, "-f", script, self.conninfo]
        said: list[str] = []
        took = seconds(lambda: said.append(_run(command)))
        _same([case.expected for case in cases], list(psql_verdicts(cases, said[0])))
        return took

    def loop(self) -> None:
        """The same statements, one after the other, from Python."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            _same([case.expected for case in self.cases], [by_psycopg(connection, case) for case in self.cases])

    @property
    def conninfo(self) -> str:
        """Of the worker's clone."""
        return make_conninfo(self.project.run.conninfo, dbname=self.project.connection.info.dbname)

    def program(self, name: str) -> Path:
        """One of the server's own."""
        return self.binaries / name

    # -- pgTAP

    @contextmanager
    def databases_for_pgtap(self, there: bool) -> Iterator[str | None]:
        """A clone with the extension."""
        if not there:
            yield None
            return
        run = self.project.run
        with run.clone(run.template, "pgtap") as name:
            with run.connect(name) as connection:
                connection.execute(VERDICT.encode())
            yield name

    def tap_files(self, number: int) -> list[Path]:
        """The checks as so many files."""
        size = -(-len(self.cases) // number)
        paths = []
        for start in range(0, len(self.cases), size):
            path = self.place / f"{number}_{start:05}.sql"
            path.write_text(pgtap_script(self.cases[start : start + size]), encoding="utf-8")
            paths.append(path)
        return paths

    def pg_prove(self, database: str, files: list[Path], jobs: str) -> float:
        """pg_prove, which fails where a verdict is another."""
        where = conninfo_to_dict(self.project.run.conninfo)
        options = ["-d", database, "-h", str(where["host"]), "-U", str(where["user"]), "-j", jobs, "-Q"]
        command: list[str | Path] = [
            shutil.which("pg_prove") or "",
            "--psql-bin",
            self.program("psql"),
            *options,
            *files,
        ]
        return seconds(lambda: _run(command))

    # -- pytest-postgresql

    def database_a_test(self, result: Result) -> None:
        """Its default fixture: each test gets a database of its own, from a template that it has loaded once."""
        folder = self.place / "a_database_a_test"
        folder.mkdir()
        schema = folder / "schema.sql"
        dump: list[str | Path] = [self.program("pg_dump"), "--inserts", "-d", self.conninfo]
        lines = [line for line in _run(dump).splitlines() if not line.startswith("\\")]  # psql's own, since 2025
        schema.write_text("\n".join(lines), encoding="utf-8")
        where = conninfo_to_dict(self.project.run.conninfo)
        sample = self.cases[:: len(self.cases) // A_DATABASE_EACH]
        (folder / "cases.pickle").write_bytes(pickle.dumps(sample))
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_cells.py").write_text(A_DATABASE, encoding="utf-8")
        where = conninfo_to_dict(self.project.run.conninfo)
        server = [f"--postgresql-host={where['host']}", f"--postgresql-user={where['user']}"]
        timed = time_pytest(folder, [*server, "--postgresql-dbname=a_database_a_test", "-p", "no:randomly"])
        each = timed.each[1:]  # the first has the template made
        _same(len(sample), len(each))
        result.samples[DATABASE] = each
        result.facts[DATABASE] = f"{len(each)} of the checks tried: one for each cell would take too long"


A_DATABASE = """
import pickle
from pathlib import Path

import pytest
from pytest_postgresql import factories

from benchmarks.checks import by_psycopg

HERE = Path(__file__).parent
CASES = pickle.loads((HERE / "cases.pickle").read_bytes())
template = factories.postgresql_noproc(load=[HERE / "schema.sql"])
database = factories.postgresql("template")

def test_template(template):
    pass

@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_cell(database, case):
    database.autocommit = True
    assert by_psycopg(database, case) == case.expected
"""


def by_psycopg(connection: psycopg.Connection[Any], case: Case) -> str:
    """The verdict of a check, its statements sent one after the other."""
    connection.execute("BEGIN")
    for statement in (*case.before, *case.sign_in):
        connection.execute(statement.encode())
    sqlstate, count, changed = "00000", 0, False
    try:
        count = connection.execute(case.statement.encode()).rowcount
        if case.look:
            connection.execute("SELECT set_config('role', 'none', true)")
            ((changed,),) = connection.execute(case.look.encode()).fetchall()
    except psycopg.Error as error:
        sqlstate = error.sqlstate or ""
    connection.execute("ROLLBACK")
    return verdict_of(sqlstate, count, changed)


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def _same(expected: Any, got: Any) -> None:
    """Nothing is measured that does not do what it should."""
    if expected != got:
        raise RuntimeError(f"expected {str(expected)[:500]}, got {str(got)[:500]}")
