"""Every test that docs/findings.md and the defects name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "tests"
FINDINGS = ROOT / "docs" / "findings.md"
DEFECTS = sorted((TESTS / "defects").glob("*.sql"))
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")
CAUGHT_BY = re.compile(r"^-- caught by: tests/([\w/]+\.py)(?:::(\w+))?", re.MULTILINE)


def missing(references: list[tuple[str, str]]) -> Iterator[str]:
    """The references to a file below tests/, or to a function in it, that does not exist."""
    for file, function in references:
        path = TESTS / file
        if not path.is_file() or (function and function not in names_in(path)):
            yield f"{file}::{function}" if function else file


def names_in(path: Path) -> set[str]:
    """The functions of a test module, and its grids."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_each_test_of_a_finding_exists() -> None:
    references = NAMED.findall(FINDINGS.read_text(encoding="utf-8"))
    assert len(references) > 50
    assert list(missing(references)) == []


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda path: path.stem)
def test_each_test_of_a_defect_exists(defect: Path) -> None:
    references = CAUGHT_BY.findall(defect.read_text(encoding="utf-8"))
    assert references
    assert list(missing(references)) == []
