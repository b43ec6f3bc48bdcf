"""What a saved file concerns, by its path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rolecall.settings import Settings
from rolecall.watch.concern import Project, concern_of

ROOT = Path("/project")
SETTINGS = replace(
    Settings(), baseline=ROOT / "baseline.sql", migrations=ROOT / "migrations", defects=ROOT / "tests" / "defects"
)
PROJECT = Project(
    settings=SETTINGS,
    root=ROOT,
    folder=ROOT,
    configuration=ROOT / "pyproject.toml",
    patterns=("test_*.py", "*_test.py"),
    arguments=("tests", "other_test.py::test_one"),
    has_xdist=False,
)


@pytest.mark.parametrize(
    ("path", "everything", "tests", "scripts"),
    [
        ("tests/test_notes.py", False, True, False),
        ("tests/notes_test.py", False, True, False),
        ("tests/defects/f1.sql", False, True, False),
        ("tests/conftest.py", True, False, False),
        ("app/models.py", True, False, False),
        ("pyproject.toml", True, False, False),
        ("pytest.ini", True, False, False),
        ("baseline.sql", False, False, True),
        ("migrations/1_notes.sql", False, False, True),
        ("migrations/deep/verify.sql", False, False, True),
        ("migrations/README.md", False, False, False),
        ("other.sql", False, False, False),
        ("app/pyproject.toml", False, False, False),
        ("README.md", False, False, False),
        (".git/conftest.py", False, False, False),
        (".venv/lib/test_x.py", False, False, False),
        ("tests/node_modules/x/setup.py", False, False, False),
        ("tests/.#test_notes.py", False, False, False),
        ("tests/#test_notes.py", False, False, False),
        ("migrations/.#1_notes.sql", False, False, False),
        ("tests/test_notes.py~", False, False, False),
    ],
)
def test_concern(path: str, everything: bool, tests: bool, scripts: bool) -> None:
    concern = concern_of({ROOT / path}, PROJECT)
    assert (bool(concern.everything), bool(concern.tests), bool(concern.scripts)) == (everything, tests, scripts)
    assert bool(concern) is (everything or tests or scripts)


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("tests/test_notes.py", ["/project/tests/test_notes.py"]),
        ("other_test.py", ["other_test.py::test_one"]),
        ("others/test_notes.py", []),
    ],
)
def test_selecting(path: str, arguments: list[str]) -> None:
    assert PROJECT.selecting(ROOT / path) == arguments


def test_folders() -> None:
    """Those of files outside of the project are watched, too."""
    assert PROJECT.folders == [ROOT]
    outside = replace(PROJECT, settings=replace(SETTINGS, baseline=Path("/schemas/baseline.sql")))
    assert outside.folders == [ROOT, Path("/schemas")]
