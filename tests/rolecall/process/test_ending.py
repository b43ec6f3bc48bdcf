"""A run that ends early: by a signal at any stage, by pytest, by a crash. It leaves nothing, and its status says why.

Only selected cases run; with ``ROLECALL_TORTURE=1`` in the environment, all of them do.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from rolecall.server import signals
from rolecall.server.choose import Server, embedded
from tests.rolecall.ended_runs import STAGES, Result, add_stages, end_run

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
TORTURE = os.environ.get("ROLECALL_TORTURE") == "1"


class Case(NamedTuple):
    """A stage, the signals and their receiver, the number of processes, and the kind of server."""

    stage: str
    signals: tuple[signal.Signals, ...]
    processes: str = "0"
    to: str = "first"
    dsn: bool = False

    def __str__(self) -> str:
        names = "+".join(number.name.removeprefix("SIG") for number in self.signals)
        return f"{self.stage} {names} to {self.to} -n {self.processes}{' --rolecall-pg-dsn' if self.dsn else ''}"

    @property
    def is_possible(self) -> bool:
        """Whether the run has this stage: not every run has every stage, and a worker reaches only some."""
        if self.dsn and self.stage in ("initdb", "pack"):
            return False
        return self.to != "stage" or (self.processes != "0" and self.stage in ("test", "teardown"))

    @property
    def statuses(self) -> set[int]:
        """The possible exit statuses: pytest's own for Ctrl-C, and a shell's for the other signals."""
        if self.to == "stage":
            return {pytest.ExitCode.INTERRUPTED}  # a worker ends, and the first process reports it
        others = [number for number in self.signals if number != INT]
        if not others:
            return {pytest.ExitCode.INTERRUPTED}
        if self.stage == "conftest":
            return {-others[0], pytest.ExitCode.INTERRUPTED} if INT in self.signals else {-others[0]}
        return {128 + number for number in others}


SELECTED = [
    Case("conftest", (INT,)),
    Case("configure", (TERM,)),
    Case("initdb", (TERM,)),
    Case("build", (HUP,)),
    Case("pack", (TERM,)),
    Case("collect", (TERM,)),
    Case("test", (TERM,)),
    Case("teardown", (TERM, INT, TERM)),
    Case("close", (INT,)),
    Case("close", (TERM, TERM, HUP)),
    Case("build", (TERM,), "2"),
    Case("test", (TERM,), "2"),
    Case("test", (TERM,), "2", "stage"),
    Case("build", (INT, TERM), dsn=True),
    Case("test", (TERM, TERM), "2", dsn=True),
    Case("close", (TERM, INT), dsn=True),
]
ALL = [
    Case(*values)
    for values in itertools.product(
        STAGES,
        [(INT,), (TERM,), (HUP,), (INT, INT), (TERM, TERM, TERM), (INT, TERM, HUP)],
        ["0", "2"],
        ["first", "group", "stage"],
        [False, True],
    )
]
CASES = [case for case in ALL if case.is_possible] if TORTURE else SELECTED


@pytest.fixture
def temporary() -> Iterator[Path]:
    """The TMPDIR of the inner runs, which every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="ended-"))
    folder.chmod(0o711)
    (folder / "tmp").mkdir()
    yield folder / "tmp"
    shutil.rmtree(folder)


def inventory(server: Server) -> set[tuple[str, str]]:
    """The databases and roles of a server."""
    query = "SELECT 'database', datname FROM pg_database UNION SELECT 'role', rolname FROM pg_roles"
    with psycopg.connect(server.conninfo) as connection:
        return {(kind, name) for kind, name in connection.execute(query)}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_signal_at_any_stage_leaves_nothing(
    toy: pytest.Pytester, toy_server: Server, temporary: Path, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    programs = add_stages(toy.path, temporary.parent / "programs", embedded(18))
    options = [f"-n{case.processes}", f"--rolecall-cache-dir={toy.path / 'cache' if case.stage == 'pack' else 'off'}"]
    if not case.dsn:
        monkeypatch.delenv("ROLECALL_PG_DSN")
        options.append(f"--rolecall-pg-bin={programs}")
    before = inventory(toy_server)
    ended = end_run(toy.path, temporary, case.stage, case.signals, *options, to=case.to)
    assert ended.left == []
    assert not list(toy.path.glob("cache/*.part"))
    assert inventory(toy_server) - before == set()
    assert ended.status in case.statuses, ended.output
    assert ended.status < 0 or reports_the_interrupt(ended, case)


def reports_the_interrupt(ended: Result, case: Case) -> bool:
    """Whether pytest reports the interrupt without a traceback. After a second signal, it may not report it."""
    if case.stage == "close" or len(case.signals) > 1:
        return "INTERNALERROR" not in ended.output
    messages = "KeyboardInterrupt", "EndedBySignal", "received keyboard-interrupt"
    return "Traceback" not in ended.output and any(message in ended.output for message in messages)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_test_that_hangs_is_ended_at_once(
    toy: pytest.Pytester, temporary: Path, processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLECALL_PG_DSN")
    add_stages(toy.path, temporary.parent / "programs", embedded(18))
    ended = end_run(toy.path, temporary, "test", [TERM], f"-n{processes}", resume=False)
    assert (ended.status, ended.left) == (128 + TERM, [])
    assert ended.seconds < 30  # the test would wait for 60


def test_a_signal_that_another_error_hides_ends_the_run(toy: pytest.Pytester) -> None:
    """As an error of a rollback, or of a library that catches everything."""
    toy.makepyfile(
        test_hides="""
        import os, pathlib, signal

        def test_hides(db):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                db.value("SELECT 1")
            except BaseException:
                raise ValueError("hidden") from None

        def test_after():
            pathlib.Path("after").touch()
        """
    )
    result = toy.runpytest_subprocess("-n0", "test_hides.py")
    assert result.ret == 128 + TERM
    assert "EndedBySignal" in result.stdout.str()
    assert not (toy.path / "after").exists()


def test_a_whole_run_that_is_ended_does_not_miss_the_grids_of_its_workers(toy: pytest.Pytester) -> None:
    """Both workers hang, and are ended before they send which grids they collected."""
    toy.makepyfile(
        test_ends="""
        import os, pathlib, pytest, signal, time

        @pytest.mark.parametrize("number", range(40))
        def test_ends(number, worker_id):
            pathlib.Path(worker_id).touch()
            while not (pathlib.Path("gw0").exists() and pathlib.Path("gw1").exists()):
                time.sleep(0.05)
            os.kill(os.getppid(), signal.SIGTERM)
            time.sleep(60)
        """
    )
    result = toy.runpytest_subprocess("-n2")
    assert result.ret == 128 + TERM
    assert "and no grid" not in result.stdout.str()
    result.stdout.fnmatch_lines(["not proven: the run ended early"])


# ------------------------------------------------------------------ other endings


ENDINGS = {
    "--maxfail": ("assert db.value('SELECT 1') == 2", ["--maxfail=1"], 1),
    "pytest.exit": ("pytest.exit('enough', returncode=7)", [], 7),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", [], 2),
    "SystemExit": ("raise SystemExit(3)", [], 1),
    "os._exit in a worker": ("os._exit(9)", ["-n2", "--max-worker-restart=0"], 1),
    "a fixture breaks": ("request.getfixturevalue('breaks')", [], 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_other_endings_leave_nothing(toy: pytest.Pytester, toy_server: Server, ending: str) -> None:
    statement, options, status = ENDINGS[ending]
    toy.makepyfile(
        test_ends=f"""
        import os, pytest

        @pytest.fixture
        def breaks(db, scratch):
            scratch()
            yield
            raise RuntimeError("broken")

        def test_ends(db, request):
            {statement}
        """
    )
    before = inventory(toy_server)
    assert toy.runpytest_subprocess(*options, "test_ends.py", "test_notes.py").ret == status
    assert inventory(toy_server) - before == set()


# ------------------------------------------------------------------ signal handlers


def test_other_handlers_stay_and_ours_are_restored(toy: pytest.Pytester) -> None:
    program = """
        import signal, sys, pytest

        def handler(*_): pass

        signal.signal(signal.SIGHUP, handler)
        interrupt = signal.getsignal(signal.SIGINT)

        class Plugin:
            @pytest.hookimpl
            def pytest_runtest_call(self):
                assert signal.getsignal(signal.SIGHUP) is handler
                assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
                assert signal.getsignal(signal.SIGINT) is interrupt

        assert pytest.main(["test_notes.py"], plugins=[Plugin()]) == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGHUP) is handler
        assert signal.getsignal(signal.SIGINT) is interrupt
    """
    assert toy.runpython(toy.makepyfile(program=program)).ret == 0


def test_another_thread_runs_tests_without_handlers(toy: pytest.Pytester) -> None:
    program = """
        import threading, pytest

        statuses = []
        thread = threading.Thread(target=lambda: statuses.append(pytest.main(["test_notes.py"])))
        thread.start(); thread.join()
        assert statuses == [0]
    """
    assert toy.runpython(toy.makepyfile(program=program)).ret == 0


def test_a_forked_process_has_the_default_handlers(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_forks="""
        import os, signal

        def test_forks(db):
            ready, tell = os.pipe()
            child = os.fork()
            if child == 0:
                os.write(tell, b"!")
                signal.pause()
                os._exit(0)
            os.read(ready, 1)
            os.close(ready), os.close(tell)
            os.kill(child, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
            assert db.value("SELECT 1") == 1
        """
    )
    assert toy.runpytest_subprocess("-Wignore::DeprecationWarning", "test_forks.py").ret == 0


def test_a_signal_in_a_held_block_is_raised_at_its_end() -> None:
    """In a new process: the handlers of this one must not change."""
    program = """
import os, signal
from rolecall.server import signals

assert signals.install()
done = []
try:
    with signals.deferred():
        with signals.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("inner")
        done.append("outer")
except signals.EndedBySignal as ended:
    assert ended.number == signal.SIGTERM
    done.append("raised")
assert done == ["inner", "outer", "raised"]
assert signals.ended_by() == signal.SIGTERM
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_except_exception_does_not_catch_the_signal() -> None:
    assert not issubclass(signals.EndedBySignal, Exception)
