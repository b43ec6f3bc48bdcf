"""Mutation testing: exactly the gaps of a suite survive, and only a failing test is a kill."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg
import pytest

from rolecall.process.process import process_of
from rolecall.server.choose import Server

SUITE = '''\
"""The tests of this schema in addition to its grid, with a few gaps."""

PRIVILEGES = """
SELECT relacl::text[] FROM pg_class
WHERE oid IN ('shop.notes'::regclass, 'shop.titles'::regclass) ORDER BY relname
"""
FUNCTION = "SELECT proacl, prosecdef, provolatile, proisstrict, proparallel FROM pg_proc WHERE proname = 'count_notes'"
POLICIES = "SELECT roles::text[] FROM pg_policies WHERE tablename = 'notes'"


def test_privileges(db):
    privileges = [[entry.partition("/")[0] for entry in acl[1:]] for (acl,) in db.rows(PRIVILEGES)]
    assert privileges == [["toy_member=arwd", "toy_keeper=arwd"], ["toy_member=r", "toy_keeper=r"]]
    assert db.rows(POLICIES) == [(["public"],)] * 4


def test_the_function(db):
    assert db.row(FUNCTION) == (None, False, "s", False, "u")
    with db.reading_as("alice"):
        assert db.value("SELECT shop.count_notes()") == 1


def test_titles(db):
    with db.reading_as("bob"):
        assert db.value("SELECT array_agg(id) FROM shop.titles") == [2]
    with db.reading_as("keeper"):
        assert db.value("SELECT count(*) FROM shop.titles") == 2


def test_an_author_is_required(db):
    with db.raises("23502", column="author"):
        db.execute("INSERT INTO shop.notes (id, body) VALUES (3, 'x')")


def test_an_id_is_unique(db):
    with db.raises("23505", constraint="notes_pkey"):
        db.execute("INSERT INTO shop.notes (id, author) VALUES (1, 'alice')")


def test_a_note_may_be_empty_and_not_long(db):
    db.execute("INSERT INTO shop.notes (id, author) VALUES (3, 'somebody else')")
    with db.raises("23514", constraint="short_body"):
        db.execute("INSERT INTO shop.notes (id, author, body) VALUES (4, 'x', '12345678901')")
'''
SCRIPTS = '''\
STATE = """
SELECT (SELECT jsonb_agg(to_jsonb(p) ORDER BY policyname) FROM pg_policies p WHERE schemaname = 'shop'),
       (SELECT jsonb_object_agg(relname, ARRAY[relrowsecurity::text, relacl::text]) FROM pg_class
        WHERE relnamespace = 'shop'::regnamespace),
       (SELECT array_agg(proname ORDER BY proname) FROM pg_proc WHERE pronamespace = 'shop'::regnamespace)
"""


def test_scripts(db, scratch):
    database = scratch()
    database.apply(1)
    assert database.connection.execute(STATE).fetchone() == db.row(STATE)
    database.verify(1)
    database.rollback(1)
    assert database.connection.execute(STATE).fetchone() == (None, None, ["me"])
'''
# The mutants that survive because of the gaps.
SURVIVORS = {
    'shop.notes "own notes are changed" | policy-null | USING admits NULL',
    'shop.notes "own notes are deleted" | policy-null | USING admits NULL',
    'shop.notes "own notes are read" | policy-null | USING admits NULL',
    'shop.notes "own notes are written" | policy-null | WITH CHECK admits NULL',
    "phase_1_notes/verify.sql | statement-drop | without SELECT id, author, body FROM shop.notes",
    "shop.notes short_body | check-edit | 10 becomes 9",
    "shop.notes short_body | check-edit | length(body) <= 10: <= becomes <",
    "shop.titles | view-edit | 3 becomes 2",
    "shop.titles | view-edit | 3 becomes 4",
}
MORE_TESTS = """\
import pytest

from rolecall.errors import SqlError


def test_verify_fails_without_apply(scratch):
    with pytest.raises(SqlError):
        scratch().verify(1)


def test_a_persona_without_a_subject_has_no_notes(db):
    db.execute("SET LOCAL ROLE toy_member")
    assert db.value("SELECT count(*) FROM shop.notes") == 0
    with db.raises("42501"):
        db.execute("INSERT INTO shop.notes (id, author) VALUES (3, 'x')")


@pytest.mark.parametrize("command", ["UPDATE shop.notes SET body = 'x'", "DELETE FROM shop.notes"])
def test_a_persona_without_a_subject_changes_no_notes(db, command):
    db.execute("SET LOCAL ROLE toy_member")
    assert db.execute(command).rowcount == 0


def test_the_longest_body(db):
    db.execute("UPDATE shop.notes SET body = '1234567890'")


def test_a_title_is_the_beginning(db):
    assert db.value("SELECT title FROM shop.titles WHERE id = 1") == "her"
"""
# The outcomes of these operators are known one by one. A new operator is tested beside the others.
OPERATORS = (
    *("policy-drop", "policy-add", "policy-constant", "policy-negate", "policy-null", "policy-edit", "policy-command"),
    *("policy-role", "policy-permissive", "rls-off", "grant-add", "grant-drop", "grant-option", "usage-drop"),
    *("constraint-drop", "check-edit", "not-null", "default", "type-widen", "function-attributes", "function-edit"),
    *("view-invoker", "view-edit", "statement-drop"),
)
# The attribute of the package may still be the module of an earlier run in this process.
ONLY_THESE = f"""
from importlib import import_module

plugin = import_module("rolecall.mutants.plugin")
EVERY = plugin.OPERATORS


def pytest_configure():
    plugin.OPERATORS = tuple(each for each in EVERY if each.name in {OPERATORS})


def pytest_unconfigure():
    plugin.OPERATORS = EVERY
"""
READ_POLICY = (
    "--rolecall-mutants",
    "--rolecall-mutants-of",
    "are read",
    "--rolecall-mutants-operator",
    "policy-constant",
)
READ = 'shop.notes "own notes are read" | policy-constant | USING becomes true'
FOR_ALL = {
    f'shop.notes "own notes are {past}" | policy-command | for {command} becomes for all'
    for past, command in (("changed", "update"), ("deleted", "delete"), ("read", "select"), ("written", "insert"))
}


@pytest.fixture
def suite(toy: pytest.Pytester) -> pytest.Pytester:
    """The project with its tests, and with its equivalent mutants declared."""
    (toy.path / "test_objects.py").write_text(SUITE)
    (toy.path / "test_scripts.py").write_text(SCRIPTS)
    with (toy.path / "conftest.py").open("a") as file:
        file.write(ONLY_THESE)
    with (toy.path / "pytest.ini").open("a") as file:
        file.write("rolecall_equivalents = equivalents.txt\n")
    declare(toy, FOR_ALL)
    return toy


def declare(toy: pytest.Pytester, mutants: Iterable[str]) -> None:
    lines = [f"{mutant} :: all of the policies say the same\n" for mutant in sorted(mutants)]
    (toy.path / "equivalents.txt").write_text("# equivalent mutants\n\n" + "".join(lines))


def survivors(result: pytest.RunResult) -> set[str]:
    """The ids of the mutants in the report."""
    return set(re.findall("  or declare  (.+) :: why it is equivalent", result.stdout.str()))


def score(result: pytest.RunResult) -> str:
    """The line with the counts, without the speed."""
    (line,) = re.findall(r"^((?:killed|by pins|survived|\w+) .+) · \d+ a second$", result.stdout.str(), re.MULTILINE)
    return str(line)


STATE = """
SELECT jsonb_build_object(
  'who', current_user = session_user AND pg_current_xact_id_if_assigned() IS NULL,
  'relations', (SELECT jsonb_agg(to_jsonb(c) - '{relpages,reltuples,relallvisible,relallfrozen,relhasindex}'::text[]
                                 ORDER BY c.oid)
                FROM pg_class c WHERE relnamespace = 'shop'::regnamespace),
  'columns', (SELECT jsonb_agg(to_jsonb(a) - 'attmissingval' ORDER BY attrelid, attnum)
              FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'shop'::regnamespace),
  'constraints', (SELECT jsonb_agg(to_jsonb(c) ORDER BY oid) FROM pg_constraint c
                  WHERE connamespace = 'shop'::regnamespace),
  'functions', (SELECT jsonb_agg(to_jsonb(p) ORDER BY oid) FROM pg_proc p WHERE pronamespace = 'shop'::regnamespace),
  'policies', (SELECT jsonb_agg(to_jsonb(p) ORDER BY oid) FROM pg_policy p),
  'view', pg_get_viewdef('shop.titles'::regclass),
  'schema', (SELECT nspacl FROM pg_namespace WHERE nspname = 'shop'),
  'rows', (SELECT jsonb_agg(to_jsonb(n) ORDER BY id) FROM shop.notes n)
)
"""


class StatePlugin:
    """Queries the state of the worker's database before the first mutant, and after the last."""

    def __init__(self) -> None:
        self.states: list[Any] = []

    def record(self, config: pytest.Config) -> None:
        self.states.append(process_of(config).get_worker().connection.execute(STATE).fetchone())

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.record(session.config)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.record(session.config)


# ------------------------------------------------------------------ gaps


@pytest.mark.parametrize("processes", ["0", "2"])
def test_exactly_the_gaps_survive(suite: pytest.Pytester, processes: str) -> None:
    run = suite.runpytest_inprocess if processes == "0" else suite.runpytest_subprocess
    result = run("--rolecall-mutants", "-n", processes)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert survivors(result) == SURVIVORS
    # One of the killed is the defect.
    assert score(result) == "killed by behaviour 130 (93.5%), survived 9, invalid 2, equivalent 4"


def test_a_complete_suite_has_no_survivor_and_leaves_nothing(suite: pytest.Pytester, toy_server: Server) -> None:
    def databases() -> list[Any]:
        with psycopg.connect(toy_server.conninfo) as connection:
            return connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()

    before, plugin = databases(), StatePlugin()
    (suite.path / "test_more_of_notes_and_titles.py").write_text(MORE_TESTS)
    result = suite.runpytest_inprocess("--rolecall-mutants", plugins=[plugin])
    assert result.ret == pytest.ExitCode.OK
    assert survivors(result) == set()
    first, last = plugin.states
    assert first == last
    assert databases() == before
    assert score(result) == "killed by behaviour 139 (100.0%), invalid 2, equivalent 4"


def test_a_survivor_is_reported_in_full(suite: pytest.Pytester) -> None:
    result = suite.runpytest_inprocess(
        "--rolecall-mutants", "--rolecall-mutants-of", "titles", "--rolecall-mutants-operator", "view-edit"
    )
    assert survivors(result) == {mutant for mutant in SURVIVORS if "view-edit" in mutant}
    shown = result.stdout.str()
    assert "survived: shop.titles: 3 becomes 4\n  operator    view-edit: Change one part of a view's query" in shown
    for line in (
        "  stands for  LEFT JOIN for JOIN, a forgotten filter or partition, a reversed default",
        "  tried       0 cells; tests: test_objects.py (6)",
        "  killed by   a test of a value in the view that depends on this part only",
    ):
        assert f"{line}\n" in shown
    assert (
        '  after       CREATE OR REPLACE VIEW "shop"."titles" WITH (security_invoker=true) AS SELECT id, "left"'
        in shown
    )


def test_a_grant_to_a_role_that_cannot_enter_the_schema_is_equivalent(toy: pytest.Pytester) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_jobs.sql").write_text(
        "CREATE SCHEMA hidden; GRANT USAGE ON SCHEMA hidden TO toy_keeper; CREATE TABLE hidden.jobs (id int);"
    )
    result = toy.runpytest_inprocess(
        "--rolecall-mutants", "--rolecall-mutants-of", "hidden.jobs", "--rolecall-mutants-operator", "grant-add"
    )
    assert score(result) == "survived 14, equivalent 14"  # seven privileges of PUBLIC, and of each of the three roles
    assert {mutant.split(" for ")[1] for mutant in survivors(result)} == {"public", "toy_keeper"}


def test_a_mutant_without_tests_survives(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess(
        "--rolecall-mutants", "--rolecall-mutants-of", "titles", "--rolecall-mutants-operator", "view-invoker"
    )
    assert survivors(result) == {"shop.titles | view-invoker | runs as its owner"}
    assert "  tried       0 cells; tests: none\n" in result.stdout.str()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_many_survivors_are_grouped_by_the_missing_test(toy: pytest.Pytester, processes: str) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_jobs.sql").write_text(
        "CREATE TABLE shop.jobs (id int, due timestamptz DEFAULT now(), name text NOT NULL);"
    )
    select = ["--rolecall-mutants", "--rolecall-mutants-of", "shop.jobs", "-n", processes]
    result = toy.runpytest_subprocess(*select)
    lines = result.outlines
    (start,) = [number for number, line in enumerate(lines) if re.fullmatch(r"_+ \d+ survived _+", line)]
    shown = [line for line in lines[start + 2 :] if re.match(r" +\d+  ", line)]
    assert shown[:5] == [
        "     3  public could perhaps write shop.jobs",
        "     3  toy_visitor could perhaps write shop.jobs",
        "     1  public could perhaps read shop.jobs",
        "     1  toy_visitor could perhaps read shop.jobs",
        "     3  toy_member could perhaps write shop.jobs",
    ]
    at = lines.index(shown[0])
    assert lines[at + 1] == "          a cell or a test in which this role uses, or is refused, this privilege"
    assert lines[at + 2].startswith("          e.g. shop.jobs | grant-add | ")
    assert "    12  TRUNCATE, REFERENCES or TRIGGER for a role, which no request of a client uses" in shown
    assert any(line.endswith("a test that inserts a row without the column") for line in shown[10:])
    assert survivors(result) == set()


GRIDLESS = """
CREATE TABLE shop.drafts (id int PRIMARY KEY, author text, body text, shared boolean);
ALTER TABLE shop.drafts ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.drafts TO toy_member;
GRANT SELECT ON shop.drafts TO toy_visitor;
CREATE POLICY "own drafts" ON shop.drafts USING (author = shop.me());
CREATE POLICY "shared drafts" ON shop.drafts FOR SELECT TO toy_member USING (shared);
"""


def of_drafts(toy: pytest.Pytester, *options: str) -> pytest.RunResult:
    """A run of mutants of a table that has rows and no grid."""
    (toy.path / "migrations/phase_1_notes/1_3_drafts.sql").write_text(GRIDLESS)
    conftest, more = toy.path / "conftest.py", 'world.add("shop.drafts", "alice\'s draft", id=1, author="alice")\n'
    conftest.write_text(conftest.read_text().replace("    return world\n", f"    {more}    return world\n"))
    return toy.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-of", "drafts", *options)


def test_a_survivor_without_a_grid_names_the_cell_that_would_notice_it(toy: pytest.Pytester) -> None:
    shown = of_drafts(toy, "--rolecall-mutants-operator", "policy-constant").outlines
    notices = [line for line in shown if line.startswith("  killed by")]
    # Worst first: USING (true) lets a visitor read, WITH CHECK (true) lets nobody do more in this world.
    assert notices[0] == (
        '  killed by   no grid has shop.drafts: write one; below "alice\'s draft", visitor  select -  (it becomes yes)'
    )


def test_a_long_list_says_who_gains_what_and_the_worst_comes_first(toy: pytest.Pytester) -> None:
    lines = of_drafts(toy).outlines
    shown = [line for line in lines if re.match(r" +\d+  ", line)]
    assert shown[0].endswith("  somebody who has not signed in could read shop.drafts")
    places = [
        next(number for number, line in enumerate(shown) if text in line)
        for text in ("toy_visitor could perhaps write", "somebody without any right to the row could write", "TRUNCATE")
    ]
    assert places == sorted(places)


def test_a_survivor_names_the_row_that_the_world_lacks(toy: pytest.Pytester) -> None:
    """No draft of the world is shared."""
    lines = of_drafts(toy, "--rolecall-mutants-of", "shared drafts", "--rolecall-mutants-operator", "policy-constant")
    (notice,) = [line for line in lines.outlines if line.startswith("  killed by   add this row to the world: ")]
    assert 'world.add("shop.drafts", "…", **{**world.row("shop.drafts", "alice\'s draft"), ' in notice
    assert notice.endswith('"shared": True})')


@pytest.mark.parametrize(
    ("forced", "operator", "expected"),
    [
        pytest.param("", "policy-constant", "equivalent 3", id="no policy applies to the owner"),
        pytest.param("FORCE", "policy-constant", "survived 3", id="forced"),
        pytest.param("", "trigger-off", "survived 1", id="a trigger"),
    ],
)
def test_a_function_may_reach_a_table_that_no_role_can(
    toy: pytest.Pytester, forced: str, operator: str, expected: str
) -> None:
    """Its policies matter if they apply to the owner of the function too; its triggers always."""
    force = "ALTER TABLE hidden.jobs FORCE ROW LEVEL SECURITY;" if forced else ""
    (toy.path / "migrations/phase_1_notes/1_3_jobs.sql").write_text(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.jobs (id int); ALTER TABLE hidden.jobs ENABLE ROW LEVEL SECURITY;"
        f"{force} CREATE POLICY open ON hidden.jobs USING (id > 1);"
        "CREATE FUNCTION hidden.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER keep BEFORE DELETE ON hidden.jobs FOR EACH ROW EXECUTE FUNCTION hidden.keep();"
    )
    options = ("--rolecall-mutants", "--rolecall-mutants-of", "hidden.jobs", "--rolecall-mutants-operator", operator)
    assert expected in score(toy.runpytest_inprocess(*options))


def test_what_nobody_can_reach_is_one_line(toy: pytest.Pytester) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_jobs.sql").write_text(
        "CREATE SCHEMA hidden; CREATE TABLE hidden.jobs (id int); ALTER TABLE hidden.jobs ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY open ON hidden.jobs USING (id > 1); CREATE TABLE shop.jobs (id int);"
        "ALTER TABLE shop.jobs ENABLE ROW LEVEL SECURITY; CREATE POLICY open ON shop.jobs USING (id > 1);"
    )
    result = toy.runpytest_inprocess(
        "--rolecall-mutants", "--rolecall-mutants-of", "jobs", "--rolecall-mutants-operator", "policy-constant"
    )
    assert score(result) == "equivalent 6"
    (line,) = [line for line in result.outlines if line.startswith("6 mutants change what nobody can reach: ")]
    assert "no role may enter the schema hidden (3)" in line
    assert "no role that may enter the schema shop holds a privilege on shop.jobs (3)" in line


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("test", "message"),
    [
        pytest.param(
            "def test_notes(db):\n"
            "    with db.reading_as('bob'):\n"
            "        {1: 'one'}[db.value('SELECT count(*) FROM shop.notes')]\n",
            "test_some.py::test_notes broke instead of failing:",
            id="a test that breaks",
        ),
        pytest.param(
            "import pytest\n\n\n"
            "@pytest.fixture\n"
            "def own_notes(db):\n"
            "    with db.reading_as('bob'):\n"
            "        assert db.value('SELECT count(*) FROM shop.notes') == 1\n\n\n"
            "def test_notes(own_notes):\n"
            "    pass\n",
            "test_some.py::test_notes broke instead of failing:",
            id="a fixture that fails",
        ),
        pytest.param(
            "def test_notes(db):\n    assert db.value('SELECT count(*) FROM shop.notes') == 3\n",
            "test_some.py::test_notes fails without the mutant too: it proves nothing.",
            id="a test that fails anyway",
        ),
    ],
)
def test_an_error_is_no_kill(toy: pytest.Pytester, test: str, message: str) -> None:
    (toy.path / "test_some.py").write_text(test)
    result = toy.runpytest_inprocess(*READ_POLICY, "test_some.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"\n{message}\n" in result.stdout.str()
    assert score(result) == "error 2"


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_module_that_cannot_be_collected_is_one_error(toy: pytest.Pytester, processes: str) -> None:
    (toy.path / "test_some.py").write_text("import nothing_of_this_name\n")
    result = toy.runpytest_subprocess("--rolecall-mutants", "-n", processes)
    assert result.ret == (pytest.ExitCode.INTERRUPTED if processes == "0" else pytest.ExitCode.TESTS_FAILED)
    assert result.parseoutcomes() == {"errors": 1}
    shown = result.stdout.str() + result.stderr.str()
    assert "No module named 'nothing_of_this_name'" in shown
    assert "user_properties" not in shown


def test_a_cell_that_fails_anyway_is_no_kill(toy: pytest.Pytester) -> None:
    path = toy.path / "test_notes.py"
    path.write_text(
        path.read_text().replace("      bob               -        !", "      bob               yes      !")
    )
    result = toy.runpytest_inprocess(
        "--rolecall-mutants", "--rolecall-mutants-of", "are deleted", "--rolecall-mutants-operator", "policy-negate"
    )
    assert score(result) == "error 1"
    assert (
        "test_notes.py: alice's note-select-bob fails without the mutant too: it proves nothing." in result.stdout.str()
    )


def test_scratch_databases_have_the_mutant_too(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_some="""
        def test_notes(scratch):
            connection = scratch(migrated=True).connection
            query = "SELECT qual FROM pg_policies WHERE policyname = 'own notes are read'"
            assert connection.execute(query).fetchone() == ("(author = shop.me())",)
        """
    )
    result = toy.runpytest_inprocess(*READ_POLICY, "test_some.py")
    assert result.ret == pytest.ExitCode.OK
    assert score(result) == "killed by behaviour 2 (100.0%)"


# ------------------------------------------------------------------ equivalents


def test_a_declared_mutant_that_is_killed_is_an_error(suite: pytest.Pytester) -> None:
    declare(suite, {READ})
    result = suite.runpytest_inprocess(*READ_POLICY)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    killer = "test_notes.py: alice's note-select-bob"
    text = f"{READ} is declared equivalent (all of the policies say the same), but {killer} kills it. Remove it."
    assert f"\n{suite.path}/equivalents.txt: {text}\n" in result.stdout.str()


def test_a_declared_mutant_that_is_invalid_is_an_error(suite: pytest.Pytester) -> None:
    invalid = "shop.notes.id | type-widen | type bigint"
    declare(suite, {invalid})
    result = suite.runpytest_inprocess("--rolecall-mutants", "--rolecall-mutants-operator", "type-widen")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"\n{suite.path}/equivalents.txt: {invalid} is invalid: remove it.\n" in result.stdout.str()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            f"{READ} :: a reason\nshop.notes | rls-off | yesterday :: gone\n",
            "{}/equivalents.txt:2: this mutant does not exist any more, remove it: shop.notes | rls-off | yesterday\n",
            id="gone",
        ),
        pytest.param(
            f"# a comment\n{READ}\n",
            "{}/equivalents.txt:2: write the id of the mutant, two colons between spaces, and the reason.\n",
            id="no reason",
        ),
        pytest.param(
            f"{READ} ::  \n",
            "{}/equivalents.txt:1: write the id of the mutant, two colons between spaces, and the reason.\n",
            id="an empty reason",
        ),
        pytest.param(
            f"{READ} :: one\n\n{READ} :: two\n",
            "{}/equivalents.txt:3: " + READ + " is already declared, in line 1.\n",
            id="twice",
        ),
    ],
)
def test_an_invalid_declaration_is_one_error(suite: pytest.Pytester, text: str, message: str) -> None:
    (suite.path / "equivalents.txt").write_text(text)
    result = suite.runpytest_inprocess("--rolecall-mutants")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {message.format(suite.path)}" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()
