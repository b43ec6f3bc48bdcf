"""What the tree of an expression tells about it: whether it can be NULL, and which tables it reads."""

from __future__ import annotations

import pytest

from rolecall.sql.tree import aliases, may_be_null


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
    assert may_be_null(text) is expected


def test_the_tables_that_an_expression_reads() -> None:
    text = "a IN (SELECT x.b FROM s.t x JOIN s.u ON u.c = x.c)"
    assert aliases(text) == {"x": "s.t", "u": "s.u"}
