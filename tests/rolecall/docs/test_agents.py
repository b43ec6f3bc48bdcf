"""docs/agents.md and llms.txt: the project runs as shown, and each failure of the table is one that it can have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rolecall import settings
from rolecall.server import choose
from rolecall.server.choose import Server
from tests.rolecall.docs.pages import blocks, without_settings

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "agents.md"
GITHUB = "https://github.com/enorae/rolecall/blob/main/"
FAILURES = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

# What to change in the project to have each failure: the file, the old text, and the new one.
EDITS: dict[str, tuple[str, str | re.Pattern[str], str]] = {
    'bob: select on "alice\'s task" of app.tasks': ("schema.sql", "USING (shared)", "USING (true)"),
    "got         error": ("test_tasks.py", "title = 'changed'", "titel = 'changed'"),
    "unknown persona 'carol'": ("test_tasks.py", "  bob  ", "  carol"),
    'the world has no row "bob\'s task"': ("test_tasks.py", "    alice's task", "    bob's task"),
    "has no line for 'visitor'": (
        "test_tasks.py",
        "      visitor              !        !        !        !        !\n",
        "",
    ),
    'no heading for "alice\'s shared task"': (
        "test_tasks.py",
        re.compile(r"    alice's shared task\n(      .*\n)+"),
        "",
    ),
    "no column for 'delete'": ("test_tasks.py", "   delete", ""),
    "expected names, then 5 verdicts": ("test_tasks.py", "yes      !\n", "yes\n"),
    "app.notes has row-level security and no grid": (
        "schema.sql",
        "ALTER TABLE",
        "CREATE TABLE app.notes (id int);\nALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;\nALTER TABLE",
    ),
    "cannot be loaded:": ("conftest.py", ', title="Plan"', ""),
    "cells are not decided yet": (
        "test_tasks.py",
        "!        !        !        !        !",
        "!?       !?       !        !        !",
    ),
    "schema.sql:17:70:": ("schema.sql", "USING (shared)", "USING shared"),
    "rolecall has nothing to build": ("pytest.ini", "rolecall_baseline = schema.sql", ""),
}


@pytest.fixture(scope="module")
def server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """A server of its own: on one with another run, the roles of a run stay, and the page makes them each time."""
    with choose.running(replace(settings.read(pytestconfig), pg_dsn=None)) as server:
        yield server


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, server: Server) -> pytest.Pytester:
    """The project of the page."""
    without_settings(monkeypatch)
    monkeypatch.setenv("ROLECALL_PG_DSN", server.conninfo)
    page = blocks(PAGE)
    conftest, test = page["python"]
    for file, text in {
        "pytest.ini": page["ini"][0],
        "schema.sql": page["sql"][0],
        "conftest.py": conftest,
        "test_tasks.py": test,
    }.items():
        pytester.path.joinpath(file).write_text(text, encoding="utf-8")
    return pytester


def run(project: pytest.Pytester) -> pytest.RunResult:
    return project.runpytest_subprocess("-q", "-p", "no:randomly", "-p", "no:cacheprovider")


def test_the_project_passes(project: pytest.Pytester) -> None:
    shown = blocks(PAGE)["console"][0].splitlines()[1]
    result = run(project)
    assert result.ret == 0
    assert result.outlines[-1].startswith(f"{shown} in ")


def test_each_failure_has_an_edit() -> None:
    assert list(EDITS) == FAILURES


@pytest.mark.parametrize("failure", EDITS)
def test_the_failure_is_as_shown(project: pytest.Pytester, failure: str) -> None:
    file, old, new = EDITS[failure]
    path = project.path / file
    text = path.read_text(encoding="utf-8")
    changed = text.replace(old, new, 1) if isinstance(old, str) else old.sub(new, text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    result = run(project)
    assert failure in result.stdout.str() + result.stderr.str()
    assert (result.ret == 0) is (failure == "cells are not decided yet")


def test_the_shown_id_is_that_of_a_cell(project: pytest.Pytester) -> None:
    (name,) = re.findall(r'^pytest -q "(.*)"', blocks(PAGE)["sh"][0], re.MULTILINE)
    project.runpytest_subprocess("-q", name).assert_outcomes(passed=1)


def test_each_page_of_llms_txt_exists_once() -> None:
    links = re.findall(r"\]\((.*?)\)", (ROOT / "llms.txt").read_text(encoding="utf-8"))
    assert len(links) == len(set(links)) > 10
    assert [link for link in links if not link.startswith(GITHUB)] == []
    assert [link for link in links if not (ROOT / link.removeprefix(GITHUB)).is_file()] == []
