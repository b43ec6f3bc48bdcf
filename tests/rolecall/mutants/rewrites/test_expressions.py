"""Every rewrite of an expression, with the exact SQL of its mutants."""

from __future__ import annotations

import pytest

from rolecall.mutants.rewrites import expressions
from rolecall.sql.tree import Rewrite, edit_expression

COLUMNS = {"a": "integer", "b": "integer", "c": "text", "d": "integer"}
TYPES = {"": COLUMNS, "t": COLUMNS, "u": {"a": "text", "c": "text"}}


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            expressions.drop_operand,
            "a AND b AND c",
            [("without AND a", "b AND c"), ("without AND b", "a AND c"), ("without AND c", "a AND b")],
            id="each operand left out",
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
                "~": ["!~", "~*"],
                "!~": ["~"],
                "~*": ["!~*", "~"],
                "!~*": ["~*"],
                "~~": ["!~~", "~~*"],
                "LIKE": ["NOT LIKE", "ILIKE"],
                "NOT LIKE": ["LIKE"],
                "ILIKE": ["NOT ILIKE", "LIKE"],
                "NOT ILIKE": ["ILIKE"],
                "IS DISTINCT FROM": [],
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
            expressions.change_operator,
            "a NOT IN (1, 2)",
            [("a NOT IN (1, 2): <> becomes =", "a IN (1, 2)")],
            id="a NOT IN (1, 2)",
        ),
        pytest.param(expressions.change_operator, "NULLIF(a, b)", [], id="NULLIF compares nothing"),
        pytest.param(
            expressions.change_distinct,
            "a IS DISTINCT FROM b",
            [
                ("a IS DISTINCT FROM b is turned round", "a IS NOT DISTINCT FROM b"),
                ("a IS DISTINCT FROM b becomes <>", "a <> b"),
            ],
            id="IS DISTINCT FROM",
        ),
        pytest.param(
            expressions.change_distinct,
            "a IS NOT DISTINCT FROM b",
            [
                ("a IS NOT DISTINCT FROM b is turned round", "a IS DISTINCT FROM b"),
                ("a IS NOT DISTINCT FROM b becomes =", "a = b"),
            ],
            id="IS NOT DISTINCT FROM",
        ),
        pytest.param(
            expressions.change_between,
            "a + 1 BETWEEN b AND d",
            [
                ("a + 1 BETWEEN b AND d is turned round", "a + 1 NOT BETWEEN b AND d"),
                ("a + 1 BETWEEN b AND d without its lower bound", "(a + 1) <= d"),
                ("a + 1 BETWEEN b AND d without its upper bound", "(a + 1) >= b"),
                ("a + 1 BETWEEN b AND d without what equals its lower bound", "(a + 1) > b AND (a + 1) <= d"),
                ("a + 1 BETWEEN b AND d without what equals its upper bound", "(a + 1) >= b AND (a + 1) < d"),
            ],
            id="BETWEEN",
        ),
        *(
            pytest.param(
                expressions.change_between,
                f"a {words} b AND d",
                [(f"a {words} b AND d is turned round", f"a {others} b AND d")],
                id=words,
            )
            for words, others in {
                "NOT BETWEEN": "BETWEEN",
                "BETWEEN SYMMETRIC": "NOT BETWEEN SYMMETRIC",
                "NOT BETWEEN SYMMETRIC": "BETWEEN SYMMETRIC",
            }.items()
        ),
        pytest.param(
            expressions.change_extreme,
            "LEAST(a, GREATEST(b, 1))",
            [
                ("LEAST becomes GREATEST", "GREATEST(a, GREATEST(b, 1))"),
                ("GREATEST becomes LEAST", "LEAST(a, LEAST(b, 1))"),
            ],
            id="LEAST and GREATEST",
        ),
        pytest.param(expressions.drop_not, "NOT (a AND b)", [("NOT (a AND b) without NOT", "a AND b")], id="NOT"),
        pytest.param(
            expressions.negate,
            "a AND f(b) AND c = 1",
            [("a is negated", "NOT a AND f(b) AND c = 1"), ("f(b) is negated", "a AND NOT f(b) AND c = 1")],
            id="conditions in a conjunction",
        ),
        pytest.param(
            expressions.negate,
            "EXISTS (SELECT FROM t WHERE a)",
            [
                ("EXISTS (SELECT FROM t WHERE a) is negated", "NOT EXISTS (SELECT FROM t WHERE a)"),
                ("a is negated", "EXISTS (SELECT FROM t WHERE NOT a)"),
            ],
            id="EXISTS, and a column in a WHERE",
        ),
        pytest.param(expressions.negate, "NOT EXISTS (SELECT FROM t)", [], id="NOT is dropped by another rewrite"),
        pytest.param(expressions.negate, "f(a) + (SELECT b FROM t)", [], id="a value that may be no boolean stays"),
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
        pytest.param(
            expressions.change_constant,
            "2147483648",
            [("2147483648 becomes 2147483649", "2147483649"), ("2147483648 becomes 2147483647", "2147483647")],
            id="a number beyond integers",
        ),
        pytest.param(
            expressions.change_constant,
            "0.50",
            [("0.50 becomes 0.51", "0.51"), ("0.50 becomes 0.49", "0.49")],
            id="a decimal number",
        ),
        pytest.param(
            expressions.change_constant,
            "99.99",
            [("99.99 becomes 100.00", "100.00"), ("99.99 becomes 99.98", "99.98")],
            id="a decimal number that carries",
        ),
        pytest.param(expressions.change_constant, "true", [("true becomes false", "false")], id="true"),
        pytest.param(expressions.change_constant, "false", [("false becomes true", "true")], id="false"),
        pytest.param(
            expressions.change_constant,
            "'it''s'::text",
            [("'it''s' becomes 'it''sx'", "'it''sx'::text")],
            id="a text",
        ),
        *(
            pytest.param(
                expressions.change_constant, text, [(f"{text} becomes {other}", other)], id=f"another text than {text}"
            )
            for text, other in {
                "'24:09:00'": "'25:09:00'",
                "'09'": "'10'",
                "'30 days'": "'31 days'",
                "'-9'": "'-8'",
                "'{a,b}'": "'{a,bx}'",
                "'{}'": "'[]'",
                "''": "'x'",
                "'%'": "'%x'",
            }.items()
        ),
        pytest.param(expressions.change_constant, "NULL", [], id="NULL is no constant"),
        pytest.param(
            expressions.swap_column(TYPES),
            "t.a = c",
            [("t.a becomes b", "t.b = c"), ("t.a becomes d", "t.d = c")],
            id="a column for others of its type",
        ),
        pytest.param(
            expressions.swap_column(TYPES),
            "s.u.a = x.a",
            [("s.u.a becomes c", "s.u.c = x.a")],
            id="a column for others of its table",
        ),
        pytest.param(expressions.swap_column(TYPES), "elsewhere", [], id="a column of another table stays"),
        pytest.param(expressions.swap_column(TYPES), "count(t.*)", [], id="a star is no column"),
        pytest.param(
            expressions.replace_call("auth.uid", "auth.jwt() ->> 'sub'"),
            "auth.uid() = id",
            [("auth.uid() becomes auth.jwt() ->> 'sub'", "(auth.jwt() ->> 'sub') = id")],
            id="a call replaced",
        ),
        pytest.param(
            expressions.replace_call("auth.uid", "1"), "other.uid()", [], id="a function of another schema stays"
        ),
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
    assert [tuple(each) for each in edit_expression(text, [rewrite])] == edits
