"""A connection leads where it was told, whatever libpq finds in its surroundings, and has the settings of tests."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rolecall import settings
from rolecall.database import build
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.dsn import Conninfo
from rolecall.server import choose, cluster
from rolecall.server.choose import Server
from rolecall.server.connection import (
    RESTRICTED,
    SETTINGS,
    ConnectError,
    Identity,
    OtherServerError,
    connect,
    without_libpq_variables,
)

Inventory = Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]

# Each alone turned a run into an error, or sent it elsewhere, or changed what tests see.
HOSTILE = {
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGUSER": "nobody_at_all",
    "PGDATABASE": "nowhere",
    "PGPASSWORD": "wrong",
    "PGPASSFILE": "/nowhere",
    "PGSERVICE": "nowhere",
    "PGSERVICEFILE": "/nowhere",
    "PGSYSCONFDIR": "/nowhere",
    "PGOPTIONS": "-c search_path=nowhere -c row_security=off",
    "PGDATESTYLE": "German",
    "PGTZ": "Nowhere/Nowhere",
    "PGGEQO": "nonsense",
    "PGCLIENTENCODING": "LATIN1",
    "PGAPPNAME": "another",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGREQUIREPEER": "nobody_at_all",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "nonsense",
    "PGMINPROTOCOLVERSION": "3.2",
    "PGSSLMINPROTOCOLVERSION": "nonsense",
}


@pytest.fixture(scope="module")
def asked(pytestconfig: pytest.Config) -> settings.Settings:
    """What the outer run was asked for, for a server of our own."""
    return replace(settings.read(pytestconfig), pg_dsn=None)


@pytest.fixture
def theirs(asked: settings.Settings) -> Iterator[Server]:
    """Somebody else's server, which a test may hurt."""
    with choose.running(asked) as started:
        yield started


# ------------------------------------------------------------------ the surroundings of libpq


@pytest.mark.parametrize("name", HOSTILE)
def test_no_variable_reaches_a_connection(toy_server: Server, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, HOSTILE[name])
    with connect(toy_server.conninfo) as connection:
        shown = connection.execute("SELECT current_user, current_database(), current_setting('datestyle')").fetchone()
        assert shown == ("rolecall", "postgres", "ISO, MDY")
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW application_name").fetchone() != ("another",)
    assert os.environ[name] == HOSTILE[name]


@pytest.mark.parametrize(
    "where", ["a throwaway server", "a throwaway server, kept", "--rolecall-pg-dsn", "several processes"]
)
def test_a_run_with_every_variable_set_is_as_one_without(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """And its tests find them as they were."""
    toy.makepyfile(test_environment=f"import os\n\ndef test_it(db): assert {HOSTILE!r}.items() <= os.environ.items()")
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    if where.startswith("a throwaway"):
        monkeypatch.delenv("ROLECALL_PG_DSN")
    options = {"a throwaway server, kept": ["--rolecall-cache-dir=kept"], "several processes": ["-n", "2"]}.get(
        where, []
    )
    toy.runpytest_subprocess(*options).assert_outcomes(passed=42)


def test_a_service_file_and_a_passfile_at_home_are_not_read(
    toy_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pg_service.conf").write_text("[toy]\nhostaddr=127.0.0.1\n")
    (tmp_path / ".pgpass").write_text("nonsense\n")
    (tmp_path / ".pgpass").chmod(0o644)  # open to all, of which libpq warns if it looks at it
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("nonsense")
    connect(toy_server.conninfo).close()
    assert capfd.readouterr().err == ""


def test_the_environment_is_whole_after_an_error_and_what_is_set_meanwhile_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "one")
    monkeypatch.setenv("PGPORT", "2")
    before = dict(os.environ)
    with suppress(ZeroDivisionError), without_libpq_variables():
        assert not [name for name in os.environ if name.startswith("PG")]
        os.environ["PGPORT"] = "3"
        raise ZeroDivisionError
    assert dict(os.environ) == {**before, "PGPORT": "3"}


@pytest.fixture
def strangers(
    asked: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """An address at which another server listens, on the port by which a throwaway server's socket is named."""
    # Of its own on Linux, where all of 127.0.0.0/8 is this machine: others may listen on 127.0.0.1.
    address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}" if sys.platform == "linux" else "127.0.0.1"  # noqa: S311
    monkeypatch.setitem(cluster.CONFIGURATION, "listen_addresses", address)
    with choose.running(asked) as started:
        monkeypatch.setitem(cluster.CONFIGURATION, "listen_addresses", "")
        assert started.cluster
        with (started.cluster.data / "pg_hba.conf").open("a") as file:
            file.write("host all all 127.0.0.0/8 trust\n")
        with psycopg.connect(started.conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            yield address, connection


@pytest.mark.parametrize("how", ["variable", "service"])
def test_a_run_does_not_build_on_a_stranger_that_listens(
    toy: pytest.Pytester,
    strangers: tuple[str, psycopg.Connection[Any]],
    inventory: Inventory,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """PGHOSTADDR, or a service's hostaddr, wins over the socket that a connection string names."""
    address, stranger = strangers
    monkeypatch.delenv("ROLECALL_PG_DSN")
    if how == "variable":
        monkeypatch.setenv("PGHOSTADDR", address)
    else:
        (toy.path / "services").write_text(f"[toy]\nhostaddr={address}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(toy.path / "services"))
        monkeypatch.setenv("PGSERVICE", "toy")
    before = inventory(stranger)
    toy.makepyfile(
        test_where="""
        def test_where(db):
            assert db.value("SELECT inet_server_addr()") is None
            db.connection.execute("COMMIT")
            db.connection.execute("CREATE ROLE left_by_a_test")
        """
    )
    result = toy.runpytest_subprocess("test_where.py", "test_notes.py")
    result.assert_outcomes(passed=41, errors=1)
    assert inventory(stranger) == before


# ------------------------------------------------------------------ the server that is meant


def test_another_server_is_an_error_before_anything_is_changed(
    theirs: Server, toy_server: Server, inventory: Inventory
) -> None:
    """For every connection that a run opens."""
    mine = choose.existing(theirs.conninfo)
    run = replace(run_on(mine), conninfo=toy_server.conninfo)
    with psycopg.connect(toy_server.conninfo) as connection:
        before = inventory(connection)
        with pytest.raises(OtherServerError) as caught:
            run.maintain()
        with pytest.raises(OtherServerError):
            run.connect("postgres")
        with pytest.raises(OtherServerError):
            run.create("rolecall_x")
        with pytest.raises(OtherServerError):
            run.drop("postgres")
        with pytest.raises(OtherServerError), owned(run):
            pass
        assert inventory(connection) == before
    assert str(caught.value).splitlines() == [
        "this connection leads to another server than the run began on, or that one was started anew: nothing was"
        " changed there.",
        "Give a DSN with one host, without a pooler that chooses between servers.",
    ]


def test_a_throwaway_server_is_known_by_its_directory(theirs: Server, toy_server: Server) -> None:
    run = run_on(theirs)
    run.maintain().close()
    with pytest.raises(OtherServerError):
        replace(run, conninfo=toy_server.conninfo).maintain()
    with pytest.raises(OtherServerError):  # who may not see the directory cannot be sure
        Identity(directory="/x").check(Identity(system="1"))


def test_a_server_that_was_started_anew_is_another_one(theirs: Server) -> None:
    assert theirs.cluster
    run = run_on(choose.existing(theirs.conninfo))
    run.maintain().close()
    theirs.cluster.stop(signal.SIGINT)
    theirs.cluster.start()
    theirs.cluster.wait()
    with pytest.raises(OtherServerError):
        run.maintain()


def test_of_two_hosts_the_second_is_not_taken_when_the_first_is_gone(
    toy: pytest.Pytester, theirs: Server, toy_server: Server, inventory: Inventory
) -> None:
    assert theirs.cluster
    hosts = f"{theirs.conninfo.params['host']},{toy_server.conninfo.params['host']}"
    toy.makepyfile(
        test_gone=f"""
        import os, signal, time
        from pathlib import Path

        def test_gone(db, scratch):
            os.kill(int(Path({str(theirs.cluster.data)!r}, "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
            time.sleep(0.5)
            scratch()
        """
    )
    with psycopg.connect(toy_server.conninfo) as connection:
        before = inventory(connection)
        dsn = make_conninfo(toy_server.conninfo, host=hosts, port="5432,5432")
        result = toy.runpytest_subprocess(f"--rolecall-pg-dsn={dsn}", "test_gone.py")
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert "OtherServerError" in result.stdout.str()
        result.stderr.fnmatch_lines(["rolecall: what this run made on the server could not be dropped: *"])
        assert inventory(connection) == before


# ------------------------------------------------------------------ settings that hurt

HURTS = {
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
def test_what_a_server_has_as_its_default_does_not_matter(
    toy: pytest.Pytester, theirs: Server, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", make_conninfo(theirs.conninfo, user="toy_boss"))
    toy.makepyfile(
        test_settings=f"""
        def look(connection):
            for name, value in {SETTINGS | RESTRICTED!r}.items():
                if name != "plan_cache_mode":  # the worker has its own
                    row = connection.execute("SELECT current_setting(%s, true)", [name]).fetchone()
                    assert row in ((value,), (None,)), name

        def test_settings(db, scratch):
            look(db.connection)
            look(scratch().connection)
            assert db.value("SELECT '\\\\'") == "\\\\"
            assert scratch().dump() == scratch().dump()
        """
    )
    whose = {
        "ROLE": "ALTER ROLE toy_boss",
        "DATABASE": "ALTER DATABASE postgres",
        "SYSTEM": "ALTER SYSTEM",
        "ROLE IN DATABASE": "ALTER ROLE toy_boss IN DATABASE postgres",
    }[level]
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
        connection.execute("CREATE ROLE toy_boss SUPERUSER LOGIN")
        more = {"session_replication_role": "replica"} if level == "ROLE" else {}
        for name, value in (HURTS | more).items():
            connection.execute(f"{whose} SET {name} = {value}".encode())
        connection.execute("SELECT pg_reload_conf()")
    assert toy.runpytest_subprocess().ret == pytest.ExitCode.OK
    toy.runpytest_subprocess("-n", "2", "test_notes.py").assert_outcomes(passed=40)


def test_what_the_project_sets_for_its_database_counts(toy: pytest.Pytester, theirs: Server) -> None:
    """And not what somebody has set for the role; a timeout of the project's does not count either."""
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
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
    run = run_on(choose.existing(theirs.conninfo))
    wanted = replace(settings.read(toy.parseconfig()), pg_dsn=run.conninfo)
    with owned(run):
        build.build(run, wanted)
        with run.connect(run.baseline) as connection:
            shown = [
                connection.execute(f"SHOW {name}".encode()).fetchone()
                for name in ("search_path", "datestyle", "app.tenant", "statement_timeout", "timezone")
            ]
    assert shown == [("shop, public",), ("SQL, DMY",), ("a=b",), ("0",), ("Asia/Kolkata",)]


def test_options_of_the_dsn_are_taken_but_for_what_tests_depend_on(toy_server: Server) -> None:
    dsn = toy_server.conninfo.to(options="-c search_path=nowhere -c work_mem=1234kB -c app.tenant=7")
    with connect(dsn) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW work_mem").fetchone() == ("1234kB",)
        assert connection.execute("SHOW app.tenant").fetchone() == ("7",)


def test_a_role_that_acts_as_another_is_one_error(toy: pytest.Pytester, theirs: Server) -> None:
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
        connection.execute("CREATE ROLE toy_boss SUPERUSER LOGIN; CREATE ROLE toy_other SUPERUSER")
        connection.execute("ALTER ROLE toy_boss SET role = 'toy_other'")
    result = toy.runpytest_inprocess(f"--rolecall-pg-dsn={make_conninfo(theirs.conninfo, user='toy_boss')}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.stderr.lines if line] == [
        "ERROR: --rolecall-pg-dsn: the role toy_boss is set to act as toy_other,"
        " which its sessions would fall back to.",
        'Sign in as toy_other, or run: ALTER ROLE "toy_boss" RESET role;',
    ]


def test_who_may_not_ask_for_the_systems_identifier_still_has_the_time_of_the_start(theirs: Server) -> None:
    with psycopg.connect(theirs.conninfo, autocommit=True) as connection:
        connection.execute("CREATE ROLE toy_poor LOGIN CREATEDB CREATEROLE BYPASSRLS")
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    with connect(theirs.conninfo, user="toy_poor") as poor:
        assert (poor.identity.system, poor.identity.directory) == ("", "")
        assert poor.identity.started
        assert poor.execute("SHOW datestyle").fetchone() == ("ISO, MDY",)


@pytest.mark.parametrize("params", [{"dbname": "nowhere"}, {"host": "/nowhere"}, {"user": "nobody_at_all"}], ids=str)
def test_what_cannot_be_reached_is_one_plain_error(toy_server: Server, params: dict[str, Any]) -> None:
    with pytest.raises(ConnectError) as caught:
        connect(toy_server.conninfo, **params)
    (value,) = params.values()
    assert value in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_sslmode_is_what_the_dsn_says(toy_server: Server) -> None:
    """Of a socket there is none; a server without it is told from one that is not there."""
    connect(toy_server.conninfo.to(sslmode="disable")).close()
    with pytest.raises(ConnectError):
        connect(Conninfo("host=127.0.0.1 port=1 sslmode=require connect_timeout=2"))
