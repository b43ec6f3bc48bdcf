"""A copy of a database has the privileges and settings of its template."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from rolecall.worker import Worker
from tests.rolecall.database.server_objects import Connection

PRIVILEGES = """
SELECT coalesce(grantee::regrole::text, ''), privilege_type, is_grantable
FROM pg_database, aclexplode(datacl) WHERE datname = %s ORDER BY 1, 2
"""
SETTINGS = """
SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = %s) ORDER BY 1
"""
CHANGES = [
    "REVOKE ALL ON DATABASE {} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {} TO PUBLIC",
    "GRANT CREATE ON DATABASE {} TO toy_migrator WITH GRANT OPTION",
    "GRANT TEMPORARY ON DATABASE {} TO toy_member",
    'ALTER DATABASE {} SET search_path = "$user", shop, "it\'s ""mine"""',
    "ALTER DATABASE {} SET app.\"Tenant\" = 'a, \"b\"; it''s'",
    "ALTER DATABASE {} SET work_mem = '5MB'",
    "ALTER ROLE toy_member IN DATABASE {} SET search_path = ''",
    "ALTER ROLE toy_member IN DATABASE {} SET DateStyle = 'SQL, DMY'",
]


def test_a_copy_has_the_privileges_and_settings_of_its_template(toy_built: Worker) -> None:
    run = toy_built.run
    with run.clone(run.baseline, "one") as one:
        with run.cursor() as cursor:
            for change in CHANGES:
                cursor.execute(sql.SQL(change).format(sql.Identifier(one)))
        with run.clone(one, "two") as two, run.clone(two, "three") as three, run.cursor() as cursor:
            for query in (PRIVILEGES, SETTINGS):
                expected = cursor.execute(query, [one]).fetchall()
                assert len(expected) > 1
                assert cursor.execute(query, [two]).fetchall() == expected
                assert cursor.execute(query, [three]).fetchall() == expected


def test_without_any_it_is_as_a_new_database(toy_built: Worker) -> None:
    run = toy_built.run
    plain = f"{run.name}_plain"
    run.create(plain)
    with run.clone(plain, "copy") as copy, run.cursor() as cursor:
        row = cursor.execute("SELECT datacl IS NULL FROM pg_database WHERE datname = %s", [copy]).fetchone()
        assert row == (True,)
    run.drop(plain)


BASELINE = """
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.tenant = ''acme''', current_database()); END $$;
"""
STEP = """
CREATE SCHEMA mine;
CREATE TABLE mine.item (tenant text DEFAULT current_setting('app.tenant'));
INSERT INTO mine.item DEFAULT VALUES;
"""


def test_the_migration_role_may_create_a_schema_where_the_platform_lets_it(toy: pytest.Pytester) -> None:
    """The platform of the toy project grants CREATE on the database."""
    with (toy.path / "platform.sql").open("a") as file:
        file.write(BASELINE)
    (toy.path / "migrations/phase_1_notes/1_3_mine.sql").write_text(STEP)
    toy.makepyfile(
        test_mine="""
        def test_mine(db, rolecall_scratch, rolecall_rolled_back_scratch):
            assert db.value("SELECT tenant FROM mine.item") == "acme"
            for scratch in (rolecall_scratch, rolecall_rolled_back_scratch):
                database = scratch()
                database.apply(1)
                assert database.connection.execute("SELECT tenant FROM mine.item").fetchone() == ("acme",)
        """
    )
    for _ in ("built", "from the cache"):
        result = toy.runpytest_inprocess("--rolecall-pg-dsn=", "--rolecall-cache-dir=cache", "test_mine.py")
        result.assert_outcomes(passed=1)


ROLES = """
BEGIN;
CREATE ROLE toy_made_1 NOLOGIN;
COMMIT;
CREATE ROLE toy_made_2 NOLOGIN;
SET ROLE toy_migrator;
DO $$ BEGIN CREATE ROLE toy_made_3 NOLOGIN; END $$;
CREATE TABLE shop.made (who text DEFAULT current_user);
"""


def test_roles_of_a_file_with_its_own_transactions_are_dropped_from_a_running_server(
    toy: pytest.Pytester, superuser: Connection
) -> None:
    path = toy.path / "all.sql"
    path.write_text(ROLES)
    ini = toy.path / "pytest.ini"
    ini.write_text(ini.read_text().replace("rolecall_migrations = migrations", "rolecall_migrations = all.sql"))
    for name, more in (
        ("platform.sql", "ALTER ROLE toy_migrator CREATEROLE;"),
        ("baseline.sql", "GRANT CREATE ON SCHEMA shop TO toy_migrator;"),
    ):
        (toy.path / name).write_text((toy.path / name).read_text() + more)
    conftest = toy.path / "conftest.py"
    conftest.write_text("\n".join(each for each in conftest.read_text().splitlines() if "world.add" not in each))
    toy.makepyfile(
        test_roles="""
        def test_roles(db):
            assert db.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'toy_made_%'") == 3
            assert db.value("SELECT tableowner FROM pg_tables WHERE tablename = 'made'") == "toy_migrator"
        """
    )
    toy.runpytest_inprocess("test_roles.py").assert_outcomes(passed=1)
    with psycopg.connect(superuser.info.dsn) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'toy_made_%'").fetchall()
    assert rows == []
