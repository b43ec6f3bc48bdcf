"""The selection of mutants: by object and by operator."""

from __future__ import annotations

import re

import pytest

from rolecall.grids.decided_by import KINDS
from rolecall.mutants import OPERATORS
from rolecall.mutants.operators.operator import Mutant, Target
from rolecall.mutants.selection import Suite
from tests.rolecall.mutants.selected import selected


def test_every_operator_is_documented(pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / "docs" / "mutants.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \| .+ \| .+ \| .+ \|$", text, re.MULTILINE) == [
        operator.name for operator in OPERATORS
    ]


def test_by_object_and_operator(toy: pytest.Pytester) -> None:
    policy = 'shop.notes "own notes are deleted"'
    assert selected(toy, "--rolecall-mutants-of", "are deleted", "--rolecall-mutants-operator", "policy-constant") == [
        f"{policy} | policy-constant | USING becomes true",
        f"{policy} | policy-constant | USING becomes false",
    ]


@pytest.mark.parametrize(
    "options",
    [["--rolecall-mutants-of", "nowhere"], ["--rolecall-mutants-operator", "policy"]],
    ids=["object", "operator"],
)
def test_an_empty_selection_is_one_error(toy: pytest.Pytester, options: list[str]) -> None:
    result = toy.runpytest_inprocess("--rolecall-mutants", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    operators = ", ".join(operator.name for operator in OPERATORS)
    message = f"ERROR: --rolecall-mutants: the options select no mutant. The operators are: {operators}.\n"
    assert message in result.stderr.str()


def test_a_project_without_migrations_is_one_error(toy: pytest.Pytester) -> None:
    path = toy.path / "pytest.ini"
    path.write_text(path.read_text().replace("rolecall_migrations = migrations\n", ""))
    step = (toy.path / "migrations/phase_1_notes/1_1_notes.sql").read_text()
    baseline = toy.path / "baseline.sql"
    baseline.write_text(baseline.read_text() + step)
    result = toy.runpytest_inprocess("--rolecall-mutants")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = "ERROR: --rolecall-mutants breaks what the migrations make, and they make nothing: *"
    result.stderr.fnmatch_lines([message])


def test_an_empty_selection_does_not_crash_workers(toy: pytest.Pytester) -> None:
    result = toy.runpytest_subprocess("-n", "2", "--rolecall-mutants", "--rolecall-mutants-of", "nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["ERROR: --rolecall-mutants: the options select no mutant.*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_tests_of_decided_by_kill_mutants_of_their_table(toy: pytest.Pytester) -> None:
    path = toy.path / "test_notes.py"
    path.write_text(path.read_text().replace("    moves=", '    decided_by=["author"],\n    moves='))
    items, _ = toy.inline_genitems()
    suite = Suite(items)
    assert [test.name for test in suite.grid_items if "decided by" in test.name] == [
        f"test_grid[decided by: {kind}]" for kind in KINDS
    ]


def test_tests_after_an_earlier_phase_kill_no_mutant(toy: pytest.Pytester) -> None:
    """The mutant is not in their database."""
    toy.makepyfile(
        test_titles="""
        import pytest

        @pytest.mark.rolecall_from_phase(1)
        def test_it(rolecall_db):
            assert rolecall_db.value("SELECT count(*) FROM shop.titles") == 2
        """
    )
    second = toy.path / "migrations" / "phase_2_more"
    second.mkdir()
    for name in ("2_1_more.sql", "verify.sql", "rollback.sql"):
        (second / name).write_text("SELECT 1;")
    items, _ = toy.inline_genitems("--rolecall-after-each-phase", "test_titles.py")
    assert [item.name for item in items] == ["test_it", "test_it[after phase 1]"]
    (tests,) = Suite(items).modules.values()
    assert [test.name for test in tests] == ["test_it"]


def test_a_test_whose_id_names_an_object_is_about_it(toy: pytest.Pytester) -> None:
    """Its parameters come from another module, so its module does not name the object."""
    (toy.path / "names.py").write_text("NAMES = ['shop.titles', 'shop.notes']")
    toy.makepyfile(
        test_it="""
        import pytest

        from names import NAMES

        @pytest.mark.parametrize("name", NAMES)
        def test_it(rolecall_db, name):
            assert rolecall_db.value(f"SELECT count(*) FROM {name}") == 2
        """
    )
    toy.syspathinsert()
    items, _ = toy.inline_genitems("test_it.py")
    mutant = Mutant("operator", Target("view", "shop.titles"), "shop.titles", "what", "before", "sql")
    assert [test.name for test in Suite(items).relevant_tests(mutant).tests] == ["test_it[shop.titles]"]
