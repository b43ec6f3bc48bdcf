"""Outages: why a run cannot continue. After a suspicious error, the server is checked, and the outage reported once."""

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

# SQLSTATEs of a server that shuts down, cannot continue, or has lost its data.
ENDS = ("08", "53", "57P", "58", "XX", "3D000")
RAISE_STATEMENT = "pl_exec.c"  # where PL/pgSQL executes RAISE: not a problem of the server


@dataclass(frozen=True)
class Outage:
    """What ends the run: in a few words, and as the one error message."""

    what: str
    text: str
    may_pass: bool = False  # it may end together with the test


def suspicious_error(error: BaseException) -> BaseException | None:
    """The first error in the chain of an exception that the server may have caused; None without one."""
    return next((cause for cause in _chain(error) if _is_suspicious(cause)), None)


def is_lost(error: BaseException) -> bool:
    """Whether a connection was lost, or could not be opened."""
    return any(
        isinstance(cause, psycopg.OperationalError) and (cause.sqlstate or "08").startswith(("08", "57P"))
        for cause in _chain(error)
    )


def find_outage(run: Run, error: BaseException, *, templates: bool = True) -> Outage | None:
    """Check the server after an error that :func:`suspicious_error` has found. Returns None if the run can continue.

    ``templates`` is true if the template databases must exist.
    """
    try:
        missing = _missing(run) if templates else None
        if not templates:
            _reach(run)
    except psycopg.OperationalError as failure:
        return _unreachable(run, failure)
    if isinstance(error, psycopg.errors.DiskFull) and error.diag.source_file != RAISE_STATEMENT:
        return _full(run, error)
    if missing:
        return _outage(
            f"the template database {missing} is gone",
            f"The template database {missing} is gone: it was dropped while the tests ran.",
            "Do not drop the databases of a run before it ends. Run the tests again.",
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


# ------------------------------------------------------------------ checks


def _missing(run: Run) -> str | None:
    """The first template that does not exist."""
    query = "SELECT datname FROM pg_database WHERE datname = ANY (%s)"
    with closing(connect(run.conninfo, connect_timeout=TIMEOUT)) as connection:
        existing = {name for (name,) in connection.execute(query, [[run.baseline, run.template]])}
    return next((name for name in (run.baseline, run.template) if name not in existing), None)


def _reach(run: Run) -> None:
    """Connect to a server. While the databases are built, it may listen on another port."""
    try:
        connect(run.conninfo, connect_timeout=TIMEOUT).close()
    except psycopg.OperationalError:
        if not run.throwaway:
            raise
        connect(run.conninfo, port=PRIVATE, connect_timeout=TIMEOUT).close()


def wait_for_recovery(run: Run) -> None:
    """Wait while a server rejects connections because it recovers from a crash."""
    deadline = time.monotonic() + RECOVERY
    while time.monotonic() < deadline and _ping(run) == pq.Ping.REJECT:
        time.sleep(0.05)


def _ping(run: Run) -> pq.Ping:
    with without_libpq_variables():
        return pq.Ping(pq.PGconn.ping(run.conninfo.to(connect_timeout=TIMEOUT).reveal().encode()))


# ------------------------------------------------------------------ messages


def _unreachable(run: Run, failure: psycopg.OperationalError) -> Outage:
    message = str(failure).strip().splitlines()[0]
    if _ping(run) == pq.Ping.OK:
        what = "the server accepts no more connections: close some, or run the tests in fewer processes (-n)"
        return Outage(what, f"{what}\n{message}", may_pass=True)
    if not run.throwaway:
        return _outage(
            "the server is gone",
            f"The server does not respond any more: {message}",
            "Start it, and run the tests again: that run drops the databases that this one leaves.",
        )
    directory = _directory(run)
    if not directory.is_dir():
        return _outage(
            "the server's directory was removed",
            f"The directory of this run's server was removed while the tests ran: {directory}",
            "Run the tests again. If a program cleans up that folder, set TMPDIR to another one.",
        )
    log = [f"  {line}" for line in read_log(directory).splitlines()[-LAST_LINES:]]
    return _outage(
        "the server is gone",
        f"The server of this run is gone: {message}",
        *(["Its log ends with:", *log] if log else []),
        "Run the tests again. If it happens again, memory may be short: see the kernel's log (dmesg).",
    )


def _full(run: Run, error: psycopg.Error) -> Outage:
    place = (
        f"in {_directory(run).parent}, or set TMPDIR to a folder with more space."
        if run.throwaway
        else "on that server."
    )
    message = str(error).splitlines()[0]
    return _outage("the server's disk is full", f"The server's disk is full: {message} (53100).", f"Free space {place}")


def _outage(what: str, *lines: str) -> Outage:
    return Outage(what, "\n".join([*lines, "No further test was run."]))


def _directory(run: Run) -> Path:
    """The run's directory on this machine, for a server that rolecall started."""
    host = Path(str(run.conninfo.params["host"]))
    return host.parent if host.name == SERVER else host
