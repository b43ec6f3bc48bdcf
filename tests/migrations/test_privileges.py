"""What default privileges grant on every new table, the steps take away."""

from __future__ import annotations

from itertools import product

import psycopg
import pytest
from psycopg import sql

from rolecall.database.scratch import Scratch
from tests.migrations.helpers import change_defaults
from tests.migrations.test_apply import PHASES

RELATIONS = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v') AND oid >= 16384 ORDER BY 1"
ROLES = ("anon", "authenticated", "service_role")
# A DELETE without a row, so that no trigger and no policy decides.
STATEMENTS = ("SELECT FROM {} LIMIT 0", "DELETE FROM {} WHERE false", "TRUNCATE {}")


# Otherwise anon is refused at the schema, whatever it may do with a table.
ENTER_ALL_SCHEMAS = """
DO $$ BEGIN
  EXECUTE (
    SELECT format('GRANT USAGE ON SCHEMA %s TO anon, authenticated, service_role',
                  string_agg(oid::regnamespace::text, ', '))
    FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'
  );
END $$
"""
Attempt = tuple[str, str, str]  # a table or view, a role and a statement


def outcomes(scratch: Scratch, number: int, defaults: str) -> dict[Attempt, str]:
    """What the tables and views of a phase answer to the roles of the API."""
    with scratch.connection.transaction(force_rollback=True):
        change_defaults(scratch, defaults)
        scratch.connection.execute(ENTER_ALL_SCHEMAS)
        if number == 3:
            scratch.apply(1)
        existing = scratch.connection.execute(RELATIONS).fetchall()
        scratch.apply(number)
        added = [name for (name,) in scratch.connection.execute(RELATIONS) if (name,) not in existing]
        return {attempt: outcome(scratch, *attempt) for attempt in product(added, ROLES, STATEMENTS)}


def outcome(scratch: Scratch, name: str, role: str, statement: str) -> str:
    """The error of a statement that a role runs, or an empty text. The statement is rolled back.

    A view that a role may use, and whose tables it may not, has the error of its table.
    """
    try:
        with scratch.connection.transaction(force_rollback=True):
            scratch.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            scratch.connection.execute(statement.format(name).encode())
    except psycopg.Error as error:
        return error.diag.message_primary or ""
    return ""


@pytest.mark.parametrize("number", PHASES, ids="phase {}".format)
def test_default_privileges_let_nobody_in(bare: Scratch, number: int) -> None:
    granted = outcomes(bare, number, "GRANT ALL ON {} TO {}")
    assert granted == outcomes(bare, number, "REVOKE ALL ON {} FROM {}")
    assert ("" in granted.values()) == (number != 2)  # phase 2 has functions only
