"""Forged and broken tokens: the role of the session and the subject decide, and no other claim does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.attacks.schema import NIL, Routine
from tests.attacks.sessions import REFUSED, Authenticator, SignIn, literal

Outcome = tuple[str, str]  # the SQLSTATE, "" if it worked; the rows, or the message of the error

CLAIMS, OLD = "request.jwt.claims", "request.jwt.claim"
STRANGER = "ffffffff-0000-4000-8000-000000000000"
SHORT, LONG = 2**14, 2**17  # characters of a long claim, in the short and in the long form
ROLES = ("anon", "authenticated", "service_role")


def tokens(me: str, other: str, size: int) -> dict[str, str]:
    """Tokens that are wrong as a whole. The key names what is wrong."""
    return {
        "nothing": "",
        "no claim": "{}",
        "JSON null": "null",
        "a string": json.dumps(me),
        "an array": json.dumps([{"sub": me}]),
        "a number": "1",
        "no JSON": "{sub: " + me,
        "another key": json.dumps({"SUB": me, "subject": me, "user_id": me}),
        "a key with an escape": '{"\\u0073ub": "' + me + '"}',
        "two subjects": f'{{"sub": "{me}", "sub": "{other}"}}',
        "a NUL": '{"sub": "' + me + '\\u0000"}',
        "long": json.dumps({"sub": me, "more": "x" * size}),
        "1000 levels": '{"sub": "' + me + '", "x": ' + "[" * 1000 + "]" * 1000 + "}",
    }


def subjects(me: str, other: str, size: int) -> dict[str, Any]:
    """Wrong values of the claim sub. The key names what is wrong."""
    return {
        "null": None,
        "empty": "",
        "blank": " ",
        "array": [me],
        "object": {"sub": me},
        "number": 1,
        "boolean": True,
        "huge": "a" * size,
        "huge and right": me + " " * size,
        "nil": NIL,
        "foreign": STRANGER,
        "upper case": me.upper(),
        "in braces": "{" + me + "}",
        "with SQL": f"{me}' OR true --",
        "all": "*",
        "pattern": "%",
        "two": f"{me},{other}",
    }


def forgeries(me: str, other: str, size: int) -> dict[str, dict[str, str]]:
    """Settings of a session. The key names what is wrong with them."""
    roles: list[Any] = [
        "service_role",
        "postgres",
        "supabase_admin",
        "anon",
        "authenticated",
        "",
        None,
        ["service_role"],
    ]
    return {
        "never set": {},
        **{f"the token is {what}": {CLAIMS: token} for what, token in tokens(me, other, size).items()},
        **{f"sub is {what}": {CLAIMS: json.dumps({"sub": sub})} for what, sub in subjects(me, other, size).items()},
        **{f"role is {role}": {CLAIMS: json.dumps({"sub": me, "role": role})} for role in roles},
        **{f"role is {role}, without sub": {CLAIMS: json.dumps({"role": role})} for role in roles},
        "admin everywhere": {
            CLAIMS: json.dumps(
                {"sub": me, "app_metadata": {"role": "service_role"}, "is_admin": True, "aud": "service_role"}
            )
        },
        "the old and the new setting": {CLAIMS: json.dumps({"sub": me}), f"{OLD}.sub": other},
        "the old setting, empty": {CLAIMS: json.dumps({"sub": me}), f"{OLD}.sub": ""},
        "the old setting alone": {f"{OLD}.sub": me},
        "the old setting is no id": {CLAIMS: json.dumps({"sub": me}), f"{OLD}.sub": "x"},
        "the old role": {CLAIMS: json.dumps({"sub": me}), f"{OLD}.role": "service_role"},
        "the old whole": {CLAIMS: json.dumps({"sub": me}), OLD: json.dumps({"sub": other, "role": "service_role"})},
    }


@pytest.fixture(scope="module")
def statements(
    database: Scratch, manifest: Manifest, routines: dict[str, Routine], world: World, thorough: bool
) -> list[str]:
    """The statements for each token: a SELECT of each view and table, INSERT, UPDATE and DELETE of rows of each table,
    and calls of each function about two users."""
    number = "ALL" if thorough else "1"
    statements = [f"SELECT * FROM {item.full_name} AS t ORDER BY t::text" for item in manifest.of_kind("view")]
    for table in manifest.tables:
        statements += [f"SELECT * FROM {table} AS t ORDER BY t::text", f"DELETE FROM {table}"]
        statements += [f"UPDATE {table} SET id = id", f"UPDATE {table} SET created_at = NULL"]
        copies = f"SELECT to_jsonb(t) || jsonb_build_object('id', gen_random_uuid()) FROM {table} AS t LIMIT {number}"
        rows = database.connection.execute(copies.encode())
        statements += [
            f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, {literal(json.dumps(row))})"
            for (row,) in rows
        ]
    for routine in routines.values():
        if not routine.tables:
            for person in ("customer", "other_customer"):
                me = world.personas[person].subject
                arguments = ", ".join(argument(kind, me) for kind in routine.types)
                statements.append(f"SELECT * FROM {routine.name}({arguments})")
    return statements


def argument(kind: str, me: str) -> str:
    """A value for an argument of this type, as an SQL literal."""
    plain = {"uuid": me, "uuid[]": f"{{{me}}}", "date": "2025-01-06", "jsonb": "{}", "integer": "5"}
    return literal(plain.get(kind, "x"))


@contextmanager
def session(authenticator: Authenticator, role: str, settings: Mapping[str, str]) -> Iterator[Connection[Any]]:
    """A session of a role with these settings. Everything in it is undone at the end."""
    with authenticator() as connection, connection.transaction(force_rollback=True):
        for name, value in (("role", role), *settings.items()):
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        yield connection


def outcomes(connection: Connection[Any], statements: list[str]) -> list[Outcome]:
    """The outcome of each statement."""
    return [outcome(connection, each) for each in statements]


def outcome(connection: Connection[Any], statement: str) -> Outcome:
    """Run a statement, and undo it."""
    try:
        cursor = connection.execute(f"SAVEPOINT before; {statement}; ROLLBACK TO before".encode())
    except psycopg.Error as error:
        connection.execute("ROLLBACK TO before")
        return error.sqlstate or "none", error.diag.message_primary or ""
    cursor.nextset()
    return "", str(cursor.fetchall() if cursor.description else cursor.rowcount)


@pytest.fixture(scope="module")
def honest_outcomes(authenticator: Authenticator, statements: list[str]) -> Callable[[str, str | None], list[Outcome]]:
    """A function that returns the outcomes of the statements in a session of a role with an honest token."""
    cache: dict[tuple[str, str | None], list[Outcome]] = {}

    def outcomes_of(role: str, subject: str | None) -> list[Outcome]:
        if (role, subject) not in cache:
            claims = {"sub": subject, "role": role} if subject else {"role": role}
            with session(authenticator, role, {CLAIMS: json.dumps(claims)}) as connection:
                cache[role, subject] = outcomes(connection, statements)
        return cache[role, subject]

    return outcomes_of


# The results of these functions differ from call to call: they have a new id or the current time.
ALWAYS_DIFFERENT = ("communication.send_notification(", "audit.log_action(")


@pytest.mark.parametrize("role", ROLES)
def test_only_role_and_subject_decide(
    authenticator: Authenticator,
    statements: list[str],
    honest_outcomes: Callable[[str, str | None], list[Outcome]],
    world: World,
    role: str,
    thorough: bool,
) -> None:
    """A forged token has the outcomes of an honest one with the same subject, or an error about the token."""
    me, other = (world.personas[name].subject for name in ("customer", "other_customer"))
    differences = []
    for what, settings in forgeries(me, other, LONG if thorough else SHORT).items():
        if not thorough and role != "authenticated" and "role" not in what and "never" not in what:
            continue
        with session(authenticator, role, settings) as connection:
            sqlstate, answer = outcome(connection, "SELECT auth.uid()::text")
            subject = None if sqlstate or "None" in answer else answer[3:39]
            for statement, actual, expected in zip(
                statements, outcomes(connection, statements), honest_outcomes(role, subject), strict=True
            ):
                if sqlstate and actual[0] in (sqlstate, REFUSED):
                    continue
                if statement.startswith(tuple(f"SELECT * FROM {name}" for name in ALWAYS_DIFFERENT)):
                    actual, expected = (actual[0], ""), (expected[0], "")
                if actual != expected:
                    differences.append((what, statement[:120], actual, expected))
    assert differences == []


def test_an_invalid_token_is_an_error(authenticator: Authenticator, world: World, thorough: bool) -> None:
    """These forgeries are no tokens: auth.uid() raises an error."""
    me, other = (world.personas[name].subject for name in ("customer", "other_customer"))
    errors: dict[str, str] = {}
    for what, settings in forgeries(me, other, LONG if thorough else SHORT).items():
        with session(authenticator, "authenticated", settings) as connection:
            sqlstate, _ = outcome(connection, "SELECT auth.uid()")
            errors |= {what: sqlstate} if sqlstate else {}
    assert errors == {
        **dict.fromkeys(["the token is no JSON", "the old setting is no id"], "22P02"),
        "the token is a NUL": "22P05",
        **{
            f"sub is {what}": "22P02"
            for what in (
                *("empty", "blank", "array", "object", "number", "boolean", "huge", "huge and right"),
                *("with SQL", "all", "pattern", "two"),
            )
        },
    }


def test_an_unknown_subject_reads_only_what_every_user_reads(
    authenticator: Authenticator, sign_in: SignIn, visible: Callable[[Session], set[str]], world: World
) -> None:
    """An unknown subject reads only what every signed-in user reads."""
    claims = json.dumps({"sub": STRANGER, "role": "authenticated"})
    with session(authenticator, "authenticated", {CLAIMS: claims}) as connection:
        values = visible(Session(connection, {}))
    assert values
    for persona in world.personas.values():
        if persona.role == "authenticated" and "sub" in persona.claims:
            with sign_in(persona.name) as user:
                assert values <= visible(user), persona.name


def test_an_unknown_subject_changes_nothing(
    statements: list[str], honest_outcomes: Callable[[str, str | None], list[Outcome]]
) -> None:
    changes = [
        (statement, result)
        for statement, result in zip(statements, honest_outcomes("authenticated", STRANGER), strict=True)
        if statement.startswith(("UPDATE", "DELETE", "INSERT")) and result not in (("", "0"), (REFUSED, result[1]))
    ]
    assert changes == []
