"""Sessions of the attacks: connections as ``authenticator``, and statements that are undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from rolecall import Session
from rolecall.database.run import Run

SignIn = Callable[[str], AbstractContextManager[Session]]  # see the fixture sign_in
Authenticator = Callable[[], AbstractContextManager[Connection[Any]]]  # see the fixture authenticator

TIMEOUT = "SET statement_timeout = '5s'; SET lock_timeout = '2s'"
REFUSED = "42501"  # insufficient_privilege: no grant, or row-level security
BROKEN = {
    "42601",
    "42883",
    "42703",
    "42P01",
    "XX000",
}  # the attack itself is wrong: syntax, unknown names, internal errors
FEW = ("customer", "staff", "owner", "no_subject", "anon", "service")  # the personas of the short form


@contextmanager
def connect(run: Run, name: str) -> Iterator[Connection[Any]]:
    """A connection to a database as ``authenticator``. On another server the password is unknown: there
    the session of the superuser switches to this role."""
    if run.throwaway:
        conninfo = make_conninfo(run.conninfo, dbname=name, user="authenticator")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(TIMEOUT)
            yield connection
    else:
        with run.connect(name) as connection:
            is_superuser = connection.info.parameter_status("is_superuser") == "on"
            kind = "SESSION AUTHORIZATION" if is_superuser else "ROLE"
            connection.execute(f"{TIMEOUT}; SET {kind} authenticator".encode())
            yield connection


def sqlstate(session: Session, statement: str) -> str:
    """Run a statement, and undo it; returns its SQLSTATE, "" if it worked."""
    try:
        with session.connection.transaction(force_rollback=True):
            session.execute(statement)
    except psycopg.Error as error:
        return str(error.sqlstate)
    return ""


def literal(value: str | None) -> str:
    """A value as an SQL literal without a type: PostgreSQL gives it the type of the column or argument."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"
