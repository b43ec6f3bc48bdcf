"""`rolecall diff` between revisions, folders and lock files; and its text, Markdown and JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from rolecall.access_map import render, text
from rolecall.access_map.difference import compare
from rolecall.access_map.render import Title
from rolecall.cli import main
from rolecall.report.access import HEAD, Access, AccessMap, Attempt, ObjectAccess
from rolecall.report.difference import AccessChange, AccessDifference, Witness
from tests.rolecall.conftest import lay_out

SELECT = Attempt("alice's note", "select")


def access(*personas: str, everybody: Iterable[str] = ("alice", "bob")) -> AccessMap:
    """These personas may select Alice's note."""
    notes = ObjectAccess("app.notes", "table", {SELECT: dict.fromkeys(personas, Access())})
    return AccessMap(dict.fromkeys(everybody, "app_user"), {"app.notes": notes})


def lock(folder: Path, name: str, written: AccessMap) -> str:
    path = folder / name
    path.write_text(text.write({HEAD: written}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("before", "after", "fail_on", "status"),
    [
        (["alice"], ["alice"], "any", 0),
        (["alice"], ["alice", "bob"], "gained", 1),
        (["alice"], ["alice", "bob"], "lost", 0),
        (["alice"], ["alice", "bob"], "never", 0),
        (["alice", "bob"], ["alice"], "gained", 0),
        (["alice", "bob"], ["alice"], "lost", 1),
        (["alice", "bob"], ["alice"], "any", 1),
    ],
)
def test_the_exit_status(tmp_path: Path, before: list[str], after: list[str], fail_on: str, status: int) -> None:
    files = lock(tmp_path, "before.lock", access(*before)), lock(tmp_path, "after.lock", access(*after))
    assert main(["diff", *files, "--fail-on", fail_on]) == status


def test_lock_files_of_different_personas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        lock(tmp_path, "before.lock", access("alice")),
        lock(tmp_path, "after.lock", access("alice", "carol", everybody=("alice", "carol"))),
    ]
    assert main(["diff", *files]) == 2
    error = capsys.readouterr().err
    assert "the two sides have different personas: only " in error
    assert "before.lock has bob (app_user); only " in error
    assert "after.lock has carol (app_user)." in error
    assert main(["diff", *files, "--common-personas"]) == 0
    assert "the persona bob: only one of the two has it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nothing"], "nothing is neither a lock file, nor a folder, nor a git revision here"),
        (["--output", "no/where.md", "a.lock", "a.lock"], "--output no/where.md: No such file or directory."),
        (["b.lock", "a.lock"], "b.lock:1: a lock file begins with 'format 1'"),
    ],
)
def test_bad_arguments(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    error: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    lock(tmp_path, "a.lock", access("alice"))
    (tmp_path / "b.lock").write_text("hello\n")
    assert main(["diff", *arguments]) == 2
    assert error in capsys.readouterr().err


# ------------------------------------------------------------------ revisions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(toy: pytest.Pytester) -> pytest.Pytester:
    """The toy project as a commit."""
    git(toy.path, "init", "-q")
    git(toy.path, "add", ".")
    git(toy.path, "commit", "-q", "-m", "first")
    return toy


def diff(toy: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return toy.run(sys.executable, "-m", "rolecall", "diff", *arguments)


def test_a_revision_and_the_working_folder(repository: pytest.Pytester) -> None:
    same = diff(repository, "HEAD")
    assert (same.ret, same.outlines[1]) == (0, "0 gained, 0 lost")
    path = repository.path / "migrations/phase_1_notes/1_1_notes.sql"
    path.write_text(path.read_text().replace("FOR SELECT USING (author = shop.me())", "FOR SELECT USING (true)"))
    result = diff(repository, "HEAD", "--format", "json")
    assert result.ret == 1
    found = json.loads(result.stdout.str())
    assert [change["sentence"] for change in found["gained"]] == [
        'bob gained select on "alice\'s note" of shop.notes',
        'alice gained select on "bob\'s note" of shop.notes',
        'bob gained select on "alice\'s note" of shop.titles',
        'alice gained select on "bob\'s note" of shop.titles',
    ]
    assert found["gained"][0]["witness"] == {
        "role": "toy_member",
        "claims": {"sub": "bob", "role": "toy_member"},
        "settings": {},
        "statement": 'SELECT * FROM "shop"."notes" WHERE "id" = 1',
    }
    assert (found["lost"], found["not_compared"]) == ([], [])


def test_a_project_in_a_folder_of_the_repository(toy: pytest.Pytester) -> None:
    """Also where .gitattributes leaves the migrations out of archives. git's index does not change."""
    inside = toy.path / "api" / "db"
    inside.mkdir(parents=True)
    lay_out(inside)
    (toy.path / ".gitattributes").write_text("migrations export-ignore\n")
    git(toy.path, "init", "-q")
    git(toy.path, "add", "api", ".gitattributes")
    git(toy.path, "commit", "-q", "-m", "first")
    path = inside / "migrations/phase_1_notes/1_1_notes.sql"
    path.write_text(path.read_text().replace("FOR SELECT USING (author = shop.me())", "FOR SELECT USING (true)"))
    os.chdir(inside)
    result = diff(toy, "HEAD")
    assert result.ret == 1
    assert '  bob gained select on "alice\'s note" of shop.notes' in result.outlines
    assert "NOT COMPARED" not in result.outlines
    assert git(toy.path, "diff", "--cached") == ""


def test_an_older_revision_without_a_table_and_with_other_tests(repository: pytest.Pytester) -> None:
    """The SQL of both is tried with the personas of the newer one: a test that was wrong before does not matter."""
    path = repository.path / "migrations/phase_1_notes/1_3_log.sql"
    path.write_text("CREATE TABLE shop.log (line text); GRANT SELECT, INSERT ON shop.log TO toy_visitor;")
    conftest = repository.path / "conftest.py"
    row = '    world.add("shop.log", "a line", line="x")\n    world.persona("eve", "toy_visitor")\n    return world\n'
    conftest.write_text(conftest.read_text().replace("    return world\n", row))
    tests = repository.path / "test_notes.py"
    tests.write_text(tests.read_text().replace("visitor ", "visitor, eve ", 1).replace("visitor ", "visitor, eve "))
    result = diff(repository, "HEAD")
    lines = result.outlines
    assert "  eve and visitor gained select on shop.log" in lines
    assert "  eve and visitor gained the privilege INSERT on shop.log" in lines
    assert result.ret == 1


def test_sql_that_fails_is_named(repository: pytest.Pytester) -> None:
    path = repository.path / "migrations/phase_1_notes/1_1_notes.sql"
    path.write_text("CREATE TABLE nonsense")
    result = diff(repository, "HEAD")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        ["*1_1_notes.sql:1*", "ERROR: the access of . cannot be measured: see the message above."]
    )


# ------------------------------------------------------------------ texts

TITLE = Title.of("main", ".", access("alice", "bob"))


def gains(number: int) -> AccessDifference:
    witness = Witness("app_user", {"sub": "bob's"}, {"app.tenant": "7"}, "SELECT 1")
    changes = [
        AccessChange("bob", f"app.t{each}", "table", "row", "select", "", witness=witness) for each in range(number)
    ]
    return AccessDifference(gained=changes, lost=changes, not_compared=["a", "b"])


def test_the_text_has_gains_before_losses() -> None:
    difference = compare({HEAD: access("alice", "bob")}, {HEAD: access("carol", everybody=["alice"])})
    assert render.as_text(difference, TITLE).splitlines()[:2] == [
        "main -> .: 2 attempts as 2 personas, on 1 tables, views and functions",
        "0 gained, 1 lost, 1 not compared",
    ]
    shown = render.as_text(gains(1), TITLE)
    assert shown.index("GAINED") < shown.index("LOST") < shown.index("NOT COMPARED")
    assert "      as bob: SELECT 1\n" in shown


def test_a_witness_can_be_replayed() -> None:
    witness = gains(1).gained[0].witness
    assert witness
    assert render.replay(witness) == (
        "BEGIN; SELECT set_config('role', 'app_user', true), set_config('request.jwt.claims', '{\"sub\": \"bob''s\"}', "
        "true), set_config('app.tenant', '7', true); SELECT 1; ROLLBACK;"
    )


@pytest.mark.parametrize("number", [0, 1, 15, 3000])
def test_markdown_is_never_too_long(number: int) -> None:
    written = render.as_markdown(gains(number), TITLE, 10_000)
    assert len(written.encode()) <= 10_000
    assert written.startswith(render.MARKER)
    assert written.count("<details>") == written.count("</details>")
    assert ("more: run `rolecall diff` to see all" in written) is (number > 15)


def test_names_do_nothing_in_markdown() -> None:
    change = AccessChange("bob", "app.t", "table", "<img src=x> @team [a](b)", "select", "")
    written = render.as_markdown(AccessDifference(gained=[change]), TITLE, 10_000)
    assert r"\<img src=x\> \@team \[a\]\(b\)" in written
