"""Which mutants there are, and which of them are run: of an object, of an operator, since a revision."""

from __future__ import annotations

import re
import subprocess

import pytest

from rolecall.mutants import OPERATORS
from rolecall.mutants.since import defined


def test_every_operator_stands_in_the_documentation(pytestconfig: pytest.Config) -> None:
    text = (pytestconfig.rootpath / "docs" / "mutants.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \| .+ \| .+ \| .+ \|$", text, re.MULTILINE) == [each.name for each in OPERATORS]


def asked_for(toy: pytest.Pytester, *options: str) -> list[str]:
    """The ids of the mutants that would be run."""
    result = toy.runpytest_inprocess("--rolecall-mutants", "--collect-only", "-q", *options)
    assert result.ret == pytest.ExitCode.OK
    return re.findall("^mutants::(.+)$", result.stdout.str(), re.MULTILINE)


def test_of_an_object_and_of_an_operator(toy: pytest.Pytester) -> None:
    policy = 'shop.notes "own notes are deleted"'
    assert asked_for(toy, "--rolecall-mutants-of", "are deleted", "--rolecall-mutants-operator", "policy-constant") == [
        f"{policy} | policy-constant | USING becomes true",
        f"{policy} | policy-constant | USING becomes false",
    ]


@pytest.mark.parametrize(
    "options",
    [["--rolecall-mutants-of", "nowhere"], ["--rolecall-mutants-operator", "policy"]],
    ids=["object", "operator"],
)
def test_nothing_to_break_is_one_error(toy: pytest.Pytester, options: list[str]) -> None:
    result = toy.runpytest_inprocess("--rolecall-mutants", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    operators = ", ".join(operator.name for operator in OPERATORS)
    told = f"ERROR: --rolecall-mutants: there is no mutant of what the options name. The operators are: {operators}.\n"
    assert told in result.stderr.str()


def test_nothing_to_break_is_no_crash_of_several_processes(toy: pytest.Pytester) -> None:
    result = toy.runpytest_subprocess("-n", "2", "--rolecall-mutants", "--rolecall-mutants-of", "nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["ERROR: --rolecall-mutants: there is no mutant of what the options name.*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@pytest.fixture
def repository(toy: pytest.Pytester) -> pytest.Pytester:
    """The project with a trigger, in files that git tracks."""
    phase = toy.path / "migrations" / "phase_1_notes"
    (phase / "1_3_trim.sql").write_text(
        "CREATE FUNCTION shop.trim_body() RETURNS trigger LANGUAGE plpgsql AS $$\n"
        "BEGIN\n  new.body = trim(new.body);\n  RETURN new;\nEND\n$$;\n"
    )
    (phase / "1_4_trim_notes.sql").write_text(
        "CREATE TRIGGER trim BEFORE INSERT ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.trim_body();\n"
    )
    git(toy, "init", "-q")
    git(toy, "add", "-A")
    git(toy, "-c", "user.name=toy", "-c", "user.email=toy@example.com", "commit", "-q", "-m", "all")
    return toy


def git(toy: pytest.Pytester, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=toy.path, check=True, capture_output=True)  # noqa: S607


def objects(mutants: list[str]) -> set[str]:
    """The tables, views and functions that mutants break."""
    return {found[0] for mutant in mutants if (found := re.match(r"shop\.\w+", mutant))}


def test_since_a_revision(repository: pytest.Pytester) -> None:
    """A file that changed, and one that git does not know yet."""
    phase = repository.path / "migrations" / "phase_1_notes"
    with (phase / "1_2_count_notes.sql").open("a") as file:
        file.write("-- changed\n")
    (phase / "1_5_pins.sql").write_text("CREATE TABLE shop.pins (id int PRIMARY KEY);\n")
    found = objects(asked_for(repository, "--rolecall-mutants-since", "HEAD"))
    assert found == {"shop.count_notes", "shop.titles", "shop.pins"}


def test_a_script_that_changed_is_broken_itself(repository: pytest.Pytester) -> None:
    (repository.path / "test_scripts.py").write_text("def test_scripts(scratch):\n    scratch().apply(1)\n")
    with (repository.path / "migrations" / "phase_1_notes" / "verify.sql").open("a") as file:
        file.write("SELECT 1;\n")
    without = "phase_1_notes/verify.sql | statement-drop | without SELECT"
    assert asked_for(repository, "--rolecall-mutants-since", "HEAD") == [
        f"{without} id, author, body FROM shop.notes",
        f"{without} 1",
    ]


def test_a_triggers_function_that_changed_is_broken(repository: pytest.Pytester) -> None:
    with (repository.path / "migrations" / "phase_1_notes" / "1_3_trim.sql").open("a") as file:
        file.write("-- changed\n")
    assert objects(asked_for(repository, "--rolecall-mutants-since", "HEAD")) == {"shop.trim_body"}


def test_since_a_revision_that_there_is_not(repository: pytest.Pytester) -> None:
    result = repository.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-since", "yesterday")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (told,) = [line for line in result.stderr.lines if "yesterday" in line and line.startswith("ERROR")]
    assert told.startswith("ERROR: --rolecall-mutants-since yesterday: git does not tell what has changed: fatal: ")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("CREATE TABLE IF NOT EXISTS s.t (a int)", ["s.t"], id="table"),
        pytest.param("CREATE OR REPLACE VIEW s.v AS SELECT 1 AS a", ["s.v"], id="view"),
        pytest.param("CREATE INDEX i ON s.t (a)", ["s.t"], id="index"),
        pytest.param('CREATE POLICY "p q" ON s.t USING (true)', ["s.t"], id="policy"),
        pytest.param("CREATE TRIGGER x AFTER INSERT ON s.t EXECUTE FUNCTION s.f()", ["s.t"], id="trigger"),
        pytest.param("ALTER TABLE s.t ENABLE ROW LEVEL SECURITY", ["s.t"], id="altered table"),
        pytest.param("CREATE FUNCTION s.f() RETURNS int LANGUAGE sql RETURN 1", ["s.f"], id="function"),
        pytest.param("CREATE TABLE s.t (a int REFERENCES s.u (b))", ["s.t"], id="table that refers to another"),
        pytest.param("ALTER POLICY p ON s.t USING (EXISTS (SELECT FROM s.u))", ["s.t"], id="altered policy"),
        pytest.param("ALTER FUNCTION s.f(int) STABLE", ["s.f"], id="altered function"),
        pytest.param("ALTER VIEW s.v SET (security_invoker = true)", ["s.v"], id="altered view"),
        pytest.param("ALTER TABLE s.t RENAME COLUMN a TO b", ["s.t"], id="renamed column"),
        pytest.param("GRANT SELECT ON s.t, s.v TO r", ["s.t", "s.v"], id="grant"),
        pytest.param("REVOKE ALL ON FUNCTION s.f(int) FROM PUBLIC", ["s.f"], id="revoked function"),
        pytest.param("GRANT USAGE ON SCHEMA s TO r", ["schema s"], id="granted schema"),
        pytest.param("DROP TABLE IF EXISTS s.t, s.u", ["s.t", "s.u"], id="dropped tables"),
        pytest.param("DROP FUNCTION s.f(int)", ["s.f"], id="dropped function"),
        pytest.param("DROP POLICY p ON s.t; DROP TRIGGER x ON s.t", ["s.t"], id="dropped policy and trigger"),
        pytest.param("COMMENT ON TABLE s.t IS 'x'; COMMENT ON COLUMN s.u.a IS 'x'", ["s.t", "s.u"], id="comments"),
        pytest.param(
            "COMMENT ON POLICY p ON s.t IS 'x'; COMMENT ON FUNCTION s.f() IS ''", ["s.t", "s.f"], id="more comments"
        ),
        pytest.param(
            "INSERT INTO storage.buckets (id, public) VALUES ('a', false)", ["bucket a", "storage.buckets"], id="bucket"
        ),
        pytest.param(
            "DO $$ BEGIN\n  IF true THEN INSERT INTO storage.buckets (id) VALUES ('b'); END IF;\n"
            "  ALTER TABLE s.t ADD b int;\nEND $$",
            ["bucket b", "storage.buckets", "s.t"],
            id="what a block does",
        ),
        pytest.param("UPDATE s.t SET a = (SELECT b FROM s.u)", ["s.t"], id="changed rows"),
        pytest.param("SELECT s.f(a) FROM s.t", [], id="a query"),
        pytest.param("CREATE TABLE s.t (a int); CREATE VIEW s.v AS SELECT 1 AS a", ["s.t", "s.v"], id="several"),
    ],
)
def test_what_a_changed_file_defines(text: str, names: list[str]) -> None:
    assert defined(text) == names
