"""The stand-in's storage behaves as Supabase's: who may delete, and what the migration role may change there."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from rolecall import Session
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from tests.migrations.helpers import as_owner


@pytest.mark.parametrize(
    ("path", "folders"),
    [("a/b/c.png", ["a", "b"]), ("a/c.png", ["a"]), ("c.png", []), ("a/", ["a"]), ("/c.png", [""])],
)
def test_foldername_is_every_segment_but_the_last(db: Session, path: str, folders: list[str]) -> None:
    assert db.value("SELECT storage.foldername(%s)", [path]) == folders


@pytest.mark.parametrize("table", ["buckets", "objects"])
@pytest.mark.parametrize("setting", [None, "", "false", "on", "TRUE"])
def test_storage_refuses_a_direct_delete_even_of_no_row(db: Session, table: str, setting: str | None) -> None:
    if setting is not None:
        db.execute("SELECT set_config('storage.allow_delete_query', %s, true)", [setting])
    with db.raises("42501", message="through the Storage API"):
        db.execute(f"DELETE FROM storage.{table} WHERE false")
    with db.acting_as("service"), db.raises("42501", message="through the Storage API"):
        db.execute(f"DELETE FROM storage.{table} WHERE false")


def test_storage_lets_its_own_api_delete(db: Session) -> None:
    db.execute("SELECT set_config('storage.allow_delete_query', 'true', true)")
    with db.acting_as("service"):
        assert db.execute("DELETE FROM storage.objects WHERE bucket_id = 'documents'").rowcount > 0
        assert db.execute("DELETE FROM storage.buckets WHERE id = 'documents'").rowcount == 1


def test_storage_belongs_to_its_own_role_and_has_row_level_security(db: Session) -> None:
    rows = db.rows(
        "SELECT relname, relowner::regrole::text, relrowsecurity FROM pg_class "
        "WHERE relnamespace = 'storage'::regnamespace AND relkind = 'r' ORDER BY 1"
    )
    assert rows == [(name, "supabase_storage_admin", True) for name in ("buckets", "objects")]


@pytest.mark.parametrize("table", ["objects", "buckets"])
def test_the_migration_role_may_change_policies_of_storage(bare: Scratch, table: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        as_owner(
            bare,
            f"CREATE POLICY ours ON storage.{table} FOR SELECT TO anon USING (false); "
            f"ALTER POLICY ours ON storage.{table} TO authenticated USING (true); "
            f"ALTER POLICY ours ON storage.{table} RENAME TO mine; DROP POLICY mine ON storage.{table}",
        )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY", "must be owner of table objects"),
        ("ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY", "must be owner of table objects"),
        ("ALTER TABLE storage.buckets ADD COLUMN ours text", "must be owner of table buckets"),
        ("ALTER TABLE storage.objects DROP COLUMN metadata", "must be owner of table objects"),
        ("ALTER TABLE storage.objects RENAME COLUMN metadata TO ours", "must be owner of table objects"),
        ("ALTER TABLE storage.objects OWNER TO CURRENT_USER", "must be owner of table objects"),
        ("ALTER TABLE storage.objects DISABLE TRIGGER protect_objects_delete", "must be owner of table objects"),
        ("CREATE INDEX ours ON storage.objects (name)", "must be owner of table objects"),
        ("CREATE RULE ours AS ON DELETE TO storage.objects DO INSTEAD NOTHING", "must be owner of table objects"),
        ("COMMENT ON TABLE storage.objects IS 'Ours.'", "must be owner of table objects"),
        ("DROP INDEX storage.bucketid_objname", "must be owner of index bucketid_objname"),
        ("DROP TRIGGER protect_objects_delete ON storage.objects", "must be owner of table objects"),
        ("DROP TABLE storage.objects", "must be owner of table objects"),
        ("DROP FUNCTION storage.foldername(text)", "must be owner of function foldername"),
        ("CREATE TABLE storage.ours (id integer)", "permission denied for schema storage"),
        ("DROP EVENT TRIGGER storage_changes_only_policies", "must be owner of event trigger"),
    ],
)
def test_the_migration_role_may_change_nothing_else_of_storage(bare: Scratch, statement: str, message: str) -> None:
    with bare.connection.transaction(force_rollback=True), pytest.raises(InsufficientPrivilege, match=message):
        as_owner(bare, statement)


def test_a_step_that_changes_storage_fails_as_on_the_platform(bare: Scratch, tmp_path: Path) -> None:
    step = tmp_path / "step.sql"
    step.write_text("ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;\n", encoding="utf-8")
    with bare.connection.transaction(force_rollback=True), pytest.raises(SqlError) as excinfo:
        bare.execute(step)
    assert excinfo.value.sqlstate == "42501"
    assert "must be owner of table objects" in str(excinfo.value)


def test_the_migration_role_may_refer_to_storage(bare: Scratch) -> None:
    """A foreign key and a trigger need only privileges, which it has."""
    with bare.connection.transaction(force_rollback=True):
        as_owner(
            bare,
            "CREATE TABLE public.ours (id uuid REFERENCES storage.objects (id)); DROP TABLE public.ours; "
            "CREATE TRIGGER ours BEFORE UPDATE ON storage.objects FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        )


def test_the_migration_role_cannot_become_the_owner_of_storage(bare: Scratch) -> None:
    version = bare.connection.info.server_version
    with bare.connection.transaction(force_rollback=True):
        become = sql.SQL("SET LOCAL SESSION AUTHORIZATION {}").format(sql.Identifier(bare.role or ""))
        bare.connection.execute(become)
        if version >= 160000:
            with pytest.raises(InsufficientPrivilege, match="permission denied to set role"):
                bare.connection.execute("SET LOCAL ROLE supabase_storage_admin")
