"""The hooks of a run: databases are created only for tests that need one."""

from __future__ import annotations

import pytest


def test_a_run_without_database_tests_creates_no_database(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", "postgresql://nowhere.invalid:1/")
    toy.makepyfile(test_other="def test_other(): pass")
    toy.runpytest_inprocess("test_other.py").assert_outcomes(passed=1)


def test_a_database_is_created_at_a_late_request(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_other="def test_other(request): assert request.getfixturevalue('db').value('SELECT 1') == 1")
    toy.runpytest_inprocess("test_other.py").assert_outcomes(passed=1)


def test_other_tests_run_if_a_file_cannot_be_collected(toy: pytest.Pytester) -> None:
    toy.makepyfile(test_broken="import no_such_module")
    result = toy.runpytest_inprocess("--continue-on-collection-errors")
    result.assert_outcomes(passed=41, errors=1)
