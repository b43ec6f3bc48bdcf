"""Which object refused a statement: its target, or another object that the statement needs.

The text of a message is no source: it may name any object. A missing privilege is looked up in the catalog, and the
probe knows the refusals of policies for new rows. For others the statement runs once more from the client, where the
error has the server's function and the context (``PG_DIAG_SOURCE_FUNCTION``, ``PG_DIAG_CONTEXT``; see the manual,
"Error and Notice Message Fields").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.errors import Diagnostic

from rolecall.access.session import advisory_locks_released, login_for, set_for_transaction
from rolecall.grids.probe import REFUSED, Check, Outcome, aim_at, make_room
from rolecall.server.waits import ended_by_server

PRIVILEGE = {"GET": "SELECT", "POST": "INSERT", "PATCH": "UPDATE", "DELETE": "DELETE"}

# Where the server raises "new row violates row-level security policy".
ROW_SECURITY = "ExecWithCheckOptions"
# Where a procedural language executes the RAISE of a function's author: a refusal on purpose.
ON_PURPOSE = {"pl_exec.c", "plpy_elog.c", "plpy_spi.c", "plperl.c", "pltcl.c", "plv8.cc"}

PRIVILEGES = """
SELECT has_schema_privilege(%(role)s, c.relnamespace, 'USAGE'), c.relkind = 'v',
       array(SELECT p FROM unnest(%(names)s::text[]) AS p WHERE has_table_privilege(%(role)s, c.oid, p)),
       array(SELECT p FROM unnest(%(names)s::text[]) AS p
             WHERE p <> 'DELETE' AND has_any_column_privilege(%(role)s, c.oid, p))
FROM pg_class AS c WHERE c.oid = %(target)s::regclass
"""


class _Privileges(NamedTuple):
    """The privileges of a role on a table: USAGE on its schema, privileges on the whole table or on some columns."""

    usage: bool
    is_view: bool
    whole: list[str]
    some: list[str]


def with_refusers(connection: Connection[Any], results: Iterable[tuple[Check, Outcome]]) -> list[Outcome]:
    """The outcomes of checks. Those that another object refused are marked as ``elsewhere``.

    ``connection`` is the one that the checks were probed on. Everything that runs on it here is rolled back.
    """
    refusals = _Refusals(connection)
    return [
        replace(outcome, elsewhere=True) if _is_open(outcome) and refusals.elsewhere(check) else outcome
        for check, outcome in results
    ]


def _is_open(outcome: Outcome) -> bool:
    """Whether the probe does not know which object refused. It knows most: the policies for new rows."""
    return outcome.sqlstate == REFUSED and not outcome.by_row_security


class _Refusals:
    """Finds the object that refused. The privileges of a role are queried once."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self._privileges: dict[tuple[str, Sequence[str], str], _Privileges] = {}

    def elsewhere(self, check: Check) -> bool:
        """Whether an object other than the check's target refused it."""
        needed = {PRIVILEGE[check.method]}
        if check.representation or (not check.blind and check.method in ("PATCH", "DELETE")):
            needed.add("SELECT")
        if check.upsert:
            needed |= {"SELECT", "UPDATE"}
        privileges = self._privileges_of(check)
        if not privileges.usage or not needed <= {*privileges.whole, *privileges.some}:
            return False
        with advisory_locks_released(self.connection):
            error = attempt(self.connection, check)
        if error is None or error.sqlstate != REFUSED:
            return False
        return _is_elsewhere(error.diag, privileges, needed)

    def _privileges_of(self, check: Check) -> _Privileges:
        key = (check.persona.role, check.before, check.target)
        if key not in self._privileges:
            with self.connection.transaction(force_rollback=True):
                for statement in check.before:
                    self.connection.execute(statement.encode())
                params = {"role": check.persona.role, "target": check.target, "names": sorted(PRIVILEGE.values())}
                (row,) = self.connection.execute(PRIVILEGES, params).fetchall()
                self._privileges[key] = _Privileges(*row)
        return self._privileges[key]


def _is_elsewhere(diag: Diagnostic, privileges: _Privileges, needed: set[str]) -> bool:
    if diag.context:  # inside a function: its own RAISE, or a refusal of a statement in it
        return diag.source_file not in ON_PURPOSE
    if diag.source_function == ROW_SECURITY or privileges.is_view:  # the tables of a view are a part of it
        return False
    return needed <= set(privileges.whole)  # with column privileges only, a column of the target may be missing


def attempt(connection: Connection[Any], check: Check) -> psycopg.Error | None:
    """Run a check statement by statement, as a session does, and roll it back.

    Returns the error of the persona's own statement, or None; raises it if a timeout or a deadlock ended the statement.
    The connection must have run the probe before.
    """
    with connection.transaction(force_rollback=True):
        for statement in check.before:
            connection.execute(statement.encode())
        if check.blind:
            aim_at(connection, check)
        if check.room:
            make_room(connection, check)
        if check.method == "GET":
            connection.execute("SELECT set_config('transaction_read_only', 'on', true)")
        login = login_for(connection, check.persona.role)
        settings = check.persona.settings(check.method)
        set_for_transaction(connection, [("session_authorization", login), *settings])
        try:
            with connection.transaction():
                clause = " WHERE CURRENT OF rolecall_target" if check.blind else ""
                connection.execute(f"{check.statement}{clause}".encode())
                if check.method != "GET":
                    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            if ended_by_server(error):
                raise
            return error
    return None
