"""The folder of a report: the results that it has, and what is written into it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rolecall.errors import RolecallError
from rolecall.gather import folder
from rolecall.report.report import Report, ReportedRun, ReportedTests, as_json
from rolecall.report.results import CoverageCount, MutationScore

SCORE = {"outcomes": {"killed": 1, "survived": 1}, "seconds": 2.5}
STRYKER = {"files": {}, "config": {"rolecall": {"score": SCORE, "survivors": []}}}
RUN = ReportedRun("0", "PostgreSQL", "revoked", 1, ReportedTests({"passed": 3}, 1.5), [CoverageCount("policies", 2)])


def test_an_empty_folder_has_no_results(tmp_path: Path) -> None:
    assert folder.read(tmp_path) == folder.read(tmp_path / "missing") == folder.Results()


def test_the_results_of_earlier_commands_are_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(as_json(RUN))
    (tmp_path / "mutants.json").write_text(json.dumps(STRYKER))
    (tmp_path / "drift.json").write_text('{"drift": []}')
    (tmp_path / "changes.json").write_text('{"gained": []}')
    report = folder.read(tmp_path).added_to(Report("toy", "0", "PostgreSQL", "revoked", 1, [], []))
    assert report.tests
    assert report.tests.outcomes == {"passed": 3}
    assert report.coverage == RUN.coverage
    assert report.mutants
    assert report.mutants.stryker == STRYKER
    assert report.mutants.score == MutationScore({"killed": 1, "survived": 1}, 2.5)
    assert (report.drift, report.changes) == ({"drift": []}, {"gained": []})


def test_another_file_of_drift(tmp_path: Path) -> None:
    (tmp_path / "drift.json").write_text('{"drift": [1]}')
    (tmp_path / "other.json").write_text('{"drift": [2]}')
    assert folder.read(tmp_path, tmp_path / "other.json").drift == {"drift": [2]}
    with pytest.raises(RolecallError, match=r"gone\.json does not exist\. Make it with rolecall check"):
        folder.read(tmp_path, tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("drift.json", "{", r"cannot be read: .* Make it with rolecall check", id="half a file"),
        pytest.param("changes.json", "[]", r"is not a JSON object\. Make it with rolecall diff", id="a list"),
        pytest.param("mutants.json", "{}", "is not a report of rolecall's mutants", id="mutants of another tool"),
        pytest.param("run.json", "{}", "has format None", id="another report"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RolecallError, match=f"{re.escape(name)} {message}"):
        folder.read(tmp_path)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(RolecallError, match="report is not a folder"):
        folder.read(tmp_path / "report")


def test_files_are_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new/report"
    assert folder.write(target, {"a": "1", "b": "2"}) == [target / "a", target / "b"]

    def fail(self: Path, text: str, **_: str) -> None:
        with self.open("w") as file:
            file.write(text[:1])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(RolecallError, match="cannot be written: No space left on device"):
        folder.write(target, {"a": "33"})
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a": "1", "b": "2"}
