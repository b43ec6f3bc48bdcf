"""The same access checks, every cell of Enorae's grids, in several ways on one server."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks import enorae
from benchmarks.clock import time_pytest
from benchmarks.enorae import Project
from benchmarks.results import Result, seconds
from benchmarks.scripts import Case, pgtap_script, psql_script, psql_verdicts, verdict_of
from rolecall.grids.probe import probe
from rolecall.grids.verdicts import expected_words
from rolecall.server.choose import embedded

TIMES = 5
FILES = 20  # for pg_prove, which runs two at the same time
DATABASE_TESTS = 40  # of pytest-postgresql: one test for each cell would take minutes
CELLS = "test_grid and not decided and not stored and not changes and not phase"  # the other items of a grid
DEBIAN = Path("/usr/lib/postgresql/15/bin")
NO_PGTAP = (
    "pgTAP is left out: it needs Debian's PostgreSQL 15 with pgTAP (apt install postgresql-15-pgtap), "
    "and pg_prove (apt install libtap-parser-sourcehandler-pgtap-perl)"
)

PROBING, ITEMS, EMPTY = "rolecall, probing", "rolecall, one item per cell", "empty parametrized tests"
PSQL, PSQL_FIVE, PROBING_FIVE = "psql -f", "psql -f, five statements each", "rolecall, probing the same"
LOOP, TAP, TAP_FILES = "psycopg in a loop", "pgTAP, one file", f"pgTAP, {FILES} files in two databases"
DATABASE = "pytest-postgresql, one test with its database"


def run() -> Result:
    """Run all ways in turn, several times. Each must give the verdicts of the grids."""
    pgtap = bool(shutil.which("pg_prove")) and Path("/usr/share/postgresql/15/extension/pgtap.control").is_file()
    binaries = DEBIAN if DEBIAN.is_dir() else embedded(18)
    with enorae.project(binaries) as project, TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        return Comparison(project, binaries, Path(folder)).result(pgtap)


class Comparison:
    """The different ways to run the same checks."""

    def __init__(self, project: Project, binaries: Path, folder: Path) -> None:
        self.project, self.binaries, self.folder = project, binaries, folder
        cells = project.checks()
        self.cells = len(cells)
        self.cases = [
            Case(cell.id, check, expected)
            for _, cell, checks in cells
            for check, expected in zip(checks, expected_words(cell.expected, checks), strict=True)
        ]
        self.five = [case for case in self.cases if case.is_five]
        self.ids = [cell.id for _, cell, _ in cells]

    def result(self, pgtap: bool) -> Result:
        """Measure all ways, and compare them."""
        result = Result("checks", f"The same {self.cells} cells ({len(self.cases)} statements), in several ways")
        result.facts = {
            "server": self.project.run.server,
            "cells": self.cells,
            "checks": len(self.cases),
            "checks of five statements": len(self.five),
        }
        ways = {
            PROBING: lambda: seconds(self.probing),
            PSQL: lambda: self.psql(self.cases),
            PROBING_FIVE: lambda: seconds(lambda: self.probe_cases(self.five)),
            PSQL_FIVE: lambda: self.psql(self.five),
            LOOP: lambda: seconds(self.loop),
        }
        with self.databases_for_pgtap(pgtap) as databases:
            if databases:
                one, several = self.tap_files(1), self.tap_files(FILES)
                ways[TAP] = lambda: self.pg_prove(databases[:1], one)
                ways[TAP_FILES] = lambda: self.pg_prove(databases, several)
            else:
                result.facts["left out"] = NO_PGTAP
            for way in [way for _ in range(TIMES) for way in ways.items()]:
                result.samples.setdefault(way[0], []).append(way[1]())
        self.items(result)
        self.database_for_each_test(result)
        self.compare(result, pgtap)
        return result

    def compare(self, result: Result, pgtap: bool) -> None:
        """Compare the ways with their targets."""
        result.ratio(PROBING, PSQL, at_most=0.07)
        result.ratio(PROBING_FIVE, PSQL_FIVE, at_most=0.3)
        result.ratio(ITEMS, EMPTY, at_most=1.1)
        if pgtap:
            result.ratio(TAP, PROBING, at_least=5)
            result.ratio(TAP_FILES, PROBING, at_least=5)
            result.ratio(TAP, ITEMS, at_least=1)
            result.ratio(TAP_FILES, ITEMS, at_least=1)
        result.samples["rolecall, one of these items"] = [each / self.cells for each in result.samples[ITEMS]]
        result.ratio(DATABASE, "rolecall, one of these items", at_least=50)

    # -- rolecall

    def probing(self) -> None:
        """Probe every grid, from its cells to their verdicts."""
        for grid in self.project.grids:
            _same([], list(self.project.worker.outcomes.try_grid(grid)))

    def probe_cases(self, cases: Sequence[Case]) -> None:
        """Probe some of the checks."""
        connection = self.project.connection
        with connection.transaction(force_rollback=True):
            outcomes = probe(connection, [case.check for case in cases])
        actual = [outcome.verdict for case, outcome in zip(cases, outcomes, strict=True)]
        _same([case.expected for case in cases], actual)

    def items(self, result: Result) -> None:
        """pytest with one item per cell, and with the same number of empty tests."""
        empty = self.folder / "empty" / "test_empty.py"
        empty.parent.mkdir()
        empty.write_text(
            f"import pytest\n\n@pytest.mark.parametrize('cell', {self.ids!r})\ndef test_grid(cell):\n    pass\n",
            encoding="utf-8",
        )
        common: list[str | Path] = ["-n", "0", "-k", CELLS, "-c", enorae.ROOT / "pyproject.toml"]
        server = {"ROLECALL_PG_DSN": self.project.run.conninfo}
        for _ in range(TIMES):
            for way, path in ((ITEMS, enorae.POLICIES), (EMPTY, empty)):
                timed = time_pytest(enorae.ROOT, [*common, path], server)
                _same(self.cells, timed.ran)
                result.samples.setdefault(way, []).append(timed.collection + timed.tests)
                result.samples.setdefault(f"{way}: whole command", []).append(timed.whole)

    # -- plain statements

    def psql(self, cases: Sequence[Case]) -> float:
        """Seconds of ``psql -f`` with one connection."""
        script = self.folder / "checks.sql"
        script.write_text(psql_script(cases), encoding="utf-8")
        command: list[str | Path] = [self.program("psql"), "-X", "-q", "-o", os.devnull, "-f", script, self.conninfo]
        outputs: list[str] = []
        duration = seconds(lambda: outputs.append(_run(command)))
        _same([case.expected for case in cases], list(psql_verdicts(cases, outputs[0])))
        return duration

    def loop(self) -> None:
        """The same statements, one after the other, from Python."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            _same([case.expected for case in self.cases], [by_psycopg(connection, case) for case in self.cases])

    @property
    def conninfo(self) -> str:
        """The connection string of the worker's database."""
        return make_conninfo(self.project.run.conninfo, dbname=self.project.connection.info.dbname)

    def program(self, name: str) -> Path:
        """A program of the server."""
        return self.binaries / name

    # -- pgTAP

    @contextmanager
    def databases_for_pgtap(self, available: bool) -> Iterator[list[str]]:
        """Two clones with the extension; yields their names, none without pgTAP."""
        run = self.project.run
        with ExitStack() as stack:
            names = [stack.enter_context(run.clone(run.template, f"pgtap_{n}")) for n in (1, 2) if available]
            for name in names:
                with run.connect(name) as connection:
                    connection.execute(b"CREATE EXTENSION pgtap")
            yield names

    def tap_files(self, number: int) -> list[Path]:
        """The checks in ``number`` files."""
        size = -(-len(self.cases) // number)
        paths = []
        for start in range(0, len(self.cases), size):
            path = self.folder / f"{number}_{start:05}.sql"
            path.write_text(pgtap_script(self.cases[start : start + size]), encoding="utf-8")
            paths.append(path)
        return paths

    def pg_prove(self, databases: list[str], files: list[Path]) -> float:
        """Seconds of one pg_prove for each database, all at a time. It fails at a wrong verdict.

        With its option ``-j``, files would share a database, and a check could wait for a row that another one locks.
        """
        server = conninfo_to_dict(self.project.run.conninfo)
        options = ["-h", str(server["host"]), "-U", str(server["user"]), "-Q", "--psql-bin", self.program("psql")]
        program = shutil.which("pg_prove") or ""
        commands = [
            [program, "-d", database, *options, *files[number :: len(databases)]]
            for number, database in enumerate(databases)
        ]
        with ThreadPoolExecutor(len(commands)) as pool:
            return seconds(lambda: list(pool.map(_run, commands)))

    # -- pytest-postgresql

    def database_for_each_test(self, result: Result) -> None:
        """Its default fixture: each test has its own database, from a template that is loaded once."""
        folder = self.folder / "database_for_each_test"
        folder.mkdir()
        schema = folder / "schema.sql"
        dump: list[str | Path] = [self.program("pg_dump"), "--inserts", "-d", self.conninfo]
        lines = [line for line in _run(dump).splitlines() if not line.startswith("\\")]  # commands of psql, since 2025
        schema.write_text("\n".join(lines), encoding="utf-8")
        sample = self.cases[:: len(self.cases) // DATABASE_TESTS]
        (folder / "cases.pickle").write_bytes(pickle.dumps(sample))
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        (folder / "test_cells.py").write_text(DATABASE_MODULE, encoding="utf-8")
        server = conninfo_to_dict(self.project.run.conninfo)
        options = [f"--postgresql-host={server['host']}", f"--postgresql-user={server['user']}"]
        timed = time_pytest(folder, [*options, "--postgresql-dbname=database_for_each_test", "-p", "no:randomly"])
        each = timed.each[1:]  # the first one creates the template
        _same(len(sample), len(each))
        result.samples[DATABASE] = each
        result.facts[DATABASE] = f"{len(each)} of the checks: one for each cell would take too long"


DATABASE_MODULE = """
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
    """The verdict of a check whose statements are sent one after the other."""
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
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{process.stdout[-2000:]}\n{process.stderr[-2000:]}")
    return process.stdout


def _same(expected: Any, actual: Any) -> None:
    """Raises RuntimeError if a way gives other verdicts: then its time means nothing."""
    if expected != actual:
        raise RuntimeError(f"expected {str(expected)[:500]}, got {str(actual)[:500]}")
