"""Each file has its own session: what one leaves does not reach the next one."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from tests.rolecall.sql.running import SESSION_OBJECTS, refused, run

pytestmark = pytest.mark.usefixtures("working_directory")

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
        # Objects with the names of catalog objects must not mislead rolecall.
        "CREATE FUNCTION shop.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT 1 / 0 || $1';"
        "CREATE TEMP VIEW pg_depend AS SELECT 1 / 0 AS refclassid; SET search_path = shop, pg_catalog;",
    ],
)
def test_a_setting_does_not_reach_the_next_file(either_connection: Connection[Any], text: str) -> None:
    either_connection.execute("SET work_mem = '3MB'")
    before = either_connection.execute(SETTINGS).fetchone()
    run(either_connection, text)
    assert either_connection.execute(SETTINGS).fetchone() in (before, tuple(value or "" for value in before or ()))
    before = either_connection.execute(SETTINGS).fetchone()
    refused(either_connection, text.replace("FUNCTION", "OR REPLACE FUNCTION") + "SELECT 1 / 0;")
    assert either_connection.execute(SETTINGS).fetchone() == before
    either_connection.execute(
        "DROP FUNCTION IF EXISTS shop.sets; DROP FUNCTION IF EXISTS shop.current_setting(text, boolean)"
    )


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
def test_session_objects_of_a_file_are_removed(either_connection: Connection[Any], text: str) -> None:
    either_connection.prepare_threshold = None  # psycopg would follow a DROP with DEALLOCATE ALL
    either_connection.execute("SELECT pg_advisory_lock(7)")
    either_connection.execute("PREPARE mine AS SELECT 1")
    either_connection.execute("CREATE TEMP TABLE mine ()")
    try:
        before = either_connection.execute(SESSION_OBJECTS).fetchone()
        run(either_connection, text)
        assert either_connection.execute(SESSION_OBJECTS).fetchone() == before
        refused(either_connection, text + "SELECT 1 / 0;")
        assert either_connection.execute(SESSION_OBJECTS).fetchone() == before
        run(either_connection, text)  # in the next session the names are free
        assert before
        assert before[-1] == 1
    finally:
        either_connection.execute("DEALLOCATE mine; DROP TABLE mine")
        either_connection.execute("SELECT pg_advisory_unlock_all()")
        either_connection.prepare_threshold = 5


def test_prepared_statements_of_a_file_stay_until_its_end(either_connection: Connection[Any]) -> None:
    """After a DROP, psycopg removes its prepared statements, and would remove the file's too."""
    for _ in range(7):
        either_connection.execute("SELECT 1, 2")
    run(
        either_connection,
        "PREPARE q AS SELECT 1; CREATE TEMP TABLE t (); ALTER TABLE t ADD x int; DROP TABLE t; EXECUTE q;",
    )


def test_prepared_statements_of_psycopg_are_renewed_after_a_file(either_connection: Connection[Any]) -> None:
    either_connection.execute("CREATE TABLE shop.wide (a int)")
    try:
        for _ in range(7):
            assert either_connection.execute("SELECT * FROM shop.wide").fetchall() == []
        either_connection.execute("ALTER TABLE shop.wide OWNER TO toy_migrator")
        for _ in range(7):
            assert either_connection.execute("SELECT * FROM shop.wide").fetchall() == []
        run(either_connection, "ALTER TABLE shop.wide ADD b int")
        assert either_connection.execute("SELECT * FROM shop.wide").fetchall() == []
    finally:
        either_connection.execute("DROP TABLE shop.wide")


def test_a_sequence_has_no_last_value_in_a_new_session(either_connection: Connection[Any]) -> None:
    run(either_connection, "CREATE SEQUENCE shop.numbers; SELECT nextval('shop.numbers');")
    try:
        assert refused(either_connection, "SELECT lastval();").sqlstate == "55000"
    finally:
        either_connection.execute("DROP SEQUENCE shop.numbers")


@pytest.mark.parametrize("text", ["DISCARD TEMP", "DEALLOCATE ALL", "DEALLOCATE PREPARE ALL;"])
def test_a_command_that_discards_objects_of_others_is_refused(connection: Connection[Any], text: str) -> None:
    assert " also discards what rolecall and the tests keep in this session" in str(refused(connection, text))
