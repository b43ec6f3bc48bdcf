"""The one place where rolecall opens a connection: what may reach it, how it is set, and what an error shows."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, sql
from psycopg.rows import TupleRow

from rolecall.dsn import Conninfo, problem
from rolecall.errors import RolecallError

T = TypeVar("T")
OLDEST = 150000  # the server that every setting here must be known to, unless it is told apart
TIMEOUT = 10  # seconds to connect, unless the DSN says another number

# A file that cannot be there: libpq looks for some below the home directory unless it is told another place.
NOWHERE = os.path.join(os.devnull, "not-read-by-rolecall")  # noqa: PTH118 - a path that must not exist
PINNED = {
    "hostaddr": "",
    **dict.fromkeys(("passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl"), NOWHERE),
}
NOT_READ = "PGPASSWORD and ~/.pgpass are not read: put the password, or passfile=…, into the DSN (ROLECALL_PG_DSN)."

# What tests depend on, whatever the server, the database or the role has as its default.
SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "0",
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
        f"enable_{way}": "on"
        for way in ("seqscan", "indexscan", "indexonlyscan", "bitmapscan", "sort", "nestloop", "hashjoin", "mergejoin")
    },
}
# As a superuser only, or with the right to set them.
RESTRICTED = {
    "session_replication_role": "origin",
    "lc_messages": "C",
    "lo_compat_privileges": "off",
    "event_triggers": "on",
}
# Could end the connection before its first statement has switched them off.
TIMEOUTS = [name for name in SETTINGS if name.endswith("timeout")]

_SET = sql.SQL(
    """
    SET statement_timeout = 0;
    SET search_path = pg_catalog, pg_temp;
    SELECT count(set_config(name, value, false))
    FROM jsonb_each_text({wanted}) AS wanted (name, value)
    WHERE current_setting(name, true) IS NOT NULL
      AND (NOT name = ANY ({restricted}) OR has_parameter_privilege(name, 'SET'));
    """
)
# A role's setting for this database before that for every role; the last one stays.
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
_WHO = sql.SQL("""
    SELECT {system},
           extract(epoch FROM pg_postmaster_start_time())::text,
           CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') ELSE '' END
""")
_SYSTEM = sql.SQL("(SELECT system_identifier::text FROM pg_control_system())")


_LOCK = threading.RLock()


class ServerConnection(Connection[TupleRow]):
    """A connection that knows which server it leads to."""

    identity: Identity


class ConnectError(RolecallError, psycopg.OperationalError):
    """No connection could be opened. Its text has no password; nothing in it leads to psycopg's own frames."""


class OtherServerError(RolecallError):
    """A connection leads to another server than the run began on."""


@dataclass(frozen=True)
class Identity:
    """Which server it is. What is empty is not known, and not compared."""

    system: str = ""  # made by initdb; a copy of a server has the same
    started: str = ""  # when the server was started, in seconds since 1970
    directory: str = ""  # of its data; only some roles may see it

    def check(self, met: Identity) -> None:
        """Raises OtherServerError if the server that was met is another one."""
        pairs = [(self.system, met.system), (self.started, met.started)]
        pairs.append(
            (os.path.realpath(self.directory), os.path.realpath(met.directory)) if self.directory else ("", "")
        )
        if any(wanted and wanted != got for wanted, got in pairs):
            raise OtherServerError(
                "this connection leads to another server than the run began on, or that one was started anew: "
                "nothing was changed there.\nGive a DSN with one host, without a pooler that chooses between servers."
            )


def connect(
    conninfo: str,
    *,
    autocommit: bool = True,
    identity: Identity | None = None,
    own: bool = False,
    **params: Any,
) -> ServerConnection:
    """A connection to what ``conninfo`` and ``params`` say, and to nothing that the environment says.

    Its session has the settings that tests depend on (:data:`SETTINGS`). ``own`` says that rolecall made the
    database: what the project's SQL has set for it (``ALTER DATABASE``) then counts, timeouts excepted.
    With ``identity`` it is the server that this describes.
    Raises ConnectError, or OtherServerError before anything has been changed.
    """
    conninfo = Conninfo(conninfo)  # what a traceback shows as this function's argument
    if wrong := problem(conninfo.reveal()):
        raise ConnectError(f"the connection string cannot be read: {wrong}.")
    target = conninfo.to(**params)
    connection = _opened(target, own)
    try:
        if identity:
            identity.check(connection.identity)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def _opened(target: Conninfo, own: bool) -> ServerConnection:
    """A connection with its settings made, in one round trip; where a timeout of the role's does not even leave the
    time for that, with the timeouts switched off in the startup packet, which a pooler may not understand."""
    __tracebackhide__ = True
    connection = _without_frames(target, lambda: _open(target))
    try:
        connection.identity = _set(connection, own)
        return connection
    except psycopg.Error:
        version = connection.info.server_version
        connection.close()
    except BaseException:
        connection.close()
        raise
    hurried = _with_options(target, dict.fromkeys(_timeouts(version), "0"))
    connection = _without_frames(target, lambda: _open(hurried))
    try:
        connection.identity = _set(connection, own)
    except psycopg.Error as error:
        connection.close()
        raise ConnectError(_plain(error, target)) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _timeouts(version: int) -> list[str]:
    """The timeouts that a server of this version knows; with another's, it would refuse the connection."""
    return [name for name in TIMEOUTS if name != "transaction_timeout" or version >= 170000]


def _open(target: Conninfo) -> ServerConnection:
    with without_libpq_variables():
        return ServerConnection.connect(_pinned(target).reveal(), autocommit=True)


def _set(connection: ServerConnection, own: bool) -> Identity:
    """Make the settings, and ask which server it is."""
    wanted = sql.Literal(json.dumps(SETTINGS | RESTRICTED))
    settings = _SET.format(wanted=wanted, restricted=sql.Literal(list(RESTRICTED)))
    if own:
        settings += _SET_OWN.format(names=sql.Literal([name for name in SETTINGS if name not in TIMEOUTS]))
    try:
        cursor = connection.execute(settings + _WHO.format(system=_SYSTEM))
    except psycopg.errors.InsufficientPrivilege:  # of the function that tells the system's identifier
        cursor = connection.execute(settings + _WHO.format(system=sql.Literal("")))
    while cursor.nextset():
        pass
    row = cursor.fetchone()
    assert row
    return Identity(*row)


def _pinned(target: Conninfo) -> Conninfo:
    """With everything said that libpq would look for elsewhere. A service that the DSN names is what the DSN says."""
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
    """No variable that libpq could read (``PG…``) is in the environment during the block.

    They are taken away and not read once before, since libpq reads them more than once while it connects.
    """
    with _LOCK:
        taken = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        try:
            for name in taken:
                del os.environ[name]
            yield
        finally:
            for name, value in taken.items():
                os.environ.setdefault(name, value)


def run_program(program: Path, arguments: list[str], conninfo: str) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs, with ``--dbname`` and nothing of libpq's environment.

    The password is in its environment, which others cannot read, and not among its arguments, which they can.
    Raises RolecallError for a secret that libpq takes from no variable.
    """
    __tracebackhide__ = True
    target = conninfo = Conninfo(conninfo)
    others = [name for name in target.secrets if name != "password"]
    if others:
        raise RolecallError(
            f"the DSN has {', '.join(others)}, which {program.name} could only be given where everybody sees it.\n"
            "Use a DSN without it, e.g. with a key that has no password of its own."
        )
    settings = {"timezone": "UTC", "quote_all_identifiers": "off"} | dict.fromkeys(_timeouts(OLDEST), "0")
    place = _pinned(_with_options(target, settings)).bare
    return _without_frames(target, lambda: _run([str(program), *arguments, "--dbname", place], target))


def _run(command: list[str], target: Conninfo) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "ROLECALL_"))}
    environment |= {"PGPASSWORD": target.secrets["password"]} if target.secrets else {}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _without_frames(target: Conninfo, work: Callable[[], T]) -> T:
    """Do what has the password in its frames; an error that comes out of it has none of these frames.

    Neither KeyboardInterrupt has: pytest shows the arguments of every frame of it.
    """
    __tracebackhide__ = True
    failure: BaseException
    try:
        return work()
    except psycopg.Error as error:
        failure = ConnectError(_plain(error, target))
    except BaseException as error:
        failure = error.with_traceback(None)
        failure.__cause__ = failure.__context__ = None
    raise failure


def _plain(error: psycopg.Error, target: Conninfo) -> str:
    """What the server or libpq said, in one line, without a password."""
    text = target.scrub(" ".join(str(error).split()))
    asked = "no password supplied" in text or "password authentication failed" in text
    if asked and not {"password", "passfile", "service"} & set(target.params):
        text += f"\n{NOT_READ}"
    return text
