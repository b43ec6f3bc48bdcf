"""Mutants as a report of Stryker: valid, with each outcome, and with objects that no file makes."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.report import stryker
from rolecall.report.report import Place
from rolecall.report.results import MutationScore
from rolecall.report.stryker import Extent, TriedMutant
from tests.rolecall.report.published import check_stryker

SOURCE = "CREATE TABLE t (\n  id int\n);\n"


def report(*mutants: TriedMutant) -> dict[str, Any]:
    return check_stryker(stryker.report(mutants, {"a.sql": SOURCE}, MutationScore({}, 1.0), "0.1.0"))


def mutant(outcome: str, name: str = "id", file: str = "a.sql", **details: Any) -> TriedMutant:
    extent = Extent((1, 1), (3, 2))
    place = Place(file, 1) if file else Place()
    return TriedMutant(
        name, "app.t", "a change", "op", "before\n\nit", "after", outcome, place=place, extent=extent, **details
    )


@pytest.mark.parametrize("outcome", list(stryker.STATUS))
def test_each_outcome(outcome: str) -> None:
    data = report(mutant(outcome, reason="why", test="tests/t.py::test_x"))
    (found,) = data["files"]["a.sql"]["mutants"]
    assert (found["status"], found["statusReason"]) == (stryker.STATUS[outcome], "why")
    assert found.get("killedBy") == (["tests/t.py::test_x"] if outcome == "killed" else None)
    assert data["testFiles"] == {"tests/t.py": {"tests": [{"id": "tests/t.py::test_x", "name": "test_x"}]}}
    assert data["files"]["a.sql"]["source"] == SOURCE


def test_objects_that_no_file_makes() -> None:
    """They have a file with their definitions, each once."""
    data = report(mutant("killed", "one", ""), mutant("survived", "two", ""), mutant("killed", "three", "gone.sql"))
    (file,) = data["files"].values()
    assert file["source"].count("before") == 1
    assert [each["location"]["start"]["line"] for each in file["mutants"]] == [4, 4, 4]
    assert file["source"].splitlines()[3:6] == ["before", "", "it"]


def test_an_empty_definition() -> None:
    empty = TriedMutant("id", "schema public", "no USAGE", "op", "", "after", "killed")
    report(empty, TriedMutant("two", "x", "y", "op", "text\n", "after", "killed"))


def test_nothing_was_tried() -> None:
    assert report()["files"] == {}
