"""The one place where rolecall opens connections: where they go, their settings, and errors without passwords."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, sql
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from rolecall.dsn import Conninfo, problem
from rolecall.errors import RolecallError
from rolecall.server.waits import Timeouts, Watch

T = TypeVar("T")
NoticeHandler = Callable[[Diagnostic], None]
OLDEST = 150000  # the oldest supported version of the server
REPORT = "rolecall: "  # how a notice of rolecall's own begins, which coverage reads
TIMEOUT = 10  # seconds to connect, unless the DSN sets another number
PROGRAM = 5  # times the timeout of a statement: the time of a program, which sends many

# A path that cannot exist. Without a path, libpq looks for these files in the home directory.
NOWHERE = os.path.join(os.devnull, "not-read-by-rolecall")  # noqa: PTH118 - a path that must not exist
PINNED = {
    "hostaddr": "",
    **dict.fromkeys(("passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl"), NOWHERE),
}
NOT_READ = "PGPASSWORD and ~/.pgpass are not read: put the password, or passfile=…, into the DSN (ROLECALL_PG_DSN)."

# Tests depend on these. They win over the defaults of the server, the database and the role. So do the Timeouts.
SETTINGS = {
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "search_path": '"$user", public',
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "row_security": "on",
    "client_encoding": "UTF8",
    "client_min_messages": "notice",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "timezone_abbreviations": "Default",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmlbinary": "base64",
    "xmloption": "content",
    "default_text_search_config": "pg_catalog.english",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": "off",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "check_function_bodies": "on",
    "createrole_self_grant": "",
    "default_tablespace": "",
    "temp_tablespaces": "",
    "default_table_access_method": "heap",
    "restrict_nonsystem_relation_kind": "",
    "exit_on_error": "off",
    "gin_fuzzy_search_limit": "0",
    "plan_cache_mode": "auto",
    **{
        f"enable_{plan}": "on"
        for plan in ("seqscan", "indexscan", "indexonlyscan", "bitmapscan", "sort", "nestloop", "hashjoin", "mergejoin")
    },
}
# Set only by a superuser, or by a role with the SET privilege on them.
RESTRICTED = {
    "session_replication_role": "origin",
    "lc_messages": "C",
    "lo_compat_privileges": "off",
    "event_triggers": "on",
}
# These could end the connection before its first statement sets them.
TIMEOUTS = [*Timeouts().settings, *(name for name in SETTINGS if name.endswith("timeout"))]

_SET = sql.SQL(
    """
    SET statement_timeout = 0;
    SET search_path = pg_catalog, pg_temp;
    SELECT count(set_config(name, value, false))
    FROM jsonb_each_text({settings}) AS setting (name, value)
    WHERE current_setting(name, true) IS NOT NULL
      AND (NOT name = ANY ({restricted}) OR has_parameter_privilege(name, 'SET'));
    """
)
# The setting for every role, then the one for this role: the last one wins.
_SET_OWN = sql.SQL(
    """
    SELECT set_config(name, substring(setting FROM '=(.*)'), false)
    FROM pg_db_role_setting s, unnest(s.setconfig) AS setting, split_part(lower(setting), '=', 1) AS name
    WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
      AND name = ANY ({names})
    ORDER BY s.setrole <> 0;
    """
)
_IDENTITY = sql.SQL("""
    SELECT {system},
           extract(epoch FROM pg_postmaster_start_time())::text,
           CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') ELSE '' END
""")
_SYSTEM = sql.SQL("(SELECT system_identifier::text FROM pg_control_system())")


# What a client can set on the object of a connection.
ATTRIBUTES = ("row_factory", "cursor_factory", "server_cursor_factory", "prepare_threshold", "prepared_max")

_LOCK = threading.RLock()


class ServerConnection(Connection[TupleRow]):
    """A connection with the identity of its server. The error of a statement that waited too long says what for."""

    identity: Identity
    watch: Watch | None = None

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait for the server. psycopg calls this for every statement."""
        if self.watch is None:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(self.watch.over(gen, self._is_active), *args, **kwargs)
        except psycopg.Error as error:
            self.watch.explain(error)
            raise

    def add_notice_handler(self, callback: NoticeHandler) -> None:
        """Let ``callback`` receive the server's notices, without the reports of rolecall's own coverage."""

        def handler(notice: Diagnostic) -> None:
            if not (notice.message_primary or "").startswith(REPORT):
                callback(notice)

        self._handlers[callback] = handler
        super().add_notice_handler(handler)

    def remove_notice_handler(self, callback: NoticeHandler) -> None:
        """End what :meth:`add_notice_handler` began."""
        super().remove_notice_handler(self._handlers.pop(callback))

    @contextmanager
    def attributes_restored(self) -> Iterator[None]:
        """A block after which the connection has the same factories, adapters and handlers of notices as before."""
        before, handlers = {name: getattr(self, name) for name in ATTRIBUTES}, [*self._handlers]
        adapters, self._adapters = self._adapters, AdaptersMap(self.adapters)  # what the block registers is in the copy
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)
            self._adapters = adapters
            for callback in [each for each in self._handlers if each not in handlers]:
                self.remove_notice_handler(callback)

    @contextmanager
    def reporting_to(self, callback: NoticeHandler) -> Iterator[None]:
        """Let ``callback`` receive the reports of the coverage for a block."""
        super().add_notice_handler(callback)
        try:
            yield
        finally:
            super().remove_notice_handler(callback)

    @cached_property
    def _handlers(self) -> dict[NoticeHandler, NoticeHandler]:
        return {}

    def _is_active(self) -> bool:
        return self.pgconn.transaction_status == TransactionStatus.ACTIVE


class ConnectError(RolecallError, psycopg.OperationalError):
    """No connection could be opened. The text has no password, and the traceback has no frame of psycopg."""


class OtherServerError(RolecallError):
    """A connection goes to another server than the one of this run."""


@dataclass(frozen=True)
class Identity:
    """What identifies a server. An empty field is unknown, and not compared."""

    system: str = ""  # set by initdb; a copy of a server has the same
    started: str = ""  # when the server started, in seconds since 1970
    directory: str = ""  # of its data; only some roles may read it

    def check(self, other: Identity) -> None:
        """Raises OtherServerError if ``other`` is another server, or the same one after a restart."""
        pairs = [(self.system, other.system), (self.started, other.started)]
        pairs.append(
            (os.path.realpath(self.directory), os.path.realpath(other.directory)) if self.directory else ("", "")
        )
        if any(expected and expected != actual for expected, actual in pairs):
            raise OtherServerError(
                "this connection goes to another server than the one of this run, or that server was restarted: "
                "nothing was changed there.\nUse a DSN with one host, without a pooler that chooses between servers."
            )


def connect(
    conninfo: str,
    *,
    autocommit: bool = True,
    identity: Identity | None = None,
    own: bool = False,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - it cannot change
    **params: Any,
) -> ServerConnection:
    """Open a connection as ``conninfo`` and ``params`` say. The environment has no influence.

    The session has the settings that tests depend on (:data:`SETTINGS`). With ``own``, rolecall created the
    database: then what the project's SQL has set for it (``ALTER DATABASE``) wins, except for timeouts.
    With ``identity``, the server must be that one. ``timeouts`` limit how long a statement may wait and take.
    Raises ConnectError; OtherServerError before anything is changed.
    """
    conninfo = Conninfo(conninfo)  # a traceback shows this argument, so it must hide its password
    if fault := problem(conninfo.reveal()):
        raise ConnectError(f"the connection string cannot be read: {fault}.")
    target = conninfo.to(**params)
    connection = _open_with_settings(target, own, timeouts)
    try:
        connection.watch = Watch(connection.info.backend_pid, timeouts, lambda: _open(target))
        if identity:
            identity.check(connection.identity)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _open_with_settings(target: Conninfo, own: bool, timeouts: Timeouts) -> ServerConnection:
    """Open a connection, and make its settings in one round trip.

    If a timeout of the role ends the session before that, open it again with timeouts off in the startup packet. A
    pooler may refuse such a packet, so this is the second attempt.
    """
    __tracebackhide__ = True
    connection = _without_frames(target, lambda: _open(target))
    try:
        connection.identity = _set(connection, own, timeouts)
        return connection
    except psycopg.Error:
        version = connection.info.server_version
        connection.close()
    except BaseException:
        connection.close()
        raise
    without_timeouts = _with_options(target, dict.fromkeys(_timeouts(version), "0"))
    connection = _without_frames(target, lambda: _open(without_timeouts))
    try:
        connection.identity = _set(connection, own, timeouts)
    except psycopg.Error as error:
        connection.close()
        raise ConnectError(_message(error, target)) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _timeouts(version: int) -> list[str]:
    """The timeouts that a server of this version knows. It refuses a connection with an unknown one."""
    return [name for name in TIMEOUTS if name != "transaction_timeout" or version >= 170000]


def _open(target: Conninfo) -> ServerConnection:
    with without_libpq_variables():
        return ServerConnection.connect(_pin(target).reveal(), autocommit=True)


def _set(connection: ServerConnection, own: bool, timeouts: Timeouts) -> Identity:
    """Make the settings, and return the identity of the server."""
    settings = sql.Literal(json.dumps(SETTINGS | RESTRICTED | timeouts.settings))
    query = _SET.format(settings=settings, restricted=sql.Literal(list(RESTRICTED)))
    if own:
        query += _SET_OWN.format(names=sql.Literal([name for name in SETTINGS if name not in TIMEOUTS]))
    try:
        cursor = connection.execute(query + _IDENTITY.format(system=_SYSTEM))
    except psycopg.errors.InsufficientPrivilege:  # on pg_control_system()
        cursor = connection.execute(query + _IDENTITY.format(system=sql.Literal("")))
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row
    return Identity(*row)


def _pin(target: Conninfo) -> Conninfo:
    """The same with a value for all that libpq would look for elsewhere; unchanged if the DSN names a service."""
    params = target.params
    if "service" in params:
        return target
    return target.to(**{name: value for name, value in PINNED.items() if name not in params}).to(
        connect_timeout=params.get("connect_timeout", TIMEOUT)
    )


def _with_options(target: Conninfo, settings: Mapping[str, str]) -> Conninfo:
    options = [str(target.params.get("options", "")), *(f"-c {name}={value}" for name, value in settings.items())]
    return target.to(options=" ".join(filter(None, options)))


@contextmanager
def without_libpq_variables() -> Iterator[None]:
    """A block in which the environment has no variable of libpq (``PG…``).

    libpq reads them more than once while it connects, so they are removed for all of that time.
    """
    with _LOCK:
        variables = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        try:
            for name in variables:
                del os.environ[name]
            yield
        finally:
            for name, value in variables.items():
                os.environ.setdefault(name, value)


def run_program(
    program: Path,
    arguments: list[str],
    conninfo: str,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - it cannot change
) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs with ``--dbname``, and without the variables of libpq.

    The password is in the program's environment, because other users can see its arguments. ``timeouts`` are those
    of its statements, unless it sets others, as pg_dump does; and they limit the time of the program.
    Raises RolecallError for a secret that libpq reads from no variable, and if the program takes too long.
    """
    __tracebackhide__ = True
    target = conninfo = Conninfo(conninfo)
    others = [name for name in target.secrets if name != "password"]
    if others:
        raise RolecallError(
            f"the DSN has {', '.join(others)}, which {program.name} accepts only as an argument, and everybody on this "
            "machine can read arguments.\nUse a DSN without it, for example with a key that has no password."
        )
    settings = {"timezone": "UTC", "quote_all_identifiers": "off"} | dict.fromkeys(_timeouts(OLDEST), "0")
    settings |= timeouts.settings
    dbname = _pin(_with_options(target, settings)).bare
    limit = PROGRAM * timeouts.statement or None
    return _without_frames(target, lambda: _run([str(program), *arguments, "--dbname", dbname], target, limit))


def _run(command: list[str], target: Conninfo, limit: int | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "ROLECALL_"))}
    environment |= {"PGPASSWORD": target.secrets["password"]} if target.secrets else {}
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        name = Path(command[0]).name
        text = f"{name} did not end within {limit} s, {PROGRAM} times rolecall_statement_timeout: it was stopped."
        raise RolecallError(text) from None


def _without_frames(target: Conninfo, work: Callable[[], T]) -> T:
    """Call a function that has the password in its frames, and raise its errors without these frames.

    KeyboardInterrupt too: pytest shows the arguments of each of its frames.
    """
    __tracebackhide__ = True
    failure: BaseException
    try:
        return work()
    except psycopg.Error as error:
        failure = ConnectError(_message(error, target))
    except BaseException as error:
        failure = error.with_traceback(None)
        failure.__cause__ = failure.__context__ = None
    raise failure


def _message(error: psycopg.Error, target: Conninfo) -> str:
    """The message of the server or of libpq, in one line, without secrets."""
    text = target.scrub(" ".join(str(error).split()))
    needs_password = "no password supplied" in text or "password authentication failed" in text
    if needs_password and not {"password", "passfile", "service"} & set(target.params):
        text += f"\n{NOT_READ}"
    return text
