"""What an SQL file leaves in a session: settings, temporary objects, prepared statements, cursors, locks.

In production, each file has its own session. Here many files share one, so what a file left is undone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from psycopg import Connection, sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from rolecall.sql.script import Script

# The settings that scripts, and the functions that they call, change most. These are always read.
SETTINGS = (
    *("search_path", "TimeZone", "DateStyle", "IntervalStyle", "client_encoding", "client_min_messages"),
    *(
        "statement_timeout",
        "transaction_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "row_security",
    ),
    *(
        "row_security",
        "check_function_bodies",
        "session_replication_role",
        "default_tablespace",
        "default_table_access_method",
    ),
    *("standard_conforming_strings", "bytea_output", "extra_float_digits", "xmloption", "work_mem", "jit"),
    *("maintenance_work_mem", "synchronous_commit", "plan_cache_mode", "constraint_exclusion"),
    *("default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable"),
    *("rolecall.grants", "rolecall.migration_role"),
)
GUARDED = ("search_path", "statement_timeout")  # ask() sets these during a query
IDENTITY = ("role", "session_authorization")  # restored with the role that runs a file

# The last two are for the end of a file: the roles of the session, and the constraints that a transaction defers.
STATE = """
SELECT
  (SELECT array_agg(ARRAY[name, current_setting(name, true)]) FROM unnest({names}::text[]) AS name),
  {all_settings},
  (SELECT array_agg(ARRAY[classid, objid]::bigint[] ORDER BY objid DESC)
   FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema()),
  (SELECT array_agg(name) FROM pg_prepared_statements WHERE from_sql),
  (SELECT array_agg(name) FROM pg_cursors WHERE name <> ''),
  (SELECT array_agg(channel) FROM pg_listening_channels() AS channel),
  (SELECT array_agg(ARRAY[classid, objid, objsubid, (mode = 'ShareLock')::int]::bigint[])
   FROM pg_lock_status() WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted),
  ARRAY[session_user::text, current_setting('role'),
    (SELECT rolsuper::text FROM pg_roles WHERE rolname = session_user)],
  (SELECT array_agg(ARRAY[nspname, conname]::text[]) FROM (
     SELECT nspname, conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace
     GROUP BY 1, 2 HAVING bool_and(condeferred)) AS deferred)
"""
ALL_SETTINGS = """(SELECT array_agg(ARRAY[name, current_setting(name)]) FROM pg_settings
   WHERE context IN ('user', 'superuser') AND name NOT IN ('role', 'session_authorization')
     AND name NOT LIKE 'transaction_%')"""


@dataclass(frozen=True)
class State:
    """The state of a session."""

    settings: dict[str, str | None] = field(default_factory=dict)
    temporary: frozenset[tuple[int, int]] = frozenset()
    prepared: frozenset[str] = frozenset()
    cursors: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    locks: frozenset[tuple[int, int, int, int]] = frozenset()
    user: str = ""  # of the session
    acting: str = "none"  # the role of SET ROLE
    superuser: bool = False  # whether the user is one
    deferred: tuple[tuple[str, str], ...] = ()  # schema and name of the constraints that are INITIALLY DEFERRED


def ask(connection: Connection[Any], query: str, *before: str) -> list[Any]:
    """The rows of the commands ``before`` and then of a query.

    What a file created or set does not influence the query: it finds only the catalog's objects, and no timeout ends
    it. Afterwards both settings have their former values.
    """
    steps = ["SET LOCAL search_path = pg_catalog, pg_temp", "SET LOCAL statement_timeout = 0", query]
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        steps = ["SAVEPOINT rolecall", *steps, "ROLLBACK TO SAVEPOINT rolecall", "RELEASE SAVEPOINT rolecall"]
    rows = []
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("; ".join([*before, *steps]).encode())
        while True:
            rows += cursor.fetchall() if cursor.description else []
            if not cursor.nextset():
                return rows


def read(connection: Connection[Any], script: Script, *before: str) -> State:
    """The state of the session, as far as the script could change it. First run the commands ``before``."""
    names = {each.name for each in script.settings if not each.name.startswith("SESSION ")} - set(IDENTITY)
    query = _query(tuple(sorted(names)), script.any_setting)
    *values, row = ask(connection, query, *before, *(f"SHOW {name}" for name in GUARDED))
    settings, others, temporary, prepared, cursors, channels, locks, roles, deferred = row
    guarded = [(name, value) for name, (value,) in zip(GUARDED, values, strict=True)]
    return State(
        dict([*(others or []), *settings, *guarded]),
        frozenset((int(kind), int(oid)) for kind, oid in temporary or []),
        frozenset(prepared or []),
        frozenset(cursors or []),
        frozenset(channels or []),
        frozenset((int(a), int(b), int(c), int(d)) for a, b, c, d in locks or []),
        *(roles[0], roles[1], roles[2] == "true"),
        tuple((schema, name) for schema, name in deferred or []),
    )


@lru_cache
def _query(names: tuple[str, ...], any_setting: bool) -> str:
    query = sql.SQL(STATE).format(
        names=sql.Literal([*SETTINGS, *names]), all_settings=sql.SQL(ALL_SETTINGS if any_setting else "NULL")
    )
    return query.as_string()


def restore(connection: Connection[Any], script: Script, before: State, after: State) -> None:
    """Restore the state from before a script that has succeeded."""
    ends_with_transaction = {each.name for each in script.settings if each.local}
    ends_with_transaction -= {each.name for each in script.settings if not each.local}
    # Timeouts first: those of the file must not end the next statements.
    for name, value in sorted(before.settings.items(), key=lambda item: not item[0].endswith("_timeout")):
        if after.settings.get(name) != value and not (value is None and after.settings.get(name) == ""):
            local = name in ends_with_transaction
            _run(
                connection,
                "SELECT pg_catalog.set_config({}, {}, {})",
                sql.Literal(name),
                sql.Literal(value),
                sql.Literal(local),
            )
    for kind, oid in sorted(after.temporary - before.temporary, reverse=True):
        _drop(connection, kind, oid)
    for name in sorted(after.cursors - before.cursors):
        _run(connection, "CLOSE {}", sql.Identifier(name))
    for name in sorted(after.channels - before.channels):
        _run(connection, "UNLISTEN {}", sql.Identifier(name))
    forget(connection, before, after)


def forget(connection: Connection[Any], before: State, after: State) -> None:
    """Remove what a rollback leaves: prepared statements and advisory locks of the session."""
    for name in sorted(after.prepared - before.prepared):
        _run(connection, "DEALLOCATE {}", sql.Identifier(name))
    if after.locks - before.locks and not before.locks:
        _run(connection, "SELECT pg_catalog.pg_advisory_unlock_all()")  # no warning for locks of the transaction
    else:
        for lock in after.locks - before.locks:
            _unlock(connection, *lock)


def _unlock(connection: Connection[Any], classid: int, objid: int, subid: int, shared: int) -> None:
    function = "pg_advisory_unlock_shared" if shared else "pg_advisory_unlock"
    signed = [number - 2**32 if number >= 2**31 else number for number in (classid, objid)]
    key: Iterable[int] = signed if subid == 2 else [(signed[0] << 32) + objid]
    arguments = sql.SQL(", ").join(sql.Literal(each) for each in key)
    query = sql.SQL("SELECT pg_catalog." + function + "({})").format(arguments)
    while (connection.cursor(row_factory=tuple_row).execute(query).fetchone() or (False,))[0]:
        pass


def _drop(connection: Connection[Any], kind: int, oid: int) -> None:
    ((type_, identity),) = ask(connection, f"SELECT type, identity FROM pg_identify_object({kind}, {oid}, 0)")
    if identity:  # DROP … CASCADE of another object may have dropped it
        connection.execute(f"DROP {type_} IF EXISTS {identity} CASCADE".encode())


def _run(connection: Connection[Any], query: Any, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(query).format(*parts))
