"""The documentation names what exists: settings, fixtures, files, modules; and its quick start works as written."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import reference
from rolecall import fixtures, settings
from rolecall.cli import check
from rolecall.plugin import MARKS
from rolecall.settings import Names

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "rolecall"
GITHUB = "https://github.com/enorae/rolecall/blob/main/"
PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "tests", ROOT / "benchmarks", *(ROOT / "examples").iterdir())
    for path in folder.glob("*.md")
    if path.name != "CHANGELOG.md"  # it has the old names, too
)
NAME = re.compile(r"--rolecall-[a-z]+(?:-[a-z]+)*|\bROLECALL_[A-Z]+(?:_[A-Z]+)*|\brolecall_[a-z]+(?:_[a-z]+)*")
LINK = re.compile(r"\]\(([^)#\s]+)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "settings.md", "fixtures.md"} <= {page.name for page in PAGES}


@each_page
def test_each_setting_and_fixture_exists(page: Path) -> None:
    known = {*fixtures.NAMES, check.VARIABLE, *(re.split("[(:]", mark)[0] for mark in MARKS)}
    for name, option in settings.options().items():
        argument, variable, ini = Names.of(name)
        known |= {variable, ini} | ({argument} if option.cli else set())
    assert sorted(set(NAME.findall(text_of(page))) - known) == []


@each_page
def test_each_linked_file_exists(page: Path) -> None:
    targets = [target.replace(GITHUB, f"{ROOT}/") for target in LINK.findall(text_of(page))]
    files = [target for target in targets if "://" not in target]
    assert [target for target in files if not (page.parent / target).exists()] == []


@each_page
def test_lines_are_not_long(page: Path) -> None:
    """Tables, code blocks and links cannot wrap."""
    text = re.sub(
        r"^```.*?^```", lambda block: "\n" * block[0].count("\n"), text_of(page), flags=re.DOTALL | re.MULTILINE
    )
    lines = [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|") and "](" not in line]
    assert lines == []


@each_page
def test_generated_parts_are_up_to_date(page: Path) -> None:
    text = text_of(page)
    assert reference.generated(text) == text, "run: .venv/bin/python docs/reference.py"


def test_the_rooms_import_only_from_those_below() -> None:
    """The drawing of the rooms is what the imports are."""
    (drawing,) = re.findall(r"## The rooms.*?```\n(.*?)```", text_of(ROOT / "docs" / "how-it-works.md"), re.DOTALL)
    levels = {
        room: number
        for number, line in enumerate(drawing.splitlines())
        for room in re.split(r"\s{3,}", line)[0].split()
    }
    imports = {(room, other) for path in SOURCE.rglob("*.py") for room, other in imports_of(path)}
    assert {room for pair in imports for room in pair} <= {*levels, "cli", "__main__"}
    assert sorted((room, other) for room, other in imports if room in levels and levels[room] > levels[other]) == []


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """The room of a module, with each other room that it imports when it runs."""
    room = path.relative_to(SOURCE).with_suffix("").parts[0]
    tree = ast.parse(text_of(path))
    for_types = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in for_types and (node.module or "").startswith("rolecall"):
            names = (node.module or "").split(".")[1:2] or [each.name for each in node.names]
            yield from ((room, name) for name in names if name != room and not name[0].isupper())


def test_the_quick_start_works(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the README give the failure that it shows, and pass without the policy that it blames."""
    for name in [name for name in os.environ if name.startswith("ROLECALL_")]:
        monkeypatch.delenv(name)
    readme = text_of(ROOT / "README.md")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    by_language = {language: [text for other, text in blocks if other == language] for language, _ in blocks}
    (ini,), (schema,), (grid, conftest) = (by_language[language] for language in ("ini", "sql", "python"))
    failure = by_language[""][0]
    pytester.path.joinpath("tests").mkdir()
    for file, text in {
        "pytest.ini": ini,
        "schema.sql": schema,
        "conftest.py": conftest,
        "tests/test_notes.py": f"from rolecall import grid\n\n{grid}",
    }.items():
        pytester.path.joinpath(file).write_text(text, encoding="utf-8")
    result = pytester.runpytest_subprocess("-q", "-p", "no:randomly")
    assert failure in result.stdout.str()
    result.assert_outcomes(failed=1, passed=14)
    pytester.path.joinpath("schema.sql").write_text(re.sub('.*"public notes".*', "", schema), encoding="utf-8")
    pytester.runpytest_subprocess("-q", "-p", "no:randomly").assert_outcomes(passed=15)
