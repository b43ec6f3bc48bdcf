"""``--rolecall-report``: what a run writes for machines, and what it prints for GitHub Actions."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rolecall.errors import RolecallError
from rolecall.gather import mutants, run
from rolecall.report.report import Place, ReportedRun, as_json
from tests.rolecall.conftest import lay_out
from tests.rolecall.report.published import REPORT, check, check_sarif, check_stryker, load

STEP = "migrations/phase_1_notes/1_1_notes.sql"
LEAK = 'ALTER POLICY "own notes are read" ON shop.notes USING (true);\n'
LOCK = "REVOKE DELETE ON shop.notes FROM toy_member;\n"
LINES = 11  # of the step


def break_migration(toy: pytest.Pytester, *statements: str) -> None:
    """Add statements to the end of the step that creates the table; the first is line 12."""
    with (toy.path / STEP).open("a", encoding="utf-8") as file:
        file.writelines(statements)


def report(toy: pytest.Pytester, *options: str, processes: str = "0") -> pytest.RunResult:
    start = toy.runpytest_inprocess if processes == "0" else toy.runpytest_subprocess
    return start("-n", processes, "--deselect", "defects", "--rolecall-report", "out", *options)


def written(toy: pytest.Pytester) -> ReportedRun:
    """The run that was written, which is what its schema says, and what its reader reads."""
    path = toy.path / "out" / "run.json"
    check(load(path), REPORT, "ReportedRun")
    found = run.read(path.parent)
    assert found
    assert as_json(found) == path.read_text(encoding="utf-8")
    return found


def sarif(toy: pytest.Pytester, name: str = "rolecall.sarif") -> dict[str, Any]:
    return check_sarif((toy.path / "out" / name).read_text(encoding="utf-8"))


def place(location: dict[str, Any]) -> tuple[str, int]:
    physical = location["physicalLocation"]
    assert physical["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_each_failing_cell_is_at_the_line_that_decides_it(toy: pytest.Pytester, processes: str) -> None:
    break_migration(toy, LEAK, LOCK)
    toy.makepyfile(test_python="def test_python(rolecall_db):\n    assert rolecall_db is None, 'an example'")
    result = report(toy, processes=processes)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["reports: out/run.json, out/rolecall.sarif"])
    found = written(toy)
    assert (found.seed, found.default_privileges, found.complete) == (1, "revoked", True)
    assert found.server.startswith("PostgreSQL ")
    assert {count.what for count in found.coverage} >= {"policies", "constraints"}
    cells = {(each.kind, each.command, each.persona, each.row): each for each in found.tests.failures}
    leak = cells["let in", "select", "bob", "alice's note"]
    assert leak.place == Place(STEP, LINES + 1)
    assert (leak.expected, leak.got, leak.causes) == ("-", "yes", ['policy "own notes are read"'])
    assert leak.test_place == Place("test_notes.py", 9)
    assert leak.text.startswith('bob: select on "alice\'s note" of shop.notes\n')
    assert cells["refused", "delete", "alice", "alice's note"].place == Place(STEP, LINES + 2)
    other = cells["", "", "", ""]
    assert (other.test, other.place) == ("test_python.py::test_python", Place("test_python.py", 1))
    assert found.tests.outcomes["failed"] == len(found.tests.failures) == 7

    results = {each["message"]["text"]: each for each in sarif(toy)["results"]}
    assert len(results) == 6
    one = results[
        'bob: select on "alice\'s note" of shop.notes is allowed (yes), and the grid says without effect (-). '
        'Lets it in: policy "own notes are read".'
    ]
    assert (one["ruleId"], one["level"]) == ("let-in", "error")
    assert [place(each) for each in one["locations"]] == [(STEP, LINES + 1)]
    assert [place(each) for each in one["relatedLocations"]] == [("test_notes.py", 9)]


def test_a_result_is_the_same_in_the_next_run(toy: pytest.Pytester) -> None:
    """Also if its line has moved."""
    break_migration(toy, LEAK, LOCK)
    report(toy)
    before = sarif(toy)["results"]
    step = toy.path / STEP
    step.write_text("-- one more line\n" + step.read_text())
    report(toy)
    after = sarif(toy)["results"]
    hashes = [[each["partialFingerprints"] for each in results] for results in (before, after)]
    assert hashes[0] == hashes[1]
    assert len({each["primaryLocationLineHash"] for each in hashes[0]}) == len(before)
    assert place(after[0]["locations"][0])[1] == place(before[0]["locations"][0])[1] + 1


def test_nothing_fails(toy: pytest.Pytester) -> None:
    result = report(toy, "test_notes.py")
    assert result.ret == pytest.ExitCode.OK
    found = written(toy)
    assert found.tests.failures == []
    assert found.tests.outcomes == {"passed": 40}
    assert sarif(toy)["results"] == []


def test_an_object_without_a_test(toy: pytest.Pytester) -> None:
    """The place is the statement that makes it, also of a name with a space."""
    break_migration(
        toy,
        'CREATE TABLE shop."my pins" (id int PRIMARY KEY);\n',
        'GRANT SELECT ON shop."my pins" TO toy_visitor;\n',
    )
    report(toy)
    (one,) = [each for each in written(toy).tests.failures if "my pins" in each.text]
    assert (one.kind, one.place) == ("untested", Place(STEP, LINES + 1))
    (result,) = sarif(toy)["results"]
    assert (result["ruleId"], place(result["locations"][0])) == ("untested", (STEP, LINES + 1))


def test_each_cell_of_a_test_of_a_whole_grid(toy: pytest.Pytester) -> None:
    """After an earlier phase, one test tries all cells."""
    second = toy.path / "migrations" / "phase_2_closed"
    second.mkdir()
    (second / "2_1_closed.sql").write_text(
        'ALTER POLICY "own notes are read" ON shop.notes USING (author = shop.me());\n'
    )
    for name in ("verify.sql", "rollback.sql"):
        (second / name).write_text("SELECT 1;\n")
    break_migration(toy, LEAK)
    result = report(toy, "--rolecall-after-each-phase")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    failures = written(toy).tests.failures
    assert {each.test for each in failures} == {"test_notes.py::test_grid[after phase 1]"}
    assert {(each.persona, each.row) for each in failures} == {("bob", "alice's note"), ("alice", "bob's note")}
    assert failures[0].text.endswith('expected -, got yes (policy "own notes are read")')


ERROR = re.compile(r"^::error file=(.+),line=(\d+),title=(.+?)::(.+)$", re.MULTILINE)


def test_annotations_on_github(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    break_migration(toy, LEAK, LOCK)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert "::error" not in report(toy).stdout.str()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    first, second, *_ = ERROR.findall(report(toy).stdout.str())
    assert first[:3] == (STEP, str(LINES + 1), "shop.notes lets somebody in who should have no access")
    assert first[3].startswith('bob: select on "alice\'s note" of shop.notes%0A  written ')
    assert first[3].endswith('%0Aalso alice: select on "bob\'s note"')
    assert second[:3] == (STEP, str(LINES + 2), "shop.notes refuses somebody who should have access")


def test_paths_begin_at_the_repository(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project may be a folder of it."""
    (toy.path / ".git").mkdir()
    lay_out(toy.path / "my project")
    monkeypatch.chdir(toy.path / "my project")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with Path(STEP).open("a") as file:
        file.write(LEAK)
    result = report(toy)
    assert ERROR.findall(result.stdout.str())[0][0] == f"my project/{STEP}"
    log = check_sarif(Path("out/rolecall.sarif").read_text())
    assert place(log["results"][0]["locations"][0])[0] == f"my%20project/{STEP}"
    found = run.read(Path("out"))
    assert found
    assert found.tests.failures[0].place.file == STEP


def test_a_folder_that_cannot_be_written(toy: pytest.Pytester) -> None:
    """It costs a warning, and not the run."""
    (toy.path / "out").write_text("a file")
    result = report(toy, "test_notes.py")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["WARNING: --rolecall-report: */out: the reports cannot be written: *"])
    assert (toy.path / "out").read_text() == "a file"


def test_a_run_without_results_writes_nothing(toy: pytest.Pytester) -> None:
    """The report of the last run that had results stays."""
    report(toy, "test_notes.py")
    before = (toy.path / "out" / "run.json").read_text()
    break_migration(toy, "SELECT nothing;")
    result = report(toy)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    report(toy, "--collect-only")
    assert (toy.path / "out" / "run.json").read_text() == before
    assert sorted(path.name for path in (toy.path / "out").iterdir()) == ["rolecall.sarif", "run.json"]


def test_a_file_that_cannot_be_collected(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_python="import nothing_of_this_name")
    assert report(toy).ret == pytest.ExitCode.INTERRUPTED
    found = written(toy)
    assert not found.complete
    assert [each.test for each in found.tests.failures] == ["test_python.py"]


def test_by_the_configuration(toy: pytest.Pytester) -> None:
    with (toy.path / "pytest.ini").open("a") as file:
        file.write("rolecall_report = build/reports\n")
    toy.runpytest_inprocess("test_notes.py")
    assert (toy.path / "build" / "reports" / "run.json").exists()


# ------------------------------------------------------------------ mutants

PIN = """\
import pytest


@pytest.mark.rolecall_pin
def test_the_definition_of_titles(db):
    assert "3" in db.value("SELECT pg_get_viewdef('shop.titles'::regclass)")
"""


def stryker(toy: pytest.Pytester) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report, and its mutants by their id. Its numbers are those of rolecall's own score."""
    data = check_stryker((toy.path / "out" / "mutants.json").read_text(encoding="utf-8"))
    found = {mutant["id"]: mutant for file in data["files"].values() for mutant in file["mutants"]}
    statuses = Counter(mutant["status"] for mutant in found.values())
    score = Counter(data["config"]["rolecall"]["score"]["outcomes"])
    assert statuses["Killed"] == score["killed"]
    assert statuses["Survived"] == score["survived"] + score["pinned"]
    assert (statuses["Ignored"], statuses["CompileError"]) == (score["equivalent"], score["invalid"])
    read = mutants.read(toy.path / "out")
    assert read
    assert read.score.outcomes == score
    assert {each.id for each in read.survivors} <= {
        name for name, each in found.items() if each["status"] == "Survived"
    }
    return data, found


@pytest.mark.parametrize("processes", ["0", "2"])
def test_mutants_of_a_policy(toy: pytest.Pytester, processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    options = ("--rolecall-mutants", "--rolecall-mutants-of", "own notes are deleted", "test_notes.py")
    result = report(toy, *options, processes=processes)
    result.stdout.fnmatch_lines(["reports: out/mutants.json, out/mutants.sarif"])
    data, found = stryker(toy)
    assert list(data["files"]) == [STEP]
    assert list(data["testFiles"]) == ["test_notes.py"]
    dropped = found['shop.notes "own notes are deleted" | policy-drop | dropped']
    assert dropped["status"] == "Killed"
    assert dropped["killedBy"] == ["test_notes.py::test_grid[alice's note-delete-alice]"]
    assert dropped["location"]["start"] == {"line": 11, "column": 1}
    assert dropped["replacement"] == 'DROP POLICY "own notes are deleted" ON "shop"."notes"'
    results = sarif(toy, "mutants.sarif")["results"]
    assert {each["level"] for each in results} == {"warning"}
    assert {place(each["locations"][0]) for each in results} == {(STEP, 11)}
    assert len(results) == len([each for each in found.values() if each["status"] == "Survived"]) > 0
    (warning,) = (line for line in result.stdout.lines if line.startswith("::"))
    assert warning.startswith(f"::warning file={STEP},line=11,title=No test notices::shop.notes ")
    assert not (toy.path / "out" / "run.json").exists()


def test_mutants_that_only_a_pin_notices(toy: pytest.Pytester) -> None:
    """They are no better than survivors, in rolecall's score and in Stryker's; also if they are declared."""
    (toy.path / "test_pins.py").write_text(PIN)
    (toy.path / "pinned.txt").write_text("shop.titles | view-edit | 3 becomes 4 :: the reason\n")
    with (toy.path / "pytest.ini").open("a") as file:
        file.write("rolecall_pinned = pinned.txt\n")
    report(toy, "--rolecall-mutants", "--rolecall-mutants-of", "titles", "--rolecall-mutants-operator", "view-edit")
    _, found = stryker(toy)
    pinned = found["shop.titles | view-edit | 3 becomes 2"]
    assert (pinned["status"], pinned["coveredBy"]) == ("Survived", ["test_pins.py::test_the_definition_of_titles"])
    assert pinned["statusReason"] == "only a pin noticed it: test_pins.py::test_the_definition_of_titles"
    declared = found["shop.titles | view-edit | 3 becomes 4"]
    assert (declared["status"], declared["statusReason"]) == ("Survived", pinned["statusReason"] + " (the reason)")
    assert len(sarif(toy, "mutants.sarif")["results"]) == 1


def test_mutants_of_a_script(toy: pytest.Pytester) -> None:
    """The place is the statement in the script, and what takes its place is not the whole script."""
    (toy.path / "test_scripts.py").write_text("def test_scripts(scratch):\n    scratch().apply(1)\n")
    report(toy, "--rolecall-mutants", "--rolecall-mutants-operator", "statement-drop", "test_scripts.py")
    data, found = stryker(toy)
    one = found["phase_1_notes/rollback.sql | statement-drop | without DROP FUNCTION shop.count_notes()"]
    assert one["location"]["start"] == {"line": 2, "column": 1}
    assert one["replacement"] == ""
    assert one in data["files"]["migrations/phase_1_notes/rollback.sql"]["mutants"]


# ------------------------------------------------------------------ reading


def test_a_folder_without_reports(tmp_path: Path) -> None:
    assert run.read(tmp_path) is None
    assert mutants.read(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("[]", "is not a JSON object"),
        ("{}", "has format None, and this rolecall reads 1"),
        ('{"format": 2}', "has format 2"),
        ('{"format": 1}', "is not the report of a run"),
        ('{"format": 1, "tests": 3, "rolecall": "", "server": "", "default_privileges": "", "seed": 1}', "is not the"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_run_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text, errors="surrogateescape")
    with pytest.raises(RolecallError, match=f"run.json {message}.* Run pytest with --rolecall-report again"):
        run.read(tmp_path)


@pytest.mark.parametrize("text", ["{}", '{"config": {}}', '{"config": {"rolecall": {"survivors": [{}]}}}', "[", "3"])
def test_mutants_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "mutants.json").write_text(text)
    with pytest.raises(RolecallError, match=r"mutants.json .*Run pytest with --rolecall-report again"):
        mutants.read(tmp_path)


def test_json_has_no_spaces(toy: pytest.Pytester) -> None:
    """It may be large."""
    report(toy, "test_notes.py")
    text = (toy.path / "out" / "run.json").read_text()
    assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
