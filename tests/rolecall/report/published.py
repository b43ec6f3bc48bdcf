"""Compare what rolecall writes with the published schemas of the formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import xmlschema
from jsonschema.validators import validator_for

SCHEMAS = Path(__file__).parent / "schemas"
REPORT = Path(__file__).parents[3] / "src" / "rolecall" / "report" / "report.schema.json"


def load(path: Path) -> Any:
    """What a JSON file has."""
    return json.loads(path.read_text(encoding="utf-8"))


def check(data: Any, path: Path, definition: str = "") -> None:
    """Fails with everything in the data that the schema, or one of its definitions, does not allow."""
    schema = load(path)
    if definition:
        schema |= {"$ref": f"#/$defs/{definition}"}
    kind = validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)] == []


def check_sarif(text: str) -> dict[str, Any]:
    """The only run of a valid SARIF log."""
    log = json.loads(text)
    check(log, SCHEMAS / "sarif-2.1.0-rtm.5.json")
    (run,) = log["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    return dict(run)


def check_stryker(text: str) -> dict[str, Any]:
    """A valid report of Stryker. Besides, ids are unique, and every location is inside its file."""
    report = json.loads(text)
    check(report, SCHEMAS / "mutation-testing-report-schema.json")
    mutants = [mutant for file in report["files"].values() for mutant in file["mutants"]]
    assert len({mutant["id"] for mutant in mutants}) == len(mutants)
    tests = {test["id"] for file in report["testFiles"].values() for test in file["tests"]}
    assert {test for mutant in mutants for test in mutant.get("killedBy", []) + mutant.get("coveredBy", [])} <= tests
    for file in report["files"].values():
        lines = file["source"].splitlines()
        for mutant in file["mutants"]:
            start, end = (mutant["location"][name] for name in ("start", "end"))
            assert (start["line"], start["column"]) < (end["line"], end["column"])
            assert end["line"] <= len(lines)
            assert end["column"] <= len(lines[end["line"] - 1]) + 2
    return dict(report)


def check_junit(path: Path) -> None:
    """Fails if a file is not what Jenkins reads."""
    xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd").validate(path)
