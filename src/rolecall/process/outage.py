"""Why a run cannot go on: whether its server still serves it, looked at when an error says so, and told once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import pq

from rolecall.database.rolled_back import TransactionEndedError
from rolecall.database.run import Run
from rolecall.errors import UnavailableError
from rolecall.server.cluster import PRIVATE
from rolecall.server.connection import connect, without_libpq_variables
from rolecall.server.directories import SERVER, read_log

TIMEOUT = 5  # seconds for a server to take a connection
RECOVERY = 8.0  # seconds for a server to come back after a crash of one of its processes
LAST_LINES = 8  # of the server's log

# SQLSTATEs by which a server says that it ends, cannot go on, or has lost what it works on; None: it said nothing.
ENDS = ("08", "53", "57P", "58", "XX", "3D000")
RAISED_BY_TEST = "pl_exec.c"  # where PL/pgSQL's RAISE is carried out: no trouble of the server's


@dataclass(frozen=True)
class Outage:
    """What ends the run: in a few words, and as the one error that is shown."""

    what: str
    text: str
    passes: bool = False  # the test that met it may have caused it, and end it


def reason(error: BaseException) -> BaseException | None:
    """The error behind an exception of a test for which the server may be the reason; None if there is none."""
    return next((each for each in _chain(error) if _is_suspicious(each)), None)


def is_lost(error: BaseException) -> bool:
    """Whether a connection was lost, or could not be had."""
    return any(
        isinstance(each, psycopg.OperationalError) and (each.sqlstate or "08").startswith(("08", "57P"))
        for each in _chain(error)
    )


def look(run: Run, error: BaseException, *, templates: bool = True) -> Outage | None:
    """Look whether the server still serves a run, after an error that :func:`reason` has found; None if it does.

    ``templates`` says whether the template databases ought to be there.
    """
    try:
        missing = _missing(run) if templates else None
        if not templates:
            _reach(run)
    except psycopg.OperationalError as failed:
        return _unreachable(run, failed)
    if isinstance(error, psycopg.errors.DiskFull) and error.diag.source_file != RAISED_BY_TEST:
        return _full(run, error)
    if missing:
        return _outage(
            f"the template database {missing} is gone",
            f"The template database {missing} is gone: somebody dropped it while the tests ran.",
            "Leave databases of a run alone until it ends, and run the tests again.",
        )
    if isinstance(error, UnavailableError):
        return _outage(str(error).splitlines()[0], str(error))
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__suppress_context__ and not isinstance(error, TransactionEndedError)
        error = error.__cause__ or (None if hidden else error.__context__)


def _is_suspicious(error: BaseException) -> bool:
    if isinstance(error, psycopg.Error):
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        return lost or (error.sqlstate or "").startswith(ENDS)
    return isinstance(error, UnavailableError)


# ------------------------------------------------------------------ looking


def _missing(run: Run) -> str | None:
    """The first template that is not there."""
    query = "SELECT datname FROM pg_database WHERE datname = ANY (%s)"
    with closing(connect(run.conninfo, connect_timeout=TIMEOUT)) as connection:
        found = {name for (name,) in connection.execute(query, [[run.baseline, run.template]])}
    return next((name for name in (run.baseline, run.template) if name not in found), None)


def _reach(run: Run) -> None:
    """Connect to a server that may be at either of its ports, while the databases are built."""
    try:
        connect(run.conninfo, connect_timeout=TIMEOUT).close()
    except psycopg.OperationalError:
        if not run.ours:
            raise
        connect(run.conninfo, port=PRIVATE, connect_timeout=TIMEOUT).close()


def comes_back(run: Run) -> None:
    """Wait for a server that is there and lets nobody in yet, as one does that recovers from a crash."""
    deadline = time.monotonic() + RECOVERY
    while time.monotonic() < deadline and _ping(run) == pq.Ping.REJECT:
        time.sleep(0.05)


def _ping(run: Run) -> pq.Ping:
    with without_libpq_variables():
        return pq.Ping(pq.PGconn.ping(run.conninfo.to(connect_timeout=TIMEOUT).reveal().encode()))


# ------------------------------------------------------------------ telling


def _unreachable(run: Run, failed: psycopg.OperationalError) -> Outage:
    said = str(failed).strip().splitlines()[0]
    if _ping(run) == pq.Ping.OK:
        what = "the server takes no more connections: close some, or run the tests in fewer processes (-n)"
        return Outage(what, f"{what}\n{said}", passes=True)
    if not run.ours:
        return _outage(
            "the server is gone",
            f"The server does not answer any more: {said}",
            "Start it again, and run the tests again: what this run has left there is dropped then.",
        )
    directory = _directory(run)
    if not directory.is_dir():
        return _outage(
            "the server's directory was removed",
            f"The directory of this run's server was removed while the tests ran: {directory}",
            "Run the tests again. If something cleans up there, set TMPDIR to another folder.",
        )
    log = [f"  {line}" for line in read_log(directory).splitlines()[-LAST_LINES:]]
    return _outage(
        "the server is gone",
        f"The server of this run is gone: {said}",
        *(["Its log ends with:", *log] if log else []),
        "Run the tests again. If it goes again, it may lack memory: the kernel's log (dmesg) would say so.",
    )


def _full(run: Run, error: psycopg.Error) -> Outage:
    place = f"in {_directory(run).parent}, or set TMPDIR to a folder that has it." if run.ours else "on that server."
    said = str(error).splitlines()[0]
    return _outage("the server's disk is full", f"The server's disk is full: {said} (53100).", f"Make room {place}")


def _outage(what: str, *lines: str) -> Outage:
    return Outage(what, "\n".join([*lines, "No other test was run."]))


def _directory(run: Run) -> Path:
    """The run's directory on this machine, if the server is ours."""
    host = Path(str(run.conninfo.params["host"]))
    return host.parent if host.name == SERVER else host
