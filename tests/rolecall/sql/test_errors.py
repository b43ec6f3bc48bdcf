"""An error in an SQL file shows file, line and column, the line itself, a caret below its place, and the SQLSTATE."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.errors import SqlError
from rolecall.sql import files
from rolecall.worker import Worker
from tests.rolecall.sql.running import ROLE, refused, run

in_working_directory = pytest.mark.usefixtures("working_directory")


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
        "CREATE TABLE item (id int);\nINSERT INTO item VALUES (1), (2);\n\n"
        "  /* both */ ALTER TABLE item ADD UNIQUE (id); ALTER TABLE item DROP COLUMN nothing;",
        [
            'x.sql:4:48: column "nothing" of relation "item" does not exist (42703)',
            "      /* both */ ALTER TABLE item ADD UNIQUE (id); ALTER TABLE item DROP COLUMN nothing;",
            "    " + " " * 47 + "^",
        ],
        id="error without a position, after other statements in its line",
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
            "    " + " " * 25 + "^",  # the emoji is two columns wide
        ],
        id="after characters of several bytes",
    ),
    pytest.param(
        "\tSELECT\t'ü',\tnothing;",
        [
            'x.sql:1:14: column "nothing" does not exist (42703)',
            "    \tSELECT\t'ü',\tnothing;",
            "    \t      \t    \t^",
        ],
        id="after tabs",
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
        "\n" * 9 + "SELECT nothing;",
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


@in_working_directory
@pytest.mark.parametrize(("text", "message"), CASES)
def test_an_error_shows_its_place(connection: Connection[Any], text: str, message: list[str]) -> None:
    error = refused(connection, text, role=None)
    assert str(error).splitlines() == message
    assert (error.sqlstate, error.line) == (message[0][-6:-1], int(message[0].split(":")[1]))


def test_a_file_outside_the_current_folder_is_named_by_its_whole_path(
    connection: Connection[Any], working_directory: Path
) -> None:
    outside = working_directory.with_name(f"{working_directory.name}-x.sql")
    inside = working_directory / "migrations" / "x.sql"
    inside.parent.mkdir()
    for path, name in ((outside, str(outside)), (inside, "migrations/x.sql")):
        path.write_text("SELEC")
        with pytest.raises(SqlError, match=f"^{re.escape(name)}:1:1: syntax error"):
            files.run(connection, path)


@in_working_directory
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
def test_a_file_without_errors_runs(connection: Connection[Any], text: str) -> None:
    run(connection, text, role=None)


@in_working_directory
@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("SELECT 1;\nCOMMIT;\n", 2, id="COMMIT"),
        pytest.param("BEGIN;\nSELECT 1;\nCOMMIT;\n", 3, id="BEGIN and COMMIT"),
        pytest.param("SELECT 1;\nROLLBACK;\nSELECT 2;", 2, id="ROLLBACK"),
        pytest.param("SELECT 1;\n  end;\nbegin;\nSELECT 2;", 2, id="END and BEGIN"),
    ],
)
def test_a_file_that_ends_its_transaction_is_refused(toy_built: Worker, text: str, line: int) -> None:
    """The rest would run as the superuser, and would not be undone."""
    with toy_built.run.connect(toy_built.run.baseline) as connection:
        error = refused(connection, text)
    message = "the file ends the transaction that it runs in: remove BEGIN, COMMIT and ROLLBACK."
    assert str(error) == f"x.sql:{line}: {message}"
    assert (error.sqlstate, error.line) == (None, line)


@in_working_directory
def test_commit_and_end_in_other_places_are_allowed(connection: Connection[Any]) -> None:
    text = "SELECT 'COMMIT;';\n-- COMMIT;\nDO $$ BEGIN NULL; END $$;\nSELECT CASE WHEN true THEN 1 END;"
    run(connection, text, role=None)


@in_working_directory
def test_a_file_that_is_not_utf_8_is_one_error(connection: Connection[Any]) -> None:
    error = refused(connection, b"SELECT 1;\nSELECT 'gr\xf6\xdfer';\n")
    assert str(error) == "x.sql:2: the file is not UTF-8 (byte 20): save it as UTF-8."
    assert (error.sqlstate, error.line) == (None, 2)


@in_working_directory
def test_the_psql_commands_of_pg_dump_are_ignored(connection: Connection[Any]) -> None:
    """They are replaced by blanks, so an error after them keeps its line and column."""
    dump = "\\restrict kVx3\n\nSELECT 1;\n\\unrestrict kVx3\n"
    run(connection, dump, role=None)
    assert str(refused(connection, dump + "SELEC", role=None)).startswith("x.sql:5:1: syntax error")


@in_working_directory
def test_a_file_that_fails_leaves_nothing(connection: Connection[Any]) -> None:
    refused(connection, "CREATE TABLE shop.half (id int);\nSELECT 1 / 0;", role=None)
    assert connection.execute("SELECT to_regclass('shop.half')").fetchone() == (None,)
    assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


@in_working_directory
def test_a_file_runs_as_its_role(connection: Connection[Any]) -> None:
    run(connection, "CREATE TABLE shop.whose (id int)", role=ROLE)
    query = "SELECT relowner::regrole::text, current_user = session_user FROM pg_class WHERE relname = 'whose'"
    assert connection.execute(query).fetchone() == (ROLE, True)


@in_working_directory
def test_a_missing_privilege_of_the_role_is_an_error(connection: Connection[Any]) -> None:
    """A superuser would not be refused."""
    text = "SELECT 1;\n\n  ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY;"
    error = refused(connection, text, role="toy_member")
    assert str(error).splitlines() == [
        "x.sql:3:3: must be owner of table notes (42501)",
        "      ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY;",
        "      ^",
    ]


# ------------------------------------------------------------------ in pytest's output


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
