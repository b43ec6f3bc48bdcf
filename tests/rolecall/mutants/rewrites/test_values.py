"""Almost right values, where a statement returns or stores them."""

from __future__ import annotations

import pytest

from rolecall.mutants.rewrites import values
from rolecall.sql.tree import edit

TYPES = {"name": "character varying", "at": "timestamp with time zone", "id": "uuid", "price": "numeric"}


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        pytest.param(
            "SELECT name, id FROM t WHERE name = 'x'",
            [
                ("name in lower case", "SELECT lower(name), id FROM t WHERE name = 'x'"),
                ("name cut to 50 characters", "SELECT left(name, 50), id FROM t WHERE name = 'x'"),
            ],
            id="a column of a result, and not of a condition",
        ),
        pytest.param(
            "INSERT INTO t VALUES (at, 1)",
            [("at cut to the day", "INSERT INTO t VALUES (date_trunc('day', at), 1)")],
            id="a value of INSERT",
        ),
        pytest.param(
            "UPDATE t SET a = price", [("price without its fraction", "UPDATE t SET a = trunc(price)")], id="UPDATE"
        ),
    ],
)
def test_a_value_is_changed(text: str, edits: list[tuple[str, str]]) -> None:
    normal = [(what, changed.replace('"left"', "left")) for what, changed in edit(text, [values.change_values(TYPES)])]
    assert normal == edits
