"""What docs/pgtap.md shows is what the quick start of the README becomes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.rolecall.docs.pages import blocks, without_settings

ROOT = Path(__file__).parents[3]


def test_the_shown_assertion_is_that_of_the_quick_start(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_settings(monkeypatch)
    readme = blocks(ROOT / "README.md")
    pytester.path.joinpath("tests").mkdir()
    for file, text in {
        "pytest.ini": readme["ini"][0],
        "schema.sql": readme["sql"][0],
        "conftest.py": readme["python"][1],
        "tests/test_notes.py": f"from rolecall import grid\n\n{readme['python'][0]}",
    }.items():
        pytester.path.joinpath(file).write_text(text, encoding="utf-8")
    result = pytester.run(sys.executable, "-m", "rolecall", "pgtap", "supabase/tests")
    assert result.ret == 0
    written = (pytester.path / "supabase/tests/rolecall_app_notes.sql").read_text(encoding="utf-8")
    page = blocks(ROOT / "docs" / "pgtap.md")
    (shown,) = [text for text in page["sql"] if "try_as" in text]
    tests = [line for line in written.splitlines() if line.startswith("SELECT is(")]
    number = tests.index(shown.strip()) + 1
    (failure,) = [text for text in page[""] if text.startswith("not ok")]
    (name,) = re.findall(r"'((?:[^']|'')*)'\);$", shown.strip())
    assert failure.startswith(f"not ok {number} - {name.replace(chr(39) * 2, chr(39))}\n")
