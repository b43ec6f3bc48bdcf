"""A server that fails while tests run is one error and ends the run. A lost connection fails one test only."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from rolecall.process import outage
from rolecall.process.outage import is_lost, suspicious_error
from rolecall.server import directories
from rolecall.worker import Worker

HEAD = """\
import os, shutil, signal, time
from pathlib import Path
import psycopg, pytest

def home(db):
    return Path(db.connection.info.host)

def end_server(db, number):
    postmaster = int((home(db) / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, number)
    while True:
        try:
            psycopg.connect(db.connection.info.dsn).close()
        except psycopg.OperationalError:
            break

@pytest.fixture
def no_template(pytestconfig):
    run = pytestconfig.pluginmanager.getplugin("rolecall-run").process.run
    with psycopg.connect(run.conninfo, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {run.template} WITH is_template false")
        connection.execute(f"DROP DATABASE {run.template} WITH (FORCE)")
"""

# Without an end of the run, the first test would pass, and all others would fail.
MORE_TESTS = "def test_without_database(): Path('passed').touch()\n" + "\n".join(
    f"def test_after_{number}(db, scratch): scratch(migrated=True)" for number in range(20)
)

# The statement of a test, and the beginning of the one error.
OUTAGES = {
    "stopped": ("end_server(db, signal.SIGQUIT); db.value('SELECT 1')", "The server of this run is gone: "),
    "killed": ("end_server(db, signal.SIGKILL); db.value('SELECT 1')", "The server of this run is gone: "),
    "directory removed": (
        "shutil.rmtree(home(db).parent); psycopg.connect(db.connection.info.dsn)",
        "The directory of this run's server was removed while the tests ran: ",
    ),
    "template dropped": (
        "request.getfixturevalue('no_template'); request.getfixturevalue('scratch')(migrated=True)",
        "The template database rolecall_* is gone: it was dropped while the tests ran.",
    ),
}


@pytest.fixture
def own_server(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The TMPDIR of inner runs that start their own server."""
    assert toy.path.is_dir()
    folder = Path(tempfile.mkdtemp(prefix="outage-"))
    folder.chmod(0o711)
    monkeypatch.delenv("ROLECALL_PG_DSN")
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert [path for path in folder.iterdir() if not path.name.startswith("pytest-of-")] == []
    shutil.rmtree(folder)


SELECTED = [("stopped", "0"), ("killed", "2"), ("directory removed", "0"), ("template dropped", "2")]
ALL = [(case, processes) for case in OUTAGES for processes in ("0", "2")]


@pytest.mark.parametrize(("case", "processes"), ALL if os.environ.get("ROLECALL_TORTURE") == "1" else SELECTED)
def test_an_outage_is_one_error_and_ends_the_run(
    toy: pytest.Pytester, own_server: Path, case: str, processes: str
) -> None:
    assert own_server.is_dir()
    statement, message = OUTAGES[case]
    toy.makepyfile(test_a=f"{HEAD}\ndef test_breaks(db, request):\n    {statement}\n\n{MORE_TESTS}\n")
    started = time.monotonic()
    result = toy.runpytest_subprocess("-n", processes, "test_a.py")
    assert time.monotonic() - started < 60
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    counts = result.parseoutcomes()
    assert counts.get("failed", 0) + counts.get("errors", 0) == 1
    result.stdout.fnmatch_lines(
        [message + "*", "*Run the tests again*" if case != "template dropped" else "Do not drop *"]
    )
    output = result.stdout.str() + result.stderr.str()
    assert len(output.splitlines()) < 45
    assert processes == "2" or not (toy.path / "passed").exists()  # the other worker may be running it
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


def test_the_end_of_the_log_is_shown(toy: pytest.Pytester, own_server: Path) -> None:
    assert own_server.is_dir()
    toy.makepyfile(test_a=f"{HEAD}\ndef test_a(db): end_server(db, signal.SIGQUIT); db.value('SELECT 1')\n")
    result = toy.runpytest_subprocess("test_a.py")
    result.stdout.fnmatch_lines(["Its log ends with:", "  * LOG:  received immediate shutdown request"])


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_server_that_stops_during_the_build_is_one_error(
    toy: pytest.Pytester, own_server: Path, processes: str
) -> None:
    """The baseline stops its own server: a superuser may run programs."""
    assert own_server.is_dir()
    with (toy.path / "platform.sql").open("a") as platform:
        platform.write("COPY (SELECT 1) TO PROGRAM 'kill -QUIT $(head -1 postmaster.pid)'; SELECT pg_sleep(60);\n")
    started = time.monotonic()
    result = toy.runpytest_subprocess("-n", processes)
    assert time.monotonic() - started < 60
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.stderr.lines if line.startswith("ERROR: ")] == [
        line for line in result.stderr.lines if line.startswith("ERROR: The server of this run is gone: ")
    ]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_too_many_connections_end_the_run(toy: pytest.Pytester, own_server: Path) -> None:
    assert own_server.is_dir()
    statement = (
        "pytest.connections = []\n    while True: pytest.connections.append(psycopg.connect(db.connection.info.dsn))"
    )
    toy.makepyfile(test_a=f"{HEAD}\ndef test_a(db):\n    {statement}\n\n{MORE_TESTS}\n")
    result = toy.runpytest_subprocess("test_a.py", "-Wdefault")
    result.assert_outcomes(failed=1, warnings=result.parseoutcomes().get("warnings", 0))
    result.stdout.fnmatch_lines(["*the server accepts no more connections: close some*"])


# ------------------------------------------------------------------ no outage


LOST = "The server ended a connection of this test, and accepts new ones. The next tests have a new connection."

# The statement of a test, and the outcomes of this test and the next one.
NO_OUTAGES = {
    "its own connection": (
        "db.connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        {"failed": 1, "passed": 1},
    ),
    "its own connection, expected by the test": (
        "with pytest.raises(psycopg.OperationalError):\n"
        "        db.connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        {"errors": 1, "passed": 2},
    ),
    "a second connection, expected by the test": (
        "with psycopg.connect(db.connection.info.dsn) as other, pytest.raises(psycopg.OperationalError):\n"
        "        other.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        {"passed": 2},
    ),
    "another server": ("psycopg.connect('host=/nowhere')", {"failed": 1, "passed": 1}),
    "a function that raises disk_full": (
        "db.connection.execute(\"DO $$BEGIN RAISE 'no' USING ERRCODE = '53100'; END$$\")",
        {"failed": 1, "passed": 1},
    ),
}


@pytest.mark.parametrize("case", NO_OUTAGES)
def test_a_lost_connection_fails_one_test_only(toy: pytest.Pytester, case: str) -> None:
    statement, expected = NO_OUTAGES[case]
    toy.makepyfile(
        test_a=f"{HEAD}\ndef test_a(db):\n    {statement}\n\ndef test_b(db): assert db.value('SELECT 1') == 1\n"
    )
    result = toy.runpytest_subprocess("test_a.py")
    assert result.parseoutcomes() == expected
    assert (LOST in result.stdout.str()) is (case == "its own connection")


def test_a_connection_that_is_lost_between_tests_is_replaced(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_a=f"""{HEAD}
def test_a(db):
    pytest.dsn, pytest.pid = db.connection.info.dsn, db.connection.info.backend_pid

def test_kills():
    with psycopg.connect(pytest.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pytest.pid])

def test_b(db): assert db.value("SELECT 1") == 1
def test_c(db): assert db.value("SELECT 1") == 1
"""
    )
    result = toy.runpytest_subprocess("test_a.py")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines([LOST])


def test_a_crash_of_one_server_process_fails_one_test_only(toy: pytest.Pytester, own_server: Path) -> None:
    """The server then ends all its processes, and rejects connections until it has recovered."""
    assert own_server.is_dir()
    statement = "os.kill(db.connection.info.backend_pid, signal.SIGKILL); time.sleep(0.1); db.value('SELECT 1')"
    toy.makepyfile(test_a=f"{HEAD}\ndef test_a(db): {statement}\ndef test_b(db): assert db.value('SELECT 1') == 1\n")
    toy.runpytest_subprocess("test_a.py").assert_outcomes(failed=1, passed=1)


def test_a_run_waits_for_a_server_that_recovers(toy_built: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server rejects connections until it has recovered."""
    answers = [pq.Ping.REJECT, pq.Ping.REJECT, pq.Ping.OK]
    monkeypatch.setattr(outage, "_ping", lambda _: answers.pop(0))
    outage.wait_for_recovery(toy_built.run)
    assert answers == []


def test_a_lost_connection_does_not_catch_a_defect(toy: pytest.Pytester) -> None:
    """The test fails with an error of the database, but not because of the defect."""
    statement = "scratch(migrated=True).connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')"
    toy.makepyfile(test_a=f"def test_a(scratch): {statement}\n")
    defect = "-- F1: anything\n-- caught by: test_a.py::test_a\nSELECT 1;\n"
    (toy.path / "defects/f1_anybody_reads.sql").write_text(defect)
    result = toy.runpytest_subprocess("defects")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_a.py::test_a broke instead of failing:"])


# ------------------------------------------------------------------ suspicious errors


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "suspicious", "lost"),
    [
        pytest.param(psycopg.OperationalError("gone"), True, True, id="lost"),
        pytest.param(psycopg.errors.AdminShutdown(), True, True, id="57P01"),
        pytest.param(psycopg.errors.DiskFull(), True, False, id="53100"),
        pytest.param(psycopg.errors.QueryCanceled(), False, False, id="57014"),
        pytest.param(psycopg.errors.DeadlockDetected(), False, False, id="40P01"),
        pytest.param(psycopg.errors.InsufficientPrivilege(), False, False, id="42501"),
        pytest.param(ValueError("no"), False, False, id="not of the database"),
        pytest.param(
            chained(ValueError("no"), psycopg.OperationalError("gone")), True, True, id="cause of another error"
        ),
    ],
)
def test_errors_that_the_server_may_have_caused(error: BaseException, suspicious: bool, lost: bool) -> None:
    assert (suspicious_error(error) is not None, is_lost(error)) == (suspicious, lost)


# ------------------------------------------------------------------ disk space


def test_too_little_disk_space_is_one_error_before_the_first_test(
    toy: pytest.Pytester, own_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(own_server))
    monkeypatch.setattr(directories, "_room", lambda _: 60 * 2**20)
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.stderr.lines if line] == [
        f"ERROR: {own_server} has room for 60 MB, and a server with its databases needs 150 MB.",
        "Make room there, or set TMPDIR to a folder that has it.",
    ]
    result.assert_outcomes()
