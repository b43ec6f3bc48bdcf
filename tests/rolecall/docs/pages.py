"""The code blocks of a page, and a run of pytest that no setting of the outer run reaches."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest


def blocks(page: Path) -> dict[str, list[str]]:
    """The code blocks of a page, by their language."""
    found: dict[str, list[str]] = {}
    for language, text in re.findall(
        r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        found.setdefault(language, []).append(text)
    return found


def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove rolecall's variables: an inner run has only the settings of its project."""
    for name in [name for name in os.environ if name.startswith("ROLECALL_")]:
        monkeypatch.delenv(name)
