"""Every function with arguments at the limits of their types, as every persona. A call ends in time, with an intended
error or with a result that shows no hidden row; an error leaves no change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

import psycopg
import pytest

from rolecall import Session, World
from tests.attacks.schema import NIL, Routine
from tests.attacks.sessions import REFUSED, Authenticator, SignIn

LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff"

TEXTS = [
    *("NULL", "''", "' '", "'x'", r"'\u0000'", r"E'\x01\x7f'", "repeat('x', 1048576)", "repeat(' ', 1048576)"),
    *("''' OR 1=1 --'", """'"; DROP SCHEMA audit CASCADE; --'""", "'%s %I %L % %%'", "'$$ $1 $body$ {0}'"),
    *(
        "'\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH JOINER}\N{GRINNING FACE}'",
        "repeat('e\N{COMBINING ACUTE ACCENT}', 99)",
    ),
    *("repeat('x', 50)", "repeat('x', 51)", "repeat('x', 100)", "repeat('x', 101)", "repeat('x', 256)"),
]
UUIDS = ["NULL", f"'{NIL}'", f"'{LAST}'", "<me>", "<other>", "<salon>", "<service>", "<theirs>"]
EDGES = {
    "text": TEXTS,
    "character varying": TEXTS,
    "uuid": UUIDS,
    "uuid[]": [
        *("NULL", "'{}'", "'{NULL}'", "'{NULL,NULL}'", "ARRAY[<me>, NULL]::uuid[]", "ARRAY[<service>]::uuid[]"),
        *("ARRAY[<service>, <service>]::uuid[]", "ARRAY[[<me>, <other>], [<theirs>, NULL]]::uuid[]"),
        "ARRAY[<theirs>]::uuid[]",
        f"'[-2147483647:-2147483646]={{{NIL},{LAST}}}'",
        f"'{'{' * 6}{NIL}{'}' * 6}'",  # six dimensions, the maximum
        "array_fill(<service>::uuid, ARRAY[100000])",
    ],
    "integer": ["NULL", "0", "1", "-1", "2147483647", "-2147483648", "20"],
    "bigint": ["NULL", "0", "-1", "9223372036854775807", "-9223372036854775808"],
    "date": [
        *(
            "NULL",
            "'infinity'",
            "'-infinity'",
            "'4714-11-24 BC'",
            "'5874897-12-31'",
            "'294276-12-31'",
            "'294277-01-01'",
        ),
        *("'0001-01-01 BC'", "'2024-02-29'", "'epoch'", "'2025-01-06'", "'2025-03-30'"),
    ],
    "jsonb": [
        *("NULL", "'null'", "'{}'", "'[]'", "'\"x\"'", "'0'", "'-1e131071'", "'[null]'"),
        *("""'{"a": 1, "a": 2}'""", """'{"": "''; --", "\\ud83d\\ude00": "%s"}'""", '\'{"sub": "x"}\''),
        "(repeat('[', 1000) || repeat(']', 1000))::jsonb",
        """(repeat('{"a":', 1000) || '1' || repeat('}', 1000))::jsonb""",
        "to_jsonb(repeat('x', 1048576))",
        "to_jsonb(array_fill(0, ARRAY[100000]))",
    ],
    "boolean": ["NULL", "true", "false"],
}

# The intended errors of each function, by SQLSTATE, besides 42501. Each of them must come from at least one call.
INTENDED = {
    "audit.log_action": {
        "22001": "a text is longer than its column",
        "23502": "there is no type, id or action",
        "23514": "the type or the action is blank",
    },
    "communication.send_notification": {
        "P0001": "the three messages of the plan for a missing value",
        "23503": "the recipient is unknown",
    },
    "communication.get_notifications_page": {"22023": "the limit or the offset is negative"},
    "scheduling.calculate_business_hours": {"22008": "a date after the year 294276 is no timestamp"},
}


class Attempt(NamedTuple):
    """A call, its SQLSTATE ("" if it worked), and the text of its rows or its error."""

    function: str
    arguments: str
    sqlstate: str
    answer: str


def argument_lists(routine: Routine, names: dict[str, str], *, pairs: bool) -> Iterator[str]:
    """Each argument with each value of EDGES while the others are plain; with ``pairs`` also each two of them."""
    plain = [{"uuid": "<me>", "text": "'x'", "character varying": "'x'"}.get(kind, "NULL") for kind in routine.types]
    if "date" in routine.types:
        plain = [
            "'2025-01-06'" if kind == "date" else "<salon>" if kind == "uuid" else "NULL" for kind in routine.types
        ]
    edges = [EDGES.get(kind, ["NULL"]) for kind in routine.types]
    lists = {(*plain[:at], edge, *plain[at + 1 :]) for at, values in enumerate(edges) for edge in values}
    if pairs:
        for one, two in combinations(range(len(plain)), 2):
            for first in edges[one]:
                for second in edges[two]:
                    both = {one: first, two: second}
                    lists.add(tuple(both.get(at, usual) for at, usual in enumerate(plain)))
    for each in sorted(lists):
        text = ", ".join(f"{name} => {value}" for name, value in zip(routine.arguments, each, strict=True))
        for name, value in names.items():
            text = text.replace(f"<{name}>", value)
        yield text


@pytest.fixture(scope="module")
def attempts(routines: dict[str, Routine], world: World, sign_in: SignIn, thorough: bool) -> dict[str, list[Attempt]]:
    """The attempts of each persona. Each call is undone."""
    few = ("customer", "staff", "no_subject", "anon", "service")
    return {
        persona: list(every_attempt(routines, world, sign_in, persona, pairs=thorough and persona in few))
        for persona in (world.personas if thorough else few)
    }


def every_attempt(
    routines: dict[str, Routine], world: World, sign_in: SignIn, persona: str, *, pairs: bool
) -> Iterator[Attempt]:
    """Every call of a persona."""
    names = {
        "me": world.personas[persona].claims.get("sub", NIL),
        "other": world.personas["other_customer"].subject,
        "salon": world.names()["salon"],
        "service": world.names()["salon_service"],
        "theirs": next(iter(world.rows["communication.notifications"].values()))["id"],
    }
    quoted = {name: f"'{value}'" for name, value in names.items()}
    with sign_in(persona) as session:
        for routine in routines.values():
            if not routine.tables:
                for arguments in argument_lists(routine, quoted, pairs=pairs):
                    yield attempt(session, routine.name, arguments)
        state = session.row(STATE)
        assert state == (world.personas[persona].role, world.personas[persona].token, 0), state


STATE = """
SELECT current_user::text, current_setting('request.jwt.claims'),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


def attempt(session: Session, function: str, arguments: str) -> Attempt:
    """Run a call, and undo it."""
    try:
        with session.connection.transaction():
            answer = str(session.rows(f"SELECT * FROM {function}({arguments})"))
            raise psycopg.Rollback
    except psycopg.Error as error:
        texts = [error.diag.message_primary, error.diag.message_detail, error.diag.message_hint, error.diag.context]
        return Attempt(function, arguments, error.sqlstate or "none", "\n".join(each or "" for each in texts))
    return Attempt(function, arguments, "", answer)


# ------------------------------------------------------------------ results


def test_each_error_is_intended(attempts: dict[str, list[Attempt]]) -> None:
    """No internal error, no timeout, no stack overflow. Every error of INTENDED occurs."""
    sqlstates: dict[str, set[str]] = defaultdict(set)
    for calls in attempts.values():
        for each in calls:
            sqlstates[each.function].add(each.sqlstate)
    assert {name: states - {"", REFUSED} for name, states in sqlstates.items() if states - {"", REFUSED}} == {
        name: set(states) for name, states in INTENDED.items()
    }


def test_each_function_works_for_a_persona(attempts: dict[str, list[Attempt]], routines: dict[str, Routine]) -> None:
    successful = {each.function for calls in attempts.values() for each in calls if not each.sqlstate}
    assert successful == {name for name, routine in routines.items() if not routine.tables}


def test_anon_is_always_refused(attempts: dict[str, list[Attempt]]) -> None:
    assert {each.sqlstate for each in attempts["anon"]} == {REFUSED}


def test_no_answer_shows_hidden_values(attempts: dict[str, list[Attempt]], hidden: Callable[[str], set[str]]) -> None:
    """No row and no error has a value that is hidden from the persona, unless it is in the arguments."""
    assert {
        (persona, each.function, each.arguments[:200], value)
        for persona, calls in attempts.items()
        for value in hidden(persona)
        for each in calls
        if value in each.answer and value not in each.arguments
    } == set()


def test_a_failed_call_changes_nothing(
    attempts: dict[str, list[Attempt]],
    fingerprint: Callable[[], dict[str, str]],
    authenticator: Authenticator,
    world: World,
) -> None:
    """The failed calls run again, in the same order, and are committed: all rows are as before."""
    before = fingerprint()
    with authenticator() as connection:
        for persona, calls in attempts.items():
            session = Session(connection, world.personas)
            with connection.transaction(), session.acting_as(persona):
                for each in calls:
                    if each.sqlstate and persona != "anon":
                        assert repeat(session, each) == each.sqlstate, each
    assert fingerprint() == before


def repeat(session: Session, call: Attempt) -> str:
    """Run a call again without undoing it; returns its SQLSTATE."""
    try:
        with session.connection.transaction():
            session.execute(f"SELECT * FROM {call.function}({call.arguments})")
    except psycopg.Error as error:
        return error.sqlstate or "none"
    return ""
