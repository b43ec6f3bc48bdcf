"""Hypothesis strategies for the inputs of users: correct inputs with a few errors.

Random text is refused at its first character. A correct text with errors passes the first checks.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Unusual blanks and line ends, quotes, placeholders, comments, and a long text.
AWKWARD = (
    *("", " ", "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u2028", "\u3000", "\ufeff", "\0"),
    *(
        "'",
        '"',
        "''",
        "$$",
        "$a$",
        "\\",
        "\\'",
        "`",
        "(",
        ")",
        ";",
        ":",
        "::",
        ",",
        ".",
        "..",
        "/",
        "//",
        "-",
        "--",
        "/*",
    ),
    *(
        "{",
        "}",
        "{}",
        "{0}",
        "{alice}",
        "{alice.x}",
        "{alice[0]}",
        "{alice!r}",
        "{alice:x}",
        "{nobody}",
        "{{",
        "%",
        "%s",
    ),
    *(
        "yes",
        "!",
        "-/yes",
        "no",
        "alice",
        "alice's note",
        "#",
        "# ",
        "é",
        "İ",
        "\u0661",
        "\U0001d518",
        "\u202e",
        "NULL",
        "x" * 3000,
    ),
)
FRAGMENTS = st.one_of(st.sampled_from(AWKWARD), st.text(max_size=8))


@st.composite
def with_errors(draw: st.DrawFn, texts: SearchStrategy[str], pieces: SearchStrategy[str] = FRAGMENTS) -> str:
    """One of the texts after up to four edits: insert or replace a piece, delete or double a part, swap two lines."""
    text: str = draw(texts)
    for _ in range(draw(st.integers(0, 4))):
        one, two = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        match draw(st.sampled_from(("insert", "replace", "delete", "double", "swap lines"))):
            case "insert":
                text = text[:one] + draw(pieces) + text[one:]
            case "replace":
                text = text[:one] + draw(pieces) + text[min(two, one + 8) :]
            case "delete":
                text = text[:one] + text[two:]
            case "double":
                text = text[:two] + text[one:two][:200] + text[two:]
            case _:
                lines = text.split("\n")
                first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
                lines[first], lines[second] = lines[second], lines[first]
                text = "\n".join(lines)
    return text


def files_with_errors(texts: SearchStrategy[str]) -> SearchStrategy[bytes]:
    """The bytes of a file: such a text in UTF-8, with a byte order mark, in another encoding, or random bytes."""
    return st.one_of(
        with_errors(texts).map(lambda text: text.encode("utf-8", "surrogatepass")),
        with_errors(texts).map(lambda text: text.encode("utf-8-sig", "surrogatepass")),
        with_errors(texts).map(lambda text: text.encode("utf-16", "surrogatepass")),
        texts.map(lambda text: text.replace("e", "é").encode("latin-1", "replace")),
        st.binary(max_size=60),
    )


# ------------------------------------------------------------------ grids

GRID = """\
                 select  insert  update  delete  hand over
alice's note
  alice          yes     yes     yes     yes     !
  bob            -       !       -       -       -

bob's note
  # his own
  bob,
  alice          yes     yes     -/yes   yes     yes"""

SMALL_GRID = """\
                 select  insert  update  delete
alice's note
  alice, bob     yes     yes     yes     yes

bob's note
  alice, bob     yes     yes     yes     yes"""

grids = with_errors(st.just(GRID))
assignments = with_errors(st.sampled_from(("body = 'changed'", "author = {bob}", "body = {alice}, author = {bob}")))
tables = with_errors(st.sampled_from(("shop.notes", "notes", "a.b.c", '"shop"."notes"', "")))


# ------------------------------------------------------------------ SQL files

STATEMENTS = (
    "CREATE TABLE shop.a (id int PRIMARY KEY, b text DEFAULT 'a;b' CHECK (b <> ''))",
    "INSERT INTO shop.a VALUES (1, 'one')",
    "INSERT INTO shop.a VALUES (1, 'again')",
    "SELECT 1 / (SELECT count(*) FROM shop.a WHERE false)",
    "SELECT nothing",
    "SELEC 1",
    "CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$",
    "CREATE FUNCTION shop.g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END",
    "CREATE FUNCTION shop.h() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1;\nEND;\n$$",
    "DO $do$\nBEGIN\n  PERFORM 1;\n  RAISE EXCEPTION 'no';\nEND\n$do$",
    "DO $$ BEGIN NULL; END $$",
    "DO $$ BEGIN COMMIT; END $$",
    *(
        "BEGIN",
        "START TRANSACTION",
        "COMMIT",
        "COMMIT AND CHAIN",
        "END",
        "ROLLBACK",
        "ABORT",
        "PREPARE TRANSACTION 'x'",
    ),
    *("SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "RESET ROLE", "SET ROLE toy_member", "SET LOCAL ROLE toy_visitor"),
    *("SET SESSION AUTHORIZATION DEFAULT", "SET search_path = shop", "DISCARD ALL", "RESET ALL", "LISTEN x"),
    *("COPY shop.a FROM stdin", "COPY (SELECT 1) TO stdout", "CREATE INDEX CONCURRENTLY i ON shop.a (b)", "VACUUM"),
    *("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "LOCK TABLE shop.a", "SET CONSTRAINTS ALL IMMEDIATE"),
    *(r"\restrict abc", r"\unrestrict abc", r"\copy shop.a FROM 'x'", r"\i other.sql", r"\."),
    *(
        "-- COMMIT;",
        "/* COMMIT; /* ROLLBACK; */ */",
        "COMMIT -- x\n",
        "COMMIT /* x */",
        "/* open",
        "'open",
        '"open',
        "$$open",
    ),
)
statement_lists = st.lists(
    st.tuples(st.sampled_from(STATEMENTS), st.sampled_from((";", ";\n", "\n", ";;", " ;\n\n", ""))), max_size=6
).map(lambda parts: "".join(statement + end for statement, end in parts))
sql_files = files_with_errors(statement_lists)


# ------------------------------------------------------------------ other files

EQUIVALENTS = """\
# No test can notice these.
shop.notes | rls-off | RLS off :: the grants are gone anyway
shop.notes.id | type-widen | type bigint :: no number is so large

shop.count_notes() | volatile | VOLATILE :: called once
"""
DEFECT = """\
-- F10: the policies that keep anon out let everybody in
-- caught by: tests/policies/test_notes.py::test_grid
-- caught by: test_other.py
-- instead of: migrations/phase_1_notes/rollback.sql
ALTER POLICY p ON shop.notes USING (true);
"""
equivalents_files = files_with_errors(st.just(EQUIVALENTS))
defect_files = files_with_errors(st.just(DEFECT))


# ------------------------------------------------------------------ settings

VALUES = (
    *("16", "18", "17", "14", "revoked", "granted", "off", "on", "true", "1", "0", "-1", "1e3", "9" * 5000, "1_0"),
    *("migrations", "baseline.sql", "./migrations/..", "~", "~/x", "~nobody-of-this-name/x", "/", "/dev/null", "."),
    *(
        "a" * 300,
        "migrations/" * 700,
        "loop",
        "postgresql://me:secret@host:5432/db",
        "postgresql://me:%zz@host/",
        "host=x dbname",
    ),
    *("host='", "postgresql://[::1", "dbname=a\\", "one two three"),
)
setting_values = st.one_of(st.sampled_from(VALUES), with_errors(st.sampled_from(VALUES)))


def settings(names: Sequence[str]) -> SearchStrategy[dict[str, str]]:
    """Values for some of the options."""
    return st.dictionaries(st.sampled_from(names), setting_values, min_size=1, max_size=3)


# ------------------------------------------------------------------ the world

row_values = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.dates(), st.datetimes(), st.uuids()),
    *(st.text(max_size=10), st.binary(max_size=10), st.timedeltas(), st.complex_numbers(), st.sampled_from(AWKWARD)),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=3),
    st.lists(st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.binary(max_size=2), st.floats()), max_size=2),
    st.builds(object),
    st.sets(st.integers(), max_size=2),
)
columns = st.one_of(
    st.sampled_from(("id", "author", "body", "none of it")), st.text(max_size=5), st.sampled_from(AWKWARD)
)
rows = st.tuples(tables, FRAGMENTS, st.dictionaries(columns, row_values, max_size=4))


# ------------------------------------------------------------------ folders of migrations

Entries = st.SearchStrategy[list[tuple[str, str, str]]]

FOLDERS = (
    "phase_1_notes",
    "phase_2_more",
    "phase_10_x",
    "phase_01_again",
    "Phase_1_x",
    "phase_1",
    "drafts",
    "_x",
    ".git",
)
FILES = (
    *("1_1_notes.sql", "1_2_more.sql", "1_02_again.sql", "2_1_x.sql", "10_1_x.sql", "1_1_1_x.sql", "verify.sql"),
    *("rollback.sql", "README.md", "x.sql", "1_1_notes.SQL", "1_1_.sql", "verify.sql.orig", ".sql"),
)
KINDS = ("file", "file", "file", "file", "folder", "dangling link", "link to itself", "pipe")
# The layouts of other tools.
OTHER_FOLDERS = ("20240101_notes", "2_more", "deploy", "revert", "schemas", "meta")
OTHER_FILES = (
    *("20240101_notes.sql", "2_more.sql", "02_again.sql", "2_more.down.sql", "1_notes.up.sql", "1_notes.down.sql"),
    *("V1__notes.sql", "V1.0__again.sql", "V2__more.sql", "U1__notes.sql", "R__views.sql", "B1__all.sql"),
    *("migration.sql", "down.sql", "sqitch.plan", "a.sql", "config.toml", "env.py"),
)
OTHER_KINDS = (*KINDS, "empty file", "file with parts", "plan")


def _entries(folders: tuple[str, ...], files: tuple[str, ...], kinds: tuple[str, ...]) -> Entries:
    names = st.one_of(
        st.sampled_from(files),
        with_errors(st.sampled_from(files)).filter(lambda name: name.strip(".") and not set(name) & set("/\0")),
    )
    return st.lists(st.tuples(st.sampled_from(folders), names, st.sampled_from(kinds)), max_size=12)


entries = _entries(("", *FOLDERS, FOLDERS[0], FOLDERS[0]), FILES, KINDS)
other_entries = _entries(("", "", "", *OTHER_FOLDERS), OTHER_FILES, OTHER_KINDS)
