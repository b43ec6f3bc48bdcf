"""The checks of the grids as plain SQL: for psql, for a loop in Python, and for pgTAP.

A check is five statements: BEGIN, the role, the claims, the statement, ROLLBACK. Some verdicts need more: a setup
(room for an insert, a mistaken grant), the cursor of a blind write, or for a delete a query of the row, because a
soft delete counts no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from psycopg import sql

from rolecall.grids.probe import Check
from rolecall.pgtap.script import Assertion, script

# Whether the row, as it was before the transaction, no longer exists.
CHANGED = "SELECT NOT EXISTS ({} AND pg_xact_status(xmin::text::xid8) IS DISTINCT FROM 'in progress')"


class Case(NamedTuple):
    """A check, its name, and the verdict that its grid expects."""

    name: str
    check: Check
    expected: str

    @property
    def is_five(self) -> bool:
        """Whether the five statements are enough."""
        return not self.before and not self.look

    @property
    def before(self) -> list[str]:
        """The statements of the superuser before it."""
        cursor = f"DECLARE target CURSOR FOR {self.check.locate} FOR UPDATE"
        room = [self.check.room] if self.check.room else []
        return [*self.check.before, *room, *([cursor, "FETCH target"] if self.check.blind else [])]

    @property
    def sign_in(self) -> list[str]:
        """The two statements that sign the persona in."""
        role, *claims = self.check.persona.settings(self.check.method)
        if self.check.method == "GET":
            claims.append(("transaction_read_only", "on"))
        return ["SELECT " + ", ".join(map(_set, settings)) for settings in ([role], claims)]

    @property
    def statement(self) -> str:
        """The statement of the persona."""
        return self.check.statement + (" WHERE CURRENT OF target" if self.check.blind else "")

    @property
    def look(self) -> str | None:
        """The superuser's query after a delete that counted no row: whether the row changed."""
        return CHANGED.format(self.check.locate) if self.check.method == "DELETE" else None


def psql_script(cases: Iterable[Case]) -> str:
    r"""A script for ``psql -f``: ``\echo`` prints the SQLSTATE and the row count after each statement."""
    return "\n".join(line for case in cases for line in _psql(case)) + "\n"


def _psql(case: Case) -> Iterator[str]:
    yield "BEGIN;"
    yield from (f"{statement};" for statement in (*case.before, *case.sign_in, case.statement))
    yield r"\echo :SQLSTATE :ROW_COUNT"
    if case.look:
        yield "SELECT set_config('role', 'none', true);"
        yield f"{case.look} AS changed \\gset\n\\echo :changed"
    yield "ROLLBACK;"


def psql_verdicts(cases: Iterable[Case], output: str) -> Iterator[str]:
    """The verdicts in psql's output for these cases."""
    lines = iter(output.splitlines())
    for case in cases:
        sqlstate, count = next(lines).split()
        changed = case.look is not None and next(lines) == "t"
        yield verdict_of(sqlstate, int(count), changed)


def verdict_of(sqlstate: str, count: int, changed: bool) -> str:
    """The verdict of a grid."""
    if sqlstate == "00000":
        return "yes" if count or changed else "-"
    return "!" if sqlstate == "42501" else sqlstate


def pgtap_script(cases: Iterable[Case]) -> str:
    """A script for pg_prove, as ``rolecall pgtap`` writes it. The database has the world."""
    return script([Assertion(*case) for case in cases])


def _set(setting: tuple[str, str]) -> str:
    return f"set_config({_text(setting[0])}, {_text(setting[1])}, true)"


def _text(text: str) -> str:
    return sql.Literal(text).as_string()
