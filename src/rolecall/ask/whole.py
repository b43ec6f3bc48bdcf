"""A question about a table or view of which the world has no row: the command is tried on all of it at once."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.persona import Method
from rolecall.ask.answer import Answer, Cause
from rolecall.ask.causes import Causes, Facts, read_facts
from rolecall.ask.explain import grants_of, words_of
from rolecall.ask.project import Project
from rolecall.ask.suggestions import suggestions
from rolecall.catalog import objects
from rolecall.catalog.objects import identifier, qualified
from rolecall.errors import RolecallError
from rolecall.grids.grid import COMMANDS
from rolecall.grids.probe import Check, Outcome
from rolecall.report.failures import Attempt, Decisions, PolicyDecision, Reason

NOTE = "the world has no row of {}: the command was tried on all of it at once"
NO_ROW = "{} has no row"
UNTRIED = "not tried alone: the world has no row"
METHODS: dict[str, Method] = {"select": "GET", "insert": "POST", "update": "PATCH", "delete": "DELETE"}
COLUMN = """
SELECT attname::text FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'
ORDER BY has_column_privilege(%s, attrelid, attnum, 'UPDATE') DESC, attnum LIMIT 1
"""


def explain_whole(project: Project, name: str, command: str, persona: str) -> Answer:
    """What a persona can do with a table or view as a whole. Raises RolecallError for an unknown command."""
    if command not in COMMANDS:
        raise RolecallError(f"unknown command {command!r}: {name} has {', '.join(COMMANDS)}.")
    connection, who = project.connection, project.world.personas[persona]
    with connection.transaction(force_rollback=True):
        if setup := who.prepare(name):
            connection.execute(setup.encode())
        facts = read_facts(connection, name, who.role)
        method, statement = METHODS[command], _statement(connection, name, command, who.role)
        total = _count(connection, name)
        affected, error = project.run_as(who, method, statement)
        check = Check(who, method, statement, qualified(name), "true")
        outcome = Outcome(affected, False, error.sqlstate if error else None, _message(error) if error else None, None)
        policies = _policies(connection, name, command, who.role)
        held = objects.privileges(connection, name, who.role)
        reason = Reason(who.role, name, held, Decisions(command, who.role, policies))
        if outcome.verdict == "-" and not total:
            decides = [Cause("check", "", NO_ROW.format(name))]
        else:
            decides = _causes(project, facts, reason, check, outcome, error)
        verdict = outcome.word if outcome.verdict else (outcome.sqlstate or "error")
        return Answer(
            object=name,
            kind=facts.relation.kind,
            row="",
            command=command,
            persona=persona,
            role=who.role,
            claims=dict(who.claims),
            settings=dict(who.custom),
            setup=setup,
            verdict=verdict,
            meaning=words_of(verdict),
            attempts=[Attempt(statement, verdict, _outcome(outcome, total), method != "GET")],
            grants=grants_of(facts),
            policies=policies if facts.is_bound else (),
            decides=decides,
            change=suggestions(facts, command, decides, reason),
            notes=[NOTE.format(name)],
        )


def _causes(
    project: Project, facts: Facts, reason: Reason, check: Check, outcome: Outcome, error: psycopg.Error | None
) -> list[Cause]:
    found = Causes(project.connection, facts, reason, project.places).of(check, outcome, error)
    if facts.is_bound and outcome.verdict == "yes":
        found.append(Cause("policy", "", "the policies decide for each row"))
    return found


def _statement(connection: Connection[Any], name: str, command: str, role: str) -> str:
    if command == "select":
        return f"SELECT * FROM {qualified(name)}"
    if command == "insert":
        return f"INSERT INTO {qualified(name)} DEFAULT VALUES"
    if command == "delete":
        return f"DELETE FROM {qualified(name)}"
    row = connection.execute(COLUMN, [qualified(name), role]).fetchone()
    if row is None:
        raise RolecallError(f"{name} has no column that can be updated.")
    return f"UPDATE {qualified(name)} SET {identifier(row[0])} = {identifier(row[0])}"


def _count(connection: Connection[Any], name: str) -> int:
    try:
        with connection.transaction():
            row = connection.execute(f"SELECT count(*) FROM {qualified(name)}".encode()).fetchone()
    except psycopg.Error:  # the query of a view fails
        return 0
    return int(row[0]) if row else 0


def _policies(connection: Connection[Any], name: str, command: str, role: str) -> list[PolicyDecision]:
    found = objects.policies(connection, name, command, role)
    return [PolicyDecision(each.name, each.permissive, str(each), UNTRIED) for each in found]


def _message(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error)


def _outcome(outcome: Outcome, total: int) -> str:
    if outcome.sqlstate:
        return str(outcome)
    # Of a view that shows its readers their own rows, the superuser sees fewer than they do.
    return f"{outcome} of {total}" if total >= max(outcome.affected, 1) else str(outcome)
