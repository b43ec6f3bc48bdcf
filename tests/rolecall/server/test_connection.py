"""A connection goes where the DSN says. Variables and files of libpq, and other servers, have no influence."""

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
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.dsn import Conninfo
from rolecall.server import choose, cluster
from rolecall.server.choose import Server
from rolecall.server.connection import (
    ConnectError,
    Identity,
    OtherServerError,
    connect,
    without_libpq_variables,
)

Inventory = Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]

# Each of these could stop a run, send it to another server, or change the result of a test.
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


# ------------------------------------------------------------------ variables and files of libpq


@pytest.mark.parametrize("name", HOSTILE)
def test_no_variable_reaches_a_connection(toy_server: Server, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, HOSTILE[name])
    with connect(toy_server.conninfo) as connection:
        row = connection.execute("SELECT current_user, current_database(), current_setting('datestyle')").fetchone()
        assert row == ("rolecall", "postgres", "ISO, MDY")
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW application_name").fetchone() != ("another",)
    assert os.environ[name] == HOSTILE[name]


@pytest.mark.parametrize(
    ("throwaway", "options"),
    [
        pytest.param(True, [], id="a throwaway server"),
        pytest.param(True, ["--rolecall-cache-dir=cache"], id="a throwaway server with a cache"),
        pytest.param(False, [], id="--rolecall-pg-dsn"),
        pytest.param(False, ["-n", "2"], id="several processes"),
    ],
)
def test_variables_of_libpq_do_not_change_a_run(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, throwaway: bool, options: list[str]
) -> None:
    """And the tests of the run see the variables."""
    toy.makepyfile(test_environment=f"import os\n\ndef test_it(db): assert {HOSTILE!r}.items() <= os.environ.items()")
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    if throwaway:
        monkeypatch.delenv("ROLECALL_PG_DSN")
    toy.runpytest_subprocess(*options).assert_outcomes(passed=42)


def test_libpq_files_in_the_home_directory_are_not_read(
    toy_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pg_service.conf").write_text("[toy]\nhostaddr=127.0.0.1\n")
    (tmp_path / ".pgpass").write_text("nonsense\n")
    (tmp_path / ".pgpass").chmod(0o644)  # with these permissions, libpq prints a warning if it reads the file
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("nonsense")
    connect(toy_server.conninfo).close()
    assert capfd.readouterr().err == ""


def test_the_environment_is_restored_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was set in the block keeps its value."""
    monkeypatch.setenv("PGHOST", "one")
    monkeypatch.setenv("PGPORT", "2")
    before = dict(os.environ)
    with suppress(ZeroDivisionError), without_libpq_variables():
        assert not [name for name in os.environ if name.startswith("PG")]
        os.environ["PGPORT"] = "3"
        raise ZeroDivisionError
    assert dict(os.environ) == {**before, "PGPORT": "3"}


@pytest.fixture
def other_server(
    server_settings: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """The address of another server, which listens on the port of a throwaway server, and a connection to it."""
    # On Linux, all of 127.0.0.0/8 is this machine. A random address, because 127.0.0.1:5432 may be in use.
    address = f"127.77.{random.randrange(256)}.{random.randrange(1, 255)}" if sys.platform == "linux" else "127.0.0.1"  # noqa: S311
    monkeypatch.setitem(cluster.CONFIGURATION, "listen_addresses", address)
    with choose.running(server_settings) as server:
        monkeypatch.setitem(cluster.CONFIGURATION, "listen_addresses", "")
        assert server.cluster
        with (server.cluster.data / "pg_hba.conf").open("a") as file:
            file.write("host all all 127.0.0.0/8 trust\n")
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            yield address, connection


@pytest.mark.parametrize("source", ["variable", "service"])
def test_a_run_does_not_use_another_server_that_listens(
    toy: pytest.Pytester,
    other_server: tuple[str, psycopg.Connection[Any]],
    inventory: Inventory,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    """In libpq, PGHOSTADDR and the hostaddr of a service win over the socket in a connection string."""
    address, connection = other_server
    monkeypatch.delenv("ROLECALL_PG_DSN")
    if source == "variable":
        monkeypatch.setenv("PGHOSTADDR", address)
    else:
        (toy.path / "services").write_text(f"[toy]\nhostaddr={address}\n")
        monkeypatch.setenv("PGSERVICEFILE", str(toy.path / "services"))
        monkeypatch.setenv("PGSERVICE", "toy")
    before = inventory(connection)
    toy.makepyfile(
        test_address="""
        def test_address(db):
            assert db.value("SELECT inet_server_addr()") is None
            db.connection.execute("COMMIT")
            db.connection.execute("CREATE ROLE left_by_a_test")
        """
    )
    result = toy.runpytest_subprocess("test_address.py", "test_notes.py")
    result.assert_outcomes(passed=41, errors=1)
    assert inventory(connection) == before


# ------------------------------------------------------------------ the identity of the server


def test_another_server_is_an_error_before_anything_is_changed(
    own_server: Server, toy_server: Server, inventory: Inventory
) -> None:
    """This is true for every connection that a run opens."""
    run = replace(run_on(choose.existing(own_server.conninfo)), conninfo=toy_server.conninfo)
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
        "this connection goes to another server than the one of this run, or that server was restarted: nothing was"
        " changed there.",
        "Use a DSN with one host, without a pooler that chooses between servers.",
    ]


def test_a_throwaway_server_is_identified_by_its_directory(own_server: Server, toy_server: Server) -> None:
    run = run_on(own_server)
    run.maintain().close()
    with pytest.raises(OtherServerError):
        replace(run, conninfo=toy_server.conninfo).maintain()
    with pytest.raises(OtherServerError):  # a role that may not read the directory cannot be sure
        Identity(directory="/x").check(Identity(system="1"))


def test_a_server_is_another_one_after_a_restart(own_server: Server) -> None:
    assert own_server.cluster
    run = run_on(choose.existing(own_server.conninfo))
    run.maintain().close()
    own_server.cluster.stop(signal.SIGINT)
    own_server.cluster.start()
    own_server.cluster.wait()
    with pytest.raises(OtherServerError):
        run.maintain()


def test_the_second_host_is_not_used_after_the_first_one_has_stopped(
    toy: pytest.Pytester, own_server: Server, toy_server: Server, inventory: Inventory
) -> None:
    assert own_server.cluster
    hosts = f"{own_server.conninfo.params['host']},{toy_server.conninfo.params['host']}"
    pid_file = own_server.cluster.data / "postmaster.pid"
    toy.makepyfile(
        test_gone=f"""
        import os, signal, time
        from pathlib import Path

        def test_gone(db, scratch):
            os.kill(int(Path({str(pid_file)!r}).read_text().split()[0]), signal.SIGQUIT)
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
        result.stderr.fnmatch_lines(["rolecall: the databases and roles of this run could not be dropped: *"])
        assert inventory(connection) == before


def test_without_the_right_to_read_the_system_identifier_the_start_time_identifies_the_server(
    own_server: Server,
) -> None:
    with psycopg.connect(own_server.conninfo, autocommit=True) as connection:
        connection.execute("CREATE ROLE toy_limited LOGIN CREATEDB CREATEROLE BYPASSRLS")
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    with connect(own_server.conninfo, user="toy_limited") as limited:
        assert (limited.identity.system, limited.identity.directory) == ("", "")
        assert limited.identity.started
        assert limited.execute("SHOW datestyle").fetchone() == ("ISO, MDY",)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize("params", [{"dbname": "nowhere"}, {"host": "/nowhere"}, {"user": "nobody_at_all"}], ids=str)
def test_a_failed_connection_is_an_error_of_one_line(toy_server: Server, params: dict[str, Any]) -> None:
    with pytest.raises(ConnectError) as caught:
        connect(toy_server.conninfo, **params)
    (value,) = params.values()
    assert value in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_sslmode_of_the_dsn_is_used(toy_server: Server) -> None:
    connect(toy_server.conninfo.to(sslmode="disable")).close()
    with pytest.raises(ConnectError):
        connect(Conninfo("host=127.0.0.1 port=1 sslmode=require connect_timeout=2"))
