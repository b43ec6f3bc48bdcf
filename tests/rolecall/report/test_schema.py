"""The published schema of the report says what the dataclasses have, and allows what they write."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from docs import schemas
from rolecall.report import report, results
from rolecall.report.report import Report, ReportedRun, ReportedTests, as_json
from rolecall.report.results import CoverageCount
from tests.rolecall.report.published import REPORT, check, load

CLASSES = {
    name: value
    for module in (report, results)
    for name, value in vars(module).items()
    if isinstance(value, type) and is_dataclass(value)
}


@pytest.mark.parametrize("path", schemas.PATHS, ids=lambda path: path.parent.name)
def test_it_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == schemas.text(), "run: .venv/bin/python docs/schemas.py"


def test_every_field_is_in_the_schema_and_nothing_else() -> None:
    definitions = load(REPORT)["$defs"]
    assert {"Report", "ReportedRun", "ReportedFailure", "Place", "Survivor"} <= set(definitions)
    for name, definition in definitions.items():
        assert set(definition["properties"]) == {field.name for field in fields(CLASSES[name])}, name
        assert set(definition["required"]) == set(definition["properties"]), name


def test_what_is_written_is_allowed() -> None:
    empty = Report("p", "0.1.0", "PostgreSQL 17", "revoked", 1, [], [])
    check(json.loads(as_json(empty)), REPORT)
    run = ReportedRun("0.1.0", "PostgreSQL 17", "revoked", 1, ReportedTests({}, 0.5), [CoverageCount("policies", 2)])
    check(json.loads(as_json(run)), REPORT, "ReportedRun")


@pytest.mark.parametrize(
    "wrong",
    [{"seed": "1"}, {"seed": None}, {"another": 1}, {"objects": [{"name": "a"}]}, {"coverage": [{"what": "x"}]}],
    ids=str,
)
def test_what_is_not_a_report_is_not_allowed(wrong: dict[str, object]) -> None:
    data = json.loads(as_json(Report("p", "0.1.0", "PostgreSQL 17", "revoked", 1, [], [])))
    with pytest.raises(AssertionError):
        check(data | wrong, REPORT)
