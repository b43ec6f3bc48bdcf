"""What a grid forbids, no other command allows: COPY, MERGE, cursors, writing CTEs, upserts, RETURNING, views and
tables of the persona, prepared statements and cursors of another persona in the same session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import Connection

from rolecall import Session, World
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.attacks.sessions import BROKEN, FEW, REFUSED, Authenticator, SignIn, literal

# ------------------------------------------------------------------ rows

PLAIN = {
    "read": "SELECT id FROM {t}",
    "update": "UPDATE {t} SET {c} = '2999-01-01'",  # reads no column: no SELECT policy filters the rows
    "delete": "DELETE FROM {t}",
}
OTHER = {
    "read": [
        "SELECT id FROM ONLY {t} FOR SHARE",
        "SELECT id FROM {t} FOR NO KEY UPDATE SKIP LOCKED",
        "SELECT (r).id FROM (SELECT t AS r FROM {t} AS t) AS s",
        "SELECT id FROM {t} TABLESAMPLE BERNOULLI (100)",
        "SELECT a.id FROM {t} AS a FULL JOIN {t} AS b ON false",
        "SELECT id FROM {t} AS t WHERE row_security_active('{t}') IS NOT NULL",
        "DECLARE c SCROLL CURSOR FOR SELECT id FROM {t}; FETCH ALL FROM c",
        "DECLARE c BINARY CURSOR FOR SELECT id::text FROM {t}; FETCH ALL FROM c",
        "PREPARE p<n> AS SELECT id FROM {t}; EXECUTE p<n>; DEALLOCATE p<n>; SELECT id FROM {t}",
        "CREATE TEMPORARY TABLE mine AS TABLE {t}; SELECT id FROM pg_temp.mine",
        "CREATE TEMPORARY VIEW mine AS SELECT * FROM {t}; SELECT id FROM pg_temp.mine",
        "CREATE TEMPORARY VIEW mine WITH (security_barrier) AS SELECT * FROM {t}; SELECT id FROM pg_temp.mine",
        "CREATE FUNCTION pg_temp.f() RETURNS SETOF {t} LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM {t}'; "
        "SELECT id FROM pg_temp.f()",
        "SELECT id FROM {t} UNION SELECT id FROM {t} WHERE (SELECT set_config('row_security', 'on', true)) = 'on'",
        "WITH RECURSIVE w AS (SELECT id FROM {t} UNION SELECT w.id FROM w JOIN {t} USING (id)) SELECT id FROM w",
        "SELECT (jsonb_agg(t) -> g ->> 'id') FROM {t} AS t, generate_series(0, 50) AS g GROUP BY g",
        "COPY {t} (id) TO STDOUT",
        "COPY (SELECT id FROM {t}) TO STDOUT",
        "COPY (UPDATE {t} SET {c} = {c} RETURNING id) TO STDOUT",
        "UPDATE {t} SET {c} = {c} RETURNING id",
        "DELETE FROM {t} RETURNING id",
        "WITH w AS (DELETE FROM {t} RETURNING id) SELECT id FROM w",
        "WITH w AS (UPDATE {t} SET {c} = {c} RETURNING id) SELECT id FROM w",
        "INSERT INTO {t} SELECT * FROM {t} ON CONFLICT (id) DO UPDATE SET {c} = EXCLUDED.{c} RETURNING id",
    ],
    "update": [
        "UPDATE {t} AS t SET {c} = '2999-01-01' FROM {t} AS u WHERE t.id = u.id",
        "UPDATE {t} SET {c} = '2999-01-01' WHERE id IN (SELECT id FROM {t})",
        "UPDATE ONLY {t} SET {c} = '2999-01-01'",
        "WITH w AS (UPDATE {t} SET {c} = '2999-01-01') SELECT 1",
        "WITH w AS (UPDATE {t} SET {c} = '2999-01-01' RETURNING id) SELECT id FROM w",
        "MERGE INTO {t} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN UPDATE SET {c} = '2999-01-01'",
        "MERGE INTO {t} AS t USING (SELECT id FROM {t}) AS s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET {c} = '2999-01-01' WHEN NOT MATCHED THEN DO NOTHING",
        "INSERT INTO {t} SELECT * FROM {t} ON CONFLICT (id) DO UPDATE SET {c} = '2999-01-01'",
        "CREATE TEMPORARY VIEW mine AS SELECT * FROM {t}; UPDATE pg_temp.mine SET {c} = '2999-01-01'",
        "CREATE TEMPORARY VIEW mine WITH (security_invoker) AS SELECT * FROM {t}; UPDATE mine SET {c} = '2999-01-01'",
        "DO $$ BEGIN UPDATE {t} SET {c} = '2999-01-01'; END $$",
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM {t} FOR UPDATE LOOP "
        "UPDATE {t} SET {c} = '2999-01-01' WHERE id = r.id; END LOOP; END $$",
        "DECLARE x CURSOR FOR SELECT * FROM {t} FOR UPDATE; FETCH x; "
        "UPDATE {t} SET {c} = '2999-01-01' WHERE CURRENT OF x",
        "PREPARE p<n> AS UPDATE {t} SET {c} = '2999-01-01'; EXECUTE p<n>; DEALLOCATE p<n>",
        "EXPLAIN (ANALYZE) UPDATE {t} SET {c} = '2999-01-01'",
    ],
    "delete": [
        "DELETE FROM {t} AS t USING {t} AS u WHERE t.id = u.id",
        "DELETE FROM ONLY {t} WHERE id IN (SELECT id FROM {t})",
        "WITH w AS (DELETE FROM {t}) SELECT 1",
        "WITH w AS (DELETE FROM {t} RETURNING *) SELECT * FROM w",
        "MERGE INTO {t} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
        "CREATE TEMPORARY VIEW mine AS SELECT * FROM {t}; DELETE FROM pg_temp.mine",
        "DO $$ BEGIN DELETE FROM {t}; END $$",
        "DECLARE c CURSOR FOR SELECT * FROM {t} FOR UPDATE; FETCH c; DELETE FROM {t} WHERE CURRENT OF c",
        "TRUNCATE {t}",
        "TRUNCATE {t} CASCADE",
        "DO $$ BEGIN TRUNCATE ONLY {t} RESTART IDENTITY; END $$",
        "EXPLAIN (ANALYZE) DELETE FROM {t}",
    ],
}
INSERTS = [
    "MERGE INTO {t} AS t USING (SELECT 1) AS s ON false WHEN NOT MATCHED THEN INSERT VALUES ({values})",
    "WITH w AS (INSERT INTO {t} SELECT * FROM {row}) SELECT 1",
    "INSERT INTO {t} SELECT * FROM {row} ON CONFLICT DO NOTHING",
    "INSERT INTO {t} SELECT * FROM {row} ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id",
    "INSERT INTO {t} OVERRIDING USER VALUE SELECT * FROM {row}",
    "CREATE TEMPORARY VIEW mine AS SELECT * FROM {t}; INSERT INTO pg_temp.mine SELECT * FROM {row}",
    "DO $$ BEGIN INSERT INTO {t} SELECT * FROM {row}; END $$",
    "PREPARE p<n> AS INSERT INTO {t} SELECT * FROM {row}; EXECUTE p<n>; DEALLOCATE p<n>",
    "EXPLAIN (ANALYZE) INSERT INTO {t} SELECT * FROM {row}",
]


class Effect(NamedTuple):
    """The ids that a statement returned, those of the rows that it changed or deleted, and those that it added."""

    returned: frozenset[str]
    changed: frozenset[str]
    added: frozenset[str]


NUMBERS = count()
NONE = Effect(frozenset(), frozenset(), frozenset())


def effect(connection: Connection[Any], table: str, before: dict[str, str], statement: str) -> Effect:
    """Run a statement as the signed-in persona, and undo it; returns its effect, NONE if it is refused."""
    try:
        with connection.transaction(force_rollback=True):
            returned = run(connection, statement.replace("<n>", str(next(NUMBERS))))
            connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
            after = snapshot(connection, table)
    except psycopg.Error as error:
        if error.sqlstate in BROKEN:
            raise
        return NONE
    changed = {key for key in before if after.get(key) != before[key]}
    return Effect(frozenset(returned), frozenset(changed), frozenset(after.keys() - before.keys()))


@contextmanager
def signed_in(connection: Connection[Any], world: World, persona: str) -> Iterator[None]:
    """Sign a persona in for the block, with the setting that the Storage API makes before a DELETE; undo everything."""
    with connection.transaction(force_rollback=True), Session(connection, world.personas).acting_as(persona):
        connection.execute("SET LOCAL storage.allow_delete_query = 'true'")
        yield


def run(connection: Connection[Any], statement: str) -> list[str]:
    """Run one or more statements; returns the first column of the last result."""
    with connection.cursor() as cursor:
        if statement.startswith("COPY"):
            with cursor.copy(statement.encode()) as copy:
                return "".join(bytes(block).decode() for block in copy).split()
        cursor.execute(statement.encode())
        while cursor.nextset():
            pass
        return [str(row[0]) for row in cursor] if cursor.description else []


def snapshot(connection: Connection[Any], table: str) -> dict[str, str]:
    """A digest of each row, by id."""
    return dict(connection.execute(f"SELECT id::text, md5(t::text) FROM {table} AS t".encode()).fetchall())


def test_no_other_command_reads_changes_or_deletes_rows(
    database: Scratch, manifest: Manifest, world: World, times: dict[str, str], thorough: bool
) -> None:
    connection, failures = database.connection, set()
    before = {table: snapshot(connection, table) for table in times}
    for persona in world.personas if thorough else FEW:
        with signed_in(connection, world, persona):
            for table, column in times.items():
                plain = {
                    kind: effect(connection, table, before[table], text.format(t=table, c=column))
                    for kind, text in PLAIN.items()
                }
                may = plain["read"].returned, plain["update"].changed, plain["delete"].changed
                for kind, text in ((kind, text) for kind, texts in OTHER.items() for text in texts):
                    other = effect(connection, table, before[table], text.format(t=table, c=column))
                    changes = {"read": may[1] | may[2], "update": may[1], "delete": may[2]}[kind]
                    reads = other.returned & before[table].keys()
                    if not (reads <= may[0] and other.changed <= changes) or other.added:
                        failures.add((table, text))
    # On its own tables the platform grants all privileges, also TRUNCATE, to which no policy applies (F102).
    created = {item.full_name for item in manifest.of_kind("table")}
    assert {(table, text) for table, text in failures if table in created or "TRUNCATE" not in text} == set()
    assert {table for table, _ in failures} == truncatable(database, set(times) - created)


def truncatable(database: Scratch, tables: set[str]) -> set[str]:
    """Those of the tables that signed-in users may truncate."""
    query = "SELECT t FROM unnest(%s::text[]) AS t WHERE has_table_privilege('authenticated', t, 'TRUNCATE')"
    return {table for (table,) in database.connection.execute(query, [list(tables)])}


def test_the_other_commands_work_with_permission(database: Scratch, world: World, times: dict[str, str]) -> None:
    """Without this, the test above would also pass if no statement ever worked. Each works for one of two personas."""
    unused = {text for texts in OTHER.values() for text in texts}
    for persona in ("service", "customer"):
        with signed_in(database.connection, world, persona):
            for table, column in times.items():
                before = snapshot_as_superuser(database.connection, table)
                for kind, text in [(kind, text) for kind, texts in OTHER.items() for text in texts if text in unused]:
                    other = effect(database.connection, table, before, text.format(t=table, c=column))
                    unused -= {text} if (other.returned if kind == "read" else other.changed) else set()
    assert unused - {text for text in OTHER["delete"] if "TRUNCATE" in text} == set()


def snapshot_as_superuser(connection: Connection[Any], table: str) -> dict[str, str]:
    """As ``snapshot``, but of all rows while a persona is signed in."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
        return snapshot(connection, table)


def test_no_other_command_adds_rows(database: Scratch, manifest: Manifest, world: World, thorough: bool) -> None:
    """Each existing row is inserted again after a DELETE: no command helps a persona that may not INSERT it."""
    connection, failures, worked = database.connection, [], set()
    for table in manifest.tables:
        rows = connection.execute(f"SELECT id::text, row_to_json(t)::text FROM {table} AS t".encode()).fetchall()
        for key, row in rows if thorough else rows[:2]:
            source = f"jsonb_populate_record(NULL::{table}, {literal(row)})"
            names = connection.execute(COLUMNS, [table]).fetchall()
            values = ", ".join(f"(SELECT r.{name} FROM {source} AS r)" for (name,) in names)
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL storage.allow_delete_query = 'true'")
                connection.execute(f"DELETE FROM {table} WHERE id::text = {literal(key)}".encode())
                before = snapshot(connection, table)
                for persona in world.personas if thorough else FEW:
                    with signed_in(connection, world, persona):
                        plain = effect(connection, table, before, f"INSERT INTO {table} SELECT * FROM {source}")
                        for text in INSERTS:
                            statement = text.format(t=table, row=source, values=values)
                            added = effect(connection, table, before, statement).added
                            worked |= {text} if added else set()
                            failures += [(persona, statement)] if added and not plain.added else []
    assert failures == []
    assert worked == set(INSERTS)


COLUMNS = """
SELECT quote_ident(attname) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def test_copy_does_not_bypass_the_policies(sign_in: SignIn, manifest: Manifest, world: World) -> None:
    """COPY FROM does not apply policies: PostgreSQL refuses it to the roles that they are for."""
    results: dict[str, set[str]] = {}
    for name, persona in world.personas.items():
        with sign_in(name) as session:
            for table in manifest.tables:
                results.setdefault(persona.role, set()).add(copy_result(session.connection, table))
    assert results["anon"] | results["authenticated"] == {REFUSED, "0A000"}
    assert results["service_role"] == {"worked"}


def copy_result(connection: Connection[Any], table: str) -> str:
    """The SQLSTATE of a COPY FROM without rows, "worked" if it is no error."""
    try:
        with connection.transaction(), connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
            copy.write(b"")
    except psycopg.Error as error:
        return str(error.sqlstate)
    return "worked"


# ------------------------------------------------------------------ several personas in one session


@pytest.mark.parametrize("first", ["service", "customer", "owner"])
def test_a_prepared_statement_reads_as_the_current_persona(
    authenticator: Authenticator, manifest: Manifest, world: World, first: str
) -> None:
    """PostgreSQL plans a prepared statement again for another role, and reads the token at each execution."""
    with authenticator() as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        session = Session(connection, world.personas)
        for number, table in enumerate(manifest.tables):
            with connection.transaction(), session.acting_as(first):
                connection.execute(f"PREPARE read_{number} AS SELECT id::text FROM {table}".encode())
                connection.execute(f"EXECUTE read_{number}".encode())
            for persona in world.personas:
                with connection.transaction(force_rollback=True), session.acting_as(persona):
                    assert ids(connection, f"EXECUTE read_{number}") == ids(connection, f"SELECT id::text FROM {table}")


def ids(connection: Connection[Any], statement: str) -> list[str] | str:
    """The ids that a query returns, in order; the SQLSTATE if it is an error."""
    try:
        with connection.transaction():
            return sorted(key for (key,) in connection.execute(statement.encode()))
    except psycopg.Error as error:
        return str(error.sqlstate)


def test_a_cursor_with_hold_has_only_own_rows(authenticator: Authenticator, manifest: Manifest, world: World) -> None:
    """COMMIT stores the rows of a cursor WITH HOLD. The next persona can read them: they are those of the first one."""
    for persona in FEW:
        for table in manifest.tables:
            with authenticator() as connection:
                with connection.transaction():  # with the settings of a request
                    for setting in world.personas[persona].settings("POST"):
                        connection.execute("SELECT set_config(%s, %s, true)", setting)
                    plain = ids(connection, f"SELECT id::text FROM {table}")
                    if plain != REFUSED:
                        connection.execute(f"DECLARE c CURSOR WITH HOLD FOR SELECT id::text FROM {table}".encode())
                assert plain in (REFUSED, ids(connection, "FETCH ALL FROM c")), (persona, table)


def test_row_security_off_gives_no_rows(sign_in: SignIn, manifest: Manifest, world: World) -> None:
    """PostgreSQL then refuses every query to which a policy would apply."""
    for name, persona in world.personas.items():
        with sign_in(name) as session:
            session.execute("SET LOCAL row_security = off")
            for table in manifest.tables:
                is_refused = ids(session.connection, f"SELECT id::text FROM {table}") == REFUSED
                assert is_refused is (persona.role != "service_role"), (name, table)


def test_pg_stats_shows_no_values(sign_in: SignIn, manifest: Manifest, world: World, database: Scratch) -> None:
    """pg_stats shows the most common values of a column only to roles to which no policy applies."""
    query = """
        SELECT count(*) FROM pg_stats
        WHERE schemaname || '.' || tablename = ANY (%s) AND num_nonnulls(most_common_vals, histogram_bounds) > 0
    """
    assert Session(database.connection, {}).value(query, [manifest.tables]) > 0
    for name, persona in world.personas.items():
        if persona.role != "service_role":
            with sign_in(name) as session:
                assert session.value(query, [manifest.tables]) == 0, name
