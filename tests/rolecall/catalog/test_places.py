"""Where the SQL makes an object: the last statement that does, in the order in which the files run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.catalog import places
from rolecall.catalog.made import Made
from rolecall.catalog.places import Places
from rolecall.catalog.spans import Source
from rolecall.report.report import Place
from rolecall.settings import Settings


def read(*texts: str) -> Places:
    """The places in files 1.sql, 2.sql …"""
    made = Made()
    for number, text in enumerate(texts, start=1):
        made.read(Source(Path(f"/p/{number}.sql"), text))
    return Places(made, Path("/p"))


SCHEMA = """\
CREATE SCHEMA app;
CREATE TABLE app.notes (
  id int PRIMARY KEY,
  author text NOT NULL CONSTRAINT known CHECK (author <> ''),
  "the body" text REFERENCES app.bodies (id),
  CHECK (id > 0),
  UNIQUE (author, id)
);
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own notes" ON app.notes USING (true);
CREATE VIEW app.titles AS SELECT 1;
CREATE MATERIALIZED VIEW app.kept AS SELECT 1;
CREATE INDEX by_author ON app.notes (author);
CREATE FUNCTION app.me() RETURNS text LANGUAGE sql RETURN '';
CREATE FUNCTION app.me(a int, OUT b text) LANGUAGE sql RETURN '';
CREATE TRIGGER stamp BEFORE INSERT ON app.notes FOR EACH ROW EXECUTE FUNCTION app.stamp();
INSERT INTO storage.buckets (id, name) VALUES ('avatars', 'avatars');
"""


@pytest.mark.parametrize(
    ("line", "kind", "name", "table"),
    [
        (1, "schema", "app", ""),
        (2, "table", "app.notes", ""),
        (3, "column", "id", "app.notes"),
        (3, "constraint", "notes_pkey", "app.notes"),
        (4, "not null", "author", "app.notes"),
        (3, "not null", "id", "app.notes"),
        (4, "constraint", "known", "app.notes"),
        (5, "column", "the body", "app.notes"),
        (5, "constraint", "notes_the body_fkey", "app.notes"),
        (6, "constraint", "notes_id_check", "app.notes"),
        (7, "constraint", "notes_author_id_key", "app.notes"),
        (7, "unique", "notes_author_id_key", "app.notes"),
        (9, "row security", "app.notes", ""),
        (10, "policy", "own notes", "app.notes"),
        (11, "view", "app.titles", ""),
        (12, "view", "app.kept", ""),
        (13, "index", "by_author", "app.notes"),
        (14, "function", "app.me()", ""),
        (15, "function", "app.me(a integer)", ""),
        (15, "function", "app.me(a integer, OUT b text)", ""),
        (15, "trigger function", "app.me", ""),
        (16, "trigger", "stamp", "app.notes"),
        (17, "bucket", "avatars", ""),
    ],
)
def test_each_kind(line: int, kind: str, name: str, table: str) -> None:
    assert read(SCHEMA).find(kind, name, table) == Place("1.sql", line)


def test_what_is_not_known() -> None:
    known = read(SCHEMA)
    assert known.find("policy", "another", "app.notes") == Place()
    assert known.nearest("policy", "another", "app.notes") == Place("1.sql", 2)
    assert known.nearest("policy", "another", "app.nothing") == Place()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CREATE POLICY "own notes" ON app.notes USING (false)', Place("2.sql", 1)),
        ('DROP POLICY IF EXISTS "own notes" ON app.notes;\nCREATE POLICY "own notes" ON app.notes', Place("2.sql", 2)),
        ('ALTER POLICY "own notes" ON app.notes USING (false)', Place("2.sql", 1)),
        ('DROP POLICY "own notes" ON app.notes', Place()),
        ("DROP TABLE app.notes", Place()),
        ("DROP SCHEMA app CASCADE", Place()),
        ("CREATE TABLE IF NOT EXISTS app.notes (id int)", Place("1.sql", 10)),
        ('DO $$BEGIN\n  IF true THEN\n    DROP POLICY "own notes" ON app.notes; END IF; END$$', Place()),
        (
            'DO $do$\nBEGIN\n  CREATE POLICY "own notes" ON app.notes USING (false);\nEND\n$do$',
            Place("2.sql", 3),
        ),
        ("DO 'BEGIN\n  CREATE POLICY \"own notes\" ON app.notes USING (''x'' = '''');\nEND'", Place("2.sql", 1)),
        ("DO LANGUAGE plpython3u 'raise x'", Place("1.sql", 10)),
        ("this is no SQL; SELECT 1", Place("1.sql", 10)),
        ("\\connect other", Place("1.sql", 10)),
        ("", Place("1.sql", 10)),
    ],
)
def test_the_last_statement_wins(change: str, expected: Place) -> None:
    assert read(SCHEMA, change).find("policy", "own notes", "app.notes") == expected


def test_if_not_exists() -> None:
    """What exists already stays where it was made."""
    known = read(
        SCHEMA,
        "CREATE TABLE IF NOT EXISTS app.notes (id int);\n"
        "CREATE TABLE IF NOT EXISTS app.pins (id int);\n"
        "CREATE INDEX IF NOT EXISTS by_author ON app.notes (id);\n",
    )
    assert known.find("table", "app.notes") == Place("1.sql", 2)
    assert known.find("table", "app.pins") == Place("2.sql", 2)
    assert known.find("index", "by_author", "app.notes") == Place("1.sql", 13)


def test_new_names() -> None:
    known = read(
        SCHEMA,
        'ALTER TABLE app.notes RENAME TO "My Notes";\n'
        'ALTER POLICY "own notes" ON app."My Notes" RENAME TO own;\n'
        "ALTER FUNCTION app.me() RENAME TO who;\n"
        "ALTER VIEW app.titles SET SCHEMA other;\n",
    )
    assert known.find("policy", "own", "app.My Notes") == Place("1.sql", 10)
    assert known.find("table", "app.My Notes") == Place("1.sql", 2)
    assert known.find("table", "app.notes") == Place()
    assert known.find("function", "app.who()") == Place("1.sql", 14)
    assert known.find("view", "other.titles") == Place("1.sql", 11)


def test_names_without_a_schema() -> None:
    """They are those of the search path, as for the server; each file begins with public."""
    known = read(
        "CREATE SCHEMA app; SET search_path = app, public;\nCREATE TABLE notes (id int);",
        "CREATE TABLE notes (id int);\nCREATE POLICY p ON notes;",
        "SELECT pg_catalog.set_config('search_path', 'app', false);\nCREATE POLICY p ON notes;",
    )
    assert known.find("table", "app.notes") == Place("1.sql", 2)
    assert known.find("table", "public.notes") == Place("2.sql", 1)
    assert known.find("policy", "p", "public.notes") == Place("2.sql", 2)
    assert known.find("policy", "p", "app.notes") == Place("3.sql", 2)


def test_privileges() -> None:
    known = read(
        SCHEMA,
        "GRANT SELECT, UPDATE (author) ON app.notes TO anon, member;\n"
        "GRANT ALL ON ALL TABLES IN SCHEMA app TO admin;\n"
        "GRANT EXECUTE ON FUNCTION app.me() TO PUBLIC;\n"
        "REVOKE SELECT ON app.notes FROM anon;\n"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO anon;\n"
        "CREATE TABLE app.pins (id int);\n",
    )
    assert known.grant("app.notes", "select", ["member"]) == Place("2.sql", 1)
    assert known.grant("app.notes", "UPDATE", ["member"]) == Place("2.sql", 1)
    assert known.grant("app.notes", "DELETE", ["member"]) == Place()
    assert known.grant("app.titles", "DELETE", ["member", "admin"]) == Place("2.sql", 2)
    assert known.grant("app.me()", "EXECUTE", ["anyone"]) == Place("2.sql", 3)
    assert known.grant("app.notes", "SELECT", ["anon"]) == Place()
    assert known.revoke("app.notes", "SELECT", ["anon"]) == Place("2.sql", 4)
    assert known.grant("app.pins", "SELECT", ["anon"]) == Place("2.sql", 5)
    assert known.revoke("app.pins", "SELECT", ["anon"]) == Place()


def test_lines_and_columns() -> None:
    """They are those of characters, not of bytes, and a bare CR ends a line, as for PostgreSQL."""
    known = read("/* é€ */\rSELECT 1;\r\n/* € */ CREATE TABLE t (\n  é text, a int NOT NULL\n);")
    table, column = known.span("table", "public.t"), known.span("column", "a", "public.t")
    assert table is not None
    assert column is not None
    assert (table.begins, table.ends) == ((3, 9), (5, 2))
    assert (column.begins, column.ends) == ((4, 11), (4, 25))


def test_of_a_project(tmp_path: Path) -> None:
    """The baseline and the migrations; a file that cannot be read makes nothing. Paths are relative to the project."""
    (tmp_path / "db").mkdir()
    baseline, broken = tmp_path / "db" / "schema.sql", tmp_path / "db" / "broken.sql"
    baseline.write_text("CREATE TABLE t (id int);\n")
    broken.write_bytes(b"\xff\xfe\x00")
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "1_a.sql").write_text("-- migrate:up\nCREATE POLICY p ON t;\n-- migrate:down\nDROP POLICY p ON t;\n")
    known = places.of(Settings(baseline=baseline, migrations=migrations, layout="dbmate"), tmp_path)
    assert known.find("table", "public.t") == Place("db/schema.sql", 1)
    assert known.find("policy", "p", "public.t") == Place("migrations/1_a.sql", 2)
    assert places.of(Settings(platform=broken), tmp_path).find("table", "public.t") == Place()
    assert places.of(Settings(), tmp_path).find("table", "public.t") == Place()
