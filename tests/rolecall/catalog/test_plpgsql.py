"""The expressions of a PL/pgSQL body."""

from __future__ import annotations

from rolecall.catalog.definitions import Function
from rolecall.catalog.plpgsql import expressions

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
