"""Mutants since a revision: those of the changed files, and of the objects that the files define."""

from __future__ import annotations

import re
import subprocess

import pytest

from rolecall.mutants.since import defined
from tests.rolecall.mutants.selected import selected


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
    return {match[0] for mutant in mutants if (match := re.match(r"shop\.\w+", mutant))}


def test_since_a_revision(repository: pytest.Pytester) -> None:
    """A changed file, and one that git does not track yet."""
    phase = repository.path / "migrations" / "phase_1_notes"
    with (phase / "1_2_count_notes.sql").open("a") as file:
        file.write("-- changed\n")
    (phase / "1_5_pins.sql").write_text("CREATE TABLE shop.pins (id int PRIMARY KEY);\n")
    names = objects(selected(repository, "--rolecall-mutants-since", "HEAD"))
    assert names == {"shop.count_notes", "shop.titles", "shop.pins"}


def test_a_changed_script_has_its_own_mutants(repository: pytest.Pytester) -> None:
    (repository.path / "test_scripts.py").write_text("def test_scripts(scratch):\n    scratch().apply(1)\n")
    with (repository.path / "migrations" / "phase_1_notes" / "verify.sql").open("a") as file:
        file.write("SELECT 1;\n")
    without = "phase_1_notes/verify.sql | statement-drop | without SELECT"
    assert selected(repository, "--rolecall-mutants-since", "HEAD") == [
        f"{without} id, author, body FROM shop.notes",
        f"{without} 1",
    ]


def test_a_changed_trigger_function_has_mutants(repository: pytest.Pytester) -> None:
    with (repository.path / "migrations" / "phase_1_notes" / "1_3_trim.sql").open("a") as file:
        file.write("-- changed\n")
    assert objects(selected(repository, "--rolecall-mutants-since", "HEAD")) == {"shop.trim_body"}


def test_since_an_unknown_revision(repository: pytest.Pytester) -> None:
    result = repository.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-since", "yesterday")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (message,) = [line for line in result.stderr.lines if "yesterday" in line and line.startswith("ERROR")]
    assert message.startswith("ERROR: --rolecall-mutants-since yesterday: git cannot list the changed files: fatal: ")


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
            id="a DO block",
        ),
        pytest.param("UPDATE s.t SET a = (SELECT b FROM s.u)", ["s.t"], id="changed rows"),
        pytest.param("SELECT s.f(a) FROM s.t", [], id="a query"),
        pytest.param("CREATE TABLE s.t (a int); CREATE VIEW s.v AS SELECT 1 AS a", ["s.t", "s.v"], id="several"),
    ],
)
def test_the_objects_that_statements_define(text: str, names: list[str]) -> None:
    assert defined(text) == names
