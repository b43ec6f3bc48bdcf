"""A step is run as production runs it: one session and one transaction a file, as the migration role throughout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from rolecall.errors import SqlError
from rolecall.sql import files
from rolecall.worker import Worker

ROLE = "toy_migrator"


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    """A connection in a transaction that is undone, as tests of migrations have it."""
    toy_worker.connection.execute("GRANT CREATE, USAGE ON SCHEMA shop TO toy_migrator")
    return toy_worker.connection


@pytest.fixture(scope="module")
def database(toy_built: Worker) -> Iterator[Connection[Any]]:
    with toy_built.scratch(migrated=False) as scratch:
        scratch.connection.execute("GRANT CREATE, USAGE ON SCHEMA shop TO toy_migrator")
        yield scratch.connection


@pytest.fixture
def own(database: Connection[Any]) -> Iterator[Connection[Any]]:
    """A connection that is in no transaction, as the databases are built; it is found as it was left."""
    before = standing(database)
    yield database
    assert standing(database) == before


@pytest.fixture(params=["in a transaction", "alone"])
def either(request: pytest.FixtureRequest) -> Connection[Any]:
    """One connection after the other."""
    found: Connection[Any] = request.getfixturevalue("own" if request.param == "alone" else "connection")
    return found


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder from which pytest is started: files in it are called by their names alone."""
    monkeypatch.chdir(tmp_path)


def run(connection: Connection[Any], text: str | bytes, *, role: str | None = ROLE, name: str = "x.sql") -> None:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    files.run(connection, path, role=role)


def refused(connection: Connection[Any], text: str | bytes, *, role: str | None = ROLE) -> SqlError:
    """The error, after which the connection is as it was: usable, in its transaction, as who it was."""
    before = standing(connection)
    with pytest.raises(SqlError) as caught:
        run(connection, text, role=role)
    assert standing(connection) == before
    return caught.value


def standing(connection: Connection[Any]) -> Any:
    return (
        connection.info.transaction_status,
        connection.execute(
            "SELECT session_user, current_user, current_setting('role'), to_regclass('shop.made') IS NULL"
        ).fetchone(),
    )


# ------------------------------------------------------------------ the file ends its transaction

ENDS = "the file ends the transaction that it runs in: take BEGIN, COMMIT and ROLLBACK out."
MADE = "CREATE TABLE shop.made (id int);\n"


@pytest.mark.parametrize(
    "command",
    [
        "COMMIT -- done\n;",
        "COMMIT /* done */ ;",
        "COMMIT",
        "ROLLBACK",
        "commit\nwork ; -- the last",
        "End",
        "ABORT;",
        "/* so */ COMMIT AND /* and again */ CHAIN;",
        "ROLLBACK AND NO CHAIN",
        "PREPARE TRANSACTION 'later';",
        "COMMIT PREPARED 'later';",
        "ROLLBACK PREPARED 'later';",
    ],
)
def test_a_command_that_ends_the_transaction_is_refused(connection: Connection[Any], command: str) -> None:
    error = refused(connection, MADE + command)
    assert str(error) == f"x.sql:2: {ENDS}"
    assert (error.sqlstate, error.line) == (None, 2)


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN;\nSELECT 1;",
        "START TRANSACTION;",
        "SAVEPOINT a;\nSELECT 1;\nROLLBACK TO a;\nRELEASE a;",
        "SAVEPOINT a; ROLLBACK TRANSACTION TO SAVEPOINT a;",
        "CREATE FUNCTION shop.one() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\nSELECT shop.one();",
        "CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END",
        "DO $$ BEGIN BEGIN PERFORM 1; EXCEPTION WHEN others THEN NULL; END; END $$",
        "SELECT 'COMMIT;', $$ ROLLBACK; $$; -- COMMIT;\n/* END; /* ABORT; */ COMMIT; */",
        'CREATE TABLE shop.commit ("end" int); SELECT "end" FROM shop.commit',
    ],
)
def test_what_ends_nothing_is_no_harm(connection: Connection[Any], text: str) -> None:
    run(connection, text)
    assert connection.info.transaction_status.name == "INTRANS"


@pytest.mark.parametrize("name", ["_pg3_1", "rolecall_ask", "other"])
@pytest.mark.parametrize("command", ["ROLLBACK TO {}", "RELEASE {}"])
def test_a_savepoint_of_others_is_out_of_reach(connection: Connection[Any], command: str, name: str) -> None:
    """psycopg's own have names that one can guess: what a test has done would be undone."""
    connection.execute("SAVEPOINT other")
    error = refused(connection, MADE + command.format(name))
    assert str(error) == f'x.sql:2: savepoint "{name}" does not exist in this file: write SAVEPOINT {name} before it.'


def test_a_savepoint_that_is_released_is_gone(connection: Connection[Any]) -> None:
    assert "does not exist" in str(refused(connection, "SAVEPOINT a; SAVEPOINT b; RELEASE a; ROLLBACK TO b;"))
    assert "does not exist" in str(refused(connection, "SAVEPOINT a; SAVEPOINT b; ROLLBACK TO a; RELEASE b;"))
    run(connection, "SAVEPOINT a; SAVEPOINT a; RELEASE a; ROLLBACK TO a; ROLLBACK TO a; RELEASE a;")


def test_a_body_cannot_end_the_transaction(connection: Connection[Any]) -> None:
    error = refused(connection, MADE + "DO $$\nBEGIN\n  COMMIT;\nEND $$")
    assert (error.sqlstate, error.line) == ("2D000", 4)
    procedure = "CREATE PROCEDURE shop.ends() LANGUAGE plpgsql AS $$ BEGIN ROLLBACK; END $$;\n"
    error = refused(connection, procedure + "CALL shop.ends();")
    assert (error.sqlstate, error.line) == ("2D000", 2)


@pytest.mark.parametrize(
    "command", ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL REPEATABLE READ"]
)
def test_a_file_may_choose_its_isolation(connection: Connection[Any], own: Connection[Any], command: str) -> None:
    run(connection, command + ";\nSELECT 1;")
    run(own, command + ";\nCREATE TABLE shop.level AS SELECT current_setting('transaction_isolation') AS name;")
    level = own.execute("SELECT name FROM shop.level").fetchone()
    own.execute("DROP TABLE shop.level")
    assert level == (command.split("LEVEL ")[-1].split("ISOLATION ")[-1].lower(),)


def test_what_cannot_be_in_a_transaction_is_told(connection: Connection[Any]) -> None:
    error = refused(connection, MADE + "\nCREATE INDEX CONCURRENTLY ON shop.made (id);")
    assert (error.sqlstate, error.line) == ("25001", 3)
    assert str(error).endswith("HINT: A file runs in one transaction, as with psql -1: this command cannot.")


# ------------------------------------------------------------------ who runs it


@pytest.mark.parametrize(
    "text",
    ["RESET ROLE;", "SET ROLE NONE;", "SELECT set_config('role', 'none', false);", "DO $$ BEGIN RESET ROLE; END $$;"],
)
def test_a_file_that_resets_the_role_is_the_migration_role_still(connection: Connection[Any], text: str) -> None:
    """A superuser would make a table that belongs to him, and be let in everywhere."""
    run(connection, text + MADE)
    query = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'shop.made'::regclass"
    assert connection.execute(query).fetchone() == (ROLE,)
    assert connection.execute("SELECT current_user = session_user").fetchone() == (True,)


def test_it_is_the_session_user_as_in_production(connection: Connection[Any]) -> None:
    run(connection, "CREATE TABLE shop.made AS SELECT session_user::text AS one, current_user::text AS two")
    assert connection.execute("SELECT * FROM shop.made").fetchone() == (ROLE, ROLE)


SUPERUSER = "a superuser, which it is not in production: take out what changes the role."


@pytest.mark.parametrize(
    "text",
    [
        "RESET SESSION AUTHORIZATION;",
        "SET SESSION AUTHORIZATION DEFAULT;",
        "SET LOCAL SESSION AUTHORIZATION DEFAULT;",
        "SELECT set_config('session_authorization', (SELECT rolname FROM pg_roles WHERE oid = 10), true);",
        "SELECT shop.up();",
        "CALL shop.up_too();",
        "SELECT 1 WHERE shop.up() IS NOT NULL;",
        "CREATE TEMP VIEW pg_roles AS SELECT 'toy_migrator'::name AS rolname, false AS rolsuper; SELECT shop.up();",
    ],
)
def test_a_file_that_becomes_the_superuser_is_stopped_there(either: Connection[Any], text: str) -> None:
    """In production these change nothing: what stands behind must not be tried with a superuser's rights."""
    body = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE concat('RESET SESSION ', 'AUTHORIZATION'); END $$"
    functions = f"CREATE FUNCTION shop.up() RETURNS void {body};CREATE PROCEDURE shop.up_too() {body};\n"
    error = refused(either, MADE + functions + text + "\nALTER ROLE toy_keeper SUPERUSER;")
    assert str(error).startswith("x.sql:3: here the file becomes ")
    assert str(error).endswith(SUPERUSER)
    assert either.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'toy_keeper'").fetchone() == (False,)


def test_a_deferred_trigger_that_becomes_the_superuser_is_stopped(either: Connection[Any]) -> None:
    error = refused(
        either,
        MADE
        + "CREATE FUNCTION shop.up() RETURNS trigger LANGUAGE plpgsql AS "
        + "$$ BEGIN EXECUTE concat('RESET SESSION ', 'AUTHORIZATION'); RETURN NULL; END $$;"
        + "CREATE CONSTRAINT TRIGGER up AFTER INSERT ON shop.made DEFERRABLE INITIALLY DEFERRED "
        + "FOR EACH ROW EXECUTE FUNCTION shop.up(); INSERT INTO shop.made VALUES (1);",
    )
    assert str(error).endswith(SUPERUSER)


@pytest.mark.parametrize(
    "command",
    [
        "RESET SESSION AUTHORIZATION",
        "SET SESSION  AUTHORIZATION toy_migrator",
        "PERFORM set_config('session_authorization', 'x', false)",
        "EXECUTE 'RESET SESSION AUTHORIZATION'",
        "EXECUTE 'SET session_authorization = DEFAULT'",
    ],
)
def test_a_body_that_changes_the_session_user_does_not_run(connection: Connection[Any], command: str) -> None:
    """It could come back before anybody looks."""
    error = refused(connection, f"{MADE}DO $$\nBEGIN\n  {command};\nEND $$")
    assert str(error).startswith("x.sql:4: SESSION AUTHORIZATION inside a body")


def test_a_role_that_the_migration_role_may_be_is_allowed(either: Connection[Any]) -> None:
    either.execute("GRANT toy_keeper TO toy_migrator")
    try:
        run(either, "SET ROLE toy_keeper; SELECT 1; DO $$ BEGIN ASSERT current_user = 'toy_keeper'; END $$;")
        error = refused(either, "SELECT 1;\nSET ROLE toy_visitor;")
    finally:
        either.execute("REVOKE toy_keeper FROM toy_migrator")
    assert (error.sqlstate, error.line) == ("42501", 2)


def test_a_file_without_a_role_runs_as_who_is_connected(either: Connection[Any]) -> None:
    run(either, "DO $$ BEGIN RESET SESSION AUTHORIZATION; END $$; RESET ROLE;", role=None)


def test_who_was_there_before_is_there_afterwards(connection: Connection[Any]) -> None:
    connection.execute("SET LOCAL ROLE toy_member")
    before = standing(connection)
    run(connection, "SET ROLE NONE; SELECT 1")
    assert standing(connection) == before
    refused(connection, "SELECT 1 / 0")
    connection.execute("RESET ROLE")


# ------------------------------------------------------------------ one session a file

SETTINGS = """
SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('timezone'),
  current_setting('app.tenant', true), current_setting('work_mem'), current_setting('default_transaction_read_only'),
  current_setting('enable_hashjoin'), current_setting('transaction_read_only')
"""


@pytest.mark.parametrize(
    "text",
    [
        "SET search_path = shop;",
        "SET LOCAL search_path = shop;",
        "SET search_path = shop; SET LOCAL search_path = pg_catalog;",
        "SET SESSION statement_timeout = '1ms';",
        "SET LOCAL statement_timeout = '2ms';",
        "SET TIME ZONE 'Europe/Vienna';",
        "SET app.tenant = 'two';",
        "SELECT set_config('app.tenant', 'two', false), set_config('work_mem', '1MB', false);",
        "DO $$ BEGIN SET app.tenant = 'two'; PERFORM set_config('search_path', 'shop', false); END $$;",
        "DO $$ BEGIN EXECUTE format('SET %I = off', 'enable_hash' || 'join'); END $$;",
        "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'enable_hashjoin';",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;",
        "RESET ALL;",
        "SET TRANSACTION READ ONLY;",
        "CREATE FUNCTION shop.sets() RETURNS text LANGUAGE sql AS "
        "$$ SELECT pg_catalog.set_config('search_path', 'shop', false) $$; SELECT shop.sets();",
        # Names of the catalog that a file has made its own lead nobody astray.
        "CREATE FUNCTION shop.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT 1 / 0 || $1';"
        "CREATE TEMP VIEW pg_depend AS SELECT 1 / 0 AS refclassid; SET search_path = shop, pg_catalog;",
    ],
)
def test_a_setting_does_not_reach_the_next_file(either: Connection[Any], text: str) -> None:
    either.execute("SET work_mem = '3MB'")
    before = either.execute(SETTINGS).fetchone()
    run(either, text)
    assert either.execute(SETTINGS).fetchone() in (before, tuple(value or "" for value in before or ()))
    before = either.execute(SETTINGS).fetchone()
    refused(either, text.replace("FUNCTION", "OR REPLACE FUNCTION") + "SELECT 1 / 0;")
    assert either.execute(SETTINGS).fetchone() == before
    either.execute("DROP FUNCTION IF EXISTS shop.sets; DROP FUNCTION IF EXISTS shop.current_setting(text, boolean)")


LEFT_BEHIND = """
SELECT
  (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
  (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()),
  (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()),
  (SELECT array_agg(name ORDER BY name) FROM pg_prepared_statements WHERE from_sql),
  (SELECT count(*) FROM pg_cursors WHERE name <> ''),
  (SELECT count(*) FROM pg_listening_channels()),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())
"""


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TEMP TABLE t (id serial PRIMARY KEY, b bigint); CREATE TEMP VIEW v AS SELECT * FROM t;",
        "CREATE FUNCTION pg_temp.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE pg_temp.e AS ENUM ('a');",
        "CREATE DOMAIN pg_temp.d AS int; CREATE TEMP SEQUENCE s; CREATE TEMP TABLE u (d pg_temp.d);",
        "CREATE PROCEDURE pg_temp.p() LANGUAGE sql AS ''; CREATE AGGREGATE pg_temp.a(int) (sfunc=int4pl, stype=int);",
        "DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE \"odd \"\"name\" ()'; EXECUTE 'PREPARE q AS SELECT 1'; END $$;",
        "PREPARE q AS SELECT 1; EXECUTE q;",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
        "DECLARE c CURSOR FOR SELECT 1;",
        "LISTEN news;",
        "SELECT pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(-2, -3), pg_advisory_lock(-4);",
    ],
)
def test_what_a_file_made_for_its_session_is_gone(either: Connection[Any], text: str) -> None:
    either.prepare_threshold = None  # psycopg would follow a DROP with DEALLOCATE ALL
    either.execute("SELECT pg_advisory_lock(7)")
    either.execute("PREPARE mine AS SELECT 1")
    either.execute("CREATE TEMP TABLE mine ()")
    try:
        before = either.execute(LEFT_BEHIND).fetchone()
        run(either, text)
        assert either.execute(LEFT_BEHIND).fetchone() == before
        refused(either, text + "SELECT 1 / 0;")
        assert either.execute(LEFT_BEHIND).fetchone() == before
        run(either, text)  # in the next session the names are free
        assert before
        assert before[-1] == 1
    finally:
        either.execute("DEALLOCATE mine; DROP TABLE mine")
        either.execute("SELECT pg_advisory_unlock_all()")
        either.prepare_threshold = 5


def test_what_a_file_prepares_stays_to_its_end(either: Connection[Any]) -> None:
    """psycopg forgets what it has prepared after a DROP, and would take what the file has prepared along."""
    for _ in range(7):
        either.execute("SELECT 1, 2")
    run(either, "PREPARE q AS SELECT 1; CREATE TEMP TABLE t (); ALTER TABLE t ADD x int; DROP TABLE t; EXECUTE q;")


def test_what_psycopg_has_prepared_follows_what_a_file_changes(either: Connection[Any]) -> None:
    either.execute("CREATE TABLE shop.wide (a int)")
    try:
        for _ in range(7):
            assert either.execute("SELECT * FROM shop.wide").fetchall() == []
        either.execute("ALTER TABLE shop.wide OWNER TO toy_migrator")
        for _ in range(7):
            assert either.execute("SELECT * FROM shop.wide").fetchall() == []
        run(either, "ALTER TABLE shop.wide ADD b int")
        assert either.execute("SELECT * FROM shop.wide").fetchall() == []
    finally:
        either.execute("DROP TABLE shop.wide")


def test_a_sequence_has_no_last_value_in_a_new_session(either: Connection[Any]) -> None:
    run(either, "CREATE SEQUENCE shop.numbers; SELECT nextval('shop.numbers');")
    try:
        assert refused(either, "SELECT lastval();").sqlstate == "55000"
    finally:
        either.execute("DROP SEQUENCE shop.numbers")


@pytest.mark.parametrize("text", ["DISCARD TEMP", "DEALLOCATE ALL", "DEALLOCATE PREPARE ALL;"])
def test_what_would_end_the_work_of_others_is_refused(connection: Connection[Any], text: str) -> None:
    assert " ends what others keep in this session" in str(refused(connection, text))


# ------------------------------------------------------------------ a connection that is no superuser's


@pytest.fixture
def plain(toy_built: Worker, database: Connection[Any]) -> Iterator[Connection[Any]]:
    """As --rolecall-pg-dsn may give it: a role that may become the migration role, and another one."""
    database.execute("CREATE ROLE toy_runner LOGIN; GRANT toy_migrator, toy_visitor TO toy_runner")
    try:
        conninfo = make_conninfo(toy_built.run.conninfo, dbname=database.info.dbname, user="toy_runner")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            yield connection
    finally:
        database.execute("DROP ROLE toy_runner")


BECOMES = "here the file becomes {}, whom toy_migrator cannot become in production: take out what changes the role."


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("RESET ROLE;", "toy_runner"),
        ("SET ROLE NONE", "toy_runner"),
        ("SET ROLE toy_visitor;", "toy_visitor"),
        ("SELECT set_config('role', 'none', false);", "toy_runner"),
        ("DO $$ BEGIN RESET ROLE; END $$;", "toy_runner"),
        (
            "CREATE TEMP VIEW pg_roles AS SELECT 1::oid AS oid, 'toy_runner'::name AS rolname, false AS rolsuper;"
            "SELECT set_config('role', 'none', false);",
            "toy_runner",
        ),
    ],
)
def test_without_a_superuser_a_file_that_resets_the_role_is_stopped(
    plain: Connection[Any], text: str, who: str
) -> None:
    error = refused(plain, f"{MADE}{text}\n;SELECT 1 / 0;")
    assert str(error) == f"x.sql:2: {BECOMES.format(who)}"


def test_without_a_superuser_a_file_runs_as_the_migration_role(plain: Connection[Any]) -> None:
    run(
        plain,
        MADE + "SET search_path = shop; INSERT INTO made VALUES (1); CREATE TEMP TABLE t (); PREPARE q AS SELECT 1",
    )
    query = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'made'"
    owner = plain.execute(query).fetchone()
    left = plain.execute(LEFT_BEHIND).fetchone()
    plain.execute("SET ROLE toy_migrator; DROP TABLE shop.made; RESET ROLE")
    assert owner == (ROLE,)
    assert left == (0, 0, 0, None, 0, 0, 0)


# ------------------------------------------------------------------ deferred constraints

DEFERRED = """
CREATE TABLE shop.parent (id int PRIMARY KEY);
CREATE TABLE shop.child (id int CONSTRAINT of_parent REFERENCES shop.parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE shop.aside (id int CONSTRAINT of_aside REFERENCES shop.parent DEFERRABLE);
"""


def test_a_deferred_constraint_is_checked_at_the_end_of_its_file(either: Connection[Any]) -> None:
    run(either, DEFERRED)
    try:
        error = refused(either, "INSERT INTO shop.child VALUES (1);\n\n")
        assert str(error).startswith(
            "x.sql:1:35: at the file's end, where production commits it: "
            'insert or update on table "child" violates foreign key constraint "of_parent" (23503)'
        )
        assert "DETAIL: Key (id)=(1) is not present" in str(error)
        # Each file begins with what is deferred by itself, whatever the one before has set.
        for command in ("", "SET CONSTRAINTS ALL IMMEDIATE;", "SET CONSTRAINTS ALL DEFERRED;"):
            run(either, "INSERT INTO shop.child VALUES (2); INSERT INTO shop.parent VALUES (2);" + command)
            run(either, "ALTER TABLE shop.child ADD x int; TRUNCATE shop.child, shop.parent, shop.aside;" + command)
            run(either, "ALTER TABLE shop.child DROP x;")
        assert refused(either, "SELECT 1;\nINSERT INTO shop.aside VALUES (1);").line == 2
    finally:
        either.execute("DROP TABLE shop.aside, shop.child, shop.parent")


# ------------------------------------------------------------------ texts that no server gets


def test_a_nul_byte_is_refused(connection: Connection[Any]) -> None:
    error = refused(connection, MADE.encode() + b"SELECT 1;\0\nSELECT 1 / 0;")
    assert str(error).startswith("x.sql:2: a NUL byte")


def test_a_quote_that_is_not_closed_is_one_error(connection: Connection[Any]) -> None:
    error = refused(connection, MADE + "SELECT 'it;\nCOMMIT;\n")
    assert str(error).startswith("x.sql:2:8: ")


def test_rows_for_psql_are_refused(connection: Connection[Any]) -> None:
    error = refused(connection, MADE + "COPY shop.made FROM stdin;\n1\n\\.\n")
    assert str(error).startswith("x.sql:2: COPY … FROM stdin")
