"""Which object refused a statement: the one that it was aimed at, or another that it needs on the way.

Nothing is read from the text of a message, which is translated and may name any object. A missing privilege is
looked up in the catalog. For the rest the statement runs once more from the client, where the server says which of
its functions raised the error, and in which context (``PG_DIAG_SOURCE_FUNCTION``, ``PG_DIAG_CONTEXT``; see the
manual, "Error and Notice Message Fields").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection
from psycopg.errors import Diagnostic

from rolecall.access.session import advisory_locks_released, login_for
from rolecall.grids.probe import REFUSED, Check, Outcome

PRIVILEGE = {"GET": "SELECT", "POST": "INSERT", "PATCH": "UPDATE", "DELETE": "DELETE"}

# Where the server raises "new row violates row-level security policy".
ROW_SECURITY = "ExecWithCheckOptions"
# Where a procedural language raises what a function's author wrote: a refusal on purpose.
ON_PURPOSE = {"pl_exec.c", "plpy_elog.c", "plpy_spi.c", "plperl.c", "pltcl.c", "plv8.cc"}

HELD = """
SELECT has_schema_privilege(%(role)s, c.relnamespace, 'USAGE'), c.relkind = 'v',
       array(SELECT p FROM unnest(%(names)s::text[]) AS p WHERE has_table_privilege(%(role)s, c.oid, p)),
       array(SELECT p FROM unnest(%(names)s::text[]) AS p
             WHERE p <> 'DELETE' AND has_any_column_privilege(%(role)s, c.oid, p))
FROM pg_class AS c WHERE c.oid = %(target)s::regclass
"""


class _Held(NamedTuple):
    """What a role holds on a table: the right to enter its schema, and privileges on all or some columns."""

    usage: bool
    is_view: bool
    whole: list[str]
    some: list[str]


def with_refusers(connection: Connection[Any], tried: Iterable[tuple[Check, Outcome]]) -> list[Outcome]:
    """The outcomes of checks, those marked ``elsewhere`` that another object refused.

    ``connection`` is the one that the checks were probed on; nothing that is done on it is kept.
    """
    refusals = _Refusals(connection)
    return [
        replace(outcome, elsewhere=True) if outcome.sqlstate == REFUSED and refusals.elsewhere(check) else outcome
        for check, outcome in tried
    ]


class _Refusals:
    """Finds out who refused; what a role holds is asked once."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self._held: dict[tuple[str, Sequence[str], str], _Held] = {}

    def elsewhere(self, check: Check) -> bool:
        """Whether another object than the check's target refused it."""
        needed = {PRIVILEGE[check.method]}
        if check.representation or (not check.blind and check.method in ("PATCH", "DELETE")):
            needed.add("SELECT")
        held = self._held_by(check)
        if not held.usage or not needed <= {*held.whole, *held.some}:
            return False
        with advisory_locks_released(self.connection):
            error = attempt(self.connection, check)
        if error is None or error.sqlstate != REFUSED:
            return False
        return _is_elsewhere(error.diag, held, needed)

    def _held_by(self, check: Check) -> _Held:
        key = (check.persona.role, check.before, check.target)
        if key not in self._held:
            with self.connection.transaction(force_rollback=True):
                for statement in check.before:
                    self.connection.execute(statement.encode())
                names = {"role": check.persona.role, "target": check.target, "names": sorted(PRIVILEGE.values())}
                (row,) = self.connection.execute(HELD, names).fetchall()
                self._held[key] = _Held(*row)
        return self._held[key]


def _is_elsewhere(diag: Diagnostic, held: _Held, needed: set[str]) -> bool:
    if diag.context:  # inside of a function: the author's own words, or a refusal that the function ran into
        return diag.source_file not in ON_PURPOSE
    if diag.source_function == ROW_SECURITY or held.is_view:  # what a view reads is a part of it
        return False
    return needed <= set(held.whole)  # nothing of the target was missing; of single columns, something may be


def attempt(connection: Connection[Any], check: Check) -> psycopg.Error | None:
    """Run a check statement by statement, as a session does, and undo it; gives the error of the persona's own
    statement, if there was one. The connection must have probed before."""
    with connection.transaction(force_rollback=True):
        for statement in check.before:
            connection.execute(statement.encode())
        if check.blind:
            aim = f"SELECT FROM {check.target} WHERE {check.condition} FOR UPDATE"
            connection.execute(f"DECLARE rolecall_target CURSOR FOR {aim}; FETCH rolecall_target".encode())
        if check.room:
            make_room(connection, check)
        if check.method == "GET":
            connection.execute("SELECT set_config('transaction_read_only', 'on', true)")
        login = login_for(connection, check.persona.role)
        for setting in [("session_authorization", login), *check.persona.settings(check.method)]:
            connection.execute("SELECT set_config(%s, %s, true)", setting)
        try:
            with connection.transaction():
                aimed = " WHERE CURRENT OF rolecall_target" if check.blind else ""
                connection.execute(f"{check.statement}{aimed}".encode())
                if check.method != "GET":
                    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.Error as error:
            return error
    return None


def make_room(connection: Connection[Any], check: Check) -> None:
    """Take the row of an insert out of the way, past triggers and rules that would keep it."""
    query = "SELECT pg_temp.rolecall_must_bypass_triggers(%s::regclass)"
    (bypass,) = connection.execute(query, [check.target]).fetchone() or (False,)
    if bypass:
        connection.execute("SET LOCAL session_replication_role = replica")
    connection.execute((check.room or "").encode())
    if bypass:
        connection.execute("SET LOCAL session_replication_role = origin")
