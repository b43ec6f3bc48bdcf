"""Every rewrite of comparisons and results, with the exact SQL of its mutants."""

from __future__ import annotations

import pytest

from rolecall.mutants.rewrites import matching
from rolecall.sql.tree import Rewrite, edit


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            matching.match_loosely,
            "SELECT a = 'x', b = 1",
            [
                ("a = 'x' ignores case", "SELECT lower(a::text) = lower('x'::text), b = 1"),
                ("a = 'x' is a prefix match", "SELECT starts_with(a::text, 'x'::text), b = 1"),
            ],
            id="a text, and a number",
        ),
        pytest.param(
            matching.limit_subquery,
            "SELECT a IN (SELECT b FROM t), EXISTS (SELECT FROM t), ARRAY(SELECT b FROM t LIMIT 9)",
            [
                (
                    "LIMIT 1 in the subquery",
                    "SELECT a IN (SELECT b FROM t LIMIT 1), EXISTS (SELECT FROM t), ARRAY(SELECT b FROM t LIMIT 9)",
                )
            ],
            id="IN, EXISTS, and a subquery with a limit",
        ),
        pytest.param(
            matching.limit_result, "SELECT a FROM t", [("LIMIT 100", "SELECT a FROM t LIMIT 100")], id="a result"
        ),
        pytest.param(matching.limit_result, "SELECT count(*) FROM t", [], id="a result of one row has no limit"),
        pytest.param(matching.limit_result, "SELECT a", [], id="a SELECT without a table has no limit"),
        pytest.param(
            matching.limit_result,
            "SELECT a, count(*) FROM t GROUP BY a",
            [("LIMIT 100", "SELECT a, count(*) FROM t GROUP BY a LIMIT 100")],
            id="groups",
        ),
        pytest.param(
            matching.add_distinct,
            "SELECT a, sum(b), sum(DISTINCT c) FROM t GROUP BY a",
            [
                ("DISTINCT", "SELECT DISTINCT a, sum(b), sum(DISTINCT c) FROM t GROUP BY a"),
                ("sum of DISTINCT", "SELECT a, sum(DISTINCT b), sum(DISTINCT c) FROM t GROUP BY a"),
            ],
            id="a result and an aggregate",
        ),
        pytest.param(
            matching.change_function,
            "SELECT min(a), length(b), floor(c)",
            [
                ("min becomes max", "SELECT max(a), length(b), floor(c)"),
                ("floor becomes ceil", "SELECT min(a), length(b), ceil(c)"),
            ],
            id="an aggregate and a rounding",
        ),
        pytest.param(
            matching.round_down,
            "SELECT (a / b)::int, c::int",
            [("(a / b)::int is rounded down", "SELECT floor(a / b)::int, c::int")],
            id="a quotient",
        ),
        pytest.param(
            matching.only_default,
            "SELECT COALESCE(a, 'x')",
            [("COALESCE(a, 'x') is its default", "SELECT 'x'")],
            id="COALESCE",
        ),
        pytest.param(
            matching.drop_time_zone,
            "SELECT a AT TIME ZONE 'UTC'",
            [("a AT TIME ZONE 'UTC' without its time zone", "SELECT a")],
            id="AT TIME ZONE",
        ),
    ],
)
def test_a_rewrite_makes_these_edits(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [*edit(text, [rewrite])] == edits
