"""The mutants that options select."""

from __future__ import annotations

import re

import pytest


def selected(toy: pytest.Pytester, *options: str) -> list[str]:
    """The ids of the mutants that the options select."""
    result = toy.runpytest_inprocess("--rolecall-mutants", "--collect-only", "-q", *options)
    assert result.ret == pytest.ExitCode.OK
    return re.findall("^mutants::(.+)$", result.stdout.str(), re.MULTILINE)
