"""Every rewrite of a script, with the exact SQL of its mutants."""

from __future__ import annotations

import pytest

from rolecall.catalog.plpgsql import body_parts
from rolecall.mutants.rewrites import plpgsql, scripts
from rolecall.sql.tree import Rewrite, edit


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            scripts.compare_roughly,
            "SELECT a IS DISTINCT FROM b, c = 1",
            [
                (
                    "a IS DISTINCT FROM b in lower case",
                    "SELECT lower(a::text) IS DISTINCT FROM lower(b::text), c = 1",
                ),
                (
                    "a IS DISTINCT FROM b by 40 characters",
                    "SELECT left(a::text, 40) IS DISTINCT FROM left(b::text, 40), c = 1",
                ),
            ],
            id="two columns, and a constant",
        ),
        pytest.param(
            scripts.change_boolean,
            "SELECT set_config('a', 'b', true), true",
            [("set_config 'a' 'b' true: true becomes false", "SELECT set_config('a', 'b', false), true")],
            id="an argument",
        ),
        pytest.param(
            scripts.set_for_good,
            "SET LOCAL a = 1; SET b = 2",
            [("SET LOCAL a becomes SET", "SET a TO 1; SET b TO 2")],
            id="SET LOCAL",
        ),
    ],
)
def test_a_rewrite_makes_these_edits(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [(what, changed.replace('"left"', "left")) for what, changed in edit(text, [rewrite])] == edits


def test_the_body_of_a_do_block_is_found() -> None:
    assert [*scripts.bodies("DO LANGUAGE plpgsql $x$BEGIN NULL; END$x$")] == ["BEGIN NULL; END"]
    assert [*scripts.bodies("SELECT 'BEGIN NULL; END'")] == []


def test_a_call_is_left_out() -> None:
    body = "BEGIN\n  PERFORM a();\n  EXECUTE 'b';\nEND"
    assert [*plpgsql.drop_calls(body, body_parts(body))] == [
        ("without PERFORM a()", body.replace("PERFORM a();", "NULL;")),
        ("without EXECUTE 'b'", body.replace("EXECUTE 'b';", "NULL;")),
    ]
