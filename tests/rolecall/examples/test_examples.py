"""Each project of ``examples/`` does what its README says: its two commands work, and it fails as shown."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rolecall.server.choose import Server

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if (path / "README.md").exists())
WRITTEN_BY_RUNS = shutil.ignore_patterns(".rolecall", ".pytest_cache", "__pycache__", ".venv")
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)

Run = Callable[[Path], pytest.RunResult]


def block(example: Path, language: str) -> list[str]:
    """The lines of the only block of the README in a language."""
    readme = (example / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    return str(text).splitlines()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, running_server: Server) -> Run:
    """A function that runs the second command of an example in the folder of the test.

    The server is for these tests only: the examples create roles, which stay while another run is alive.
    """
    for name in [name for name in os.environ if name.startswith("ROLECALL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROLECALL_PG_DSN", running_server.conninfo)

    def run(example: Path) -> pytest.RunResult:
        _, command = block(example, "sh")
        return pytester.run(sys.executable, "-m", *shlex.split(command))

    return run


def copy(example: Path, folder: Path) -> None:
    """Copy an example, without what its runs write."""
    shutil.copytree(example, folder, dirs_exist_ok=True, ignore=WRITTEN_BY_RUNS)


def test_there_are_examples() -> None:
    assert [example.name for example in EXAMPLES] == ["postgres", "postgrest", "sqlalchemy", "supabase"]


@each_example
def test_the_page_names_it(example: Path) -> None:
    assert f"](../examples/{example.name}/README.md)" in (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")


@each_example
def test_the_files_that_the_readme_names_exist(example: Path) -> None:
    readme = (example / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`]+)`", readme, re.MULTILINE)
    assert named
    assert [name for name in named if not (example / name).exists()] == []


@each_example
def test_what_it_installs_is_what_it_is_tested_with(example: Path) -> None:
    """The first command is not run: it needs the network."""
    install, _ = block(example, "sh")
    assert install == "pip install -r requirements.txt"
    lines = (example / "requirements.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines]
    assert "rolecall" in [requirement.name for requirement in requirements]
    versions = {requirement: metadata.version(requirement.name) for requirement in requirements}
    assert [str(wanted) for wanted, version in versions.items() if version not in wanted.specifier] == []


@each_example
def test_it_passes(pytester: pytest.Pytester, run: Run, example: Path) -> None:
    """Nothing is undecided or skipped, and there are no warnings."""
    copy(example, pytester.path)
    result = run(example)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()[-3000:]
    assert set(result.parseoutcomes()) == {"passed"}


@each_example
def test_it_fails_as_shown_if_a_policy_is_wrong(pytester: pytest.Pytester, run: Run, example: Path) -> None:
    copy(example, pytester.path)
    name, old, new = block(example, "diff")
    file = pytester.path / name.removeprefix("--- ")
    before = file.read_text(encoding="utf-8")
    assert before.count(old[1:]) == 1
    file.write_text(before.replace(old[1:], new[1:]), encoding="utf-8")
    result = run(example)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    failed = [line.split(" - ")[0].rstrip() for line in result.outlines if line.startswith("FAILED ")]
    _, *shown = block(example, "console")
    assert sorted(failed) == sorted(shown)
