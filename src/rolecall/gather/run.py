"""What a run of the tests knows by itself: ``run.json``, which is written at its end and read for a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rolecall.catalog.places import Places
from rolecall.digest import failures
from rolecall.errors import RolecallError
from rolecall.gather import cells
from rolecall.report.report import FORMAT, Place, ReportedFailure, ReportedRun, ReportedTests
from rolecall.report.results import CoverageCount

FILE = "run.json"
UNTESTED = "untested"  # the kind of an object that no test tries
ADVICE = "Run pytest with --rolecall-report again."


@dataclass
class FailedTests:
    """The failed tests of a run, as pytest reports them, in any order."""

    reports: list[Any] = field(default_factory=list)

    def add(self, report: Any) -> None:
        """Add the report of a test, or of a file that cannot be collected, if it failed."""
        if report.failed:
            self.reports.append(report)

    def as_reported(self, places: Places) -> list[ReportedFailure]:
        """The failures in the order of the tests' ids. ``places`` says where the SQL decides a cell."""
        ordered = sorted(self.reports, key=lambda report: (report.nodeid, getattr(report, "when", "")))
        return [failure for report in ordered for failure in _failures(report, places)]


def _failures(report: Any, places: Places) -> Iterable[ReportedFailure]:
    """One for each cell that a test is about; one for a test that is about none."""
    file, found, text = report.nodeid.partition("::")[0], cells.read(report), failures.text_of(report)
    if not found:
        line = getattr(report, "location", (file, None, ""))[1]
        place = Place(file, (line or 0) + 1)
        yield ReportedFailure(report.nodeid, text, place, test_place=place)
    for cell in found:
        written = Place(file, cell.line)
        decided = cells.place_of(cell, places)
        yield ReportedFailure(
            test=report.nodeid,
            text=text if len(found) == 1 else _summary(cell),
            place=decided if decided.file else written,
            kind=cell.kind,
            object=cell.table,
            row=cell.row,
            command=cell.command,
            persona=cell.persona,
            expected=cell.expected,
            got=cell.got,
            test_place=written,
            causes=cell.causes,
        )


def _summary(cell: cells.DecidedCell) -> str:
    """What a test of many cells says of one of them."""
    what = f"{cell.persona}: {cell.command} on {cell.row!r} of {cell.table}"
    return f"{what}: expected {cell.expected}, got {cell.got or 'an error'} ({', '.join(cell.causes)})"


def untested(test: str, problems: Iterable[str], places: Places) -> list[ReportedFailure]:
    """Failures of the whole run: each of the ``problems`` names an object, and what is wrong with it."""
    return [ReportedFailure(test, problem, _place_of_name(problem, places), kind=UNTESTED) for problem in problems]


def _place_of_name(text: str, places: Places) -> Place:
    """The place of the object that a text names; the one with the longest name, if there are several."""
    for key in sorted(places.made.spans, key=lambda key: -len(key.owner or key.name)):
        name = key.owner if key.kind == "function" else key.name
        if key.kind in ("relation", "function") and name in text:
            return places.find(key.kind if key.kind == "function" else "table", name)
    return Place()


# ------------------------------------------------------------------ reading


def read(folder: Path) -> ReportedRun | None:
    """The run whose report is in a folder; None without one. Raises RolecallError for a file that cannot be read."""
    path = folder / FILE
    data = read_json(path)
    if data is None:
        return None
    if data.get("format") != FORMAT:
        raise RolecallError(f"{path} has format {data.get('format')}, and this rolecall reads {FORMAT}. {ADVICE}")
    try:
        return _run(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise RolecallError(f"{path} is not the report of a run ({error}). {ADVICE}") from None


def read_json(path: Path, advice: str = ADVICE) -> Mapping[str, Any] | None:
    """The object in a JSON file; None if the file does not exist.

    Raises RolecallError for anything else, with ``advice`` as its last sentence.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RolecallError(f"{path} cannot be read: {error}. {advice}") from None
    if not isinstance(data, dict):
        raise RolecallError(f"{path} is not a JSON object. {advice}")
    return data


def _run(data: Mapping[str, Any]) -> ReportedRun:
    tests = data["tests"]
    return ReportedRun(
        rolecall=data["rolecall"],
        server=data["server"],
        default_privileges=data["default_privileges"],
        seed=data["seed"],
        tests=ReportedTests(tests["outcomes"], tests["seconds"], [_failure(each) for each in tests["failures"]]),
        coverage=[CoverageCount(**count) for count in data["coverage"]],
        complete=data["complete"],
    )


def _failure(data: Mapping[str, Any]) -> ReportedFailure:
    places = {name: Place(**data[name]) for name in ("place", "test_place")}
    return ReportedFailure(**{**data, **places})
