"""Arguments of another kind are an error with the file and line of the grid, and with what to write."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from rolecall.errors import GridError
from rolecall.grids.arguments import FORMS
from rolecall.grids.grid import grid

TEXT = """
          select  insert  update  delete
a note
  alice   yes     yes     yes     yes
"""
RIGHT: dict[str, Any] = {"table": "shop.notes", "text": TEXT, "update": "body = 'changed'"}


@pytest.mark.parametrize(
    ("name", "value", "form"),
    [
        ("table", None, 'the table with its schema, e.g. "public.notes"'),
        ("table", "notes", 'the table with its schema, e.g. "public.notes"'),
        ("table", "public.", 'the table with its schema, e.g. "public.notes"'),
        ("text", [TEXT], "the grid as a text"),
        ("update", {"body": "changed"}, "the SET clause of an UPDATE as a text"),
        ("update", " ", "the SET clause of an UPDATE as a text"),
        ("moves", ["give away"], "a SET clause for each name"),
        ("moves", {"give away": {"owner": "bob"}}, "a SET clause for each name"),
        ("settings", "app.tenant = 7", "a text for each name"),
        ("settings", {"app.tenant": 7}, "a text for each name"),
        ("key", 5, "the name of a column, or a list of names"),
        ("key", [], "the name of a column, or a list of names"),
        ("key", ["id", None], "the name of a column, or a list of names"),
        ("before", [TEXT], "a grid for each number of a phase"),
        ("from_phase", "2", "the number of a phase"),
        ("changes", ["body"], "the changed columns for each command"),
        ("changes", {"update": "body"}, "the changed columns for each command"),
    ],
    ids=str,
)
def test_an_argument_of_another_kind(name: str, value: object, form: str) -> None:
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
    with pytest.raises(GridError) as excinfo:
        grid(**{**RIGHT, name: value})
    message = str(excinfo.value)
    assert message.startswith(" ".join(f"{Path(__file__)}:{line}: {name}={value!r}: write {form}".splitlines()))


def test_every_argument_is_checked() -> None:
    assert {*FORMS} == {*inspect.signature(grid).parameters} - {"decided_by"}
    assert grid(**RIGHT).key == ("id",)
    others: dict[str, Any] = {
        "key": ("a", "b"),
        "changes": {"update": {}},
        "moves": {},
        "settings": {"app.tenant": "7"},
        "before": {},
    }
    assert grid(**RIGHT, **others).key == ("a", "b")
