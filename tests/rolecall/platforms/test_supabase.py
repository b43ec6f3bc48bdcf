"""The stand-in for Supabase has what a new project has. Compared with the public sources of its services.

The tables and columns are those of supabase/auth and supabase/storage, the functions those of supabase/postgres
(migrations/schema-17.sql, migrations/tests), the grants of policies and triggers those of its supautils.conf.
"""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection, errors, sql

from rolecall.grids.probe import prepare
from tests.rolecall.platforms.conftest import Open

API_ROLES = ("anon", "authenticated", "service_role")
USER = "11111111-1111-4111-8111-111111111111"


def act(connection: Connection[Any], role: str, statement: str) -> None:
    """Run a statement as a role: as one that logged in, so that a migration cannot become an owner."""
    connection.execute(sql.SQL("SET LOCAL SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
    connection.execute(statement.encode())
    connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")


def value(connection: Connection[Any], query: str, *params: Any) -> Any:
    ((found,),) = connection.execute(query.encode(), params).fetchall()
    return found


# ------------------------------------------------------------------ what exists


def test_personas_may_share_plans(supabase: Connection[Any]) -> None:
    """No function of the platform may hinder that: each grid would take more than twice as long."""
    prepare(supabase)
    assert value(supabase, "SELECT pg_temp.rolecall_may_share_plans()") is True


@pytest.mark.parametrize(
    "name",
    [
        *("auth.users", "auth.identities", "auth.sessions", "auth.mfa_factors"),
        *("storage.buckets", "storage.objects", "realtime.messages", "vault.secrets", "vault.decrypted_secrets"),
        "supabase_migrations.schema_migrations",
    ],
)
def test_tables_exist(supabase: Connection[Any], name: str) -> None:
    assert value(supabase, "SELECT to_regclass(%s)::text", name) == name


@pytest.mark.parametrize(
    ("signature", "result"),
    [
        ("auth.uid()", "uuid"),
        ("auth.role()", "text"),
        ("auth.email()", "text"),
        ("auth.jwt()", "jsonb"),
        ("storage.foldername(text)", "text[]"),
        ("storage.filename(text)", "text"),
        ("storage.extension(text)", "text"),
        ("storage.search(text,text,integer,integer,integer,text,text,text)", "record"),
        ("realtime.topic()", "text"),
        ("realtime.send(jsonb,text,text,boolean)", "void"),
        ("vault.create_secret(text,text,text,uuid)", "uuid"),
        ("graphql_public.graphql(text,text,jsonb,jsonb)", "jsonb"),
        ("extensions.uuid_generate_v4()", "uuid"),
        ("extensions.digest(text,text)", "bytea"),
    ],
)
def test_functions_exist(supabase: Connection[Any], signature: str, result: str) -> None:
    found = value(supabase, "SELECT prorettype::regtype::text FROM pg_proc WHERE oid = to_regprocedure(%s)", signature)
    assert found == result


def test_the_roles(supabase: Connection[Any], migration_role: str) -> None:
    """rolsuper, rolinherit, rolcanlogin, rolbypassrls."""
    query = "SELECT rolname, rolsuper, rolinherit, rolcanlogin, rolbypassrls FROM pg_roles WHERE rolname = ANY (%s)"
    owners = ("supabase_auth_admin", "supabase_storage_admin", "supabase_realtime_admin")
    names = [*API_ROLES, "authenticator", *owners, "dashboard_user", migration_role]
    found = {name: attributes for name, *attributes in supabase.execute(query, [names])}
    assert found == {
        "anon": [False, True, False, False],
        "authenticated": [False, True, False, False],
        "service_role": [False, True, False, True],
        "authenticator": [False, False, True, False],
        **{owner: [False, False, False, False] for owner in owners},
        "dashboard_user": [False, True, False, False],
        migration_role: [False, True, True, True],
    }


def test_extensions_are_in_the_search_path_of_the_migrated_database(supabase: Connection[Any]) -> None:
    assert value(supabase, "SHOW search_path") == '"$user", public, extensions'
    assert value(supabase, "SELECT pg_typeof(uuid_generate_v4())::text") == "uuid"
    for role in API_ROLES:
        act(supabase, role, "SELECT uuid_generate_v4()")


@pytest.mark.parametrize("name", ["cron", "net"])
def test_pg_cron_and_pg_net_do_not_exist_before_they_are_created(supabase: Connection[Any], name: str) -> None:
    assert value(supabase, "SELECT to_regnamespace(%s)", name) is None


# ------------------------------------------------------------------ what it does


def test_a_trigger_makes_a_profile_for_a_new_user(supabase: Connection[Any], migration_role: str) -> None:
    """The trigger of Supabase's guide to user management, and its usual first line."""
    act(
        supabase,
        migration_role,
        """
        CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, name text);
        CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
        AS $$ BEGIN
          INSERT INTO public.profiles VALUES (NEW.id, NEW.raw_user_meta_data ->> 'name');
          RETURN NEW;
        END $$;
        DROP TRIGGER IF EXISTS on_auth_user_created ON auth.users;
        CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users
          FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
        DROP TRIGGER on_auth_user_created ON auth.users;
        CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users
          FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
        """,
    )
    metadata = '{"name": "A"}'
    add = "INSERT INTO auth.users (id, email, raw_user_meta_data)"
    act(supabase, migration_role, f"{add} VALUES ('{USER}', 'a@b.example', '{metadata}')")
    assert supabase.execute("SELECT id::text, name FROM public.profiles").fetchall() == [(USER, "A")]
    act(supabase, migration_role, "DELETE FROM auth.users")
    assert value(supabase, "SELECT count(*) FROM public.profiles") == 0


def test_the_claims_have_the_email(supabase: Connection[Any]) -> None:
    supabase.execute("""SELECT set_config('request.jwt.claims', '{"email": "a@b.example"}', true)""")
    assert value(supabase, "SELECT auth.email()") == "a@b.example"


@pytest.mark.parametrize(
    ("function", "path", "expected"),
    [
        ("filename", "a/b/c.tar.gz", "c.tar.gz"),
        ("filename", "c.png", "c.png"),
        ("extension", "a/b/c.png", "png"),
        ("extension", "a.b/c.tar.gz", "gz"),
        ("foldername", "a/b/c.png", ["a", "b"]),
    ],
)
def test_parts_of_a_path(supabase: Connection[Any], function: str, path: str, expected: object) -> None:
    assert value(supabase, f"SELECT storage.{function}(%s)", path) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("'', 'b'", [("x", True), ("y", True), ("a.png", False)]),
        ("'x/', 'b', 100, 2", [("deep", True), ("1.png", False), ("2.png", False)]),
        ("'x/', 'b', 100, 2, 0, '1'", [("1.png", False)]),
        ("'x/', 'b', 1, 2, 1", [("1.png", False)]),
        ("'', 'b', sortorder => 'desc'", [("y", True), ("x", True), ("a.png", False)]),
        ("'', 'other'", []),
    ],
)
def test_search_lists_one_level_of_a_bucket(
    supabase: Connection[Any], arguments: str, expected: list[tuple[str, bool]]
) -> None:
    supabase.execute("INSERT INTO storage.buckets (id, name) VALUES ('b', 'b')")
    for name in ("a.png", "x/1.png", "x/2.png", "x/deep/3.png", "y/1.png"):
        supabase.execute("INSERT INTO storage.objects (bucket_id, name) VALUES ('b', %s)", [name])
    found = supabase.execute(f"SELECT name, id IS NULL FROM storage.search({arguments})".encode())
    assert found.fetchall() == expected


def test_a_secret_is_read_by_the_service_alone(supabase: Connection[Any], migration_role: str) -> None:
    for role in ("service_role", migration_role):
        act(supabase, role, f"SELECT vault.create_secret('s3cret', '{role}')")
        act(supabase, role, "SELECT decrypted_secret FROM vault.decrypted_secrets")
    for role in ("anon", "authenticated"):
        with pytest.raises(errors.InsufficientPrivilege), supabase.transaction():
            act(supabase, role, "SELECT * FROM vault.decrypted_secrets")
        assert value(supabase, "SELECT has_schema_privilege(%s, 'vault', 'USAGE')", role) is False


def test_a_migration_turns_realtime_on_for_a_table(supabase: Connection[Any], migration_role: str) -> None:
    act(
        supabase,
        migration_role,
        "CREATE TABLE public.notes (id int PRIMARY KEY); ALTER PUBLICATION supabase_realtime ADD TABLE public.notes",
    )
    tables = supabase.execute("SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime'")
    assert tables.fetchall() == [("notes",)]


def test_graphql_says_that_it_is_off(supabase: Connection[Any]) -> None:
    assert "not enabled" in str(value(supabase, "SELECT graphql_public.graphql(query => '{a}')"))


# ------------------------------------------------------------------ what the migration role may do


@pytest.mark.parametrize("table", ["auth.users", "storage.objects", "storage.buckets", "realtime.messages"])
def test_it_may_write_policies_and_triggers_for_tables_of_the_platform(
    supabase: Connection[Any], migration_role: str, table: str
) -> None:
    act(
        supabase,
        migration_role,
        f"CREATE POLICY ours ON {table} FOR SELECT TO authenticated USING (true);"
        f"ALTER POLICY ours ON {table} USING (false); DROP POLICY ours ON {table};"
        f"CREATE TRIGGER ours BEFORE UPDATE ON {table} FOR EACH ROW"
        f"  EXECUTE FUNCTION suppress_redundant_updates_trigger(); DROP TRIGGER ours ON {table}",
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("ALTER TABLE auth.users ADD COLUMN ours text", "must be owner of table users"),
        ("ALTER TABLE auth.users DISABLE ROW LEVEL SECURITY", "must be owner of table users"),
        ("DROP TABLE auth.identities", "must be owner of table identities"),
        ("CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'", "auth|owner"),
        ("DROP FUNCTION auth.uid()", "must be owner of function uid"),
        ("CREATE TABLE auth.ours (id int)", "permission denied for schema auth"),
        ("CREATE TABLE realtime.ours (id int)", "permission denied for schema realtime"),
        ("ALTER TABLE realtime.messages ADD COLUMN ours text", "must be owner of table messages"),
        ("ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY", "must be owner of table objects"),
        ("DROP TRIGGER protect_objects_delete ON storage.objects", "must be owner of table objects"),
        ("ALTER ROLE postgres SUPERUSER", "permission denied"),
    ],
)
def test_it_may_change_nothing_else_there(
    supabase: Connection[Any], migration_role: str, statement: str, message: str
) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match=message), supabase.transaction():
        act(supabase, migration_role, statement)


def test_it_may_create_schemas_in_the_migrated_database(supabase: Connection[Any], migration_role: str) -> None:
    act(supabase, migration_role, "CREATE SCHEMA app; CREATE TABLE app.t (id int); CREATE TABLE public.t (id int)")


@pytest.mark.parametrize("regime", ["revoked", "granted"])
def test_the_regime_decides_about_new_tables(open_platform: Open, migration_role: str, regime: str) -> None:
    connection = open_platform("supabase", regime)
    act(connection, migration_role, "CREATE TABLE public.stray (id serial)")
    query = "SELECT has_table_privilege(%s, 'public.stray', 'INSERT')"
    assert {value(connection, query, role) for role in API_ROLES} == {regime == "granted"}


def test_clients_may_not_enter_auth_tables(supabase: Connection[Any]) -> None:
    for role in ("anon", "authenticated"):
        with pytest.raises(errors.InsufficientPrivilege), supabase.transaction():
            act(supabase, role, "SELECT * FROM auth.users")


def test_every_table_of_auth_storage_and_realtime_has_row_level_security(supabase: Connection[Any]) -> None:
    query = """
        SELECT c.oid::regclass::text, relrowsecurity, relowner::regrole::text FROM pg_class AS c
        WHERE relnamespace::regnamespace::text IN ('auth', 'storage', 'realtime') AND relkind = 'r'
    """
    rows = supabase.execute(query.encode()).fetchall()
    assert rows
    for name, enabled, owner in rows:
        assert enabled, name
        assert owner == f"supabase_{name.split('.')[0]}_admin", name
