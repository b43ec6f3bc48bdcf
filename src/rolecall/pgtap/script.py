"""Checks as a script of pgTAP: the world, and an assertion for each check.

The script needs no function of rolecall in the database: its own (``try.sql``) are temporary, and the whole script is
rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from psycopg import sql

from rolecall.access import sequences
from rolecall.access.persona import Persona
from rolecall.access.world import World, insert
from rolecall.grids.probe import Check

CURSOR = " WHERE CURRENT OF rolecall_row"
SIGNED_IN = ("role", "request.jwt.claims", "request.method")  # try.sql sets them by themselves


class Assertion(NamedTuple):
    """A check as a test of pgTAP: its name, and the word of the grid that it must have."""

    name: str
    check: Check
    expected: str


def script(
    assertions: Sequence[Assertion], *, title: str = "", world: World | None = None, settings: Collection[str] = ()
) -> str:
    """A script for ``psql -f``, ``pg_prove`` and ``supabase test db``.

    :param title: the comment at the beginning, of one line or more
    :param world: whose rows are inserted first; without it, the database has them
    :param settings: the custom settings that are '' where nothing sets them, as in a connection of a pool
    """
    personas = {each.check.persona.name: each.check.persona for each in assertions}
    personas |= world.personas if world else {}
    return "\n".join(
        [
            *(f"-- {line}" for line in title.splitlines()),
            "BEGIN;",
            f"SELECT plan({len(assertions)});",
            "",
            functions(),
            *_initialize(settings),
            *map(_persona, personas.values()),
            *_rows(world),
            "",
            *map(_assertion, assertions),
            "",
            "SELECT * FROM finish();",
            "ROLLBACK;",
            "",
        ]
    )


@cache
def functions() -> str:
    """The SQL of the temporary functions."""
    return (files("rolecall.pgtap") / "try.sql").read_text(encoding="utf-8")


def _initialize(names: Collection[str]) -> Iterator[str]:
    """Settings without a value become ''. An extension may reserve a name."""
    if names:
        array = ", ".join(map(_literal, sorted(names)))
        yield "-- As on a connection of a pool: a custom setting that nothing has set is ''."
        yield f"DO {_text(INITIALIZE.format(array))};"
        yield ""


INITIALIZE = """
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY[{}] LOOP
    BEGIN
      PERFORM set_config(name, coalesce(current_setting(name, true), ''), true);
    EXCEPTION
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
"""


def _persona(persona: Persona) -> str:
    settings = {name: value for name, value in persona.settings("GET") if name not in SIGNED_IN}
    values = ", ".join(map(_literal, (persona.name, persona.role, persona.token, json.dumps(settings))))
    return f"INSERT INTO pg_temp.rolecall_personas VALUES ({values});"


def _rows(world: World | None) -> Iterator[str]:
    """The rows of the world, in order, as :meth:`World.load` makes them."""
    if world is None:
        return
    for table, name, row in world:
        if (table, name) in world.missing:
            continue
        yield f"\n-- {_line(f'{table}: {name}')}"
        if world.is_existing(table, name):
            yield "-- It exists already."
        elif maker := world.maker(table, name):
            yield from _as_persona(maker, insert(table, row).as_string())
        else:
            yield f"{insert(table, row, overriding=True).as_string()};"
    yield "\nSET CONSTRAINTS ALL IMMEDIATE;"
    yield f"\n-- New rows get other numbers than these rows.\nDO {_text(sequences.block(world.rows))};"


def _as_persona(persona: Persona, statement: str) -> Iterator[str]:
    sign_in = f"BEGIN PERFORM pg_temp.sign_in({_literal(persona.name)}, 'POST'); END"
    yield f"DO {_text(sign_in)};"
    yield f"{statement};"
    yield "SET LOCAL ROLE NONE;"
    for name, _ in persona.settings("POST")[1:]:
        yield f"SET LOCAL {sql.Identifier(*name.split('.')).as_string()} TO DEFAULT;"


def _assertion(assertion: Assertion) -> str:
    check = assertion.check
    statement = check.statement + (CURSOR if check.blind else "")
    arguments = [_literal(check.persona.name), *map(_text, (check.target, check.condition, statement))]
    if check.before:
        arguments.append(_text(";\n".join(check.before)))
    call = f"pg_temp.try_as({', '.join(arguments)})"
    return f"SELECT is({call}, {_literal(assertion.expected)}, {_literal(_line(assertion.name))});"


def _line(text: str) -> str:
    """A text in one line: a name may have line breaks."""
    return " ".join(text.split())


def _text(text: str) -> str:
    """SQL as a string. In dollar quotes it needs no others inside."""
    return _literal(text) if "$$" in text or text.endswith("$") else f"$${text}$$"


def _literal(text: str) -> str:
    return sql.Literal(text).as_string().strip()
