"""What a mutant's SQL is: every rewrite of an expression, a query, a trigger and a body, word for word."""

from __future__ import annotations

import pytest

from rolecall.mutants import expressions, plpgsql
from rolecall.mutants.expressions import Rewrite
from rolecall.schema import Function

TYPES = {"a": "integer", "b": "integer", "c": "text", "d": "integer"}


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            expressions.drop_operand,
            "a AND b AND c",
            [("without AND a", "b AND c"), ("without AND b", "a AND c"), ("without AND c", "a AND b")],
            id="each conjunct left out",
        ),
        pytest.param(
            expressions.drop_operand,
            "a AND (b OR c)",
            [
                ("without AND a", "b OR c"),
                ("without AND b OR c", "a"),
                ("without OR b", "a AND c"),
                ("without OR c", "a AND b"),
            ],
            id="operands of operands left out",
        ),
        pytest.param(expressions.drop_operand, "NOT a", [], id="the operand of NOT stays"),
        pytest.param(expressions.swap_and_or, "a AND b", [("AND becomes OR", "a OR b")], id="AND to OR"),
        pytest.param(expressions.swap_and_or, "a OR b", [("OR becomes AND", "a AND b")], id="OR to AND"),
        pytest.param(expressions.swap_and_or, "NOT a", [], id="NOT is neither"),
        *(
            pytest.param(
                expressions.change_operator,
                f"a {operator} b",
                [(f"a {operator} b: {operator} becomes {other}", f"a {other} b") for other in others],
                id=f"a {operator} b",
            )
            for operator, others in {
                "=": ["<>"],
                "<>": ["="],
                "<": ["<=", ">"],
                "<=": ["<", ">="],
                ">": [">=", "<"],
                ">=": [">", "<="],
                "+": ["-"],
                "-": ["+"],
                "*": ["/"],
                "/": ["*"],
                "~": ["!~"],
                "||": [],
            }.items()
        ),
        pytest.param(
            expressions.change_operator,
            "a = ANY (b)",
            [("a = ANY(b): = becomes <>", "a <> ANY(b)")],
            id="a = ANY (b)",
        ),
        pytest.param(
            expressions.change_null_test,
            "a IS NULL",
            [("a IS NULL is turned round", "a IS NOT NULL")],
            id="IS NULL",
        ),
        pytest.param(
            expressions.change_null_test,
            "a IS NOT NULL",
            [("a IS NOT NULL is turned round", "a IS NULL")],
            id="IS NOT NULL",
        ),
        pytest.param(expressions.change_constant, "1", [("1 becomes 2", "2"), ("1 becomes 0", "0")], id="a number"),
        pytest.param(expressions.change_constant, "0", [("0 becomes 1", "1"), ("0 becomes -1", "-1")], id="zero"),
        pytest.param(
            expressions.change_constant,
            "2147483647",
            [("2147483647 becomes 2147483646", "2147483646")],
            id="the largest integer",
        ),
        pytest.param(
            expressions.change_constant,
            "-2147483647",
            [("-2147483647 becomes -2147483646", "-2147483646")],
            id="the smallest integer of a tree",
        ),
        pytest.param(expressions.change_constant, "2147483648", [], id="a number beyond integers"),
        pytest.param(expressions.change_constant, "true", [("true is turned round", "false")], id="true"),
        pytest.param(expressions.change_constant, "false", [("false is turned round", "true")], id="false"),
        pytest.param(
            expressions.change_constant,
            "'it''s'::text",
            [("'it''s' becomes another text", "'it''sx'::text")],
            id="a text",
        ),
        pytest.param(expressions.change_constant, "NULL", [], id="NULL is no constant"),
        pytest.param(
            expressions.swap_column(TYPES),
            "t.a = c",
            [("a becomes b", "t.b = c"), ("a becomes d", "t.d = c")],
            id="a column for others of its type",
        ),
        pytest.param(expressions.swap_column(TYPES), "elsewhere", [], id="a column of another table stays"),
        pytest.param(expressions.swap_column(TYPES), "count(t.*)", [], id="a star is no column"),
        pytest.param(
            expressions.replace_call("auth.uid", "auth.jwt() ->> 'sub'"),
            "auth.uid() = id",
            [("auth.uid() becomes auth.jwt() ->> 'sub'", "(auth.jwt() ->> 'sub') = id")],
            id="a call replaced",
        ),
        pytest.param(expressions.replace_call("auth.uid", "1"), "other.uid()", [], id="a namesake's call stays"),
        pytest.param(
            expressions.drop_default,
            "COALESCE(a, b, 0)",
            [("COALESCE(a, b, 0) without its default", "COALESCE(a, b)")],
            id="COALESCE without its default",
        ),
        pytest.param(expressions.drop_default, "COALESCE(a)", [], id="the only argument of COALESCE stays"),
    ],
)
def test_edits_of_an_expression(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [tuple(edit) for edit in expressions.edit_expression(text, [rewrite])] == edits


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            expressions.drop_where,
            "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d)",
            [
                ("without WHERE b IN (SELECT c FROM u WHERE d)", "SELECT a FROM t"),
                ("without WHERE d", "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
            ],
            id="WHERE of a query and of one in it",
        ),
        pytest.param(
            expressions.drop_where,
            "UPDATE t SET a = 1 WHERE b; DELETE FROM t WHERE c",
            [
                ("without WHERE b", "UPDATE t SET a = 1; DELETE FROM t WHERE c"),
                ("without WHERE c", "UPDATE t SET a = 1 WHERE b; DELETE FROM t"),
            ],
            id="WHERE of UPDATE and DELETE",
        ),
        pytest.param(
            expressions.drop_arm,
            "SELECT 1 UNION SELECT 2",
            [("the UNION without its second arm", "SELECT 1"), ("the UNION without its first arm", "SELECT 2")],
            id="UNION",
        ),
        pytest.param(expressions.drop_arm, "SELECT 1 EXCEPT SELECT 2", [], id="EXCEPT is no UNION"),
        pytest.param(
            expressions.change_join,
            "SELECT FROM a JOIN b ON a.x = b.x",
            [("JOIN becomes LEFT JOIN", "SELECT FROM a LEFT JOIN b ON a.x = b.x")],
            id="JOIN",
        ),
        pytest.param(
            expressions.change_join,
            "SELECT FROM a LEFT JOIN b ON a.x = b.x",
            [("LEFT JOIN becomes JOIN", "SELECT FROM a JOIN b ON a.x = b.x")],
            id="LEFT JOIN",
        ),
        pytest.param(expressions.change_join, "SELECT FROM a CROSS JOIN b", [], id="CROSS JOIN has no condition"),
        pytest.param(
            expressions.change_order,
            "SELECT a FROM t ORDER BY a, b DESC",
            [
                ("without ORDER BY a", "SELECT a FROM t ORDER BY b DESC"),
                ("without ORDER BY b", "SELECT a FROM t ORDER BY a"),
                ("ORDER BY a is turned round", "SELECT a FROM t ORDER BY a DESC, b DESC"),
                ("ORDER BY b is turned round", "SELECT a FROM t ORDER BY a, b ASC"),
            ],
            id="ORDER BY",
        ),
        pytest.param(
            expressions.drop_limit,
            "SELECT a FROM t LIMIT 1 OFFSET 2",
            [("without LIMIT", "SELECT a FROM t OFFSET 2"), ("without OFFSET", "SELECT a FROM t LIMIT 1")],
            id="LIMIT and OFFSET",
        ),
        pytest.param(
            expressions.drop_partition,
            "SELECT sum(a) OVER (PARTITION BY b ORDER BY c) FROM t",
            [("without PARTITION BY", "SELECT sum(a) OVER (ORDER BY c) FROM t")],
            id="PARTITION BY",
        ),
        pytest.param(
            expressions.drop_filter,
            "SELECT count(*) FILTER (WHERE a) FROM t",
            [("without FILTER a", "SELECT count(*) FROM t")],
            id="FILTER",
        ),
        pytest.param(
            expressions.change_event,
            "CREATE TRIGGER x BEFORE UPDATE OF a ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
            [
                ("on INSERT", "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()"),
                ("on DELETE", "CREATE TRIGGER x BEFORE DELETE ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()"),
                (
                    "AFTER instead of BEFORE",
                    "CREATE TRIGGER x AFTER UPDATE OF a ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
                ),
            ],
            id="a trigger BEFORE UPDATE",
        ),
        pytest.param(
            expressions.change_event,
            "CREATE TRIGGER x AFTER INSERT OR DELETE ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
            [
                (f"on {event}", f"CREATE TRIGGER x AFTER {event} ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()")
                for event in ("INSERT", "DELETE", "UPDATE")
            ],
            id="a trigger AFTER two events",
        ),
        pytest.param(
            expressions.drop_condition,
            "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW WHEN (new.a > 0) EXECUTE FUNCTION s.f()",
            [("without WHEN", "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()")],
            id="a trigger's WHEN",
        ),
    ],
)
def test_edits_of_a_statement(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [tuple(edit) for edit in expressions.edit(text, [rewrite])] == edits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = b", True),
        ("a = b AND c", True),
        ("a IN (SELECT b)", True),
        ("a IS NULL", False),
        ("a IS NOT NULL", False),
        ("EXISTS (SELECT a)", False),
        ("true", False),
    ],
)
def test_whether_a_predicate_can_be_null(text: str, expected: bool) -> None:
    assert expressions.may_be_null(text) is expected


def body(source: str, *, is_trigger: bool = False) -> Function:
    returns = "trigger" if is_trigger else "integer"
    definition = f"CREATE FUNCTION s.f(a integer) RETURNS {returns} LANGUAGE plpgsql AS $${source}$$"
    return Function("s.f", "s.f(integer)", "plpgsql", definition, source, False, "v", False, is_trigger)


SOURCE = """
BEGIN
  IF a > 3 THEN
    RAISE EXCEPTION 'ü: too many' USING ERRCODE = '22023';
  END IF;
  RETURN a + 1;
END
"""


def test_edits_of_a_body() -> None:
    raising = "RAISE EXCEPTION 'ü: too many' USING ERRCODE = '22023';"
    changes = [
        ("IF a > 3: true", "IF a > 3", "IF true"),
        ("IF a > 3: false", "IF a > 3", "IF false"),
        ("IF a > 3: NOT (a > 3)", "IF a > 3", "IF NOT (a > 3)"),
        ("a > 3: > becomes >=", "a > 3", "a >= 3"),
        ("a > 3: > becomes <", "a > 3", "a < 3"),
        ("3 becomes 4", "a > 3", "a > 4"),
        ("3 becomes 2", "a > 3", "a > 2"),
        ("without RAISE EXCEPTION 'ü: too many' USING ERRCODE = '22023'", raising, "NULL;"),
        ("ERRCODE '22023' lost", "'22023'", "'P0001'"),
        ("'22023' becomes another text", "'22023'", "'22023x'"),
        ("a + 1: + becomes -", "a + 1", "a - 1"),
        ("1 becomes 2", "a + 1", "a + 2"),
        ("1 becomes 0", "a + 1", "a + 0"),
    ]
    assert list(plpgsql.edits(body(SOURCE))) == [(what, SOURCE.replace(old, new)) for what, old, new in changes]


def test_edits_of_a_triggers_body() -> None:
    source = "BEGIN\n  IF new.a = old.a THEN\n    RAISE 'no';\n  END IF;\n  RETURN new;\nEND"
    changes = [
        ("IF new.a = old.a: true", "new.a = old.a", "true"),
        ("IF new.a = old.a: false", "new.a = old.a", "false"),
        ("IF new.a = old.a: NOT (new.a = old.a)", "new.a = old.a", "NOT (new.a = old.a)"),
        ("new.a = old.a: = becomes <>", "new.a = old.a", "new.a <> old.a"),
        ("without RAISE 'no'", "RAISE 'no';", "NULL;"),
    ]
    edits = list(plpgsql.edits(body(source, is_trigger=True)))
    assert edits == [(what, source.replace(old, new)) for what, old, new in changes]


def test_the_same_condition_twice_is_changed_in_both_places() -> None:
    source = "BEGIN\n  IF a > 3 THEN RETURN 1; END IF;\n  IF a > 3 THEN RETURN 2; END IF;\n  RETURN 0;\nEND"
    negated = [text for what, text in plpgsql.edits(body(source)) if what == "IF a > 3: NOT (a > 3)"]
    lines = [[number for number, line in enumerate(text.splitlines(), 1) if "NOT" in line] for text in negated]
    assert lines == [[2], [3]]


def test_a_query_in_a_body_is_edited_as_a_query() -> None:
    source = "BEGIN\n  DELETE FROM s.t WHERE id = a;\n  RETURN 0;\nEND"
    assert [what for what, _ in plpgsql.edits(body(source))] == [
        "without WHERE id = a",
        "id = a: = becomes <>",
        "0 becomes 1",
        "0 becomes -1",
    ]
