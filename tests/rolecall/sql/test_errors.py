"""An error in an SQL file: file, line and column, the line itself, a caret below what is wrong, and the SQLSTATE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.errors import SqlError
from rolecall.sql import files
from rolecall.worker import Worker

TEN_LINES = "\n" * 9


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    return toy_worker.connection


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pytest is started: files in it are called by their names alone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(connection: Connection[Any], path: Path, text: str | bytes, role: str | None = None) -> SqlError:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SqlError) as caught:
        files.run(connection, path, role=role)
    return caught.value


CASES = [
    pytest.param(
        "CREATE TABLE a (id int);\nCREAT TABLE b (id int);\n",
        ['x.sql:2:1: syntax error at or near "CREAT" (42601)', "    CREAT TABLE b (id int);", "    ^"],
        id="syntax error",
    ),
    pytest.param(
        "CREATE TABLE a (id int",
        ["x.sql:1:23: syntax error at end of input (42601)", "    CREATE TABLE a (id int", "    " + " " * 22 + "^"],
        id="syntax error at the end of the file",
    ),
    pytest.param(
        "SELECT\n  id,\n  nothing\nFROM shop.notes;",
        ['x.sql:3:3: column "nothing" does not exist (42703)', "      nothing", "      ^"],
        id="unknown column",
    ),
    pytest.param(
        "SELECT id FROM shop.notes WHERE boddy = 'x';",
        [
            'x.sql:1:33: column "boddy" does not exist (42703)',
            "    SELECT id FROM shop.notes WHERE boddy = 'x';",
            "    " + " " * 32 + "^",
            'HINT: Perhaps you meant to reference the column "notes.body".',
        ],
        id="unknown column with a hint",
    ),
    pytest.param(
        "SELECT 1;\n-- the second\nINSERT INTO shop.notes\n  VALUES (1, 'x');\nSELECT 2;",
        [
            'x.sql:3:1: duplicate key value violates unique constraint "notes_pkey" (23505)',
            "    INSERT INTO shop.notes",
            "    ^",
            "DETAIL: Key (id)=(1) already exists.",
        ],
        id="error without a position",
    ),
    pytest.param(
        "CREATE TABLE made (id int);\nINSERT INTO made VALUES (1), (2);\n\n"
        "  /* both */ ALTER TABLE made ADD UNIQUE (id); ALTER TABLE made DROP COLUMN nothing;",
        [
            'x.sql:4:48: column "nothing" of relation "made" does not exist (42703)',
            "      /* both */ ALTER TABLE made ADD UNIQUE (id); ALTER TABLE made DROP COLUMN nothing;",
            "    " + " " * 47 + "^",
        ],
        id="error without a position, behind others in its line",
    ),
    pytest.param(
        "SELECT 'the same';\nSELECT 'the same';\nSELECT 1 / 0;\nSELECT 1 / 0;",
        ["x.sql:3:1: division by zero (22012)", "    SELECT 1 / 0;", "    ^"],
        id="the first of two equal statements",
    ),
    pytest.param(
        "SELECT ';', $$;$$, 1 -- ;\n/* ; /* ; */ */;\nSELECT 1 / 0",
        ["x.sql:3:1: division by zero (22012)", "    SELECT 1 / 0", "    ^"],
        id="semicolons that end nothing",
    ),
    pytest.param(
        "SELECT 1;\nDO $$\nBEGIN\n  PERFORM 1;\n"
        "  RAISE EXCEPTION 'not yet' USING ERRCODE = 'P0002', HINT = 'wait';\nEND\n$$;",
        [
            "x.sql:5:3: not yet (P0002)",
            "      RAISE EXCEPTION 'not yet' USING ERRCODE = 'P0002', HINT = 'wait';",
            "      ^",
            "HINT: wait",
        ],
        id="inside a DO block",
    ),
    pytest.param(
        "DO $body$ BEGIN PERFORM 1 / 0; END $body$;",
        [
            "x.sql:1:11: division by zero (22012)",
            "    DO $body$ BEGIN PERFORM 1 / 0; END $body$;",
            "    " + " " * 10 + "^",
        ],
        id="inside a DO block of one line",
    ),
    pytest.param(
        "SELECT 'größer €', '🙂', nothing;",
        [
            'x.sql:1:25: column "nothing" does not exist (42703)',
            "    SELECT 'größer €', '🙂', nothing;",
            "    " + " " * 25 + "^",  # the face is two columns wide
        ],
        id="behind characters of several bytes",
    ),
    pytest.param(
        "\tSELECT\t'ü',\tnothing;",
        [
            'x.sql:1:14: column "nothing" does not exist (42703)',
            "    \tSELECT\t'ü',\tnothing;",
            "    \t      \t    \t^",
        ],
        id="behind tabs",
    ),
    pytest.param(
        "SELECT 1;\r\nSELECT\r\n  nothing;\r\n",
        ['x.sql:3:3: column "nothing" does not exist (42703)', "      nothing;", "      ^"],
        id="lines that end with CR LF",
    ),
    pytest.param(
        "SELECT 1;\r\nDO $$\r\nBEGIN\r\n  RAISE EXCEPTION 'no';\r\nEND\r\n$$;\r\n",
        ["x.sql:4:3: no (P0001)", "      RAISE EXCEPTION 'no';", "      ^"],
        id="inside a DO block of lines that end with CR LF",
    ),
    pytest.param(
        TEN_LINES + "SELECT nothing;",
        ['x.sql:10:8: column "nothing" does not exist (42703)', "    SELECT nothing;", "    " + " " * 7 + "^"],
        id="below empty lines",
    ),
    pytest.param(
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETRUN 1;\nEND\n$$;",
        ['x.sql:3:3: syntax error at or near "RETRUN" (42601)', "      RETRUN 1;", "      ^"],
        id="inside a function's body",
    ),
    pytest.param(
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1 / 0;\nEND\n$$;\nSELECT f();",
        [
            "x.sql:6:1: division by zero (22012)",
            "    SELECT f();",
            "    ^",
            "CONTEXT: PL/pgSQL function f() line 3 at RETURN",
        ],
        id="in a function that a statement calls",
    ),
]


@pytest.mark.parametrize(("text", "told"), CASES)
def test_an_error_is_shown_where_it_is(connection: Connection[Any], here: Path, text: str, told: list[str]) -> None:
    error = refused(connection, here / "x.sql", text)
    assert str(error).splitlines() == told
    assert (error.sqlstate, error.line) == (told[0][-6:-1], int(told[0].split(":")[1]))


def test_a_file_outside_is_named_by_its_whole_path(connection: Connection[Any], here: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-x.sql"
    assert str(refused(connection, elsewhere, "SELEC")).startswith(f"{elsewhere}:1:1: syntax error")
    inside = here / "migrations"
    inside.mkdir()
    assert str(refused(connection, inside / "x.sql", "SELEC")).startswith("migrations/x.sql:1:1: syntax error")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("\n  \n", id="blanks"),
        pytest.param("-- nothing yet\n/* and no more */", id="comments"),
        pytest.param(";;", id="semicolons"),
        pytest.param("\ufeffSELECT 1;", id="a byte order mark"),
    ],
)
def test_a_file_without_errors_runs(connection: Connection[Any], here: Path, text: str) -> None:
    (here / "x.sql").write_text(text, encoding="utf-8")
    files.run(connection, here / "x.sql")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("SELECT 1;\nCOMMIT;\n", 2, id="COMMIT"),
        pytest.param("BEGIN;\nSELECT 1;\nCOMMIT;\n", 3, id="BEGIN and COMMIT"),
        pytest.param("SELECT 1;\nROLLBACK;\nSELECT 2;", 2, id="ROLLBACK"),
        pytest.param("SELECT 1;\n  end;\nbegin;\nSELECT 2;", 2, id="END and BEGIN"),
    ],
)
def test_a_file_that_ends_its_transaction_is_told(toy_built: Worker, here: Path, text: str, line: int) -> None:
    """It would go on as the superuser, and outside of what is undone."""
    with toy_built.run.connect(toy_built.run.baseline) as connection:
        error = refused(connection, here / "x.sql", text, role="toy_migrator")
    told = "the file ends the transaction that it runs in: take BEGIN, COMMIT and ROLLBACK out."
    assert str(error) == f"x.sql:{line}: {told}"
    assert (error.sqlstate, error.line) == (None, line)


def test_words_that_end_a_transaction_elsewhere_are_no_harm(connection: Connection[Any], here: Path) -> None:
    (here / "x.sql").write_text(
        "SELECT 'COMMIT;';\n-- COMMIT;\nDO $$ BEGIN NULL; END $$;\nSELECT CASE WHEN true THEN 1 END;"
    )
    files.run(connection, here / "x.sql")


def test_a_file_that_is_not_utf_8_is_told(connection: Connection[Any], here: Path) -> None:
    error = refused(connection, here / "x.sql", b"SELECT 1;\nSELECT 'gr\xf6\xdfer';\n")
    assert str(error) == "x.sql:2: not UTF-8 (byte 20): save the file as UTF-8."
    assert (error.sqlstate, error.line) == (None, 2)


def test_what_pg_dump_writes_for_psql_alone_is_left_out(connection: Connection[Any], here: Path) -> None:
    """Blanked, not cut: an error behind it keeps its line and column."""
    dump = "\\restrict kVx3\n\nSELECT 1;\n\\unrestrict kVx3\n"
    (here / "x.sql").write_text(dump)
    files.run(connection, here / "x.sql")
    assert str(refused(connection, here / "x.sql", dump + "SELEC")).startswith("x.sql:5:1: syntax error")


def test_nothing_of_a_file_that_fails_is_kept(connection: Connection[Any], here: Path) -> None:
    refused(connection, here / "x.sql", "CREATE TABLE shop.half (id int);\nSELECT 1 / 0;", role=None)
    assert connection.execute("SELECT to_regclass('shop.half')").fetchone() == (None,)
    assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


def test_a_file_runs_as_the_role_that_is_named(connection: Connection[Any], here: Path) -> None:
    (here / "x.sql").write_text("CREATE TABLE shop.whose (id int)")
    connection.execute("GRANT CREATE ON SCHEMA shop TO toy_migrator")
    files.run(connection, here / "x.sql", role="toy_migrator")
    query = "SELECT relowner::regrole::text, current_user = session_user FROM pg_class WHERE relname = 'whose'"
    assert connection.execute(query).fetchone() == ("toy_migrator", True)


def test_an_error_under_a_role_is_found_under_it(connection: Connection[Any], here: Path) -> None:
    """Found by replay: a superuser would not be refused, and nothing would be found."""
    error = refused(
        connection,
        here / "x.sql",
        "SELECT 1;\n\n  ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY;",
        role="toy_member",
    )
    assert str(error).splitlines() == [
        "x.sql:3:3: must be owner of table notes (42501)",
        "      ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY;",
        "      ^",
    ]


# ------------------------------------------------------------------ as pytest shows it


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("platform.sql", "SELEC 1;\n"),
        ("baseline.sql", "SELEC 1;\n"),
        ("migrations/phase_1_notes/1_1_notes.sql", "SELEC 1;\n"),
    ],
    ids=["platform", "baseline", "step"],
)
def test_an_error_in_the_sql_is_one_error_before_any_test(toy: pytest.Pytester, path: str, text: str) -> None:
    (toy.path / path).write_text(text)
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [
        f'ERROR: {path}:1:1: syntax error at or near "SELEC" (42601)',
        "    SELEC 1;",
        "    ^",
        "",
    ]
    result.assert_outcomes()


def test_a_world_that_cannot_be_loaded_is_one_error(toy: pytest.Pytester) -> None:
    path = toy.path / "conftest.py"
    path.write_text(path.read_text().replace('body="his"', 'body="much too long"'))
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == [
        'ERROR: the world cannot be loaded: shop.notes "bob\'s note": '
        'new row for relation "notes" violates check constraint "short_body"',
        "DETAIL: Failing row contains (2, bob, much too long).",
        "",
    ]
    result.assert_outcomes()
