"""The other platforms of the package: PostgREST on a PostgreSQL of your own, and Neon with its Data API."""

from __future__ import annotations

import pytest
from psycopg import errors

from tests.rolecall.platforms.conftest import Open
from tests.rolecall.platforms.test_supabase import USER, act, value


def test_postgrest_has_the_roles_of_its_tutorial(open_platform: Open) -> None:
    connection = open_platform("postgrest")
    act(
        connection,
        "postgrest_owner",
        """
        CREATE SCHEMA api;
        CREATE TABLE api.todos (id serial PRIMARY KEY, task text);
        GRANT USAGE ON SCHEMA api TO web_anon, anon;
        GRANT SELECT ON api.todos TO web_anon;
        CREATE ROLE todo_user NOLOGIN;
        GRANT todo_user TO authenticator;
        GRANT USAGE ON SCHEMA api TO todo_user;
        GRANT ALL ON api.todos TO todo_user;
        """,
    )
    for role, allowed in (("web_anon", True), ("todo_user", True), ("anon", False)):
        assert value(connection, "SELECT pg_has_role('authenticator', %s, 'MEMBER')", role)
        assert value(connection, "SELECT has_table_privilege(%s, 'api.todos', 'SELECT')", role) is allowed
    attributes = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'postgrest_owner'"
    assert value(connection, attributes) is False


def test_neon_knows_the_user_of_a_request(open_platform: Open) -> None:
    connection = open_platform("neon")
    assert connection.execute("SELECT auth.user_id(), auth.uid(), auth.session()").fetchone() == (None, None, None)
    connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{USER}"}}'])
    row = connection.execute("SELECT auth.user_id(), auth.uid()::text, auth.session()").fetchone()
    assert row == (USER, USER, {"sub": USER})


def test_neon_has_the_users_of_its_auth(open_platform: Open) -> None:
    connection = open_platform("neon")
    user = '{"id": "u1", "display_name": "A", "primary_email": "a@b.example", "signed_up_at_millis": 0}'
    act(connection, "neondb_owner", f"INSERT INTO neon_auth.users_sync (raw_json) VALUES ('{user}')")
    row = connection.execute("SELECT id, name, email, created_at::date::text FROM neon_auth.users_sync").fetchone()
    assert row == ("u1", "A", "a@b.example", "1970-01-01")
    with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
        act(connection, "authenticated", "SELECT * FROM neon_auth.users_sync")


@pytest.mark.parametrize("regime", ["revoked", "granted"])
def test_neon_grants_new_tables_to_signed_in_users_alone(open_platform: Open, regime: str) -> None:
    connection = open_platform("neon", regime)
    act(connection, "neondb_owner", "CREATE SCHEMA app; CREATE TABLE public.stray (id int)")
    query = "SELECT has_table_privilege(%s, 'public.stray', 'SELECT')"
    assert value(connection, query, "authenticated") is (regime == "granted")
    assert value(connection, query, "anonymous") is False


@pytest.mark.parametrize("name", ["neon", "postgrest"])
def test_stand_ins_of_supabase_are_not_on_other_platforms(open_platform: Open, name: str) -> None:
    connection = open_platform(name)
    assert value(connection, "SELECT to_regnamespace('storage')") is None
    assert value(connection, "SHOW search_path") == '"$user", public'
