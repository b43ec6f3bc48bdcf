"""--rolecall-coverage: what the migrations made is exercised, or named; a suite with a hole fails, and names that."""

from __future__ import annotations

import pytest

from rolecall.coverage import columns

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
SUITE = """\
import pytest

PERSONAS = ["alice", "bob", "visitor", "guest", "keeper"]


@pytest.mark.parametrize("persona", PERSONAS)
def test_function_and_view(db, persona):
    with db.acting_as(persona):
        for statement in ("SELECT shop.count_notes()", "SELECT * FROM shop.titles"):
            if persona in ("visitor", "guest"):
                with db.raises("42501"):
                    db.execute(statement)
            else:
                db.execute(statement)


def test_constraints(db):
    with db.raises("23505", constraint="notes_pkey"):
        db.execute("INSERT INTO shop.notes VALUES (1, 'alice')")
    with db.raises("23502", column="id"):
        db.execute("INSERT INTO shop.notes VALUES (NULL, 'alice')")
    with db.raises("23502", column="author"):
        db.execute("INSERT INTO shop.notes VALUES (3, NULL)")
    with db.raises("23514", constraint="short_body"):
        db.execute("INSERT INTO shop.notes VALUES (3, 'alice', 'much too long')")


def test_index(db):
    db.execute("SET LOCAL enable_seqscan = off")
    assert "notes_author" in db.explain("SELECT FROM shop.notes WHERE author = 'bob'")


def test_migrations(scratch):
    database = scratch()
    database.apply(1)
    database.verify(1)
    database.rollback(1)
"""


@pytest.fixture
def larger(toy: pytest.Pytester) -> pytest.Pytester:
    """The project with an index, a trigger and a restrictive policy, and a suite that exercises everything."""
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


def counted(result: pytest.RunResult) -> list[str]:
    """The lines of rolecall's section that count, and those that name."""
    lines = result.stdout.lines
    (start,) = [number for number, line in enumerate(lines) if " rolecall " in line and line.startswith("---")]
    return [line.rstrip() for line in lines[start + 2 :] if line.startswith("  ")]


def missing(result: pytest.RunResult) -> list[str]:
    """What is named."""
    return [line.strip() for line in counted(result) if line.startswith("    ")]


@pytest.mark.parametrize("processes", ["0", "2"])
def test_everything_exercised_passes(larger: pytest.Pytester, processes: str) -> None:
    run = larger.runpytest_inprocess if processes == "0" else larger.runpytest_subprocess
    result = run("--rolecall-coverage", "-n", processes)
    assert counted(result) == [
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


def test_where_nothing_is_run_everything_is_named(larger: pytest.Pytester) -> None:
    larger.makepyfile(test_other="def test_other(): pass")
    result = larger.runpytest_inprocess("--rolecall-coverage", "test_other.py")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    assert [line.split("   without")[0] for line in counted(result) if not line.startswith("    ")] == [
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
    ("old", "new", "named"),
    [
        pytest.param(
            'constraint="short_body"',
            'message="short_body"',
            ["shop.notes: short_body refused none"],
            id="a refusal that is not named",
        ),
        pytest.param(
            "WHERE author = 'bob'", "WHERE body = 'bob'", ["shop.notes: notes_author"], id="a query of another column"
        ),
        pytest.param("    database.verify(1)\n", "", ["phase_1_notes/verify.sql"], id="a script that does not run"),
        pytest.param(
            ', "keeper"]',
            "]",
            ["shop.count_notes as keeper", "shop.titles as keeper", "SELECT on shop.titles to toy_keeper"],
            id="a persona left out",
        ),
    ],
)
def test_what_the_suite_leaves_out_is_named(larger: pytest.Pytester, old: str, new: str, named: list[str]) -> None:
    assert old in SUITE
    (larger.path / "test_rest.py").write_text(SUITE.replace(old, new).replace('assert "notes_author" in ', ""))
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert (missing(result), result.ret) == (named, 1)
    assert "failed" not in result.parseoutcomes()


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        pytest.param(
            'CREATE POLICY "few" ON shop.notes AS RESTRICTIVE FOR UPDATE USING (id < 100) WITH CHECK (true);',
            ['shop.notes: "few" turned no row away from update'],
            id="a policy that stops nothing",
        ),
        pytest.param(
            'CREATE POLICY "nobody\'s" ON shop.notes FOR DELETE USING (author IS NULL);',
            ['shop.notes: "nobody\'s" admitted no row to delete'],
            id="a policy that admits nothing",
        ),
        pytest.param(
            "ALTER TABLE shop.notes ADD seen int CHECK (seen > 0);",
            ["shop.notes: notes_seen_check let no value through", "shop.notes: notes_seen_check refused none"],
            id="a column that nobody fills",
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
            id="a trigger whose function another one runs",
        ),
        pytest.param(
            "GRANT TRUNCATE ON shop.notes TO toy_keeper;",
            ["TRUNCATE on shop.notes to toy_keeper"],
            id="a grant that nobody uses",
        ),
        pytest.param(
            "GRANT USAGE ON SCHEMA shop TO pg_monitor, PUBLIC;",
            ["USAGE on shop to pg_monitor"],
            id="a schema that somebody may enter and does not",
        ),
        pytest.param(
            "GRANT SELECT (id, author), UPDATE (author) ON shop.notes TO pg_monitor;",
            [
                "SELECT (id) on shop.notes to pg_monitor",
                "SELECT (author) on shop.notes to pg_monitor",
                "UPDATE (author) on shop.notes to pg_monitor",
            ],
            id="columns that nobody reads or writes",
        ),
        pytest.param(
            'CREATE TRIGGER "elsewhere" BEFORE INSERT ON shop.shelf FOR EACH ROW EXECUTE FUNCTION shop.fill_in();'
            "ALTER TABLE shop.shelf ADD CONSTRAINT elsewhere CHECK (body > 'a');",
            [
                "shop.shelf: elsewhere let no value through",
                "shop.shelf: elsewhere refused none",
                "shop.shelf: elsewhere",
            ],
            id="what is put on a table of the baseline",
        ),
    ],
)
def test_what_no_test_knows_of_is_named(larger: pytest.Pytester, sql: str, named: list[str]) -> None:
    (larger.path / "migrations/phase_1_notes/1_4_unknown.sql").write_text(sql)
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert (missing(result), result.ret) == (named, 1)
    assert "failed" not in result.parseoutcomes()


BY_COLUMN = """\
def test_columns(db):
    with db.acting_as("visitor"):
        assert db.value("SELECT count(id) FROM shop.notes WHERE id < %s", [9]) == 0
        db.execute("UPDATE shop.notes SET body = 'x'")
"""


def test_columns_are_used_one_by_one(larger: pytest.Pytester) -> None:
    grant = "GRANT SELECT (id, author), UPDATE (author, body) ON shop.notes TO toy_visitor;"
    (larger.path / "migrations/phase_1_notes/1_4_columns.sql").write_text(grant)
    (larger.path / "test_columns.py").write_text(BY_COLUMN)
    result = larger.runpytest_inprocess("--rolecall-coverage", "test_columns.py", "test_rest.py")
    of_visitor = [line for line in missing(result) if line.endswith("to toy_visitor") and "(" in line]
    assert of_visitor == [
        "SELECT (author) on shop.notes to toy_visitor",
        "UPDATE (author) on shop.notes to toy_visitor",
    ]


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("SELECT t.a FROM s.t WHERE b = %s", {("s.t", "select", "a"), ("s.t", "select", "b")}),
        ("INSERT INTO s.t (a, b) VALUES (%(a)s, 1)", {("s.t", "insert", "a"), ("s.t", "insert", "b")}),
        ("UPDATE s.t SET a = 1 WHERE c", {("s.t", "update", "a"), ("s.t", "select", "c")}),
        ("DELETE FROM s.t", set()),
        ("SELECT * FROM s.t", set()),
        ("no SQL", set()),
    ],
)
def test_columns_that_a_statement_uses(text: str, used: set[columns.Used]) -> None:
    assert columns.used(text) == used


# ------------------------------------------------------------------ what fails does not count


def test_what_a_failing_test_did_does_not_count(larger: pytest.Pytester) -> None:
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


def test_what_a_grid_reached_does_not_count_if_a_cell_is_wrong(larger: pytest.Pytester) -> None:
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


def test_what_is_broken_on_purpose_meets_the_functions_as_they_were(larger: pytest.Pytester) -> None:
    defect = larger.path / "defects/f1_anybody_reads.sql"
    watched = "IF EXISTS (SELECT FROM pg_proc WHERE prosrc LIKE '%rolecall: %') THEN RAISE 'watched'; END IF;"
    defect.write_text(f"{defect.read_text()}DO $$ BEGIN {watched} END $$;\n")
    result = larger.runpytest_inprocess("--rolecall-coverage")
    assert result.ret == 0
    assert "failed" not in result.parseoutcomes()


def test_breaking_and_counting_exclude_each_other(larger: pytest.Pytester) -> None:
    result = larger.runpytest_inprocess("--rolecall-coverage", "--rolecall-mutants")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--rolecall-coverage and --rolecall-mutants exclude each other*"])
