"""--rolecall-coverage: everything that the migrations created is covered, or the run names it and fails."""

from __future__ import annotations

import pytest

from tests.rolecall import toy_suite
from tests.rolecall.toy_suite import coverage_lines

MORE = """\
CREATE INDEX notes_author ON shop.notes (author);
CREATE FUNCTION shop.fill_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.body IS NULL THEN
    NEW.body := 'none';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "fill it in" BEFORE INSERT ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.fill_in();
CREATE POLICY "no visitor" ON shop.notes AS RESTRICTIVE FOR SELECT TO toy_visitor USING (false);
"""
CONFTEST = """\
    world.persona("guest", "toy_visitor", setup="GRANT ALL ON {table} TO toy_visitor")
    return world
"""
SUITE = (
    toy_suite.SUITE.replace('"visitor", "keeper"', '"visitor", "guest", "keeper"')
    + """

def test_index(db):
    db.execute("SET LOCAL enable_seqscan = off")
    assert "notes_author" in db.explain("SELECT FROM shop.notes WHERE author = 'bob'")
"""
)


@pytest.fixture
def larger(toy: pytest.Pytester) -> pytest.Pytester:
    """The project with an index, a trigger and a restrictive policy, and a suite that covers everything."""
    phase = toy.path / "migrations/phase_1_notes"
    (phase / "1_3_more.sql").write_text(MORE)
    rollback = phase / "rollback.sql"
    rollback.write_text(rollback.read_text() + "DROP FUNCTION shop.fill_in() CASCADE;\n")
    for name, old, new in (
        ("conftest.py", "    return world\n", CONFTEST),
        ("test_notes.py", "      bob               -", "      bob, guest        -"),
        ("test_notes.py", "      alice             -", "      alice, guest      -"),
    ):
        path = toy.path / name
        path.write_text(path.read_text().replace(old, new))
    with (toy.path / "baseline.sql").open("a") as file:
        file.write("CREATE TABLE shop.shelf (body text);\n")
    (toy.path / "test_rest.py").write_text(SUITE)
    return toy


def missing(result: pytest.RunResult) -> list[str]:
    """The names of what is missing."""
    return [line.strip() for line in coverage_lines(result) if line.startswith("    ")]


def test_a_suite_is_complete_though_all_privileges_are_granted(larger: pytest.Pytester) -> None:
    """ALL includes TRUNCATE and others, which no cell uses."""
    step = larger.path / "migrations/phase_1_notes/1_1_notes.sql"
    step.write_text(step.read_text().replace("GRANT SELECT, INSERT, UPDATE, DELETE ON", "GRANT ALL ON"))
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert (result.ret, missing(result)) == (pytest.ExitCode.OK, [])


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_complete_suite_passes(larger: pytest.Pytester, processes: str) -> None:
    run = larger.runpytest_inprocess if processes == "0" else larger.runpytest_subprocess
    result = run("--rolecall-coverage", "-n", processes)
    assert coverage_lines(result) == [
        "  policies                9 of 9",
        "  constraints             8 of 8",
        "  functions x personas    5 of 5",
        "  lines of functions      4 of 4",
        "  views x personas        5 of 5",
        "  grants                 11 of 11",
        "  indexes                 1 of 1",
        "  triggers                1 of 1",
        "  scripts                 5 of 5",
    ]
    assert result.ret == 0


def test_without_any_test_everything_is_missing(larger: pytest.Pytester) -> None:
    larger.makepyfile(test_other="def test_other(): pass")
    result = larger.runpytest_inprocess("--rolecall-coverage", "test_other.py")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    assert [line.split("   without")[0] for line in coverage_lines(result) if not line.startswith("    ")] == [
        "  policies                0 of 9",
        "  constraints             0 of 8",
        "  functions x personas    0 of 5",
        "  lines of functions      0 of 4",
        "  views x personas        0 of 5",
        "  grants                  0 of 11",
        "  indexes                 0 of 1",
        "  triggers                0 of 1",
        "  scripts                 0 of 5",
    ]
    assert len(missing(result)) == 49


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        pytest.param(
            'constraint="short_body"',
            'message="short_body"',
            ["shop.notes: short_body refused none"],
            id="a refusal without the constraint's name",
        ),
        pytest.param(
            "WHERE author = 'bob'", "WHERE body = 'bob'", ["shop.notes: notes_author"], id="a query of another column"
        ),
        pytest.param("    database.verify(1)\n", "", ["phase_1_notes/verify.sql"], id="a script that does not run"),
        pytest.param(
            ', "keeper"]',
            "]",
            ["shop.count_notes as keeper", "shop.titles as keeper", "SELECT on shop.titles to toy_keeper"],
            id="a missing persona",
        ),
    ],
)
def test_a_gap_in_the_suite_is_named(larger: pytest.Pytester, old: str, new: str, names: list[str]) -> None:
    assert old in SUITE
    (larger.path / "test_rest.py").write_text(SUITE.replace(old, new).replace('assert "notes_author" in ', ""))
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert (missing(result), result.ret) == (names, 1)
    assert "failed" not in result.parseoutcomes()


BRANCH = "  IF to_regclass('shop.notes') IS NULL THEN\n    RAISE 'it is gone';\n  END IF;"


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        pytest.param(
            'CREATE POLICY "few" ON shop.notes AS RESTRICTIVE FOR UPDATE USING (id < 100) WITH CHECK (true);',
            ['shop.notes: "few" turned no row away from update'],
            id="a policy that stops nothing",
        ),
        pytest.param(
            'CREATE POLICY "orphans" ON shop.notes FOR DELETE USING (author IS NULL);',
            ['shop.notes: "orphans" admitted no row to delete'],
            id="a policy that admits nothing",
        ),
        pytest.param(
            "ALTER TABLE shop.notes ADD seen int CHECK (seen > 0);",
            ["shop.notes: notes_seen_check let no value through", "shop.notes: notes_seen_check refused none"],
            id="a column without values",
        ),
        pytest.param(
            MORE.split("CREATE FUNCTION")[1]
            .split("CREATE TRIGGER")[0]
            .replace(" shop", "CREATE OR REPLACE FUNCTION shop", 1)
            .replace("  END IF;", "  ELSIF NEW.body = 'x' THEN\n    RAISE 'no'; -- ever\n  END IF;"),
            ["shop.fill_in(), line 6: RAISE 'no';"],
            id="a statement that does not run",
        ),
        pytest.param(
            MORE.split("CREATE FUNCTION")[1]
            .split("CREATE TRIGGER")[0]
            .replace(" shop", "CREATE OR REPLACE FUNCTION shop", 1)
            .replace("  RETURN NEW;", "  IF NEW IS NOT NULL OR NEW IS NULL OR true THEN\n    RETURN NEW;\n  END IF;"),
            ["shop.fill_in(), line 6: IF NEW IS NOT NULL OR NEW IS NULL OR true THEN: what if not"],
            id="a branch without a statement",
        ),
        pytest.param(
            'CREATE TRIGGER "one more" BEFORE INSERT ON shop.notes FOR EACH ROW WHEN (NEW.id < 0)'
            " EXECUTE FUNCTION shop.fill_in();",
            ["shop.notes: one more"],
            id="a second trigger with the same function",
        ),
        pytest.param(
            "GRANT TRUNCATE ON shop.notes TO toy_keeper;",
            ["TRUNCATE on shop.notes to toy_keeper"],
            id="an unused grant",
        ),
        pytest.param(
            "GRANT USAGE ON SCHEMA shop TO pg_monitor, PUBLIC;",
            ["USAGE on shop to pg_monitor"],
            id="an unused USAGE on a schema",
        ),
        pytest.param(
            "GRANT SELECT (id, author), UPDATE (author) ON shop.notes TO pg_monitor;",
            [
                "SELECT (id) on shop.notes to pg_monitor",
                "SELECT (author) on shop.notes to pg_monitor",
                "UPDATE (author) on shop.notes to pg_monitor",
            ],
            id="unused grants on columns",
        ),
        pytest.param(
            f"DO $$ BEGIN\n{BRANCH} END $$;\n-- A copy:\nDO $$ DECLARE x int; BEGIN\n\n{BRANCH}\n  x := 1; END $$;",
            ["phase_1_notes/1_4_unknown.sql, line 3: RAISE 'it is gone';"],
            id="a branch of a DO block and of its copy",
        ),
        pytest.param(
            'CREATE TRIGGER "elsewhere" BEFORE INSERT ON shop.shelf FOR EACH ROW EXECUTE FUNCTION shop.fill_in();'
            "ALTER TABLE shop.shelf ADD CONSTRAINT elsewhere CHECK (body > 'a');",
            [
                "shop.shelf: elsewhere let no value through",
                "shop.shelf: elsewhere refused none",
                "shop.shelf: elsewhere",
            ],
            id="a trigger and a constraint on a table of the baseline",
        ),
    ],
)
def test_an_untested_object_is_named(larger: pytest.Pytester, sql: str, names: list[str]) -> None:
    (larger.path / "migrations/phase_1_notes/1_4_unknown.sql").write_text(sql)
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert (missing(result), result.ret) == (names, 1)
    assert "failed" not in result.parseoutcomes()


BY_COLUMN = """\
def test_columns(db):
    with db.acting_as("visitor"):
        assert db.value("SELECT count(id) FROM shop.notes WHERE id < %s", [9]) == 0
        db.execute("UPDATE shop.notes SET body = 'x'")
"""


def test_grants_on_columns_are_counted_one_by_one(larger: pytest.Pytester) -> None:
    grant = "GRANT SELECT (id, author), UPDATE (author, body) ON shop.notes TO toy_visitor;"
    (larger.path / "migrations/phase_1_notes/1_4_columns.sql").write_text(grant)
    (larger.path / "test_columns.py").write_text(BY_COLUMN)
    result = larger.runpytest_inprocess("--rolecall-coverage", "test_columns.py", "test_rest.py")
    of_visitor = [line for line in missing(result) if line.endswith("to toy_visitor") and "(" in line]
    assert of_visitor == [
        "SELECT (author) on shop.notes to toy_visitor",
        "UPDATE (author) on shop.notes to toy_visitor",
    ]


# ------------------------------------------------------------------ failures do not count


QUOTED = """\
CREATE TYPE shop."Kind" AS ENUM ('plain', 'gift');
CREATE TABLE shop."The Order" ("Id" int PRIMARY KEY, "Owner" text, "Kind" shop."Kind");
ALTER TABLE shop."The Order" ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION shop."isMine"("Owner" text, "Kind" shop."Kind") RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE "gift" shop."Kind" := 'gift';
BEGIN RETURN "Owner" = shop.me() AND "Kind" = "gift"; END $$;
CREATE POLICY "Own Orders" ON shop."The Order" FOR UPDATE USING (shop."isMine"("Owner", "Kind"));
CREATE POLICY "Read Orders" ON shop."The Order" FOR SELECT USING (shop."isMine"("Owner", "Kind"));
CREATE VIEW shop."MyView" WITH (security_invoker = true) AS SELECT "Id" FROM shop."The Order";
GRANT SELECT ON shop."The Order", shop."MyView" TO toy_member;
GRANT UPDATE ("Kind") ON shop."The Order" TO toy_member;
"""
QUOTED_SUITE = """

from rolecall import grid

test_orders = grid(
    "shop.The Order",
    '''
                          select   insert   update   delete
    alice's order
      alice               yes      !        yes      !
      bob                 -        !        -        !
      visitor, keeper     !        !        !        !
      guest               -        !        -        -
    ''',
    update="\\"Kind\\" = 'gift'",
    key="Id",
)


@pytest.mark.parametrize("persona", PERSONAS)
def test_view_and_function(db, persona):
    with db.acting_as(persona):
        db.execute('SELECT shop."isMine"(NULL, NULL)')
        if persona in ("alice", "bob"):
            db.execute('SELECT * FROM shop."MyView"')
        else:
            with db.raises("42501"):
                db.execute('SELECT * FROM "shop"."MyView"')


def test_key(db):
    with db.raises("23505", constraint="The Order_pkey"):
        db.execute('INSERT INTO shop."The Order" VALUES (1)')
    with db.raises("23502", column="Id"):
        db.execute('INSERT INTO shop."The Order" VALUES (NULL)')
"""


def test_names_that_need_quotes(larger: pytest.Pytester) -> None:
    phase = larger.path / "migrations/phase_1_notes"
    (phase / "1_4_orders.sql").write_text(QUOTED)
    with (phase / "rollback.sql").open("a") as file:
        file.write('DROP TABLE shop."The Order" CASCADE; DROP FUNCTION shop."isMine"; DROP TYPE shop."Kind";')
    world = larger.path / "conftest.py"
    row = """    world.add("shop.The Order", "alice's order", Id=1, Owner="alice", Kind="gift")\n    return world\n"""
    world.write_text(world.read_text().replace("    return world\n", row))
    (larger.path / "test_rest.py").write_text(SUITE + QUOTED_SUITE)
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert missing(result) == []
    assert result.ret == pytest.ExitCode.OK


def test_a_failing_test_covers_nothing(larger: pytest.Pytester) -> None:
    (larger.path / "test_rest.py").write_text(
        SUITE.replace(LAST_LINES, f'{LAST_LINES}    assert persona != "keeper"\n')
    )
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert missing(result) == [
        "shop.count_notes as keeper",
        "shop.titles as keeper",
        "SELECT on shop.titles to toy_keeper",
    ]


LAST_LINES = """\
            else:
                db.execute(statement)
"""


def test_a_grid_with_a_failing_cell_covers_no_trigger_or_constraint(larger: pytest.Pytester) -> None:
    path = larger.path / "test_notes.py"
    path.write_text(
        path.read_text().replace(
            "      alice             yes      yes      yes", "      alice             yes      yes      -  "
        )
    )
    suite = SUITE.replace(
        "VALUES (3, 'alice', 'much too long')\")", "VALUES (3, 'alice', 'much too long')\")\n    assert False"
    )
    (larger.path / "test_rest.py").write_text(suite)
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert "shop.notes: fill it in" in missing(result)
    assert "shop.notes: short_body refused none" in missing(result)


def test_a_trial_runs_with_the_original_functions(larger: pytest.Pytester) -> None:
    defect = larger.path / "defects/f1_anybody_reads.sql"
    check = "IF EXISTS (SELECT FROM pg_proc WHERE prosrc LIKE '%rolecall: %') THEN RAISE 'instrumented'; END IF;"
    defect.write_text(f"{defect.read_text()}DO $$ BEGIN {check} END $$;\n")
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert result.ret == 0
    assert "failed" not in result.parseoutcomes()


def test_coverage_and_mutants_exclude_each_other(larger: pytest.Pytester) -> None:
    result = larger.runpytest_inprocess("--rolecall-coverage", "--rolecall-mutants")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rolecall-coverage and --rolecall-mutants exclude each other*"])
