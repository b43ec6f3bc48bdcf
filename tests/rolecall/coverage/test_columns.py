"""The columns that a statement uses."""

from __future__ import annotations

import pytest

from rolecall.coverage.columns import ColumnUse, columns_used


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("SELECT t.a FROM s.t WHERE b = %s", {("s.t", "select", "a"), ("s.t", "select", "b")}),
        ("INSERT INTO s.t (a, b) VALUES (%(a)s, 1)", {("s.t", "insert", "a"), ("s.t", "insert", "b")}),
        ("UPDATE s.t SET a = 1 WHERE c", {("s.t", "update", "a"), ("s.t", "select", "c")}),
        ("DELETE FROM s.t", set()),
        ("SELECT * FROM s.t", set()),
        ("no SQL", set()),
    ],
)
def test_the_columns_that_a_statement_uses(text: str, uses: set[ColumnUse]) -> None:
    assert columns_used(text) == uses
