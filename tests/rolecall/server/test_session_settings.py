"""A session has the settings that tests depend on, for every default of the server, the database and the role."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rolecall import settings
from rolecall.database import build
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.server.connection import RESTRICTED, SETTINGS, connect

TIMEOUTS = {"lock_timeout": "10s", "statement_timeout": "1min"}
HOSTILE = {
    "statement_timeout": "'1ms'",
    "lock_timeout": "'1ms'",
    "idle_session_timeout": "'1ms'",
    "idle_in_transaction_session_timeout": "'1ms'",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "search_path": "''",
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "'Asia/Kolkata'",
    "bytea_output": "escape",
    "extra_float_digits": "'-3'",
    "standard_conforming_strings": "off",
    "client_encoding": "LATIN1",
    "client_min_messages": "error",
    "check_function_bodies": "off",
    "row_security": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "xmloption": "document",
    "quote_all_identifiers": "on",
    "exit_on_error": "on",
    "plan_cache_mode": "force_generic_plan",
    "password_encryption": "md5",
    "lc_numeric": "'C.UTF-8'",
    "default_text_search_config": "'pg_catalog.german'",
    "enable_indexscan": "off",
}


@pytest.mark.parametrize("level", ["ROLE", "DATABASE", "SYSTEM", "ROLE IN DATABASE"])
def test_defaults_of_the_server_do_not_matter(
    toy: pytest.Pytester, own_server: Server, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", make_conninfo(own_server.conninfo, user="toy_boss"))
    toy.makepyfile(
        test_settings=f"""
        def check(connection):
            for name, value in {SETTINGS | RESTRICTED | TIMEOUTS!r}.items():
                if name != "plan_cache_mode":  # the worker sets it
                    row = connection.execute("SELECT current_setting(%s, true)", [name]).fetchone()
                    assert row in ((value,), (None,)), name

        def test_settings(db, scratch):
            check(db.connection)
            check(scratch().connection)
            assert db.value("SELECT '\\\\'") == "\\\\"
            assert scratch().dump() == scratch().dump()
        """
    )
    command = {
        "ROLE": "ALTER ROLE toy_boss",
        "DATABASE": "ALTER DATABASE postgres",
        "SYSTEM": "ALTER SYSTEM",
        "ROLE IN DATABASE": "ALTER ROLE toy_boss IN DATABASE postgres",
    }[level]
    with psycopg.connect(own_server.conninfo, autocommit=True) as connection:
        connection.execute("CREATE ROLE toy_boss SUPERUSER LOGIN")
        more = {"session_replication_role": "replica"} if level == "ROLE" else {}
        for name, value in (HOSTILE | more).items():
            connection.execute(f"{command} SET {name} = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")
    assert toy.runpytest_subprocess().ret == pytest.ExitCode.OK
    toy.runpytest_subprocess("-n", "2", "test_notes.py").assert_outcomes(passed=40)


def test_settings_of_the_project_for_its_database_are_used(toy: pytest.Pytester, own_server: Server) -> None:
    """Settings of the role are not used, and neither are the project's timeouts."""
    with psycopg.connect(own_server.conninfo, autocommit=True) as connection:
        connection.execute("ALTER ROLE rolecall SET datestyle = 'German'")
    with (toy.path / "platform.sql").open("a") as file:
        file.write(
            """
            DO $$ BEGIN
              EXECUTE format('ALTER DATABASE %I SET search_path = shop, public', current_database());
              EXECUTE format('ALTER DATABASE %I SET datestyle = "SQL, DMY"', current_database());
              EXECUTE format('ALTER DATABASE %I SET app.tenant = "a=b"', current_database());
              EXECUTE format('ALTER DATABASE %I SET statement_timeout = "1ms"', current_database());
              EXECUTE format('ALTER ROLE rolecall IN DATABASE %I SET timezone = "Asia/Kolkata"', current_database());
            END $$;
            """
        )
    run = run_on(choose.existing(own_server.conninfo))
    project_settings = replace(settings.read(toy.parseconfig()), pg_dsn=run.conninfo)
    with owned(run):
        build.build(run, project_settings)
        with run.connect(run.baseline) as connection:
            values = [
                connection.execute(f"SHOW {name}".encode()).fetchone()
                for name in ("search_path", "datestyle", "app.tenant", "statement_timeout", "timezone")
            ]
    assert values == [("shop, public",), ("SQL, DMY",), ("a=b",), ("1min",), ("Asia/Kolkata",)]


def test_options_of_the_dsn_are_used_except_for_the_settings_of_tests(toy_server: Server) -> None:
    dsn = toy_server.conninfo.to(options="-c search_path=nowhere -c work_mem=1234kB -c app.tenant=7")
    with connect(dsn) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW work_mem").fetchone() == ("1234kB",)
        assert connection.execute("SHOW app.tenant").fetchone() == ("7",)


def test_a_role_whose_sessions_act_as_another_role_is_one_error(toy: pytest.Pytester, own_server: Server) -> None:
    with psycopg.connect(own_server.conninfo, autocommit=True) as connection:
        connection.execute("CREATE ROLE toy_boss SUPERUSER LOGIN; CREATE ROLE toy_other SUPERUSER")
        connection.execute("ALTER ROLE toy_boss SET role = 'toy_other'")
    result = toy.runpytest_inprocess(f"--rolecall-pg-dsn={make_conninfo(own_server.conninfo, user='toy_boss')}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.stderr.lines if line] == [
        "ERROR: --rolecall-pg-dsn: the role toy_boss has the setting role = toy_other: its sessions act as that role.",
        'Sign in as toy_other, or run: ALTER ROLE "toy_boss" RESET role;',
    ]
