"""A table with row-level security and no grid fails the run, unless a setting gives the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

ORDERS = "CREATE TABLE shop.orders (id int PRIMARY KEY); ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;"
NO_GRID = (
    "  ERROR: shop.orders has row-level security and no grid: "
    "write a grid, or add it to rolecall_tables_without_grid with the reason."
)

CELLS = 40


@pytest.fixture
def orders(toy: pytest.Pytester) -> pytest.Pytester:
    """The project with another table, which has no grid."""
    step = toy.path / "migrations/phase_1_notes/1_3_orders.sql"
    step.write_text(ORDERS)
    return toy


def add_exceptions(toy: pytest.Pytester, *lines: str) -> None:
    with (toy.path / "pytest.ini").open("a") as file:
        file.write("rolecall_tables_without_grid =\n" + "".join(f"    {line}\n" for line in lines))


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_table_without_a_grid_fails_the_run(orders: pytest.Pytester, processes: str) -> None:
    result = orders.runpytest_subprocess("-n", processes)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert NO_GRID in result.stdout.lines
    result.assert_outcomes(passed=CELLS + 1, errors=1)


UNPROTECTED = """
CREATE TABLE shop.orders (id int PRIMARY KEY, total int, secret int);
CREATE TABLE shop.jobs (id int);
CREATE VIEW shop.all_notes AS SELECT * FROM shop.notes;
CREATE VIEW shop.own_notes WITH (security_invoker = true) AS SELECT * FROM shop.notes;
CREATE MATERIALIZED VIEW shop.counts AS SELECT count(*) FROM shop.notes;
CREATE SCHEMA hidden;
CREATE TABLE hidden.orders (id int);
GRANT SELECT (total) ON shop.orders TO toy_visitor;
GRANT ALL ON shop.all_notes, shop.own_notes, shop.counts, hidden.orders TO PUBLIC;
GRANT ALL ON shop.jobs TO toy_keeper;
"""
MAY_USE = {
    "shop.all_notes": "toy_member, toy_visitor may use it",
    "shop.counts": "toy_member, toy_visitor may use it",
    "shop.orders": "toy_visitor may use it",
}


def unprotected(result: pytest.RunResult) -> dict[str, str]:
    """The names that row-level security does not protect, and what the run says of them."""
    start = "  ERROR: row-level security does not protect "
    lines = [line.removeprefix(start).split(", ", 1) for line in result.outlines if line.startswith(start)]
    return {name: rest.partition(", and no test tries it: protect it, revoke")[0] for name, rest in lines}


def test_what_a_persona_may_use_without_row_level_security_fails_the_run(toy: pytest.Pytester) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_orders.sql").write_text(UNPROTECTED)
    result = toy.runpytest_inprocess()
    assert (result.ret, unprotected(result)) == (pytest.ExitCode.TESTS_FAILED, MAY_USE)


DEFINER = "LANGUAGE sql SECURITY DEFINER SET search_path = '' AS"
DEFECTS = {
    "EXECUTE for PUBLIC on a SECURITY DEFINER function": (
        f"CREATE FUNCTION shop.all_bodies() RETURNS SETOF text {DEFINER} 'SELECT body FROM shop.notes'",
        "shop.all_bodies is SECURITY DEFINER, toy_visitor may call it without signing in, and no test does: ",
    ),
    "EXECUTE for a role on a SECURITY DEFINER procedure": (
        f"CREATE PROCEDURE shop.clear() {DEFINER} 'DELETE FROM shop.notes';"
        "REVOKE EXECUTE ON PROCEDURE shop.clear() FROM PUBLIC;"
        "GRANT EXECUTE ON PROCEDURE shop.clear() TO toy_visitor",
        "shop.clear is SECURITY DEFINER, toy_visitor may call it without signing in, and no test does: ",
    ),
    "a column grant": (
        "GRANT SELECT (body) ON shop.notes TO toy_visitor; CREATE POLICY all_of_them ON shop.notes"
        " FOR SELECT TO toy_visitor USING (true)",
        'visitor: select on "alice\'s note" of shop.notes',
    ),
    "TRUNCATE": (
        "GRANT TRUNCATE ON shop.notes TO toy_member",
        "row-level security does not cover TRUNCATE, which toy_member may do on shop.notes: revoke it, ",
    ),
    "TRUNCATE for PUBLIC": (
        "GRANT TRUNCATE ON shop.notes TO PUBLIC",
        "row-level security does not cover TRUNCATE, which toy_member, toy_visitor may do on shop.notes: revoke it, ",
    ),
    "a table without row-level security": (
        "CREATE TABLE shop.totals (id int); GRANT SELECT ON shop.totals TO toy_member",
        "row-level security does not protect shop.totals, toy_member may use it, and no test tries it: ",
    ),
    "a view with the rights of its owner": (
        "CREATE VIEW shop.every WITH (security_invoker = off) AS SELECT * FROM shop.notes;"
        "GRANT SELECT ON shop.every TO toy_visitor",
        "row-level security does not protect shop.every, toy_visitor may use it, and no test tries it: ",
    ),
    "a materialized view": (
        "CREATE MATERIALIZED VIEW shop.copy AS SELECT * FROM shop.notes; GRANT SELECT ON shop.copy TO toy_member",
        "row-level security does not protect shop.copy, toy_member may use it, and no test tries it: ",
    ),
}


BELOW = """
CREATE TABLE shop.shelf (body text);
CREATE TABLE shop.known (body text);
GRANT SELECT ON shop.known TO toy_visitor;
CREATE VIEW shop.every WITH (security_invoker = true) AS SELECT * FROM shop.shelf;
GRANT SELECT ON shop.every TO toy_visitor;
CREATE FUNCTION shop.bodies() RETURNS SETOF text LANGUAGE sql SET search_path = '' AS 'SELECT body FROM shop.shelf';
ALTER TABLE shop.shelf OWNER TO toy_migrator;
ALTER TABLE shop.known OWNER TO toy_migrator;
ALTER VIEW shop.every OWNER TO toy_migrator;
ALTER FUNCTION shop.bodies OWNER TO toy_migrator;
"""
OPENED = {
    "a privilege": ("GRANT SELECT ON shop.shelf TO toy_member", "protect shop.shelf, toy_member may use it, "),
    "another privilege": (
        "GRANT SELECT ON shop.known TO toy_member",
        "protect shop.known, toy_member, toy_visitor may",
    ),
    "a view": ("ALTER VIEW shop.every SET (security_invoker = false)", "protect shop.every, toy_visitor may use it, "),
    "a function": ("ALTER FUNCTION shop.bodies SECURITY DEFINER", "shop.bodies is SECURITY DEFINER, toy_visitor may"),
    "TRUNCATE": ("GRANT TRUNCATE ON shop.shelf TO toy_member", "TRUNCATE, which toy_member may do on shop.shelf: "),
}


@pytest.mark.parametrize(("sql", "message"), OPENED.values(), ids=OPENED)
def test_what_the_migrations_open_of_the_baseline_needs_a_test(toy: pytest.Pytester, sql: str, message: str) -> None:
    with (toy.path / "baseline.sql").open("a") as file:
        file.write(BELOW)
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.OK
    (toy.path / "migrations/phase_1_notes/1_3_opened.sql").write_text(f"{sql};")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [message in line for line in result.outlines if line.startswith("  ERROR: ")] == [True]


@pytest.mark.parametrize(("sql", "message"), DEFECTS.values(), ids=DEFECTS)
def test_a_planted_defect_fails_a_plain_run(toy: pytest.Pytester, sql: str, message: str) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_defect.sql").write_text(f"{sql};")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert message in result.stdout.str()


NO_DEFECT = {
    "a function with the rights of its caller": "CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a trigger function": (
        "CREATE FUNCTION shop.acts() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NULL; END'"
    ),
    "the function of an event trigger": (
        "CREATE FUNCTION shop.notes_it() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN END'"
    ),
    "a view with the rights of its reader": (
        "CREATE VIEW shop.every WITH (security_invoker = 't') AS SELECT * FROM shop.notes;"
        "GRANT SELECT ON shop.every TO toy_visitor"
    ),
    "a function for those who sign in": (
        f"CREATE FUNCTION shop.one() RETURNS int {DEFINER} 'SELECT 1';"
        "REVOKE EXECUTE ON FUNCTION shop.one() FROM PUBLIC;"
        "GRANT EXECUTE ON FUNCTION shop.one() TO toy_member, toy_keeper"
    ),
    "a function in a schema that the role cannot enter": (
        f"CREATE SCHEMA hidden; CREATE FUNCTION hidden.one() RETURNS int {DEFINER} 'SELECT 1'"
    ),
    "a function that a policy of the role calls": (
        f"CREATE FUNCTION shop.is_open() RETURNS bool STABLE {DEFINER} 'SELECT true';"
        "CREATE POLICY open ON shop.notes AS RESTRICTIVE USING (shop.is_open())"
    ),
    "TRUNCATE for a role that bypasses row-level security": "GRANT TRUNCATE ON shop.notes TO toy_keeper",
}


@pytest.mark.parametrize("sql", NO_DEFECT.values(), ids=NO_DEFECT)
def test_what_is_no_defect_does_not_fail_the_run(toy: pytest.Pytester, sql: str) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_more.sql").write_text(f"{sql};")
    result = toy.runpytest_inprocess()
    assert (result.ret, "ERROR" in result.stdout.str()) == (pytest.ExitCode.OK, False)


CALLABLE = f"CREATE FUNCTION shop.count_all() RETURNS bigint {DEFINER} 'SELECT count(*) FROM shop.notes';"


@pytest.mark.parametrize(("persona", "is_tried"), [("visitor", True), ("alice", False)])
def test_a_call_as_the_role_tries_a_function(toy: pytest.Pytester, persona: str, is_tried: bool) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_count_all.sql").write_text(CALLABLE)
    toy.makepyfile(
        test_call=f"""
        def test_call(db):
            with db.reading_as("{persona}"):
                assert db.value("SELECT shop.count_all()") == 2
        """
    )
    assert (toy.runpytest_inprocess().ret == pytest.ExitCode.OK) is is_tried


OVERLOADS = f"""
CREATE FUNCTION shop.body(a int) RETURNS text {DEFINER} 'SELECT body FROM shop.notes WHERE id = a';
CREATE FUNCTION shop.body(a text) RETURNS SETOF text {DEFINER} 'SELECT body FROM shop.notes';
CREATE FUNCTION shop.body() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""


def test_a_call_of_a_function_does_not_try_another_one_of_its_name(toy: pytest.Pytester) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_body.sql").write_text(OVERLOADS)
    toy.makepyfile(
        test_call="""
        def test_call(db):
            with db.reading_as("visitor"):
                assert db.value("SELECT shop.body(1)") == "hers"
                assert db.value("SELECT shop.body()") == 1
        """
    )
    result = toy.runpytest_inprocess()
    uncalled = [line.split(" is SECURITY")[0] for line in result.outlines if line.startswith("  ERROR: ")]
    assert (result.ret, uncalled) == (pytest.ExitCode.TESTS_FAILED, ["  ERROR: shop.body(a text)"])
    (functions,) = [line for line in result.outlines if line.startswith("  functions x personas")]
    assert "2 of 16" in functions  # with count_notes


@pytest.mark.parametrize("name", ["shop.body", "shop.body(a text)"])
def test_a_reason_may_be_for_all_functions_of_a_name_or_for_one(toy: pytest.Pytester, name: str) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_body.sql").write_text(OVERLOADS.replace("SECURITY DEFINER", "", 1))
    add_exceptions(toy, f"{name}: everybody may read")
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_functions_and_tables_that_are_truncated_may_have_a_reason(toy: pytest.Pytester) -> None:
    sql = f"{CALLABLE} GRANT TRUNCATE ON shop.notes TO toy_member;"
    (toy.path / "migrations/phase_1_notes/1_3_more.sql").write_text(sql)
    add_exceptions(toy, "shop.count_all: everybody may know the number", "shop.notes: the nightly import")
    assert toy.runpytest_inprocess().ret == pytest.ExitCode.OK


def test_truncate_that_came_with_all_is_one_note(toy: pytest.Pytester) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_all.sql").write_text("GRANT ALL ON shop.notes TO toy_member;")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    (note,) = [line for line in result.outlines if "TRUNCATE" in line]
    assert note.startswith(
        "  note: row-level security does not cover TRUNCATE, which toy_member may do on shop.notes. "
    )


def test_a_view_that_a_persona_reads_and_a_reason_do_not_fail_the_run(toy: pytest.Pytester) -> None:
    (toy.path / "migrations/phase_1_notes/1_3_orders.sql").write_text(UNPROTECTED)
    add_exceptions(toy, "shop.counts: it counts only", "shop.orders: everybody may know the totals")
    toy.makepyfile(
        test_view="""
        def test_view(db):
            with db.reading_as("visitor"):
                assert len(db.rows("SELECT * FROM shop.all_notes")) == 2
        """
    )
    result = toy.runpytest_inprocess()
    assert (result.ret, unprotected(result)) == (pytest.ExitCode.OK, {})


def test_a_table_with_a_reason_does_not_fail_the_run(orders: pytest.Pytester) -> None:
    add_exceptions(orders, "shop.orders: filled by a job, without readers")
    result = orders.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    assert "ERROR" not in result.stdout.str()


TODO = "rolecall_tables_without_grid says TODO for shop.orders: write a test, or the reason"


def test_a_reason_that_is_still_to_be_written_is_named(orders: pytest.Pytester) -> None:
    """``rolecall init`` writes it: what nobody has tried must not look proven."""
    add_exceptions(orders, "shop.orders: TODO: a row could not be made")
    result = orders.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    assert f"not proven: {TODO}" in result.stdout.lines


def test_a_reason_that_is_still_to_be_written_fails_where_undecided_cells_do(orders: pytest.Pytester) -> None:
    add_exceptions(orders, "shop.orders: TODO: a row could not be made")
    result = orders.runpytest_inprocess("--rolecall-undecided", "fail")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"  ERROR: {TODO}." in result.stdout.lines
    assert "not proven" not in result.stdout.str()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("shop.notes: it has one", "names shop.notes, which has a grid: remove the line."),
        (
            "shop.gone: it existed once",
            "names shop.gone, which is not a table of this project that needs a grid: remove the line.",
        ),
    ],
)
def test_a_reason_that_is_not_needed_is_an_error(toy: pytest.Pytester, line: str, error: str) -> None:
    add_exceptions(toy, line)
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"  ERROR: rolecall_tables_without_grid {error}" in result.stdout.lines


@pytest.mark.parametrize("line", ["shop.orders", "shop.orders:", "orders: no schema", ": nothing"])
def test_an_exception_needs_a_table_and_a_reason(toy: pytest.Pytester, line: str) -> None:
    add_exceptions(toy, line)
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = f"ERROR: rolecall_tables_without_grid has the line {line!r}: write schema.table: the reason."
    assert result.stderr.lines == [text, ""]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["test_notes.py"], id="one file"),
        pytest.param(["test_notes.py::test_grid"], id="one id"),
        pytest.param(["-k", "alice"], id="-k"),
        pytest.param(["-m", "not filterwarnings"], id="-m"),
        pytest.param(["-m", "not filterwarnings", "-n", "2"], id="-m with two processes"),
        pytest.param(["-o", "addopts=--import-mode=importlib", "--lf"], id="--lf"),
        pytest.param(["below"], id="a subfolder"),
    ],
)
def test_a_part_of_the_suite_may_lack_grids(orders: pytest.Pytester, options: list[str]) -> None:
    (orders.path / "below").mkdir()
    (orders.path / "below" / "test_more.py").write_text(
        "import pytest\n@pytest.mark.filterwarnings('error')\ndef test_more(rolecall_db): pass\n"
    )
    assert orders.runpytest_inprocess(*options).ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    "options",
    [
        *([], ["."], [".", "below"], ["--deselect", "test_notes.py::test_grid"]),
        *(["-m", "not slow"], ["-m", "not slow", "-n", "2"], ["-k", "not slow"]),  # which leave out no test
    ],
    ids=str,
)
def test_the_whole_suite_needs_all_grids(orders: pytest.Pytester, options: list[str]) -> None:
    (orders.path / "below").mkdir()
    (orders.path / "below" / "test_more.py").write_text("def test_more(rolecall_db): pass\n")
    result = orders.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.stdout.lines.count(NO_GRID) == 1


@pytest.mark.parametrize(
    ("options", "is_whole"), [([], True), (["a", "b"], True), (["a"], False), (["b"], False)], ids=str
)
def test_testpaths_say_what_the_whole_suite_is(orders: pytest.Pytester, options: list[str], is_whole: bool) -> None:
    for name in ("a", "b", "other"):
        (orders.path / name).mkdir()
        (orders.path / name / "test_more.py").write_text("def test_more(rolecall_db): pass\n")
    (orders.path / "test_notes.py").rename(orders.path / "a" / "test_notes.py")
    with (orders.path / "pytest.ini").open("a") as file:
        file.write("testpaths = [ab]\n")
    result = orders.runpytest_inprocess(*options)
    assert ("has row-level security and no grid" in result.stdout.str()) is is_whole


def test_without_migrations_the_tables_of_the_baseline_need_a_grid(toy: pytest.Pytester) -> None:
    ini = toy.path / "pytest.ini"
    ini.write_text(ini.read_text().replace("rolecall_migrations = migrations\n", ""))
    with (toy.path / "baseline.sql").open("a") as file:
        file.write(Path(toy.path / "migrations/phase_1_notes/1_1_notes.sql").read_text() + ORDERS)
    result = toy.runpytest_inprocess("--deselect", "defects")
    assert "shop.orders has row-level security and no grid" in result.stdout.str()
    assert "shop.notes has" not in result.stdout.str()


OF_A_BASELINE = """
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE shop.accounts (line text) SERVER nowhere;
CREATE TABLE shop.own (id int);
CREATE VIEW shop.own_view AS SELECT id FROM shop.own;
CREATE FUNCTION shop.called() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
CREATE FUNCTION shop.not_called() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1';
CREATE VIEW shop.seen AS SELECT 1 AS one;
CREATE VIEW shop.not_seen AS SELECT 1 AS one;
GRANT SELECT ON shop.accounts, shop.seen, shop.not_seen TO toy_visitor;
ALTER TABLE shop.own OWNER TO toy_visitor;
ALTER VIEW shop.own_view OWNER TO toy_visitor;
"""
AS_A_VISITOR = """
def test_a_visitor(rolecall_db):
    with rolecall_db.reading_as("visitor"):
        assert rolecall_db.value("SELECT shop.called()") == rolecall_db.value("SELECT one FROM shop.seen") == 1
"""


def test_without_migrations_what_the_baseline_leaves_open_needs_a_test(toy: pytest.Pytester) -> None:
    """A foreign table has no row-level security, and it does not apply to the owner of a table."""
    ini = toy.path / "pytest.ini"
    for line in ("rolecall_migrations = migrations\n", "rolecall_migration_role = toy_migrator\n"):
        ini.write_text(ini.read_text().replace(line, ""))
    notes = (toy.path / "migrations/phase_1_notes/1_1_notes.sql").read_text()
    with (toy.path / "baseline.sql").open("a") as file:
        file.write(notes + OF_A_BASELINE)
    toy.makepyfile(test_visitor=AS_A_VISITOR)
    result = toy.runpytest_inprocess("--deselect", "defects")
    by_visitor = dict.fromkeys(("shop.accounts", "shop.own", "shop.not_seen"), "toy_visitor may use it")
    assert unprotected(result) == by_visitor
    uncalled = [line for line in result.outlines if line.startswith("  ERROR: ") and "SECURITY DEFINER" in line]
    assert [line.split()[1] for line in uncalled] == ["shop.not_called"]


def test_a_run_without_a_database_checks_nothing(toy: pytest.Pytester) -> None:
    (toy.path / "test_notes.py").unlink()
    (toy.path / "defects/f1_anybody_reads.sql").unlink()
    toy.makepyfile(test_plain="def test_plain(): pass")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.OK
    assert "no grid" not in result.stdout.str()
