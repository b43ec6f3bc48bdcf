"""A server that goes or lets nobody in while tests run is one error and the end; a lost connection is one test."""

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
from rolecall.process.outage import is_lost, reason
from rolecall.server import directories
from rolecall.worker import Worker

HEAD = """\
import os, shutil, signal, time
from pathlib import Path
import psycopg, pytest

def home(db):
    return Path(db.connection.info.host)

def end_server(db, how):
    postmaster = int((home(db) / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, how)
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

# Those that need no database would run on, the others would each fail.
AFTER = "def test_runs_on(): Path('ran on').touch()\n" + "\n".join(
    f"def test_after_{number}(db, scratch): scratch(migrated=True)" for number in range(20)
)

# What a test does, and how the one error begins.
OUTAGES = {
    "stopped": ("end_server(db, signal.SIGQUIT); db.value('SELECT 1')", "The server of this run is gone: "),
    "killed": ("end_server(db, signal.SIGKILL); db.value('SELECT 1')", "The server of this run is gone: "),
    "directory removed": (
        "shutil.rmtree(home(db).parent); psycopg.connect(db.connection.info.dsn)",
        "The directory of this run's server was removed while the tests ran: ",
    ),
    "template dropped": (
        "request.getfixturevalue('no_template'); request.getfixturevalue('scratch')(migrated=True)",
        "The template database rolecall_* is gone: somebody dropped it while the tests ran.",
    ),
}


@pytest.fixture
def own_server(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary directory of inner runs that start servers of their own."""
    assert toy.path.is_dir()
    made = Path(tempfile.mkdtemp(prefix="outage-"))
    made.chmod(0o711)
    monkeypatch.delenv("ROLECALL_PG_DSN")
    monkeypatch.setenv("TMPDIR", str(made))
    yield made
    assert [path for path in made.iterdir() if not path.name.startswith("pytest-of-")] == []
    shutil.rmtree(made)


TELLING = [("stopped", "0"), ("killed", "2"), ("directory removed", "0"), ("template dropped", "2")]
ALL = [(case, processes) for case in OUTAGES for processes in ("0", "2")]


@pytest.mark.parametrize(("case", "processes"), ALL if os.environ.get("ROLECALL_TORTURE") == "1" else TELLING)
def test_an_outage_is_one_error_and_ends_the_run(
    toy: pytest.Pytester, own_server: Path, case: str, processes: str
) -> None:
    assert own_server.is_dir()
    statement, said = OUTAGES[case]
    toy.makepyfile(test_a=f"{HEAD}\ndef test_breaks(db, request):\n    {statement}\n\n{AFTER}\n")
    started = time.monotonic()
    result = toy.runpytest_subprocess("-n", processes, "test_a.py")
    assert time.monotonic() - started < 60
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    counts = result.parseoutcomes()
    assert counts.get("failed", 0) + counts.get("errors", 0) == 1
    result.stdout.fnmatch_lines([said + "*", "*Run*the tests again*" if case != "template dropped" else "Leave *"])
    output = result.stdout.str() + result.stderr.str()
    assert len(output.splitlines()) < 45
    assert processes == "2" or not (toy.path / "ran on").exists()  # the other worker may have been about to
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output


def test_the_end_of_the_log_is_shown(toy: pytest.Pytester, own_server: Path) -> None:
    assert own_server.is_dir()
    toy.makepyfile(test_a=f"{HEAD}\ndef test_a(db): end_server(db, signal.SIGQUIT); db.value('SELECT 1')\n")
    result = toy.runpytest_subprocess("test_a.py")
    result.stdout.fnmatch_lines(["Its log ends with:", "  * LOG:  received immediate shutdown request"])


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_server_that_goes_while_the_databases_are_built_is_one_error(
    toy: pytest.Pytester, own_server: Path, processes: str
) -> None:
    """The baseline has its own server stopped: the superuser may run programs."""
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


def test_a_server_that_takes_no_more_connections_ends_the_run(toy: pytest.Pytester, own_server: Path) -> None:
    assert own_server.is_dir()
    statement = "pytest.held = []\n    while True: pytest.held.append(psycopg.connect(db.connection.info.dsn))"
    toy.makepyfile(test_a=f"{HEAD}\ndef test_a(db):\n    {statement}\n\n{AFTER}\n")
    result = toy.runpytest_subprocess("test_a.py", "-Wdefault")
    result.assert_outcomes(failed=1, warnings=result.parseoutcomes().get("warnings", 0))
    result.stdout.fnmatch_lines(["*the server takes no more connections: close some*"])


# ------------------------------------------------------------------ no outage


LOST = "The server has ended a connection of this test, and serves others. The tests after it have a new one."

# What a test does to its own connection, or another's, and how it and the test after it come out.
NO_OUTAGES = {
    "its own connection": (
        "db.connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        {"failed": 1, "passed": 1},
    ),
    "its own connection, and it expects that": (
        "with pytest.raises(psycopg.OperationalError):\n"
        "        db.connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        {"errors": 1, "passed": 2},
    ),
    "another of its own, and it expects that": (
        "with psycopg.connect(db.connection.info.dsn) as other, pytest.raises(psycopg.OperationalError):\n"
        "        other.execute('SELECT pg_terminate_backend(pg_backend_pid())')",
        {"passed": 2},
    ),
    "a server elsewhere": ("psycopg.connect('host=/nowhere')", {"failed": 1, "passed": 1}),
    "a full disk that a function makes up": (
        "db.connection.execute(\"DO $$BEGIN RAISE 'no' USING ERRCODE = '53100'; END$$\")",
        {"failed": 1, "passed": 1},
    ),
}


@pytest.mark.parametrize("case", NO_OUTAGES)
def test_a_lost_connection_is_one_test(toy: pytest.Pytester, case: str) -> None:
    statement, expected = NO_OUTAGES[case]
    toy.makepyfile(
        test_a=f"{HEAD}\ndef test_a(db):\n    {statement}\n\ndef test_b(db): assert db.value('SELECT 1') == 1\n"
    )
    result = toy.runpytest_subprocess("test_a.py")
    assert result.parseoutcomes() == expected
    assert (LOST in result.stdout.str()) is (case == "its own connection")


def test_a_connection_that_was_lost_between_tests_is_made_anew(toy: pytest.Pytester) -> None:
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


def test_a_crash_of_one_process_is_waited_out(toy: pytest.Pytester, own_server: Path) -> None:
    """The server then ends all others, and lets nobody in until it has recovered."""
    assert own_server.is_dir()
    killed = "os.kill(db.connection.info.backend_pid, signal.SIGKILL); time.sleep(0.1); db.value('SELECT 1')"
    toy.makepyfile(test_a=f"{HEAD}\ndef test_a(db): {killed}\ndef test_b(db): assert db.value('SELECT 1') == 1\n")
    toy.runpytest_subprocess("test_a.py").assert_outcomes(failed=1, passed=1)


def test_a_server_that_recovers_is_waited_for(toy_built: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and says that it lets nobody in yet."""
    answers = [pq.Ping.REJECT, pq.Ping.REJECT, pq.Ping.OK]
    monkeypatch.setattr(outage, "_ping", lambda _: answers.pop(0))
    outage.comes_back(toy_built.run)
    assert answers == []


def test_a_lost_connection_is_no_proof_that_a_defect_was_noticed(toy: pytest.Pytester) -> None:
    """Its test fails with an error of the database, as those do that notice."""
    killed = "scratch(migrated=True).connection.execute('SELECT pg_terminate_backend(pg_backend_pid())')"
    toy.makepyfile(test_a=f"def test_a(scratch): {killed}\n")
    defect = "-- F1: anything\n-- caught by: test_a.py::test_a\nSELECT 1;\n"
    (toy.path / "defects/f1_anybody_reads.sql").write_text(defect)
    result = toy.runpytest_subprocess("defects")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_a.py::test_a broke instead of failing:"])


# ------------------------------------------------------------------ which errors are looked into


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
        pytest.param(ValueError("no"), False, False, id="none of the database's"),
        pytest.param(chained(ValueError("no"), psycopg.OperationalError("gone")), True, True, id="behind another"),
    ],
)
def test_errors_for_which_the_server_may_be_the_reason(error: BaseException, suspicious: bool, lost: bool) -> None:
    assert ((reason(error) is not None), is_lost(error)) == (suspicious, lost)


# ------------------------------------------------------------------ no room


def test_too_little_room_is_one_error_before_the_first_test(
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
