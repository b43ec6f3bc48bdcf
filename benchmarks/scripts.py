"""The checks of the grids as plain SQL: for psql, for a loop in Python, and for pgTAP.

Five statements are a check: BEGIN, the role, the claims, the statement, ROLLBACK. Where the verdict would be
another without it, there is more: what has to stand before (room for an insert, a grant made by mistake), the
cursor of a blind write, and for a delete a look at the row, since a soft delete counts none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from psycopg import sql

from rolecall.grids.probe import Check

# The row was there before the transaction, and is so no more.
CHANGED = "SELECT NOT EXISTS ({} AND pg_xact_status(xmin::text::xid8) IS DISTINCT FROM 'in progress')"

VERDICT = """
CREATE EXTENSION pgtap;
CREATE FUNCTION public.looked(query text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  found_so boolean;
BEGIN
  EXECUTE query INTO found_so;
  RETURN found_so;
END
$$;
CREATE FUNCTION public.verdict(statement text, look text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  affected bigint;
BEGIN
  EXECUTE statement;
  GET DIAGNOSTICS affected = ROW_COUNT;
  RETURN CASE WHEN affected > 0 OR public.looked(look) THEN 'yes' ELSE '-' END;
EXCEPTION
  WHEN insufficient_privilege THEN RETURN '!';
END
$$;
"""


class Case(NamedTuple):
    """A check, what it is called, and the verdict that its grid expects of it."""

    name: str
    check: Check
    expected: str

    @property
    def is_five(self) -> bool:
        """Whether the five statements are all that it takes."""
        return not self.before and not self.look

    @property
    def before(self) -> list[str]:
        """What a superuser does first."""
        aim = f"DECLARE target CURSOR FOR {self.check.locate} FOR UPDATE"
        room = [self.check.room] if self.check.room else []
        return [*self.check.before, *room, *([aim, "FETCH target"] if self.check.blind else [])]

    @property
    def sign_in(self) -> list[str]:
        """The two statements that make the session the persona's."""
        role, *claims = self.check.persona.settings(self.check.method)
        if self.check.method == "GET":
            claims.append(("transaction_read_only", "on"))
        return ["SELECT " + ", ".join(map(_set, settings)) for settings in ([role], claims)]

    @property
    def statement(self) -> str:
        """What the persona tries."""
        return self.check.statement + (" WHERE CURRENT OF target" if self.check.blind else "")

    @property
    def look(self) -> str | None:
        """Asked by a superuser after a delete that counted no row: is the row another one?"""
        return CHANGED.format(self.check.locate) if self.check.method == "DELETE" else None


def psql_script(cases: Iterable[Case]) -> str:
    r"""For ``psql -f``: behind each statement a line with its SQLSTATE and its count of rows, by ``\echo``."""
    return "\n".join(line for case in cases for line in _psql(case)) + "\n"


def _psql(case: Case) -> Iterator[str]:
    yield "BEGIN;"
    yield from (f"{statement};" for statement in (*case.before, *case.sign_in, case.statement))
    yield r"\echo :SQLSTATE :ROW_COUNT"
    if case.look:
        yield "SELECT set_config('role', 'none', true);"
        yield f"{case.look} AS changed \\gset\n\\echo :changed"
    yield "ROLLBACK;"


def psql_verdicts(cases: Iterable[Case], said: str) -> Iterator[str]:
    """What psql printed for these cases, as verdicts."""
    lines = iter(said.splitlines())
    for case in cases:
        sqlstate, count = next(lines).split()
        changed = case.look is not None and next(lines) == "t"
        yield verdict_of(sqlstate, int(count), changed)


def verdict_of(sqlstate: str, count: int, changed: bool) -> str:
    """What the grids call it."""
    if sqlstate == "00000":
        return "yes" if count or changed else "-"
    return "!" if sqlstate == "42501" else sqlstate


def pgtap_script(cases: list[Case]) -> str:
    """For pg_prove: a savepoint and an assertion for each."""
    lines = ["BEGIN;", f"SELECT plan({len(cases)});"]
    for case in cases:
        look = _text(case.look or "SELECT false")
        lines += [
            "SAVEPOINT one;",
            # What these answer would be read as TAP.
            *(f"{statement} \\g /dev/null" for statement in (*case.before, *case.sign_in)),
            f"SELECT public.verdict({_text(case.statement)}, {look}) AS got \\gset",
            "ROLLBACK TO one;",
            "RELEASE one;",
            f"SELECT is(:'got'::text, {_text(case.expected)}, {_text(case.name)});",
        ]
    return "\n".join([*lines, "SELECT * FROM finish();", "ROLLBACK;", ""])


def _set(setting: tuple[str, str]) -> str:
    return f"set_config({_text(setting[0])}, {_text(setting[1])}, true)"


def _text(text: str) -> str:
    return sql.Literal(text).as_string()
