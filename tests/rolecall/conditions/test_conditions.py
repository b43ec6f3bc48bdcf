"""What the conditions of a text are, and the text with one of them replaced."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.conditions import conditions
from rolecall.conditions.conditions import Variant
from rolecall.sql.tree import expression


def never_null(_qualifier: str, _name: str) -> bool:
    return False


def found(variants: list[Variant], value: str = "false") -> list[str]:
    return sorted(variant.condition for variant in variants if variant.value == value)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("a = 1", ["a = 1"]),
        ("a = 1 AND (b OR NOT c)", ["a = 1", "b", "c"]),
        ("(a = 1 AND b) IS NOT TRUE", ["a = 1", "b"]),
        ("a = 1 OR (b AND a = 1)", ["a = 1", "a = 1 (2)", "b"]),
        ("CASE WHEN a THEN b ELSE c END", ["CASE WHEN a THEN b ELSE c END", "a"]),
        ("COALESCE(a, false)", ["a"]),
        ("true", []),
        (
            "EXISTS (SELECT FROM t JOIN u ON t.x = u.x WHERE u.y)",
            ["EXISTS (SELECT FROM t JOIN u ON t.x = u.x WHERE u.y)", "t.x = u.x", "u.y"],
        ),
    ],
)
def test_the_conditions_of_a_predicate(predicate: str, expected: list[str]) -> None:
    variants = conditions.of_condition(predicate, never_null)
    assert found(variants) == sorted(expected)
    assert found(variants, "true") == sorted(expected)
    assert found(variants, "NULL") == []


def test_a_condition_is_written_as_its_author_wrote_it() -> None:
    variants = conditions.of_condition("a = (SELECT auth.uid() AS uid)", never_null)
    assert {variant.condition for variant in variants} == {"a = (SELECT auth.uid())"}


def test_the_conditions_of_a_query() -> None:
    query = "SELECT a = 1, count(*) FILTER (WHERE b), CASE c WHEN d THEN 1 END FROM t GROUP BY a HAVING e AND f"
    assert found(conditions.of_query(query, never_null)) == ["b", "e", "f"]


def test_the_conditions_of_a_value() -> None:
    assert found(conditions.of_expression("a = 1", never_null)) == []
    assert found(conditions.of_expression("a = 1 AND b", never_null)) == ["a = 1", "b"]


def test_a_condition_is_replaced_in_its_place() -> None:
    assert conditions.of_condition("a = 1 OR b = 2", lambda _, name: name == "b") == [
        ("a = 1", "false", "true OR b = 2"),
        ("b = 2", "false", "a = 1 OR true"),
        ("a = 1", "true", "false OR b = 2"),
        ("b = 2", "true", "a = 1 OR false"),
        ("b = 2", "NULL", "a = 1 OR b = 2 IS NOT FALSE"),
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a = 1", False),
        ("n = 1", True),
        ("t.n = 1", True),
        ("n IS NULL", False),
        ("n IS DISTINCT FROM 1", False),
        ("a ->> 'x' = 'y'", True),
        ("a = (SELECT auth.uid())", True),
        ("a = now()", False),
        ("a = ANY (ARRAY(SELECT n FROM t))", False),
        ("a = (SELECT m FROM t)", True),
        ("EXISTS (SELECT FROM t WHERE n = 1)", False),
    ],
)
def test_what_may_be_null(condition: str, expected: bool) -> None:
    assert conditions.may_be_null(expression(condition), lambda _, name: name == "n") is expected


def test_only_a_part_of_a_statement() -> None:
    def body(tree: Any) -> Any:
        return tree.stmts[0].stmt.create_function_stmt.sql_body

    function = "CREATE FUNCTION f() RETURNS bool RETURN (SELECT a FROM t WHERE b)"
    assert found(conditions.of_query(function, never_null, within=body)) == ["b"]
