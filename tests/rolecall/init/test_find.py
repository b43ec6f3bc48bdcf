"""What a folder has to build, and for which platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.errors import MigrationError, RolecallError
from rolecall.init.find import find


def write(path: Path, text: str = "SELECT 1;") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("db/migration/V1__all.sql", "db/migration"),
        ("migrations/000001_all.up.sql", "migrations"),
        ("schema.sql", "schema.sql"),
        ("all.sql", "all.sql"),  # no usual name, but the only file
        ("sql/all.sql", "sql/all.sql"),
    ],
)
def test_the_usual_places(tmp_path: Path, file: str, place: str) -> None:
    write(tmp_path / file)
    found = find(tmp_path)
    assert found.path == (tmp_path / place).resolve()
    assert found.lines(tmp_path.resolve()) == {"rolecall_migrations": place}


def test_the_folder_of_supabase_says_the_platform(tmp_path: Path) -> None:
    write(tmp_path / "supabase/migrations/20260101000000_all.sql")
    lines = {"rolecall_platform": "supabase", "rolecall_migrations": "supabase/migrations"}
    assert find(tmp_path).lines(tmp_path.resolve()) == lines


def test_a_usual_place_without_sql_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "migrations/0001_all.ts", "export {}")
    write(tmp_path / "schema.sql")
    assert find(tmp_path).path == (tmp_path / "schema.sql").resolve()


def test_the_only_usual_place_below_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "app/prisma/migrations/1_all/migration.sql")
    write(tmp_path / "node_modules/other/migrations/1_a.sql")
    write(tmp_path / "docs/example.sql")
    assert find(tmp_path).path == (tmp_path / "app/prisma/migrations").resolve()
    write(tmp_path / "old/supabase/migrations/1_a.sql")
    with pytest.raises(MigrationError, match=r"SQL files are in (?s:.*)old/supabase/migrations \(1\)"):
        find(tmp_path)


def test_a_file_that_includes_others_says_the_platform(tmp_path: Path) -> None:
    write(tmp_path / "all.sql", "\\ir tables.sql\n")
    write(tmp_path / "tables.sql", "SELECT auth.uid();")
    assert find(tmp_path / "all.sql").platform == "supabase"


def test_files_beside_the_schema_are_named(tmp_path: Path) -> None:
    for name in ("schema.sql", "policies.sql", "views.sql"):
        write(tmp_path / name)
    note = find(tmp_path).note
    assert note.startswith(
        "Only schema.sql was read, and not policies.sql, views.sql beside it. If they belong together,"
    )
    assert not find(tmp_path / "schema.sql").note  # it was named


def test_a_dump_is_the_baseline(tmp_path: Path) -> None:
    dump = write(tmp_path / "dump.sql", "--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n")
    assert find(dump).lines(tmp_path.resolve()) == {"rolecall_baseline": "dump.sql"}


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("SELECT auth.uid();", "supabase"),
        ('CREATE TABLE a (b uuid REFERENCES "auth"."users");', "supabase"),
        ("CREATE FUNCTION f() RETURNS uuid LANGUAGE sql AS $$ SELECT auth.uid() $$;", "supabase"),
        ("CREATE POLICY p ON storage.objects USING (true);", "supabase"),
        ("SELECT current_setting('request.jwt.claims', true);", "postgrest"),
        ("SELECT auth.user_id();", "neon"),
        # A project that makes these itself runs without the platform.
        ("CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid RETURN NULL; SELECT auth.uid();", "none"),
        ("CREATE TABLE IF NOT EXISTS auth.users (id int); SELECT current_setting('request.jwt.claims');", "none"),
        ("DO $$ BEGIN CREATE FUNCTION auth.user_id() RETURNS text RETURN NULL; END $$;", "none"),
        ("CREATE FUNCTION f() RETURNS uuid RETURN auth.uid(); GRANT EXECUTE ON FUNCTION auth.uid TO a;", "supabase"),
        ("CREATE TABLE a (id uuid REFERENCES auth.users); DROP FUNCTION auth.role();", "supabase"),
        ("SELECT 1; -- auth.uid() of Supabase", "none"),
        ("SELECT 'call auth.uid()'; SELECT author.uid;", "none"),
    ],
)
def test_the_platform(tmp_path: Path, text: str, platform: str) -> None:
    assert find(write(tmp_path / "all.sql", text)).platform == platform
    assert find(tmp_path / "all.sql", platform="neon").platform == "neon"


def test_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="is not clear: it has no SQL file"):
        find(tmp_path)
    write(tmp_path / "app/db/tables.sql")
    write(tmp_path / "node_modules/a/b.sql")
    with pytest.raises(
        MigrationError, match=r"is not clear: it has no SQL file(?s:.*)\nSQL files are in app/db \(1\)\.$"
    ):
        find(tmp_path)
    with pytest.raises(RolecallError, match=r"is no folder and no file: (?s:.*)pg_dump --schema-only"):
        find(tmp_path / "postgresql:" / "x")
