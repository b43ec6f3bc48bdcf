"""Changes: of a value in a row, of the state of a request, or of a whole table. The database may refuse them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.access.persona import Method, Persona
from rolecall.access.world import World
from rolecall.catalog.objects import identifier, qualified
from rolecall.noninterference.schema import ForeignKey
from rolecall.noninterference.values import Value

# PUT inserts a row, or updates it if it exists.
OTHER_METHODS = {"GET": "HEAD", "POST": "PUT", "PATCH": "PUT"}


@dataclass(frozen=True)
class Row:
    """A row that can be changed. ``name`` is the world's name of it, or its key; ``condition`` selects it."""

    table: str
    name: str
    condition: str


@dataclass(frozen=True)
class ValueChange:
    """One column of one row gets another value. ``what`` is the column as ``decided_by`` would name it."""

    what: str
    row: Row
    column: str
    value: Value
    verify: tuple[str, ...] = ()  # queries that are true if the foreign keys hold


@dataclass(frozen=True)
class RequestChange:
    """A part of the request gets a value. ``kind`` is claim, setting, header or method; ``name`` as in ``decided_by``.

    The method is the other one that a client may use for the command, whatever the value is.
    """

    what: str
    kind: str
    name: str
    value: Any


@dataclass(frozen=True)
class TableChange:
    """Statements on a whole table. ``text`` says in words what they do; ``only`` is the one row that it concerns."""

    what: str
    table: str
    text: str
    statements: tuple[str, ...]
    verify: tuple[str, ...] = ()
    only: str | None = None


Change = ValueChange | RequestChange | TableChange


@dataclass(frozen=True)
class Request(Persona):
    """A persona whose requests have other claims, headers or settings than rolecall's usual ones."""

    headers: dict[str, str] = field(default_factory=dict, hash=False)
    more: tuple[tuple[str, str], ...] = ()
    other_method: bool = False

    def settings(self, method: Method) -> list[tuple[str, str]]:
        """As every persona's, with these headers, then these settings."""
        usual = dict(super().settings(method)) | {"request.headers": json.dumps(self.headers)}
        if self.other_method:
            usual["request.method"] = OTHER_METHODS.get(method, method)
        return [*(usual | dict(self.more)).items()]


def apply(connection: Connection[Any], changes: Sequence[Change]) -> list[Change]:
    """Apply changes to the database, in order. Returns those that it accepts. A change of the request is accepted.

    ``connection`` is a superuser's, in a transaction that the caller rolls back.
    """
    items, sources = [], []
    rows = (change for change in changes if isinstance(change, ValueChange))
    for row, parts in groupby(rows, key=lambda change: change.row):
        of_row = list(parts)
        items.append(_item(row, of_row))
        sources.append({change.column: change for change in of_row})
    accepted: list[Change] = [change for change in changes if isinstance(change, RequestChange)]
    if items:
        query = "SELECT * FROM pg_temp.rolecall_change(%s)"
        found = connection.execute(query, [json.dumps(items)]).fetchall()
        accepted += [sources[place - 1][column] for place, column in found]
    accepted += [change for change in changes if isinstance(change, TableChange) and _apply(connection, change)]
    return accepted


def _item(row: Row, changes: Iterable[ValueChange]) -> dict[str, Any]:
    sets = [
        {
            "name": change.column,
            "column": identifier(change.column),
            "literal": sql.Literal(change.value).as_string(),
            "verify": change.verify,
        }
        for change in changes
    ]
    return {"target": qualified(row.table), "condition": row.condition, "sets": sets}


def _apply(connection: Connection[Any], change: TableChange) -> bool:
    target = qualified(change.table)
    items: list[dict[str, Any]] = [{"target": target, "statement": each, "verify": []} for each in change.statements]
    items[-1]["verify"] = change.verify
    query = "SELECT count(*) FROM pg_temp.rolecall_change(%s)"
    with connection.transaction() as transaction:
        if connection.execute(query, [json.dumps(items)]).fetchone() == (len(items),):
            return True
        raise psycopg.Rollback(transaction)  # a part of the statements may have worked
    return False


def holds(key: ForeignKey) -> str:
    """A query that is true if every row has what a foreign key refers to."""
    pairs = list(zip(map(identifier, key.columns), map(identifier, key.keys), strict=True))
    present = " AND ".join(f"c.{column} IS NOT NULL" for column, _ in pairs)
    same = " AND ".join(f"p.{parent} = c.{column}" for column, parent in pairs)
    return (
        f"SELECT NOT EXISTS (SELECT FROM {qualified(key.child)} AS c WHERE {present} "
        f"AND NOT EXISTS (SELECT FROM {qualified(key.parent)} AS p WHERE {same}))"
    )


# ------------------------------------------------------------------ the world with changes


def changed(world: World, table: str, changes: Iterable[Change]) -> World:
    """The world in which these changes of rows of ``table`` and of requests were made."""
    other = copy(world)
    rows = dict(world.rows.get(table, {}))
    requests = []
    for change in changes:
        if isinstance(change, ValueChange) and change.row.table == table:
            rows[change.row.name] = {**rows[change.row.name], change.column: change.value}
        elif isinstance(change, RequestChange):
            requests.append(change)
    other.rows = {**world.rows, table: rows}
    if requests:
        other.personas = {name: _request(persona, requests) for name, persona in world.personas.items()}
    return other


def _request(persona: Persona, changes: Iterable[RequestChange]) -> Request:
    claims: dict[str, Any] = dict(persona.claims)
    headers: dict[str, str] = {}
    more: dict[str, str] = {}
    other_method = False
    for change in changes:
        if change.kind == "claim":
            claims = _with(claims, change.name.split("."), change.value)
        elif change.kind == "header":
            headers[change.name] = str(change.value)
        elif change.kind == "method":
            other_method = True
        else:
            more[change.name] = str(change.value)
    settings = tuple(more.items())
    return Request(persona.name, persona.role, claims, persona.setup, persona.custom, headers, settings, other_method)


def _with(claims: Any, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Claims in which the path has a value. A claim that is no object becomes one if the path goes on below it."""
    result: dict[str, Any] = dict(claims) if isinstance(claims, dict) else {}
    name, *rest = path
    result[name] = _with(result.get(name), rest, value) if rest else value
    return result
