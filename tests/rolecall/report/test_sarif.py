"""Results in SARIF: valid for every kind of failure, with any names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolecall.report import sarif
from rolecall.report.report import Place, ReportedFailure
from rolecall.report.results import Survivor
from rolecall.report.stryker import TriedMutant
from tests.rolecall.report.published import check_sarif


def failure(kind: str, **details: str) -> ReportedFailure:
    names = {"object": "app.notes", "row": "a row", "command": "select", "persona": "bob", **details}
    test_place = Place("tests/t.py", 3)
    return ReportedFailure("t.py::test", "text", Place("a.sql", 7), kind, **names, test_place=test_place)


def log(*failures: ReportedFailure, folder: str = "") -> list[dict[str, object]]:
    text = sarif.log(sarif.of_failures(failures), version="0.1.0", category="rolecall", folder=folder)
    return list(check_sarif(text)["results"])


@pytest.mark.parametrize("kind", list(sarif.RULES))
def test_each_kind_has_a_rule(kind: str) -> None:
    (result,) = log(failure(kind))
    assert result["ruleId"] == sarif.RULES[kind].id


def test_other_tests_are_no_results() -> None:
    assert log(failure("")) == []


def test_any_name() -> None:
    """Braces would be placeholders, and brackets a link; a path is a URI."""
    (result,) = log(
        ReportedFailure("t", "x", Place("mein Ordner/100%/ä#1.sql", 0), "let in", '"{0}"', "[a](1)", "\n\t", "\x01"),
        folder="a b/",
    )
    text = result["message"]["text"]  # type: ignore[index]
    assert '"{{0}}"' in text
    assert "[a] (1)" in text
    physical = result["locations"][0]["physicalLocation"]  # type: ignore[index]
    assert physical["artifactLocation"]["uri"] == "a%20b/mein%20Ordner/100%25/%C3%A4%231.sql"
    assert physical["region"]["startLine"] == 1


def test_without_a_place() -> None:
    (result,) = log(ReportedFailure("rolecall::world", "text", Place(), "untested"))
    assert "locations" not in result


def test_equal_results_have_different_fingerprints() -> None:
    one, two = log(failure("let in"), failure("let in"))
    assert one["partialFingerprints"] != two["partialFingerprints"]


def test_survivors() -> None:
    """A rule for each operator, with what it stands for; a mutant that did not survive is no result."""
    survivor = Survivor("id", "app.f", "a < b", "op", "Changes it.", "a typo", "", "", 0, {}, "a test", "test_pin")
    pinned = TriedMutant("id", "app.f", "x", "op", "", "", "pinned", place=Place("a.sql", 2), survivor=survivor)
    mutants = [pinned, replace(pinned, outcome="killed", survivor=None)]
    run = check_sarif(sarif.log(sarif.of_mutants(mutants), version="0.1.0", category="rolecall-mutants"))
    (rule,), (result,) = run["tool"]["driver"]["rules"], run["results"]
    assert (rule["id"], rule["help"]["text"]) == ("survived/op", "Changes it. It stands for: a typo.")
    assert result["message"]["text"].startswith("Only the pin test_pin notices this change of app.f: a < b.")
    assert result["level"] == "warning"
