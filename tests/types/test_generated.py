"""The generated files of ``types/`` are what the migrated database gives."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path

import pytest

from tests.types import node

# `make types` sets it: a file that is not up to date is written, and the test still fails.
UPDATE = "UPDATE_TYPES"


def compare(path: Path, text: str) -> None:
    """Fail with a diff if a file has another text; with ``UPDATE_TYPES`` it is written first."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before == text:
        return
    hint = "run `make types`, which writes it"
    if os.environ.get(UPDATE):
        path.write_text(text, encoding="utf-8")
        hint = "it is written now: commit it"
    lines = difflib.unified_diff(before.splitlines(), text.splitlines(), "committed", "generated", lineterm="")
    pytest.fail("\n".join([f"types/{path.name} is not up to date; {hint}", *lines]), pytrace=False)


def test_the_types_are_up_to_date(database_types: str) -> None:
    compare(node.FOLDER / "database.types.ts", database_types)


def test_the_list_of_objects_is_up_to_date(objects: str) -> None:
    compare(node.FOLDER / "objects.json", objects)


def test_the_list_has_what_the_plan_counts(objects: str) -> None:
    counts = {"Tables": 0, "Views": 0, "Functions": 0}
    for kinds in json.loads(objects).values():
        for kind, names in kinds.items():
            counts[kind] += len(names)
    assert counts == {"Tables": 5, "Views": 7, "Functions": 8}


def test_a_file_that_is_not_up_to_date_fails_with_a_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(UPDATE, raising=False)
    path = tmp_path / "some.ts"
    path.write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception) as failure:
        compare(path, "one\nthree\n")
    assert "-two\n+three" in str(failure.value)
    assert "run `make types`" in str(failure.value)
    assert path.read_text(encoding="utf-8") == "one\ntwo\n"
    monkeypatch.setenv(UPDATE, "1")
    with pytest.raises(pytest.fail.Exception, match="it is written now"):
        compare(path, "one\nthree\n")
    compare(path, "one\nthree\n")
