"""The expressions of a PL/pgSQL body."""

from __future__ import annotations

import pytest

from rolecall.catalog.definitions import Function
from rolecall.catalog.plpgsql import body_parts, expressions

SOURCE = """
BEGIN
  IF a > 3 THEN
    RETURN a > 3;
  ELSIF a < 0 THEN
    DELETE FROM s.t WHERE a = 1;
  END IF;
  WHILE a = 2 LOOP
    EXIT WHEN a = 3;
  END LOOP;
  CASE WHEN a = 4 THEN RETURN true; END CASE;
END
"""


def test_the_expressions_of_a_body_and_which_of_them_are_conditions() -> None:
    definition = f"CREATE FUNCTION s.f(a integer) RETURNS boolean LANGUAGE plpgsql AS $${SOURCE}$$"
    function = Function("s.f", "s.f(integer)", "plpgsql", definition, SOURCE, False, "v", False, False)
    found = list(expressions(function))
    assert [each.text for each in found if each.is_condition] == ["a > 3", "a < 0", "a = 2", "a = 3", "a = 4"]
    assert [each.text for each in found if not each.is_condition] == ["a > 3", "DELETE FROM s.t WHERE a = 1", "true"]
    assert [each.text for each in found if each.is_statement] == ["DELETE FROM s.t WHERE a = 1"]
    assert all(SOURCE[each.start :].startswith(each.text) for each in found)


@pytest.mark.parametrize(
    "declaration",
    [
        "x app.kind;",
        'x "App"."Kind" := \'a\';',
        "x CONSTANT app.kind := (SELECT app.note.kind FROM app.note);",
        "x app.kind[]; y app.kind ARRAY;",
        "x extensions.vector(3);",
        "x public.kind;",
        "x app.note%ROWTYPE; y app.note.body%TYPE;",
        "x int; -- ; y app.kind\ny /* of */ app.kind;",
        "x CURSOR (a app.kind, b app.kind) FOR SELECT 1;",
        "x int; BEGIN NULL; END; DECLARE y app.kind;",
    ],
)
@pytest.mark.parametrize("head", [("", "void"), ("a app.kind, b app.note[]", "app.note"), ("", "SETOF app.note")])
def test_a_type_of_another_schema(declaration: str, head: tuple[str, str]) -> None:
    body = f"BEGIN NULL; DECLARE {declaration} BEGIN PERFORM 'a'::app.kind; END; END"
    assert "PLpgSQL_stmt_perform" in [part.kind for part in body_parts(body, *head)]
