"""What a mutant's SQL is: every rewrite of an expression, a query, a trigger and a body, word for word."""

from __future__ import annotations

import pytest

from rolecall.catalog.definitions import Function
from rolecall.mutants.rewrites import expressions, plpgsql, queries, triggers
from rolecall.sql import tree
from rolecall.sql.tree import Rewrite

COLUMNS = {"a": "integer", "b": "integer", "c": "text", "d": "integer"}
TYPES = {"": COLUMNS, "t": COLUMNS, "u": {"a": "text", "c": "text"}}


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
            id="truths in a conjunction",
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
        pytest.param(expressions.negate, "NOT EXISTS (SELECT FROM t)", [], id="NOT loses its NOT elsewhere"),
        pytest.param(expressions.negate, "f(a) + (SELECT b FROM t)", [], id="what may be no truth stays"),
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
    assert [tuple(edit) for edit in tree.edit_expression(text, [rewrite])] == edits


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            queries.drop_where,
            "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d)",
            [
                ("without WHERE b IN (SELECT c FROM u WHERE d)", "SELECT a FROM t"),
                ("without WHERE d", "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
            ],
            id="WHERE of a query and of one in it",
        ),
        pytest.param(
            queries.drop_where,
            "UPDATE t SET a = 1 WHERE b; DELETE FROM t WHERE c",
            [
                ("without WHERE b", "UPDATE t SET a = 1; DELETE FROM t WHERE c"),
                ("without WHERE c", "UPDATE t SET a = 1 WHERE b; DELETE FROM t"),
            ],
            id="WHERE of UPDATE and DELETE",
        ),
        pytest.param(
            queries.drop_arm,
            "SELECT 1 UNION SELECT 2",
            [("the UNION without its second arm", "SELECT 1"), ("the UNION without its first arm", "SELECT 2")],
            id="UNION",
        ),
        pytest.param(queries.drop_arm, "SELECT 1 EXCEPT SELECT 2", [], id="EXCEPT is no UNION"),
        pytest.param(
            queries.change_join,
            "SELECT FROM a JOIN b ON a.x = b.x",
            [("JOIN becomes LEFT JOIN", "SELECT FROM a LEFT JOIN b ON a.x = b.x")],
            id="JOIN",
        ),
        *(
            pytest.param(
                queries.change_join,
                f"SELECT FROM a {one} JOIN b ON a.x = b.x",
                [(f"{one} JOIN becomes {other}", f"SELECT FROM a {other} b ON a.x = b.x")],
                id=f"{one} JOIN",
            )
            for one, other in (("RIGHT", "JOIN"), ("FULL", "LEFT JOIN"))
        ),
        pytest.param(
            queries.change_join,
            "SELECT FROM a JOIN b USING (x, y)",
            [
                ("JOIN becomes LEFT JOIN", "SELECT FROM a LEFT JOIN b USING (x, y)"),
                ("USING without x", "SELECT FROM a JOIN b USING (y)"),
                ("USING without y", "SELECT FROM a JOIN b USING (x)"),
            ],
            id="JOIN USING",
        ),
        pytest.param(
            queries.drop_on,
            "SELECT FROM a LEFT JOIN b ON a.x = b.x",
            [("JOIN without ON a.x = b.x", "SELECT FROM a LEFT JOIN b ON true")],
            id="a join's condition",
        ),
        pytest.param(
            queries.change_join,
            "SELECT FROM a LEFT JOIN b ON a.x = b.x",
            [("LEFT JOIN becomes JOIN", "SELECT FROM a JOIN b ON a.x = b.x")],
            id="LEFT JOIN",
        ),
        pytest.param(queries.change_join, "SELECT FROM a CROSS JOIN b", [], id="CROSS JOIN has no condition"),
        pytest.param(
            queries.change_order,
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
            queries.change_limit,
            "SELECT a FROM t LIMIT 1 OFFSET 2",
            [("without LIMIT", "SELECT a FROM t OFFSET 2"), ("without OFFSET", "SELECT a FROM t LIMIT 1")],
            id="LIMIT and OFFSET",
        ),
        pytest.param(
            queries.change_limit,
            "SELECT a FROM t LIMIT p_limit",
            [("without LIMIT", "SELECT a FROM t"), ("LIMIT one more", "SELECT a FROM t LIMIT p_limit + 1")],
            id="a LIMIT that is no number",
        ),
        pytest.param(
            queries.change_nulls,
            "SELECT a FROM t ORDER BY a DESC NULLS LAST, b",
            [("ORDER BY a without NULLS LAST", "SELECT a FROM t ORDER BY a DESC, b")],
            id="NULLS LAST",
        ),
        pytest.param(
            queries.drop_distinct,
            "SELECT DISTINCT a FROM t UNION SELECT count(DISTINCT b) FROM t",
            [
                ("UNION becomes UNION ALL", "SELECT DISTINCT a FROM t UNION ALL SELECT count(DISTINCT b) FROM t"),
                ("without DISTINCT", "SELECT a FROM t UNION SELECT count(DISTINCT b) FROM t"),
                ("count without DISTINCT", "SELECT DISTINCT a FROM t UNION SELECT count(b) FROM t"),
            ],
            id="DISTINCT",
        ),
        pytest.param(
            queries.drop_where,
            "SELECT a FROM t GROUP BY a HAVING count(*) > 1",
            [("without HAVING count(*) > 1", "SELECT a FROM t GROUP BY a")],
            id="HAVING",
        ),
        pytest.param(
            queries.drop_partition,
            "SELECT sum(a) OVER (PARTITION BY b ORDER BY c) FROM t",
            [("without PARTITION BY", "SELECT sum(a) OVER (ORDER BY c) FROM t")],
            id="PARTITION BY",
        ),
        pytest.param(
            queries.drop_filter,
            "SELECT count(*) FILTER (WHERE a) FROM t",
            [("without FILTER a", "SELECT count(*) FROM t")],
            id="FILTER",
        ),
        pytest.param(
            triggers.change_event,
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
            triggers.change_event,
            "CREATE TRIGGER x AFTER INSERT OR DELETE ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
            [
                (f"on {event}", f"CREATE TRIGGER x AFTER {event} ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()")
                for event in ("INSERT", "DELETE", "UPDATE")
            ],
            id="a trigger AFTER two events",
        ),
        pytest.param(
            triggers.drop_condition,
            "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW WHEN (new.a > 0) EXECUTE FUNCTION s.f()",
            [("without WHEN", "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()")],
            id="a trigger's WHEN",
        ),
    ],
)
def test_edits_of_a_statement(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [tuple(edit) for edit in tree.edit(text, [rewrite])] == edits


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
    assert tree.may_be_null(text) is expected


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
        ("'22023' becomes '22024'", "'22023'", "'22024'"),
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


def test_every_way_to_give_a_sqlstate_is_lost() -> None:
    source = (
        "BEGIN\n"
        "  IF a > 3 THEN RAISE 'no' USING hint = 'errcode', errcode = '22023'; END IF;\n"
        "  RAISE unique_violation USING message = 'x';\n"
        "  RAISE EXCEPTION SQLSTATE '22012';\n"
        "END"
    )
    lost = {what: text for what, text in plpgsql.edits(body(source)) if "ERRCODE" in what}
    assert lost == {
        "ERRCODE '22023' lost": source.replace("'22023'", "'P0001'"),
        "ERRCODE unique_violation lost": source.replace("unique_violation", "raise_exception"),
        "ERRCODE '22012' lost": source.replace("'22012'", "'P0001'"),
    }


def test_a_raise_in_the_line_of_its_if_is_left_out_alone() -> None:
    source = "BEGIN\n  IF a > 3 THEN RAISE 'no'; END IF;\n  RETURN a;\nEND"
    without = [text for what, text in plpgsql.edits(body(source)) if what.startswith("without")]
    assert without == [source.replace("RAISE 'no';", "NULL;")]


def test_elsif_is_a_condition_too() -> None:
    source = "BEGIN\n  IF a THEN\n    RETURN 1;\n  ELSIF b THEN\n    RETURN 2;\n  END IF;\n  RETURN 3;\nEND"
    taken = [text for what, text in plpgsql.edits(body(source)) if what == "IF b: true"]
    assert taken == [source.replace("ELSIF b", "ELSIF true")]


def test_the_tables_that_an_expression_reads() -> None:
    text = "a IN (SELECT x.b FROM s.t x JOIN s.u ON u.c = x.c)"
    assert tree.aliases(text) == {"x": "s.t", "u": "s.u"}
