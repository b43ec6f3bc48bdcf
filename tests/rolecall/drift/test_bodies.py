"""What the text of a function names: its tables, columns and functions."""

from __future__ import annotations

import pytest

from rolecall.catalog.dependencies import Body
from rolecall.catalog.snapshot import Item
from rolecall.drift import bodies

ITEMS = [
    Item("relation", "app.notes"),
    Item("relation", "app.notes", "column id"),
    Item("relation", "app.notes", "column body"),
    Item("relation", 'app."Tag List"'),
    Item("relation", 'app."Tag List"', "column id"),
    Item("relation", 'app."Tag List"', 'column "order"'),
    Item("routine", "app.me()"),
    Item("routine", "app.many(integer)"),
    Item("routine", "app.many(text)"),
]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("PERFORM n.body FROM app.notes n", {"app.notes", "app.notes body"}),
        ("PERFORM body FROM app.notes", {"app.notes", "app.notes body"}),
        ("PERFORM 1 FROM notes", set()),
        ("PERFORM x.id FROM other.notes x", set()),
        ("INSERT INTO app.notes (body) VALUES ('x')", {"app.notes", "app.notes body"}),
        ('UPDATE app."Tag List" SET "order" = 1', {'app."Tag List"', 'app."Tag List" "order"'}),
        ("DELETE FROM app.notes AS n WHERE n.id = 1", {"app.notes", "app.notes id"}),
        # Two tables have the column, so it is not clear which one is meant.
        ('PERFORM id FROM app.notes, app."Tag List"', {"app.notes", 'app."Tag List"'}),
        ("v := (SELECT app.me())", {"app.me()"}),
        ("IF EXISTS (SELECT FROM app.notes WHERE body = app.me()) THEN NULL; END IF",
         {"app.notes", "app.notes body", "app.me()"}),
        ("FOR v IN SELECT t.\"order\" FROM app.\"Tag List\" t LOOP NULL; END LOOP",
         {'app."Tag List"', 'app."Tag List" "order"'}),
        ("PERFORM app.many(1)", set()),
        ("EXECUTE 'SELECT body FROM app.notes'", set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_trigger", [False, True])
def test_names_in_a_body(statement: str, names: set[str], is_trigger: bool) -> None:
    source = f"DECLARE v text; BEGIN {statement}; END"
    definition = f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f${source}$f$"
    assert named(Body(Item("routine", "f()"), "plpgsql", definition, source, is_trigger)) == names


def test_the_body_of_an_event_trigger() -> None:
    source = "BEGIN INSERT INTO app.notes (body) VALUES (tg_tag); END"
    definition = f"CREATE OR REPLACE FUNCTION app.f()\n RETURNS event_trigger\n LANGUAGE plpgsql\nAS $f${source}$f$"
    body = Body(Item("routine", "app.f()"), "plpgsql", definition, source, False)
    assert named(body) == {"app.notes", "app.notes body"}


def test_a_body_of_sql() -> None:
    source = "SELECT n.body FROM app.notes n WHERE n.id = $1"
    assert named(Body(Item("routine", "f()"), "sql", "", source, False)) == {
        "app.notes",
        "app.notes id",
        "app.notes body",
    }


@pytest.mark.parametrize("source", ["DECLARE v other.type; BEGIN END", "no PL/pgSQL"])
def test_a_body_that_the_parser_cannot_read_names_nothing(source: str) -> None:
    definition = f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f${source}$f$"
    assert named(Body(Item("routine", "f()"), "plpgsql", definition, source, False)) == set()


def named(body: Body) -> set[str]:
    found = bodies.dependencies(body, bodies.known(ITEMS))
    return {(each.needed.object + each.needed.part.replace("column", "")) for each in found}
