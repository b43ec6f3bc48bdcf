"""CREATE EXTENSION on the stand-in for Supabase, where the migration role is no superuser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.dump.extensions import OF_SUPABASE, for_migrations
from rolecall.errors import SqlError
from rolecall.sql import files

# The extensions that have a stand-in where the server lacks them.
STAND_INS = ["moddatetime", "pg_cron", "pg_graphql", "pg_net", "pgcrypto", "pgjwt", "pgsodium", "supabase_vault"]
STAND_INS += ["hypopg", "index_advisor", "pgtap", "uuid-ossp", "vector"]


class Migrations:
    """Runs texts as migrations, and keeps the server's notices."""

    def __init__(self, connection: Connection[Any], role: str, folder: Path) -> None:
        self.connection, self.role, self.path = connection, role, folder / "step.sql"
        self.notices: list[str | None] = []

    def run(self, text: str) -> None:
        def keep(notice: Any) -> None:
            self.notices.append(notice.message_primary)

        self.path.write_text(text)
        self.connection.add_notice_handler(keep)
        try:
            privileged = for_migrations(self.connection, self.role)
            files.run(self.connection, self.path, role=self.role, privileged=privileged)
        finally:
            self.connection.remove_notice_handler(keep)


@pytest.fixture
def migrations(supabase: Connection[Any], migration_role: str, tmp_path: Path) -> Migrations:
    return Migrations(supabase, migration_role, tmp_path)


def test_each_stand_in_is_of_an_extension_that_supabase_offers() -> None:
    assert set(STAND_INS) <= OF_SUPABASE


@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize("schema", ["", " WITH SCHEMA extensions"])
def test_an_extension_may_be_created_in_each_migration(migrations: Migrations, name: str, schema: str) -> None:
    """Many projects repeat CREATE EXTENSION IF NOT EXISTS in every file."""
    migrations.run(f'CREATE EXTENSION IF NOT EXISTS "{name}"{schema};')
    migrations.notices.clear()
    migrations.run(f'CREATE EXTENSION IF NOT EXISTS "{name}"{schema};')
    assert f'extension "{name}" already exists, skipping' in migrations.notices


def test_a_comment_on_what_the_server_lacks_is_left_out(migrations: Migrations) -> None:
    migrations.run("CREATE EXTENSION pgtap; COMMENT ON EXTENSION pgtap IS 'for tests';")
    with pytest.raises(SqlError, match='extension "nowhere" does not exist'):
        migrations.run("COMMENT ON EXTENSION nowhere IS 'x';")


@pytest.mark.parametrize("name", ["uuid-ossp", "pgcrypto", "supabase_vault"])
def test_an_extension_of_a_new_project_exists_already(migrations: Migrations, name: str) -> None:
    with pytest.raises(SqlError, match=rf'step\.sql:1:1: extension "{name}" already exists \(42710\)'):
        migrations.run(f'CREATE EXTENSION "{name}";')
    migrations.run(f'CREATE EXTENSION IF NOT EXISTS "{name}" WITH SCHEMA public;')
    found = migrations.connection.execute(
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    ).fetchone()
    assert found == (0,)


def test_a_job_is_scheduled_and_a_request_is_recorded(migrations: Migrations) -> None:
    migrations.run(
        """
        CREATE EXTENSION pg_cron WITH SCHEMA pg_catalog;
        CREATE EXTENSION pg_net WITH SCHEMA extensions;
        SELECT cron.schedule('nightly', '0 3 * * *', 'SELECT 1');
        SELECT cron.schedule('other', '0 3 * * *', $$SELECT net.http_post('https://a.example', '{}')$$);
        SELECT cron.unschedule('other');
        DO $$ BEGIN ASSERT pg_typeof(net.http_post('https://a.example', '{}')) = 'bigint'::regtype; END $$;
        """
    )
    connection = migrations.connection
    assert connection.execute("SELECT jobname FROM cron.job").fetchall() == [("nightly",)]
    assert connection.execute("SELECT method FROM net.http_request_queue").fetchall() == [("POST",)]


def test_a_column_may_be_a_vector(migrations: Migrations) -> None:
    migrations.run("CREATE EXTENSION vector; CREATE TABLE public.t (v vector(3)); INSERT INTO t VALUES ('[1,2,3]');")


def test_graphql_may_be_turned_on(migrations: Migrations) -> None:
    migrations.run("CREATE EXTENSION pg_graphql;")
    query = "SELECT graphql_public.graphql(query => '{a}')::text"
    assert "not enabled" not in str(migrations.connection.execute(query).fetchone())


# ------------------------------------------------------------------ DROP EXTENSION

CATALOG = """
SELECT nspname FROM pg_namespace UNION ALL SELECT oid::regclass::text FROM pg_class
UNION ALL SELECT oid::regprocedure::text FROM pg_proc UNION ALL SELECT oid::regtype::text FROM pg_type
UNION ALL SELECT oid::regoperator::text FROM pg_operator UNION ALL SELECT rolname FROM pg_roles ORDER BY 1
"""


@pytest.mark.parametrize("name", sorted({*STAND_INS} - {"pg_graphql", "pgcrypto", "supabase_vault", "uuid-ossp"}))
@pytest.mark.parametrize("schema", ["", " WITH SCHEMA extensions"])
def test_a_rollback_drops_what_a_step_created(migrations: Migrations, name: str, schema: str) -> None:
    before = migrations.connection.execute(CATALOG).fetchall()
    for drop in (f'DROP EXTENSION "{name}";', f'DROP EXTENSION IF EXISTS "{name}" CASCADE;'):
        migrations.run(f'CREATE EXTENSION "{name}"{schema};')
        assert migrations.connection.execute(CATALOG).fetchall() != before
        migrations.run(drop)
        assert migrations.connection.execute(CATALOG).fetchall() == before


@pytest.mark.parametrize(
    ("name", "dependent", "kept"),
    [
        ("vector", "CREATE TABLE public.t (id int, v vector(3));", [("id",)]),
        ("pg_net", "CREATE VIEW public.t AS SELECT url FROM net.http_request_queue;", []),
    ],
)
def test_what_depends_on_a_stand_in_is_dropped_with_cascade_alone(
    migrations: Migrations, name: str, dependent: str, kept: list[tuple[str]]
) -> None:
    migrations.run(f"CREATE EXTENSION {name}; {dependent}")
    columns = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = to_regclass('public.t') AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """
    before = migrations.connection.execute(columns).fetchall()
    with pytest.raises(SqlError, match=r"step\.sql:1:1: cannot drop .*\(2BP01\)"):
        migrations.run(f"DROP EXTENSION {name};")
    assert migrations.connection.execute(columns).fetchall() == before
    migrations.run(f"DROP EXTENSION {name} CASCADE;")
    assert migrations.connection.execute(columns).fetchall() == kept


def test_an_extension_that_is_not_there_cannot_be_dropped(migrations: Migrations) -> None:
    with pytest.raises(SqlError, match=r'extension "pg_net" does not exist \(42704\)'):
        migrations.run("DROP EXTENSION pg_net;")
    migrations.run("DROP EXTENSION IF EXISTS pg_net, pg_cron;")
    assert 'extension "pg_net" does not exist, skipping' in migrations.notices
