"""The command `rolecall report`: what it writes, and its errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

Command = Callable[..., pytest.RunResult]
FOLDER = ".rolecall/report"


@pytest.fixture
def command(toy: pytest.Pytester) -> Command:
    """A function that runs the command in the folder of the toy project."""
    return lambda *arguments: toy.run(sys.executable, "-m", "rolecall", "report", *arguments)


def written(toy: pytest.Pytester, folder: str = FOLDER) -> dict[str, Any]:
    """The report as it was written."""
    data: dict[str, Any] = json.loads((toy.path / folder / "report.json").read_text())
    return data


def test_it_writes_a_page_and_json(toy: pytest.Pytester, command: Command) -> None:
    toy.path.joinpath("migrations/phase_1_notes/verify.sql").write_text("SELECT gone FROM shop.notes;")
    result = command()
    assert (result.ret, result.errlines) == (0, [])
    assert result.outlines == [f"{FOLDER}/report.html", f"{FOLDER}/report.json"]
    assert sorted(path.name for path in (toy.path / FOLDER).iterdir()) == ["report.html", "report.json"]
    report = written(toy)
    assert [each["name"] for each in report["objects"]] == [
        "shop.notes",
        "shop.titles",
        "shop.count_notes()",
        "shop.me()",
    ]
    assert [each["phase"] for each in report["objects"]] == [1, 1, 1, 0]
    assert [each["name"] for each in report["personas"]] == ["alice", "bob", "visitor", "keeper"]
    assert report["findings"] == [
        {
            "name": "F1",
            "title": "anybody reads every note",
            "place": {"file": "defects/f1_anybody_reads.sql", "line": 1},
            "caught_by": ["test_notes.py::test_grid"],
        }
    ]
    (phase,) = report["phases"]
    assert (phase["verified"], phase["left"]) == (False, [])
    assert phase["problem"].splitlines()[0] == (
        'migrations/phase_1_notes/verify.sql:1:8: column "gone" does not exist (42703)'
    )
    assert (report["tests"], report["coverage"], report["mutants"], report["drift"]) == (None, [], None, None)
    assert "shop.count_notes()" in (toy.path / FOLDER / "report.html").read_text()


def test_the_results_of_the_last_run_are_in_it(toy: pytest.Pytester, command: Command) -> None:
    step = toy.path / "migrations/phase_1_notes/1_1_notes.sql"
    step.write_text(step.read_text() + "GRANT SELECT ON shop.notes TO toy_visitor;")
    assert toy.run(sys.executable, "-m", "pytest", "-q", "--rolecall-report", FOLDER).ret == 1
    drift = toy.path / "drift.json"
    drift.write_text('{"drift": [], "applied": 1}')
    result = command("--format", "json", "--drift", "drift.json")
    assert (result.ret, result.outlines) == (0, [f"{FOLDER}/report.json"])
    report = written(toy)
    assert report["drift"] == {"drift": [], "applied": 1}
    failed = [each for each in report["tests"]["failures"] if each["row"]]
    assert {(each["row"], each["command"], each["persona"]) for each in failed} >= {
        ("alice's note", "select", "visitor")
    }
    select = report["objects"][0]["commands"][0]
    assert (select["verdicts"][2], select["expected"]) == ("-", {"visitor": "!"})
    assert [each["what"] for each in report["coverage"]][:1] == ["policies"]


def test_sql_that_fails_is_an_error_and_nothing_is_written(toy: pytest.Pytester, command: Command) -> None:
    (toy.path / "migrations/phase_1_notes/1_2_count_notes.sql").write_text("SELECT 1/0;")
    result = command()
    assert (result.ret, result.outlines) == (2, [])
    assert result.errlines[0] == "ERROR: migrations/phase_1_notes/1_2_count_notes.sql:1:1: division by zero (22012)"
    assert not (toy.path / FOLDER).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["pytest.ini"], "pytest.ini is not a folder: name one, such as .rolecall/report.", id="a file"),
        pytest.param(["--drift", "gone.json"], "gone.json does not exist. Make it with rolecall check", id="no drift"),
        pytest.param(["--drift", "pytest.ini"], "pytest.ini cannot be read: Expecting value", id="drift is no JSON"),
    ],
)
def test_bad_arguments_are_one_error(command: Command, arguments: list[str], message: str) -> None:
    result = command(*arguments)
    assert (result.ret, result.outlines, len(result.errlines)) == (2, [], 1)
    assert result.errlines[0].startswith(f"ERROR: {message}")


def test_a_project_of_one_schema_file(toy: pytest.Pytester, command: Command) -> None:
    """It has no migrations, so no phases."""
    files = ["baseline.sql", *(f"migrations/phase_1_notes/{name}" for name in ("1_1_notes.sql", "1_2_count_notes.sql"))]
    schema = "".join((toy.path / name).read_text() for name in files)
    (toy.path / "baseline.sql").write_text(schema)
    settings = (toy.path / "pytest.ini").read_text().splitlines()
    wanted = [line for line in settings if not line.startswith(("rolecall_migrations", "rolecall_defects"))]
    (toy.path / "pytest.ini").write_text("\n".join(wanted))
    result = command("out", "--format", "json")
    assert (result.ret, result.errlines) == (0, [])
    report = written(toy, "out")
    assert (report["phases"], report["findings"]) == ([], [])
    assert [each["name"] for each in report["objects"]][:2] == ["shop.notes", "shop.titles"]
    assert report["objects"][0]["place"]["file"] == "baseline.sql"
