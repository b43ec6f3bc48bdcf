"""Every text is split and run, or is one error that says where and what to do."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.errors import SqlError
from rolecall.sql import files
from rolecall.sql.script import parse
from rolecall.worker import Worker
from tests.rolecall.sql import running
from tests.rolecall.sql.running import TABLE

pytestmark = pytest.mark.usefixtures("working_directory")


def run(connection: Connection[Any], text: str | bytes) -> None:
    running.run(connection, text, role=None)


def refused(connection: Connection[Any], text: str | bytes) -> list[str]:
    """Run a text that must fail, and return the lines of the error."""
    return str(running.refused(connection, text, role=None)).splitlines()


# ------------------------------------------------------------------ bytes


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(
            b"SELECT 1;\nSELECT 2;\0\nSELECT 3;", "2: the file has a NUL byte (byte 19): remove it.", id="NUL"
        ),
        pytest.param(
            b"\xef\xbb\xbfSELECT 1;\r\0", "2: the file has a NUL byte (byte 10): remove it.", id="NUL after CR"
        ),
        pytest.param(TABLE.encode("utf-16"), "1: the file is UTF-16: save it as UTF-8.", id="UTF-16"),
        pytest.param(
            TABLE.encode("utf-16-be"), "1: the file is UTF-16", id="UTF-16, big-endian, without a byte order mark"
        ),
        pytest.param(TABLE.encode("utf-32"), "1: the file is UTF-16", id="UTF-32"),
        pytest.param(
            b"\xef\xbb\xbfSELECT 1;\nSELECT '\xe9'",
            "2: the file is not UTF-8 (byte 18)",
            id="Latin-1 after a byte order mark",
        ),
        pytest.param(b"SELECT '\xed\xa0\x80'", "1: the file is not UTF-8", id="half of a surrogate pair"),
        pytest.param(
            b"PGDMP\x01\x10\x00\x04\x08",
            "1: the file is an archive of pg_dump: run pg_restore -f plain_x.sql x.sql, and use plain_x.sql.",
            id="pg_dump -Fc",
        ),
        pytest.param(
            b"toc.dat".ljust(257, b"\0") + b"ustar\0" + b"\0" * 300,
            "1: the file is an archive of pg_dump: run pg_restore -f plain_x.sql x.sql, and use plain_x.sql.",
            id="pg_dump -Ft",
        ),
        pytest.param(gzip.compress(b"SELECT 1;"), "1: the file is compressed: unpack it", id="gzip"),
        pytest.param(lzma.compress(b"SELECT 1;"), "1: the file is compressed: unpack it", id="xz"),
    ],
)
def test_a_file_that_is_not_utf_8_is_one_error(connection: Connection[Any], data: bytes, expected: str) -> None:
    assert refused(connection, data)[0].startswith(f"x.sql:{expected}")


def test_a_file_that_cannot_be_read_is_one_error(connection: Connection[Any]) -> None:
    Path("folder.sql").mkdir()
    Path("link.sql").symlink_to("nowhere")
    for name, reason in (("folder.sql", "Is a directory"), ("link.sql", "No such file"), ("none.sql", "No such file")):
        with pytest.raises(SqlError, match=f"^{name}:1: cannot be read: {reason}"):
            files.run(connection, Path(name))


# ------------------------------------------------------------------ texts that cannot be scanned


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("SELECT 'it;\nCOMMIT;\n", "2:8", "unterminated quoted string", "Close the quote"),
        ("SELECT 'größer', 'it", "2:18", "unterminated quoted string", "Close the quote"),
        ("SELECT E'it\\'", "2:8", "unterminated quoted string", "Close the quote"),
        ('SELECT "it;\n', "2:8", "unterminated quoted identifier", "Close the quote"),
        ("SELECT 1; /* it /* is */", "2:11", "unterminated /* comment", "Close the comment"),
        ("DO $$ BEGIN NULL; END $b$;", "2:4", "unterminated dollar-quoted string", "Close it with the same tag"),
    ],
)
def test_an_open_quote_or_comment_is_shown_where_it_begins(
    connection: Connection[Any], text: str, place: str, message: str, hint: str
) -> None:
    first, _, _, last = refused(connection, TABLE + text)
    assert first == f"x.sql:{place}: {message} (42601)"
    assert last.startswith(f"HINT: {hint}")


def test_other_errors_of_the_scanner_show_their_place(connection: Connection[Any]) -> None:
    assert refused(connection, TABLE + "SELECT 1a;")[0].startswith("x.sql:2:8: trailing junk after numeric literal")
    assert refused(connection, TABLE + "SELECT 1,\n E'\\u00';")[0].startswith("x.sql:3:4: invalid Unicode escape")


# ------------------------------------------------------------------ psql's own syntax

ROWS = "COPY … FROM stdin needs rows that only psql sends: write INSERT, or put the rows into the world."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("COPY shop.notes FROM stdin;\n1\tit's\n\\.\n", 2, ROWS),
        ("COPY shop.notes (id) FROM STDIN (FORMAT csv);\n1\n\\.\nSELECT 1;", 2, ROWS),
        ("COPY shop.notes FROM stdin WHERE id = " + "+".join("1" * 500), 2, ROWS),
        ("COPY shop.notes TO stdout;", 2, "COPY … TO stdout needs psql to read the rows: remove it."),
        ("\\copy shop.notes FROM 'x.csv'", 2, "\\copy is a command of psql, and"),
        ("SELECT 1;\n\\i other.sql\n", 3, "\\i is a command of psql, and"),
        ("\\set it 'isn''t'\nSELECT 1", 2, "\\set is a command of psql, and"),
        ("\\connect other\nSELECT 1;", 2, "\\connect is a command of psql, and"),  # after a statement
        ("\\set ON_ERROR_STOPPED on", 2, "\\set is a command of psql, and"),
        ("\\encoding latin1", 2, "\\encoding is a command of psql, and"),
        ("SELECT 1 \\echo x", 2, "\\echo is a command of psql, and"),
        ("SELECT 'GRANT' \\gexec\n", 2, "\\gexec is a command of psql, and"),
        ("\\if true\nSELECT 1;\n\\endif", 2, "\\if is a command of psql, and"),
        ("SELECT 1 \\; SELECT 2;", 2, "\\; is a command of psql, and"),
        ("SELECT :id;", 2, ":id is a variable of psql, and the file runs without psql: write its value."),
        ("SELECT 1;\nSELECT\n  :'name';", 4, ":'name' is a variable of psql"),
        ('SELECT 1 AS :"name";', 2, ':"name" is a variable of psql'),
    ],
)
def test_a_psql_command_is_refused(connection: Connection[Any], text: str, line: int, message: str) -> None:
    assert refused(connection, TABLE + text)[0].startswith(f"x.sql:{line}: {message}")


@pytest.mark.parametrize(
    "text",
    [
        "\\connect booking;\n\nSELECT 1;",
        "-- for psql\n\\set ON_ERROR_STOP on\n\\c booking\nSELECT 1;",
        "\\set on_error_stop 1\r\n\\timing off\r\n\\pset pager off\r\n\\encoding 'UTF8'\r\nSELECT 1;",
        "\\echo it's\nSELECT 1;\n\\echo that's all\nSELECT 2;",
    ],
)
def test_commands_that_change_nothing_are_left_out(connection: Connection[Any], text: str) -> None:
    run(connection, text)
    assert refused(connection, f"{text}\nSELECT 1/0;")[0].startswith(f"x.sql:{len(text.splitlines()) + 1}:")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '\\copy x', E'\\\\i x', $$ \\set x 1 $$; -- \\gexec\n/* \\i x */",
        "SELECT (ARRAY[1, 2, 3])[1:2], '1'::int, '{1,2}'::int[];",
        "DO $$ DECLARE n int := 1; BEGIN n := (ARRAY[1, 2])[n]; END $$",
        "SELECT (ARRAY[1, 2, 3])[a:b] FROM (SELECT 1 AS a, 2 AS b) t",
    ],
)
def test_sql_that_looks_like_a_psql_command_runs(connection: Connection[Any], text: str) -> None:
    run(connection, text)


def test_only_the_restrict_lines_of_pg_dump_are_ignored(connection: Connection[Any]) -> None:
    dump = (
        "\\restrict 1kVx\n"
        + "CREATE FUNCTION shop.f() RETURNS text LANGUAGE sql AS $$ SELECT '\n\\restrict me\n' $$;\n"
    )
    run(connection, dump + "\\unrestrict 1kVx\n")
    assert connection.execute("SELECT shop.f()").fetchone() == ("\n\\restrict me\n",)


# ------------------------------------------------------------------ lines and columns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1;\rSELECT 2; -- x\rSELECT nothing;", ["3:8", "SELECT nothing;"]),
        ("SELECT 1;\r\n\r\nSELECT\r\n  nothing;\r\n", ["4:3", "  nothing;"]),
        ("\f\vSELECT nothing;\f", ["1:10", "  SELECT nothing;"]),
        ("/* SELECT nothing; */ SELECT 1; -- SELECT nothing\nSELECT nothing", ["2:8", "SELECT nothing"]),
        ("/* a /* b */ SELECT nothing; */\n;;\nSELECT nothing; -- no more", ["3:8", "SELECT nothing; -- no more"]),
        ("SELECT\n\n\n  'é', nothing", ["4:8", "  'é', nothing"]),
        ("DO $$\nBEGIN\n  PERFORM 1;\n  PERFORM 1, nothing;\nEND $$;", ["4:14", "  PERFORM 1, nothing;"]),
        ("DO $x$\nBEGIN\n  IF nothing THEN NULL; END IF;\nEND $x$;", ["3:6", "  IF nothing THEN NULL; END IF;"]),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n  SELECT 'ü', nothing\n$$;",
            ["2:15", "  SELECT 'ü', nothing"],
        ),
        ("DO $$\nBEGIN\n  RETRUN;\nEND $$;", ["3:3", "  RETRUN;"]),
    ],
)
def test_an_error_shows_its_place(connection: Connection[Any], text: str, expected: list[str]) -> None:
    first, code, caret, *_ = refused(connection, text)
    place, line = expected
    assert first.startswith(f"x.sql:{place}: ")
    assert code == f"    {line}"
    assert caret == " " * (int(place.split(":")[1]) + 3) + "^"


@pytest.mark.parametrize(
    ("prefix", "width"),
    [("'日本', ", 8), ("'e\u0301\u200d', ", 5), ("'\uff46', ", 6), ("'👩', ", 6)],
    ids=["Japanese", "combined", "full width", "emoji"],
)
def test_the_caret_is_below_the_character_in_a_terminal(connection: Connection[Any], prefix: str, width: int) -> None:
    _, code, caret, *_ = refused(connection, f"SELECT {prefix}nothing")
    assert code == f"    SELECT {prefix}nothing"
    assert caret == " " * (4 + 7 + width) + "^"


@pytest.mark.parametrize(("before", "after"), [(100_000, 100_000), (0, 100_000), (100_000, 0), (150, 0)])
def test_a_long_line_is_shortened_to_the_part_around_the_error(
    connection: Connection[Any], before: int, after: int
) -> None:
    text = "SELECT '" + "a" * before + "', nothing, '" + "b" * after + "'"
    first, code, caret, *_ = refused(connection, text)
    assert first.startswith(f"x.sql:1:{before + 12}: ")
    assert code[len(caret) - 1 :].startswith("nothing")
    assert len(code) < 170
    assert code.strip().startswith("…") == (before > 100)
    assert code.endswith("…") == (after > 100)


def test_a_byte_order_mark_in_the_middle_gives_a_hint(connection: Connection[Any]) -> None:
    """This happens when two files are joined."""
    lines = refused(connection, TABLE + "\ufeffSELECT 1;")
    assert lines[0].startswith("x.sql:2:1: syntax error")
    assert lines[-1] == "HINT: This line has a byte order mark, which is invisible: remove it."
    run(connection, "SELECT '\ufeff';")


def test_control_characters_are_not_shown(connection: Connection[Any]) -> None:
    assert "\x1b" not in "".join(refused(connection, "SELECT '\x1b[2J', nothing"))


def test_an_error_in_a_function_names_its_line(connection: Connection[Any]) -> None:
    function = (
        "CREATE FUNCTION shop.inner(n int) RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1 / n;\nEND $$;\n"
        "CREATE FUNCTION shop.outer() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN shop.inner(0);\nEND $$;\n"
    )
    for call in ("SELECT shop.outer();", "DO $$ BEGIN\nPERFORM shop.outer(); END $$;"):
        lines = refused(connection, function + call)
        assert lines[0].startswith(f"x.sql:{9 + call.count('BEGIN')}:1: division by zero")
        assert lines[-1] == 'CONTEXT: PL/pgSQL function shop."inner"(integer) line 3 at RETURN'


# ------------------------------------------------------------------ sizes and depths


def test_ten_megabytes_run_to_the_error(connection: Connection[Any]) -> None:
    row = "INSERT INTO shop.notes VALUES (7, 'x', 'yes') ON CONFLICT DO NOTHING;\n"
    comment = "-- " + "x" * 5_000 + "\n"
    text = row * 2_000 + comment * 2_000 + "SELECT nothing;"
    assert len(text) > 10_000_000
    assert refused(connection, text)[0].startswith("x.sql:4001:8: ")


@pytest.mark.parametrize("depth", [60, 500, 3_000])
def test_a_deep_expression_runs(connection: Connection[Any], depth: int) -> None:
    """Deeper than protobuf can read the parser's trees."""
    run(connection, "SELECT " + "(" * depth + "1" + ")" * depth + ";SELECT " + "+".join("1" * depth))


def test_an_expression_too_deep_for_the_parser_is_one_error(connection: Connection[Any]) -> None:
    assert "memory exhausted" in refused(connection, TABLE + "SELECT " + "(" * 50_000)[0]


def test_a_lost_session_is_one_error(toy_built: Worker) -> None:
    with toy_built.run.connect(toy_built.run.baseline) as connection:
        Path("x.sql").write_text("SELECT 1;\nSELECT pg_terminate_backend(pg_backend_pid());")
        with pytest.raises(SqlError, match=r"^x\.sql:2:1: terminating connection"):
            files.run(connection, Path("x.sql"))


# ------------------------------------------------------------------ splitting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (";;; -- x\n/* ; */;", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("é; SELECT 'ö' ; SELEC 'ü;'; SELECT 2", ["é", "SELECT 'ö' ", "SELEC 'ü;'", "SELECT 2"]),
        (
            "SELEC 1; CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; END; SELECT 3",
            [
                "SELEC 1",
                "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; END",
                "SELECT 3",
            ],
        ),
        ("SELEC 1; CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT (1;", None),
        ("SELEC 1; CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS ''; COMMIT", None),
    ],
)
def test_a_text_is_split_like_psql_splits_it(text: str, expected: list[str] | None) -> None:
    script = parse(text)
    assert bool(script.refusals) == ("COMMIT" in text)
    if expected is not None:
        assert [statement.text for statement in script.statements] == expected
    for statement in script.statements:
        assert text[statement.start :].startswith(statement.text)
