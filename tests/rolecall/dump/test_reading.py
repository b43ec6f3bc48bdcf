"""A dump is told from a file that a person wrote, and is read with its rows and psql's commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.dump.reading import is_dump, read
from rolecall.errors import SqlError
from tests.rolecall.dump.texts import NOTES, PROLOGUE, TOOL_LIBRARY

PATH = Path("dump.sql")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PROLOGUE, id="pg_dump"),
        pytest.param(PROLOGUE.replace("\n", "\r\n"), id="lines that end with CR LF"),
        pytest.param("--\n-- PostgreSQL database dump\n--\n", id="the comment of pg_dump"),
        pytest.param("--\n-- PostgreSQL database cluster dump\n--\n", id="the comment of pg_dumpall"),
        pytest.param("SET default_transaction_read_only = off;\nCREATE ROLE team;\n", id="roles"),
        pytest.param(TOOL_LIBRARY.read_text(encoding="utf-8"), id="supabase db dump"),
    ],
)
def test_a_dump_is_known_by_its_beginning(text: str) -> None:
    assert is_dump(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(NOTES, id="statements"),
        pytest.param("SET search_path = '';\n" + NOTES, id="a setting"),
        pytest.param("-- as in a PostgreSQL database dump\n" + NOTES, id="a comment about dumps"),
    ],
)
def test_what_a_person_wrote_is_no_dump(text: str) -> None:
    assert not is_dump(text)


def test_rows_and_commands_of_psql_are_taken_out_and_every_line_stays_where_it_is() -> None:
    rows = "1\tit's $$\n2\t\\\\.\n"
    text = f"\\connect shop\nCOPY public.notes (id) FROM stdin;\n{rows}\\.\nSELECT 1;\n\\unrestrict abc\n"
    dump = read(PATH, text)
    assert len(dump.text) == len(text)
    assert [line.rstrip() for line in dump.text.splitlines()] == [
        *("", "COPY public.notes (id) FROM stdin;", "", "", "", "SELECT 1;", ""),
    ]
    assert [each.text for each in dump.rows.values()] == [rows]
    assert [text for _, text in dump.psql] == ["\\connect shop"]
    assert [(statement.start, statement.kind) for statement in dump.script.statements] == [
        (14, "copy_stmt"),
        (text.index("SELECT"), "select_stmt"),
    ]


@pytest.mark.parametrize("quote", ["$$", "'", "/*"])
def test_what_looks_like_rows_or_a_command_stays_inside_quotes(quote: str) -> None:
    end = {"/*": "*/"}.get(quote, quote)
    text = f"SELECT {quote}\nCOPY a FROM stdin;\n\\connect x\n\\.\n{end};\n"
    dump = read(PATH, text)
    assert (dump.text, dump.psql, dump.rows) == (text, (), {})


def test_rows_without_an_end_are_an_error() -> None:
    with pytest.raises(SqlError) as caught:
        read(PATH, "SELECT 1;\nCOPY public.notes (id) FROM stdin;\n1\n")
    assert str(caught.value).splitlines() == [
        "dump.sql:2:1: the rows of this COPY have no end, which is a line \\.: the dump was cut off. Dump it again.",
        "    COPY public.notes (id) FROM stdin;",
        "    ^",
    ]


def test_the_parts_and_the_version_of_the_server_are_known() -> None:
    dump = read(PATH, f"-- Dumped from database version 17.6 (Debian)\n{PROLOGUE}{PROLOGUE}")
    assert (len(dump.parts), dump.version) == (2, 17)
    assert read(PATH, NOTES).version is None


def test_a_large_dump_is_read_in_linear_time() -> None:
    """Ten times the tables took 100 times as long when each COPY copied the whole text."""
    table = "COPY public.t (id, body) FROM stdin;\n" + "1\tabc\n" * 1000 + "\\.\n\n\n"
    dump = read(PATH, PROLOGUE + table * 500)
    assert len(dump.rows) == 500
