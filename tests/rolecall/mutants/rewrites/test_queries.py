"""Every rewrite of a query, with the exact SQL of its mutants."""

from __future__ import annotations

import pytest

from rolecall.mutants.rewrites import queries
from rolecall.sql.tree import Rewrite, edit


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
            id="WHERE of a query and of a subquery",
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
    ],
)
def test_edits_of_a_query(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [tuple(each) for each in edit(text, [rewrite])] == edits
