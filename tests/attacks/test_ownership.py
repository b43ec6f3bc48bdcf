"""No persona alters, drops, locks or grants what it does not own: tables, policies, views, functions, roles."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.attacks.sessions import BROKEN, FEW, REFUSED, SignIn, sqlstate

# {t} a table, {s} its schema, {o} its owner, {c} a column, {i} an index ({n}: without the schema), {p} a policy;
# {v} a view; {f} a function.
ON_TABLES = [
    "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE {t} DISABLE TRIGGER ALL",
    "ALTER TABLE {t} OWNER TO CURRENT_USER",
    "ALTER TABLE {t} ADD COLUMN more text",
    "ALTER TABLE {t} ALTER id DROP DEFAULT",
    "ALTER TABLE {t} RENAME TO mine",
    "ALTER TABLE {t} SET SCHEMA public",
    "ALTER TABLE {t} SET (autovacuum_enabled = off)",
    "ALTER TABLE {t} REPLICA IDENTITY FULL",
    "DROP TABLE {t} CASCADE",
    "DROP INDEX {i}",
    "ALTER INDEX {i} SET (fillfactor = 50)",
    "CREATE INDEX mine ON {t} (id)",
    "CREATE STATISTICS {s}.mine (ndistinct) ON id, {c} FROM {t}",
    "CREATE POLICY mine ON {t} USING (true) WITH CHECK (true)",
    "ALTER POLICY {p} ON {t} USING (true)",
    "DROP POLICY {p} ON {t}",
    "CREATE RULE mine AS ON SELECT TO {t} DO INSTEAD SELECT 1",
    "CREATE RULE mine AS ON INSERT TO {t} DO ALSO NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION pg_temp.mine()",
    "CREATE TRIGGER mine AFTER UPDATE ON {t} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE TEMPORARY TABLE child () INHERITS ({t})",
    "CREATE TEMPORARY TABLE child (of uuid REFERENCES {t})",
    "CREATE TABLE {s}.child (of uuid REFERENCES {t})",
    "CREATE TABLE {s}.mine (id int)",
    "CREATE FUNCTION {s}.mine() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE TYPE {s}.mine AS (id int)",
    "CREATE DOMAIN {s}.mine AS text",
    "ALTER SCHEMA {s} OWNER TO CURRENT_USER",
    "DROP SCHEMA {s} CASCADE",
    "GRANT ALL ON {t} TO anon, authenticated WITH GRANT OPTION",
    "GRANT SELECT (id) ON {t} TO anon",
    "GRANT ALL ON SCHEMA {s} TO PUBLIC",
    "REVOKE ALL ON {t} FROM service_role CASCADE",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {o} IN SCHEMA {s} GRANT ALL ON TABLES TO PUBLIC",
    "COMMENT ON TABLE {t} IS 'mine'",
    "SECURITY LABEL ON TABLE {t} IS 'mine'",
    "CREATE PUBLICATION mine FOR TABLE {t}",
    "CLUSTER {t} USING {n}",
    "REINDEX TABLE {t}",
]
ON_VIEWS = [
    "ALTER VIEW {v} SET (security_invoker = false)",
    "ALTER VIEW {v} OWNER TO CURRENT_USER",
    "ALTER VIEW {v} RENAME TO mine",
    "CREATE OR REPLACE VIEW {v} AS SELECT 1",
    "DROP VIEW {v} CASCADE",
    "GRANT ALL ON {v} TO PUBLIC",
    "CREATE TRIGGER mine INSTEAD OF INSERT ON {v} FOR EACH ROW EXECUTE FUNCTION pg_temp.mine()",
    "CREATE RULE mine AS ON INSERT TO {v} DO INSTEAD NOTHING",
    "INSERT INTO {v} DEFAULT VALUES",
    "DELETE FROM {v}",
    "LOCK TABLE {v} IN SHARE MODE",
]
ON_FUNCTIONS = [
    "ALTER FUNCTION {f} SECURITY INVOKER",
    "ALTER FUNCTION {f} RESET ALL",
    "ALTER FUNCTION {f} SET search_path = public",
    "ALTER FUNCTION {f} OWNER TO CURRENT_USER",
    "ALTER FUNCTION {f} RENAME TO mine",
    "DROP FUNCTION {f} CASCADE",
    "GRANT EXECUTE ON FUNCTION {f} TO PUBLIC",
    "COMMENT ON FUNCTION {f} IS 'mine'",
]
# A digest of the catalog without the temporary schemas.
CATALOG = """
WITH
  schemas AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname !~ '^pg_(temp|toast)'),
  relations AS (
    SELECT oid, relname, relnamespace, relowner, relacl, reloptions, relrowsecurity, relforcerowsecurity, relhasrules,
      relhastriggers, relhassubclass, relreplident
    FROM pg_class WHERE relnamespace IN (SELECT oid FROM schemas)
  ),
  columns AS (
    SELECT attrelid, attnum, attname, attacl, atthasdef, attnotnull
    FROM pg_attribute WHERE attrelid >= 16384 AND attrelid IN (SELECT oid FROM relations)
  ),
  parts AS (
    SELECT s::text AS part FROM schemas AS s
    UNION ALL SELECT r::text FROM relations AS r
    UNION ALL SELECT c::text FROM columns AS c
    UNION ALL SELECT p::text FROM pg_policy AS p
    UNION ALL SELECT t::text FROM pg_trigger AS t
    UNION ALL SELECT r::text FROM pg_rewrite AS r WHERE r.oid >= 16384 AND ev_class IN (SELECT oid FROM relations)
    UNION ALL SELECT p::text FROM pg_proc AS p WHERE p.oid >= 16384 AND pronamespace IN (SELECT oid FROM schemas)
    UNION ALL SELECT d::text FROM pg_description AS d WHERE objoid >= 16384
    UNION ALL SELECT d::text FROM pg_default_acl AS d
    UNION ALL SELECT p::text FROM pg_publication AS p
    UNION ALL SELECT o::text FROM pg_statistic_ext AS o
  )
SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM parts
"""


@pytest.fixture(scope="module")
def owner_statements(database: Scratch, manifest: Manifest, times: dict[str, str]) -> dict[str, set[str]]:
    """The statements that only the owner of an object may run, by object."""
    catalog = Session(database.connection, {})
    statements: dict[str, set[str]] = {}
    for table, column in times.items():
        index = catalog.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass", [table])
        policy = catalog.rows("SELECT quote_ident(polname) FROM pg_policy WHERE polrelid = %s::regclass", [table])
        parts = {
            "t": table,
            "s": table.split(".")[0],
            "o": manifest.role or "postgres",
            "i": index[0][0],
            "n": index[0][0].split(".")[1],
            "p": policy[0][0],
            "c": column,
        }
        statements[table] = {text.format(**parts) for text in ON_TABLES}
    for view in manifest.of_kind("view"):
        statements[view.full_name] = {text.format(v=view.full_name) for text in ON_VIEWS}
    for function in manifest.of_kind("function", "trigger function"):
        (signature,) = catalog.row("SELECT %s::regproc::regprocedure::text", [function.full_name])
        statements[signature] = {text.format(f=signature) for text in ON_FUNCTIONS}
    return statements


# On its own tables the platform grants all privileges, also TRIGGER and REFERENCES (F102).
ALLOWED_ON_PLATFORM = ("CREATE TRIGGER mine ",)


def test_no_persona_changes_objects_of_others(
    sign_in: SignIn, world: World, manifest: Manifest, owner_statements: dict[str, set[str]], thorough: bool
) -> None:
    """A statement is refused, or changes nothing (a GRANT without the right to grant is only a warning)."""
    added = {item.full_name for item in manifest.added}
    successful = set()
    for persona in world.personas if thorough else FEW:
        with sign_in(persona) as session:
            session.execute(MINE)
            before = session.value(CATALOG)
            for target, statements in owner_statements.items():
                for statement in sorted(statements):
                    if changes(session, statement, before):
                        successful.add((target, statement))
    assert {
        (target, statement)
        for target, statement in successful
        if target.partition("(")[0] in added or not statement.startswith(ALLOWED_ON_PLATFORM)
    } == set()


MINE = "CREATE FUNCTION pg_temp.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"


def works(session: Session, statement: str) -> bool:
    """Run a statement, and undo it; returns whether it is no error. Raises psycopg's error for one of BROKEN."""
    try:
        with session.connection.transaction(force_rollback=True):
            session.execute(statement)
    except psycopg.Error as error:
        if error.sqlstate in BROKEN:
            raise
        return False
    return True


def changes(session: Session, statement: str, before: Any) -> bool:
    """Run a statement, and undo it; returns whether the digest of the catalog differs from ``before``."""
    if not works(session, statement):
        return False
    with session.connection.transaction(force_rollback=True):
        session.execute(statement)
        return bool(session.value(CATALOG) != before)


def test_the_digest_notices_what_the_owner_changes(database: Scratch, owner_statements: dict[str, set[str]]) -> None:
    """Without this, the test above would also pass if the digest never changed. A superuser may run them."""
    session = Session(database.connection, {})
    with session.connection.transaction(force_rollback=True):
        session.execute(MINE)
        before = session.value(CATALOG)
        commands = {
            statement.split()[0]
            for statements in owner_statements.values()
            for statement in statements
            if changes(session, statement, before)
        }
    assert commands == {"ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "REVOKE"}


# A role that may UPDATE or DELETE may also lock the whole table until the end of its transaction, and block all others
# (F103). Clients of PostgREST cannot: it runs no LOCK.
def test_only_writers_can_lock_a_table(sign_in: SignIn, manifest: Manifest, world: World, database: Scratch) -> None:
    for name, persona in world.personas.items():
        with sign_in(name) as session:
            for table in manifest.tables:
                writes = database.connection.execute(
                    "SELECT has_table_privilege(%s, %s, 'UPDATE, DELETE, TRUNCATE')", [persona.role, table]
                ).fetchone()
                for mode in ("SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"):
                    locked = works(session, f"LOCK TABLE {table} IN {mode} MODE")
                    assert locked is bool(writes and writes[0] and session_may_enter(session, table)), (
                        name,
                        table,
                        mode,
                    )


def session_may_enter(session: Session, table: str) -> bool:
    """Whether the session has USAGE on the schema of a table."""
    schema = table.split(".")[0]
    return bool(session.value("SELECT has_schema_privilege(%s, 'USAGE')", [schema]))


# ------------------------------------------------------------------ the server

SERVER = [
    "ALTER SYSTEM SET work_mem = '1GB'",
    "ALTER ROLE CURRENT_USER BYPASSRLS",
    "ALTER ROLE authenticated SUPERUSER",
    "ALTER ROLE supabase_storage_admin SET row_security = off",
    "CREATE ROLE rolecall_stranger",
    "GRANT service_role TO authenticated",
    "GRANT pg_read_all_data TO anon",
    "CREATE EXTENSION plpython3u",
    "CREATE EXTENSION file_fdw",
    "CREATE LANGUAGE plpython3u",
    "CREATE SCHEMA mine",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION pg_temp.mine()",
    "CREATE FUNCTION pg_temp.c() RETURNS int LANGUAGE c AS 'libc', 'system'",
    "CREATE SERVER mine FOREIGN DATA WRAPPER nobody",
    "SET LOCAL session_replication_role = 'replica'",
    "SET LOCAL log_statement = 'none'",
    "SET LOCAL session_preload_libraries = 'x'",
    "LOAD 'dblink'",
    "COPY (SELECT 1) TO '/tmp/rolecall_copy'",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY pg_temp.mine FROM '/etc/passwd'",
    "COPY pg_temp.mine FROM PROGRAM 'id'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_ls_dir('.')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT * FROM pg_authid",
    "SELECT * FROM pg_statistic",
    "SELECT pg_reload_conf()",
    "SELECT pg_switch_wal()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = 10",
    "SET SESSION AUTHORIZATION anon",
    "SET SESSION AUTHORIZATION service_role",
    "SET LOCAL ROLE pg_read_all_data",
    "SET LOCAL ROLE supabase_storage_admin",
]


def test_commands_on_the_server_are_refused(
    sign_in: SignIn, database: Scratch, manifest: Manifest, world: World
) -> None:
    """No persona becomes the role of the migrations or the superuser either."""
    superuser = database.connection.info.user
    roles = [f"SET LOCAL ROLE {manifest.role}", f"SET LOCAL ROLE {superuser}", f"SET SESSION AUTHORIZATION {superuser}"]
    if not database.run.throwaway:  # the session is the superuser's: it may switch to any role
        roles = []
    failures = []
    for persona in world.personas:
        with sign_in(persona) as session:
            session.execute(MINE)
            session.execute("CREATE TEMPORARY TABLE mine (line text)")
            statements = [each for each in SERVER + roles if roles or "SESSION AUTHORIZATION" not in each]
            failures += [(persona, each) for each in statements if sqlstate(session, each) in ("", *BROKEN)]
    assert failures == []


def test_reset_role_leaves_no_rights(sign_in: SignIn, manifest: Manifest, database: Scratch, world: World) -> None:
    """The role ``authenticator`` inherits no privileges: it has those of another role only after SET ROLE."""
    for persona in world.personas:
        with sign_in(persona) as session:
            session.execute("RESET ROLE" if database.run.throwaway else "SET LOCAL ROLE authenticator")
            for table in manifest.tables:
                assert sqlstate(session, f"SELECT FROM {table}") == REFUSED
