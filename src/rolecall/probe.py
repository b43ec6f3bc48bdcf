"""Probing: many statements, each as its own persona and each undone, in one round trip.

A loop on the server does what :class:`rolecall.session.Session` does from the client, a
subtransaction a check. It lives in ``pg_temp``, so that nothing is left in the database.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import Any, Literal, NamedTuple

from psycopg import Connection

from rolecall.session import Method, Persona

REFUSED = "42501"
AT_ONCE = 1000  # checks of one call

# A part is made of checks that stand on the same: what is before them is done once, and what each of them
# does is undone by itself. `target` is opened by the superuser, before a persona signs in: UPDATE and
# DELETE … WHERE CURRENT OF then reach exactly that row and read no column, so that the SELECT policy
# cannot hide it from them. It stays aimed at the row while one check after the other acts on it.
#
# A statement that comes again for the same role is planned once. Of an EXECUTE, plpgsql counts only the rows
# that come back: with RETURNING a constant a write has some, and reads no column either.
PROBE = """
CREATE FUNCTION pg_temp.rolecall_probe(parts jsonb)
RETURNS TABLE (affected bigint, touched boolean, refusal text, message text, broken text)
LANGUAGE plpgsql AS $probe$
DECLARE
  part record;
  item record;
  command text;
  setting text[];
  done text;
  failed text;
  acting boolean;
  stop boolean := false;
  target refcursor := 'rolecall_target';
  aimed_at text;
  room text;
  before_it tid;
  after_it tid;
  planned boolean[];
BEGIN
  DEALLOCATE_ALL
  FOR part IN SELECT * FROM jsonb_to_recordset(parts) AS (before text[], checks jsonb) LOOP
    BEGIN
      failed := NULL;
      aimed_at := NULL;
      BEGIN
        SET CONSTRAINTS ALL IMMEDIATE;  -- nothing here is ever committed, which is when they would be asked
        FOREACH command IN ARRAY part.before LOOP
          EXECUTE command;
        END LOOP;
      EXCEPTION WHEN OTHERS THEN
        failed := SQLSTATE || ' ' || SQLERRM;
      END;
      FOR item IN
        SELECT * FROM jsonb_to_recordset(part.checks) AS (
          settings text[], method text, statement text, room text, locate text, blind boolean, plan int, expected text
        )
      LOOP
        affected := 0; touched := false; refusal := NULL; message := NULL; broken := failed; acting := false;
        IF item.locate <> aimed_at THEN
          CLOSE target;
          DEALLOCATE rolecall_look;
          aimed_at := NULL;
        END IF;
        IF item.locate IS NOT NULL AND aimed_at IS NULL AND broken IS NULL THEN
          BEGIN
            OPEN target FOR EXECUTE item.locate || ' FOR UPDATE';
            FETCH target INTO before_it;
            EXECUTE 'PREPARE rolecall_look AS ' || item.locate;
            aimed_at := item.locate;
          EXCEPTION WHEN OTHERS THEN
            broken := SQLSTATE || ' ' || SQLERRM;
          END;
        END IF;
        BEGIN
          IF broken IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'RC000';
          END IF;
          IF item.room IS NOT NULL THEN
            IF room <> item.room THEN
              DEALLOCATE rolecall_room;
              room := NULL;
            END IF;
            IF room IS NULL THEN
              EXECUTE 'PREPARE rolecall_room AS ' || item.room;
              room := item.room;
            END IF;
            EXECUTE 'EXECUTE rolecall_room';
          ELSIF item.locate IS NOT NULL AND before_it IS NULL THEN
            RAISE EXCEPTION 'the row to act on is not there: %', item.locate;
          END IF;
          IF item.method = 'GET' THEN
            done := set_config('transaction_read_only', 'on', true);
          END IF;
          FOREACH setting SLICE 1 IN ARRAY item.settings LOOP
            done := set_config(setting[1], setting[2], true);
          END LOOP;
          acting := true;
          command := item.statement || CASE WHEN item.blind THEN ' WHERE CURRENT OF rolecall_target' ELSE '' END;
          IF item.plan IS NOT NULL AND planned[item.plan] IS NULL THEN
            BEGIN
              EXECUTE 'PREPARE rolecall_' || item.plan || ' AS ' || command
                || CASE WHEN item.method = 'GET' THEN '' ELSE ' RETURNING true' END;
              planned[item.plan] := true;
            EXCEPTION WHEN OTHERS THEN
              planned[item.plan] := false;  -- then it is tried as it is, and says itself what is wrong
            END;
          END IF;
          EXECUTE CASE WHEN planned[item.plan] THEN 'EXECUTE rolecall_' || item.plan ELSE command END;
          GET DIAGNOSTICS affected = ROW_COUNT;
          acting := false;
          IF affected = 0 AND item.method <> 'GET' AND item.locate IS NOT NULL THEN
            done := set_config('role', 'none', true);
            EXECUTE 'EXECUTE rolecall_look' INTO after_it;
            touched := before_it IS DISTINCT FROM after_it;
          END IF;
          RAISE EXCEPTION USING ERRCODE = 'RC000';
        EXCEPTION
          WHEN SQLSTATE 'RC000' THEN NULL;
          WHEN OTHERS THEN
            IF acting THEN
              refusal := SQLSTATE; message := SQLERRM;
            ELSE
              broken := SQLSTATE || ' ' || SQLERRM;
            END IF;
        END;
        RETURN NEXT;
        stop := coalesce(item.expected <> CASE
          WHEN broken IS NOT NULL THEN 'error'
          WHEN refusal IS NULL THEN CASE WHEN affected > 0 OR touched THEN 'yes' ELSE '-' END
          WHEN refusal = '42501' THEN '!'
          ELSE 'error'
        END, false);
        EXIT WHEN stop;
      END LOOP;
      IF aimed_at IS NOT NULL THEN
        DEALLOCATE rolecall_look;
      END IF;
      RAISE EXCEPTION USING ERRCODE = 'RC000';
    EXCEPTION WHEN SQLSTATE 'RC000' THEN NULL;
    END;
    EXIT WHEN stop;
  END LOOP;
  DEALLOCATE_ALL
END
$probe$;
""".replace(
    "DEALLOCATE_ALL",
    """FOR command IN SELECT name FROM pg_prepared_statements WHERE starts_with(name, 'rolecall_') LOOP
    EXECUTE 'DEALLOCATE ' || command;  -- at the start, what a call left that was cancelled
  END LOOP;""",
)

# What the server's own refusals are about: a privilege, or a policy.
ABOUT = r'^permission denied for \w+(?: \w+)? (\S+)$|row-level security policy .*for table "(.*)"$'

Verdict = Literal["yes", "-", "!"]


@dataclass(frozen=True, slots=True)
class Check:
    """One statement to try as one persona.

    ``before`` runs first, as the superuser, and so does ``room``, a statement that makes room for an insert.
    ``locate`` selects the ctid of the row that any other is about; with ``blind`` a write is aimed by it, and
    reads no column itself. ``expected`` is the verdict without which the checks behind this one need not be tried.
    """

    persona: Persona
    method: Method
    statement: str
    table: str
    before: tuple[str, ...] = ()
    room: str | None = None
    locate: str | None = None
    blind: bool = False
    expected: str | None = None

    @property
    def plan(self) -> Hashable:
        """What the server's plan for the statement depends on; of two that agree in it, one plan serves both."""
        return self.persona.role, self.before, self.statement, self.blind

    def as_json(self) -> dict[str, Any]:
        return {
            "settings": self.persona.settings(self.method),
            "method": self.method,
            "statement": self.statement,
            "room": self.room,
            "locate": self.locate,
            "blind": self.blind,
            "expected": self.expected,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check did: rows that the server counted; where it counted none, whether the row that it aimed
    at is another one now all the same; or the error.

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
    def messages(self) -> list[Message]:
        """The checks as the function takes them."""
        return list(_messages(self))


class Message(NamedTuple):
    """What one call of the function is given, and how many checks there are in it."""

    checks: int
    payload: str


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
    """Try every check, in order, in one round trip for a thousand; nothing that they do is kept.

    ``connection`` must be a superuser's; the probe function is made in its ``pg_temp`` if need be.
    """
    outcomes: list[Outcome] = []
    for message in checks.messages if isinstance(checks, Checks) else _messages(checks):
        if not outcomes:
            prepare(connection)
        rows = connection.execute("SELECT * FROM pg_temp.rolecall_probe(%s)", [message.payload]).fetchall()
        outcomes += [Outcome(*row) for row in rows]
        if len(rows) < message.checks:  # one was not as expected
            break
    return outcomes


def _messages(checks: Iterable[Check]) -> Iterator[Message]:
    """The checks in calls of a bounded size, as are then the server's memory for them and ours."""
    rest = iter(checks)
    while batch := list(islice(rest, AT_ONCE)):
        shared = [plan for plan, times in Counter(check.plan for check in batch).items() if times > 1]
        numbers = {plan: number for number, plan in enumerate(shared, start=1)}
        parts = [
            {"before": before, "checks": [check.as_json() | {"plan": numbers.get(check.plan)} for check in part]}
            for before, part in groupby(batch, key=lambda check: check.before)
        ]
        yield Message(len(batch), json.dumps(parts))
