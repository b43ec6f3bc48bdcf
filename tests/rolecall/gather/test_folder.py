"""The folder of a report: the results that it has, and what is written into it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rolecall.errors import RolecallError
from rolecall.gather import folder

STRYKER = {"files": {"a.sql": {"mutants": [{"status": "Killed"}, {"status": "Survived"}, {"status": "Timeout"}]}}}


def test_an_empty_folder_has_no_results(tmp_path: Path) -> None:
    assert folder.read(tmp_path) == folder.read(tmp_path / "missing") == folder.Results()


def test_the_results_of_earlier_commands(tmp_path: Path) -> None:
    (tmp_path / "mutants.json").write_text(json.dumps(STRYKER))
    (tmp_path / "drift.json").write_text('{"drift": []}')
    (tmp_path / "changes.json").write_text('{"gained": []}')
    found = folder.read(tmp_path)
    assert found.mutants
    assert found.mutants.stryker == STRYKER
    assert found.mutants.score.outcomes == {"killed": 1, "survived": 1, "error": 1}
    assert (found.drift, found.changes) == ({"drift": []}, {"gained": []})


def test_another_file_of_drift(tmp_path: Path) -> None:
    (tmp_path / "drift.json").write_text('{"drift": [1]}')
    (tmp_path / "other.json").write_text('{"drift": [2]}')
    assert folder.read(tmp_path, tmp_path / "other.json").drift == {"drift": [2]}
    with pytest.raises(RolecallError, match=r"gone\.json does not exist: make it with rolecall check --format json"):
        folder.read(tmp_path, tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("drift.json", "{", "is not JSON", id="half a file"),
        pytest.param("drift.json", "[]", "has no JSON object", id="a list"),
        pytest.param("mutants.json", "{}", "is not in Stryker's schema", id="other mutants"),
        pytest.param("mutants.json", '{"files": []}', "is not in Stryker's schema", id="a list of files"),
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
