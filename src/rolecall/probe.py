"""Probing: many statements, each as its own persona and each undone, in one round trip.

A loop on the server does what :class:`rolecall.session.Session` does from the client, a
subtransaction a check. It lives in ``pg_temp``, so that nothing is left in the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from psycopg import Connection

from rolecall.session import Method, Persona

REFUSED = "42501"

# `target` is opened by the superuser, before the persona signs in: UPDATE and DELETE … WHERE CURRENT OF
# then reach exactly that row and read no column, so that the SELECT policy cannot hide it from them.
PROBE = """
CREATE FUNCTION pg_temp.rolecall_probe(checks jsonb)
RETURNS TABLE (affected bigint, touched boolean, refusal text, message text, broken text)
LANGUAGE plpgsql AS $probe$
DECLARE
  item jsonb;
  command text;
  target refcursor;
  before_it tid;
  after_it tid;
BEGIN
  FOR item IN SELECT jsonb_array_elements(checks) LOOP
    affected := 0; touched := false; refusal := NULL; message := NULL; broken := NULL;
    target := NULL; before_it := NULL;
    BEGIN
      SET CONSTRAINTS ALL IMMEDIATE;  -- nothing here is ever committed, which is when they would be asked
      FOR command IN SELECT jsonb_array_elements_text(item -> 'before') LOOP
        EXECUTE command;
      END LOOP;
      IF item ->> 'locate' IS NOT NULL THEN
        OPEN target FOR EXECUTE item ->> 'locate' || ' FOR UPDATE';
        FETCH target INTO before_it;
        IF before_it IS NULL THEN
          RAISE EXCEPTION 'the row to act on is not there: %', item ->> 'locate';
        END IF;
      END IF;
      IF item ->> 'method' = 'GET' THEN
        PERFORM set_config('transaction_read_only', 'on', true);
      END IF;
      PERFORM set_config(setting ->> 0, setting ->> 1, true) FROM jsonb_array_elements(item -> 'settings') setting;
      BEGIN
        EXECUTE item ->> 'statement'
          || CASE WHEN (item ->> 'blind')::boolean THEN ' WHERE CURRENT OF ' || quote_ident(target::text) ELSE '' END;
        GET DIAGNOSTICS affected = ROW_COUNT;
      EXCEPTION WHEN OTHERS THEN
        refusal := SQLSTATE; message := SQLERRM;
      END;
      PERFORM set_config('role', 'none', true);
      IF item ->> 'locate' IS NOT NULL THEN
        EXECUTE item ->> 'locate' INTO after_it;
        touched := before_it IS DISTINCT FROM after_it;
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'RC000';
    EXCEPTION
      WHEN SQLSTATE 'RC000' THEN NULL;
      WHEN OTHERS THEN broken := SQLSTATE || ' ' || SQLERRM;
    END;
    RETURN NEXT;
    EXIT WHEN item ->> 'expected' <> CASE
      WHEN broken IS NOT NULL THEN 'error'
      WHEN refusal IS NULL THEN CASE WHEN affected > 0 OR touched THEN 'yes' ELSE '-' END
      WHEN refusal = '42501' THEN '!'
      ELSE 'error'
    END;
  END LOOP;
END
$probe$;
"""

# What the server's own refusals are about: a privilege, or a policy.
ABOUT = r'^permission denied for \w+(?: \w+)? (\S+)$|row-level security policy .*for table "(.*)"$'

Verdict = Literal["yes", "-", "!"]


@dataclass(frozen=True)
class Check:
    """One statement to try as one persona.

    ``before`` runs first, as the superuser. ``locate`` selects the ctid of the row that a write aims
    at; with ``blind`` the write is aimed by it, and reads no column itself. ``expected`` is the verdict
    without which the checks behind this one need not be tried.
    """

    persona: Persona
    method: Method
    statement: str
    table: str
    before: tuple[str, ...] = ()
    locate: str | None = None
    blind: bool = False
    expected: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "settings": self.persona.settings(self.method),
            "method": self.method,
            "statement": self.statement,
            "before": self.before,
            "locate": self.locate,
            "blind": self.blind,
            "expected": self.expected,
        }


@dataclass(frozen=True)
class Outcome:
    """What a check did: rows that the server counted, whether the row it aimed at changed, or the error.

    ``broken`` is an error of the check itself, before the persona came to act.
    """

    affected: int
    touched: bool
    sqlstate: str | None
    message: str | None
    broken: str | None

    def verdict(self, table: str) -> Verdict | None:
        """``yes``, ``-`` or ``!``; None where the statement failed for a reason that is no refusal.

        A soft delete counts no row and yet touches it, so the row itself is asked too.
        """
        if self.broken:
            return None
        if self.sqlstate is None:
            return "yes" if self.affected or self.touched else "-"
        return "!" if self.sqlstate == REFUSED and not self._about_something_else(table) else None

    def _about_something_else(self, table: str) -> bool:
        """Whether another object refuses, say a table that a policy reads or that a trigger writes."""
        about = re.search(ABOUT, self.message or "")
        return about is not None and (about[1] or about[2]) not in table.split(".")

    def __str__(self) -> str:
        if self.broken:
            return f"the check itself failed: {self.broken}"
        if self.sqlstate:
            return f"{self.sqlstate} {self.message}"
        if self.touched and not self.affected:
            return "the row was changed, though no row was counted"
        return {0: "no row", 1: "1 row"}.get(self.affected, f"{self.affected} rows")


class Checks(tuple[Check, ...]):
    """Checks, and what is sent for them: put together once, however often they are tried."""

    @cached_property
    def payload(self) -> str:
        """The checks as the function takes them."""
        return json.dumps([check.as_json() for check in self])


def prepare(connection: Connection[Any]) -> None:
    """Make the probe function, where it is not there yet.

    Outside of a transaction it is made once. One that is undone and made again each time leaves its plans in
    the server's memory, and every DDL statement looks at all of them (after 1,900 mutants: 350 MB, and each
    check four times as slow).
    """
    there = connection.execute("SELECT to_regprocedure('pg_temp.rolecall_probe(jsonb)') IS NOT NULL").fetchone()
    if there != (True,):
        connection.execute(PROBE)


def probe(connection: Connection[Any], checks: Iterable[Check]) -> list[Outcome]:
    """Try every check, in order, in one round trip; nothing that they do is kept.

    ``connection`` must be a superuser's; the probe function is made in its ``pg_temp`` if need be.
    """
    if not isinstance(checks, Checks):
        checks = Checks(checks)
    if not checks:
        return []
    prepare(connection)
    cursor = connection.execute("SELECT * FROM pg_temp.rolecall_probe(%s)", [checks.payload])
    return [Outcome(*row) for row in cursor]
