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
STAND_INS += ["uuid-ossp", "vector"]


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
