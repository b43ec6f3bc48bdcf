"""``make league`` compares findings, chooses cases and counts as it says. The tools themselves are not needed here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, cast
from unittest.mock import Mock

import pytest

from league import driver, findings, match, page, programs
from league.cases import (
    DEFECT,
    KINDS,
    MISTAKE,
    MISTAKES,
    MUTANT,
    REWRITE,
    REWRITES,
    Case,
    Objects,
    of_defects,
    of_folder,
    sample,
    some,
)
from league.lab import Database, Lab
from league.programs import ToolError
from league.results import PATH, Result, Standing, of, united
from league.suite import LEFT_OUT, OTHERS, is_behaviour
from league.tools.pgtap import failures
from league.tools.tool import Tool
from rolecall.errors import RolecallError
from rolecall.mutants.operators.operator import Mutant, Target
from rolecall.sql.migrations import Script

OBJECTS = Objects(["app.notes", "app.notes_view", "app.keep_author"], {"app.keep_author": "app.notes"})


def mutants(*operators: str) -> list[Mutant]:
    return [
        Mutant(operator, Target.of("table", "app.notes"), "app.notes", f"change {number}", "", "SELECT")
        for operator in operators
        for number in range(9)
    ]


# -- findings


def test_a_finding_is_new_if_the_unchanged_schema_does_not_have_it() -> None:
    assert findings.new(["SEC001 a", "SEC002 a"], ["SEC002 b", "SEC001 a", "SEC002 b"]) == ["SEC002 b"]


def test_a_finding_is_stored_in_one_line() -> None:
    assert findings.shortened("one\n  two") == "one two"
    assert findings.shortened("x" * 200) == "x" * 159 + "…"


def test_tap_has_failures_and_errors() -> None:
    output = "1..3\nok 1 - a\nnot ok 2 - b\n# Failed test 2: ERROR: no\nnot ok 3\npsql:x.sql:3: ERROR:  c\n"
    assert list(failures(output)) == ["b", "", "c"]


# -- cases


def test_a_sample_has_a_number_of_each_operator() -> None:
    chosen = sample(mutants("one", "two"), 2, seed=1)
    assert [each.operator for each in chosen] == ["one", "one", "two", "two"]
    assert len({each.id for each in chosen}) == 4
    assert len(sample(mutants("one"), 20, seed=1)) == 9


def test_a_sample_depends_on_the_seed_alone() -> None:
    chosen = sample(mutants("one"), 3, seed=1)
    assert sample(reversed(mutants("one", "two")), 3, seed=1)[:3] == chosen
    assert any(sample(mutants("one"), 3, seed=seed) != chosen for seed in range(2, 9))


def test_a_sample_has_no_mutants_of_scripts(tmp_path: Path) -> None:
    script = Script(tmp_path / "rollback.sql")
    of_script = Mutant("one", Target.script(script), "rollback", "dropped", "", "SELECT", script)
    assert sample([of_script], 1, seed=1) == []


def test_some_cases_are_from_the_whole_list() -> None:
    cases = [Case(MISTAKE, name, name, "SELECT", ()) for name in "abcdefg"]
    names = {number: "".join(case.name for case in some(cases, number)) for number in (None, 0, 1, 2, 3, 9)}
    assert names == {None: "abcdefg", 0: "", 1: "a", 2: "ad", 3: "ace", 9: "abcdefg"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("ALTER TABLE app.notes SET UNLOGGED", ("app.notes",)),
        ("-- app.notes\nALTER VIEW app.notes_view SET (security_invoker)", ("app.notes_view",)),
        ("CREATE OR REPLACE FUNCTION app.keep_author() …", ("app.keep_author", "app.notes")),
        ("GRANT SELECT ON old.app.notes_2, myapp.notes TO anon", ()),
    ],
    ids=["a table", "a view", "a trigger function", "none"],
)
def test_a_case_concerns_what_its_sql_names(text: str, named: tuple[str, ...]) -> None:
    assert OBJECTS.named_in(text) == named


def test_a_case_is_the_same_in_another_process() -> None:
    case = Case(MISTAKE, "unlogged", "Rows are lost", "SELECT", ("app.notes",))
    assert Case.of(json.loads(json.dumps(case.as_json()))) == case


def test_a_file_without_a_title_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RolecallError, match="has no SQL file"):
        of_folder(MISTAKE, tmp_path, OBJECTS)
    path = tmp_path / "one.sql"
    path.write_text("ALTER TABLE app.notes SET UNLOGGED;\n", encoding="utf-8")
    with pytest.raises(RolecallError, match=r"one\.sql:1: start with what the file changes, in one line"):
        of_folder(MISTAKE, tmp_path, OBJECTS)


def test_each_file_says_what_it_changes() -> None:
    cases = [*of_folder(MISTAKE, MISTAKES, OBJECTS), *of_folder(REWRITE, REWRITES, OBJECTS), *of_defects(OBJECTS)]
    assert {case.kind for case in cases} == {MISTAKE, REWRITE, DEFECT}
    assert len({case.title for case in cases}) == len({case.id for case in cases}) == len(cases)
    # Those that replace a script are left out.
    assert {case.name for case in cases} & {"f15_policies_ask_once_a_row", "f53_phases_rolled_back_in_any_order"} == {
        "f15_policies_ask_once_a_row"
    }


# -- the suite


def test_each_folder_that_is_left_out_exists(pytestconfig: pytest.Config) -> None:
    assert [path for path in LEFT_OUT if not (pytestconfig.rootpath / path).exists()] == []


def test_the_folders_that_no_mutant_reaches_are_those_of_make_mutants(pytestconfig: pytest.Config) -> None:
    makefile = (pytestconfig.rootpath / "Makefile").read_text(encoding="utf-8")
    lines = dict(line.split(" := ") for line in makefile.splitlines() if line.count(" := ") == 1)
    folders = " ".join(lines[name] for name in ("ROLECALL", "DEFECTS", "TYPES", "OWN_DATABASES")).split()
    assert [folder.removeprefix("tests/") for folder in folders] == list(OTHERS)


@pytest.mark.parametrize(
    ("path", "is_left_out"),
    [
        ("tests/policies/test_indexes.py", True),
        ("tests/migrations/test_verify.py", True),
        ("tests/policies/test_anon.py", False),
        ("tests/migrations.py", False),
    ],
)
def test_pins_are_left_out_of_the_suite_by_behaviour(pytestconfig: pytest.Config, path: str, is_left_out: bool) -> None:
    """By their path, or by their mark."""
    item = Mock(path=pytestconfig.rootpath / path)
    item.get_closest_marker.return_value = None
    assert is_behaviour(item) is not is_left_out
    item.get_closest_marker.return_value = "the mark"
    assert not is_behaviour(item)
    item.get_closest_marker.assert_called_with("rolecall_pin")


def test_the_suite_notices_a_case(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """By a cell of its object, or of any; not if nothing is broken. SQL that the server refuses is a problem."""
    policy = 'ALTER POLICY "Customers can view their own favorites" ON engagement.customer_favorites'
    cases = [
        Case(MISTAKE, "broken", "", f"{policy} USING (true)", ("engagement.customer_favorites",)),
        Case(MISTAKE, "anywhere", "", "REVOKE USAGE ON SCHEMA engagement FROM authenticated", ()),
        Case(REWRITE, "harmless", "", "COMMENT ON SCHEMA engagement IS 'favourites'", ()),
        Case(MISTAKE, "refused", "", "SELECT nothing", ("engagement.customer_favorites",)),
    ]
    given, written = tmp_path / "cases.json", tmp_path / "noticed.json"
    given.write_text(json.dumps([case.as_json() for case in cases]), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "league.suite"]
    options = [f"--league-cases={given}", f"--league-noticed={written}", "tests/policies/test_customer_favorites.py"]
    done = subprocess.run([*command, *options], cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False)
    assert written.is_file(), done.stdout + done.stderr
    noticed, problems = json.loads(written.read_text(encoding="utf-8"))
    assert {name: (found or "").split(" ")[0] for name, found in noticed.items()} == {
        "mistake: broken": "engagement.customer_favorites",
        "mistake: anywhere": "engagement.customer_favorites",
        "rewrite: harmless": "",
    }
    assert problems == {"mistake: refused": 'the case cannot be applied: 42703 column "nothing" does not exist'}


# -- programs


def test_a_lock_file_has_the_version() -> None:
    assert programs.version("pgrls")[0].isdigit()
    assert programs.version("@postgrestools/postgrestools")[0].isdigit()
    with pytest.raises(ToolError, match=r"no lock file of .* has the package nothing"):
        programs.version("nothing")


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"bin/tool is not installed\. Run: make league"):
        programs.installed("bin/tool", tmp_path)
    (tmp_path / "tool-1").touch()
    assert programs.installed("tool-*", tmp_path) == tmp_path / "tool-1"


def test_a_command_in_the_driver_ends_as_a_program() -> None:
    def exits() -> None:
        print("found 2")
        raise SystemExit(1)

    def breaks() -> None:
        raise ValueError("no database")

    assert driver.run(exits) == (1, "found 2\n", "")
    assert driver.run(lambda: print("fine")) == (0, "fine\n", "")
    status, _, errors = driver.run(breaks)
    assert (status, errors.splitlines()[-1]) == (2, "ValueError: no database")


def test_a_program_answers_each_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest in place of a tool: with its output, with an exit status that is not expected, and again."""
    monkeypatch.setattr(programs, "ENVIRONMENT", Path(sys.prefix))
    program = programs.PythonProgram("pytest")
    try:
        assert program.run("--version") == f"pytest {pytest.__version__}\n"
        with pytest.raises(ToolError, match=r"pytest --nothing ended with 4:(.|\n)*--nothing"):
            program.run("--nothing")
        assert program.run("--version").startswith("pytest ")
    finally:
        program.close()


def test_a_program_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ENVIRONMENT", Path(sys.prefix))
    monkeypatch.setattr(programs, "PATIENCE", 0.01)
    program = programs.PythonProgram("pytest")
    try:
        with pytest.raises(ToolError, match=r"pytest --version ended with 2:\nno answer within 0 s"):
            program.run("--version")
        monkeypatch.setattr(programs, "PATIENCE", 60.0)
        assert program.run("--version").startswith("pytest ")
    finally:
        program.close()


# -- a match


class Clones:
    """In place of the lab: each database has the name of its case, or no name."""

    @contextmanager
    def clone(self, case: Case | None = None, *, pgtap: bool = False) -> Iterator[Database]:
        assert not pgtap
        yield Database(case.name if case else "", "host", "user")


class Rules(Tool):
    """Finds the rule R1 everywhere, and R2 in the database "broken"; fails at the database "strange"."""

    name, package, made_for, commands = "rules", "", "rules", ("rules lint",)
    looked_at: ClassVar[list[str]] = []

    def findings(self, database: Database) -> Iterator[str]:
        yield "R1 x"
        if database.name == "strange":
            raise ToolError("rules ended\nwith 2")
        if database.name == "broken":
            yield "R2 x"
            self.looked_at.append("what comes after the first new finding")


def test_a_match_has_the_first_new_finding_of_each_case() -> None:
    cases = [Case(MISTAKE, name, name, "SELECT", ()) for name in ("broken", "harmless", "strange")]
    standing = match.play(cast("Lab", Clones()), Rules, cases)
    assert standing.noticed == {"mistake: broken": "R2 x", "mistake: harmless": None}
    assert standing.problems == {"mistake: strange": "ToolError: rules ended with 2"}
    assert Rules.looked_at == []


def test_what_should_find_nothing_in_the_unchanged_schema_ends_the_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rules, "is_clean", True)
    with pytest.raises(ToolError, match="rules finds something in the unchanged schema: R1 x"):
        match.play(cast("Lab", Clones()), Rules, [])


# -- the result


@pytest.fixture
def result() -> Result:
    """Two linters and a suite: three mutants, a mistake, and a rewrite that one of them calls a problem."""
    titles = {f"{MUTANT}: {name}": name for name in "abc"} | {f"{MISTAKE}: d": "d", f"{REWRITE}: e": "e"}
    one = Standing("one", "1.0", "rules", "nothing", ["one lint"], is_linter=True, seconds=1)
    two = Standing("two", "2.0", "rules", "nothing", ["two lint"], is_linter=True, seconds=2)
    suite = Standing("suite", "", "tests", "grids", ["pytest"], is_linter=False, seconds=4)
    one.noticed = {f"{MUTANT}: a": "R1 x", f"{MUTANT}: b": "R2 x", f"{MISTAKE}: d": None, f"{REWRITE}: e": "R1 y"}
    two.noticed = {f"{MUTANT}: b": "R9", f"{MUTANT}: c": None, f"{MISTAKE}: d": None, f"{REWRITE}: e": None}
    suite.noticed = dict.fromkeys(titles, "test_grid") | {f"{REWRITE}: e": None}
    return Result(1, None, "PostgreSQL 17", titles, [one, two, suite])


def test_each_kind_is_counted_by_itself(result: Result) -> None:
    assert [result.standings[0].count(kind) for kind in KINDS] == [(2, 2), (0, 0), (0, 1), (1, 1)]


def test_the_linters_are_also_counted_together(result: Result) -> None:
    names = [name for name, _, _ in result.rows()]
    _, counts, seconds = result.rows()[2]
    assert names == ["one", "two", "the linters together", "suite"]
    assert (counts[MUTANT], counts[REWRITE], seconds) == ((2, 3), (1, 1), 3)
    assert united([], MUTANT) == (0, 0)


def test_a_count_of_nothing_is_a_dash() -> None:
    assert (of((0, 3)), of((0, 0))) == ("0 of 3", "-")


def test_a_result_is_read_as_it_was_saved(result: Result, tmp_path: Path) -> None:
    assert Result.read(result.save(tmp_path / "results" / "league.json")) == result


def test_the_page_has_who_noticed_what(result: Result) -> None:
    text = page.render(result)
    assert "| suite | grids | 3 of 3 | - | 1 of 1 | 0 of 1 | 4.0 |\n" in text
    assert "| the linters together |  | 2 of 3 | - | 0 of 1 | 1 of 1 | 3.0 |\n" in text
    assert "| d | 3 |\n" in text
    assert "| e | 1 |\n" in text
    assert "a try" not in text
    result.limit = 3
    assert "**This is a try, not a result:** 3 cases of each kind" in page.render(result)


def test_the_page_is_up_to_date_with_the_stored_result() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render(Result.read(PATH))
