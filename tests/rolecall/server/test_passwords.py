"""No error shows a password, not even for a broken connection string."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from rolecall import settings
from rolecall.database.run import Run, run_on
from rolecall.database.scratch import Scratch
from rolecall.dsn import Conninfo, problem
from rolecall.errors import RolecallError
from rolecall.server import choose
from rolecall.server.connection import ConnectError, connect

if TYPE_CHECKING:
    Guarded = Any  # of conftest.py

ONE, TWO = HALVES = ("Zq7xKj", "Wv9pRt")
RENDERERS = [
    pytest.param(["--tb=long", "--showlocals", "-vv"], id="long with locals"),
    pytest.param(["--tb=native", "--showlocals"], id="native"),
    pytest.param(["--tb=short", "--showlocals"], id="short"),
    pytest.param(["--full-trace", "--showlocals", "-vv", "-rA"], id="full trace"),
    pytest.param(["-n", "2", "--showlocals", "-vv"], id="several processes"),
    pytest.param(["--showlocals", "-vv", "--junitxml=report.xml", "-o", "junit_logging=all"], id="JUnit"),
]

# Each test fails to connect, or shows an object that has the connection string.
FAILING_TESTS = """
import psycopg
import pytest


@pytest.fixture
def run(request):
    return request.config.pluginmanager.getplugin("rolecall-run").process.run


@pytest.fixture
def worker_input(request):
    return getattr(request.config, "workerinput", {})


def test_unknown_database(db, run):
    run.connect("nowhere")


def test_a_cursor(db, run):
    with run.cursor("nowhere") as cursor:
        pass


def test_a_failed_assertion(db, run, worker_input):
    conninfo, settings = run.conninfo, run.as_json()
    assert run == conninfo, f"{run} {run!r} {conninfo} {conninfo!r} {settings}"


def test_a_statement_that_fails(db, scratch, run):
    with run.cursor() as cursor:
        cursor.execute("SELECT nothing")


def test_the_dump(scratch):
    database = scratch()
    database.name = "nowhere"
    database.dump()
"""


@pytest.mark.parametrize("options", RENDERERS)
def test_a_failed_connection_shows_no_password(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url())
    toy.makepyfile(test_fails=FAILING_TESTS)
    result = toy.runpytest_subprocess(*options, "test_fails.py")
    result.assert_outcomes(failed=5)
    assert 'database "nowhere" does not exist' in guarded.shown(result)
    if (toy.path / "report.xml").exists():
        report = (toy.path / "report.xml").read_text()
        assert "nowhere" in report
        assert [half for half in HALVES if half in report] == []


def test_an_internal_error_shows_no_password(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url())
    with (toy.path / "conftest.py").open("a") as file:
        file.write(
            """

def pytest_runtest_setup(item):
    plugin = item.config.pluginmanager.getplugin("rolecall-run")
    settings, run = plugin.settings, plugin.process.run


def pytest_runtest_logreport(report):
    import gc
    from rolecall.database.run import Run
    runs = [each for each in gc.get_objects() if type(each) is Run]
    runs[0].connect("nowhere")
"""
        )
    result = toy.runpytest_subprocess("--showlocals", "--full-trace", "-vv", "test_notes.py")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    assert 'database "nowhere" does not exist' in guarded.shown(result)


@pytest.mark.parametrize("options", [[], ["--full-trace", "--showlocals", "-vv"]], ids=["plain", "full trace"])
def test_ctrl_c_during_a_connection_shows_no_password(toy: pytest.Pytester, options: list[str]) -> None:
    """pytest shows the arguments of every frame of a KeyboardInterrupt."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(toy.path / ".s.PGSQL.5432"))
        listener.listen()
        listener.settimeout(30)
        url = f"postgresql://me:{ONE}%40{TWO}@/x?host={toy.path}"
        child = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "test_notes.py"],
            cwd=toy.path,
            env=os.environ | {"ROLECALL_PG_DSN": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with listener.accept()[0]:
            threading.Event().wait(0.3)
            child.send_signal(signal.SIGINT)
            output = child.communicate(timeout=30)[0]
    assert child.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    assert [half for half in HALVES if half in output] == []


def test_a_wrong_password_is_one_error(toy: pytest.Pytester, guarded: Guarded) -> None:
    result = toy.runpytest_subprocess(f"--rolecall-pg-dsn={guarded.url(password=TWO + ONE)}", "test_notes.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message, advice = [line for line in result.stderr.lines if line]
    assert message.startswith("ERROR: --rolecall-pg-dsn: the server does not answer: connection ")
    assert message.endswith('FATAL: password authentication failed for user "toy_boss"')
    assert advice == ("Start the server, correct the URL, or leave out --rolecall-pg-dsn to use an embedded server.")
    guarded.shown(result)


def test_a_password_in_the_environment_or_in_pgpass_is_not_read(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path.home()
    (home / ".pgpass").write_text(f"*:*:*:*:{guarded.password}\n")
    (home / ".pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSWORD", guarded.password)
    url = guarded.url().replace(f":{ONE}%40%20%2F%25{TWO}", "")
    result = toy.runpytest_subprocess(f"--rolecall-pg-dsn={url}", "test_notes.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines[1] == (
        "PGPASSWORD and ~/.pgpass are not read: put the password, or passfile=…, into the DSN (ROLECALL_PG_DSN)."
    )
    guarded.shown(result)
    # A passfile or a service in the DSN is used.
    passfile = home / "passfile"
    passfile.write_text(f"*:*:*:*:{guarded.password.replace(':', chr(92) + ':')}\n")
    passfile.chmod(0o600)
    connect(url + f"&passfile={passfile}").close()
    (home / ".pg_service.conf").write_text(
        f"[toy]\nhost={conninfo_to_dict(url)['host']}\nuser=toy_boss\npassword={guarded.password}\ndbname=postgres\n"
    )
    connect("service=toy").close()
    with pytest.raises(ConnectError):
        connect("service=another")


def test_pg_dump_gets_the_password_in_its_environment_only(
    guarded: Guarded, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All users of a machine can see the arguments of a process."""
    program = toy.path / "pg_dump"
    program.write_text('#!/bin/sh\necho "--restrict-key" "$@"; env\n')
    program.chmod(0o755)
    monkeypatch.setenv("PGSSLMODE", "nonsense")
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url())
    run = Run(Conninfo(guarded.url()), "rolecall_x", "", str(toy.path), throwaway=False)
    scratch = Scratch(run, "postgres", None, {}, None, None)  # type: ignore[arg-type]
    arguments, *environment = scratch.dump().splitlines()
    assert [half for half in HALVES if half in arguments] == []
    assert [line for line in environment if line.startswith(("PG", "ROLECALL"))] == [f"PGPASSWORD={guarded.password}"]
    real = Scratch(replace(run, bin=None), "postgres", None, {}, None, None)  # type: ignore[arg-type]
    assert "PostgreSQL database dump complete" in real.dump()


def test_pg_dump_does_not_get_a_secret_as_an_argument(guarded: Guarded) -> None:
    run = Run(Conninfo(guarded.url() + f"&sslpassword={ONE}"), "rolecall_x", "", None, throwaway=False)
    with pytest.raises(RolecallError) as caught:
        Scratch(run, "postgres", None, {}, None, None).dump()  # type: ignore[arg-type]
    assert str(caught.value).startswith("the DSN has sslpassword, which pg_dump accepts only as an argument, and ")


# ------------------------------------------------------------------ broken connection strings

AT = "it has two @: the one in the password must be written %40"
SLASH = "it has a / or ? before the @: in a password they must be written %2F and %3F"
PERCENT = "it has a % without two hexadecimal digits: the character % must be written %25"
SPACE = "it has a space, which must be written %20"
PLACE = "its host and port cannot be read: write user:password@host:port"
UNKNOWN = "it has a parameter that libpq does not know"
PORT = "its port is not a number from 1 to 65535"
EQUALS = 'missing "=" after a word: a value with a space needs quotes'
QUOTE = "a quote is not closed"
PRINT = "it has a character that cannot be printed, such as a line break"
SCHEME = "it must begin with postgresql:// or postgres://"
BROKEN = [
    (f"postgresql://me:{ONE}%zz{TWO}@host/db", PERCENT),
    (f"postgresql://me:{ONE}%{TWO}@host/db", PERCENT),
    (f"postgresql://me:{ONE}%00{TWO}@host/db", PERCENT),
    (f"postgresql://me:{ONE} {TWO}@host", SPACE),
    (f"postgres://me:{ONE}@{TWO}@host/db", AT),
    (f"postgresql://me:{ONE}/{TWO}@host/db", SLASH),
    (f"postgresql://me:{ONE}?{TWO}@host/db", SLASH),
    (f"postgresql://me:{ONE}?{TWO}=1@host/db", SLASH),
    (f"postgresql://host/db?user=me&password={ONE}@{TWO}", SLASH),
    (f"postgresql://host/db?user=me&password={ONE}&{TWO}", UNKNOWN),
    (f"postgresql://host/db?user=me&password={ONE}&{TWO}=1", UNKNOWN),
    (f"postgresql://me:{ONE}@host/db?password={TWO}", "it has two passwords"),
    (f"postgresql://host/db?password={ONE}&password={TWO}", "it has two passwords"),
    (f"postgresql://host/db?password={ONE}&p%61ssword={TWO}", "it has two passwords"),
    (f"postgresql://me:{ONE}{TWO}/db", PLACE),
    (f"postgresql://me@host:{ONE}{TWO}", PLACE),
    (f"postgresql://me@host:1:{ONE}{TWO}", PLACE),
    (f"postgresql://me@[{ONE}{TWO}/db", PLACE),
    (f"postgresql://me:{ONE}[{TWO}@[::1", PLACE),
    (f"postgresql://me:{ONE}{TWO}@host:99999", PORT),
    (f"postgresql://me@host?port={ONE}{TWO}", PORT),
    (f"postgresql://me:x@host?host={ONE}%40{TWO}", "its host has an @"),
    (f"mysql://me:{ONE}{TWO}@host/db", SCHEME),
    (f"{ONE}://{TWO}", SCHEME),
    (f"POSTGRES://me:{ONE}{TWO}@host", SCHEME),
    (f"host=h password={ONE} {TWO}", EQUALS),
    (f"host=h password='{ONE} {TWO}", QUOTE),
    (f"host=h password='{ONE}'{TWO}'", EQUALS),
    (f"host=h password='{ONE}' {TWO}=x", UNKNOWN),
    (f"host=h passwort={ONE}{TWO}", UNKNOWN),
    (f"host=h password={ONE} password={TWO}", "it has two passwords"),
    (f"host=h port={ONE}{TWO}", PORT),
    (f"host=me:{ONE}@{TWO} dbname=x", "its host has an @"),
    (f"host=h dbname=postgres://me:{ONE}{TWO}@host/db", "its dbname is a connection string itself"),
    (f"host=h dbname='password={ONE}{TWO}'", "its dbname is a connection string itself"),
    (f"host=h connect_timeout={ONE}{TWO}", "its connect_timeout is not a number"),
    (f"me:{ONE}@{TWO}:5432/db", EQUALS),
    (f"{ONE}{TWO}", EQUALS),
    (f"postgresql://me:{ONE}\n{TWO}@host", PRINT),
    (f"postgresql://me:{ONE}\x1b[31m{TWO}@host", PRINT),
    (f"postgresql://me:{ONE}\udcff{TWO}@host", PRINT),
]


@pytest.mark.parametrize(("text", "message"), BROKEN, ids=range(len(BROKEN)))
def test_the_error_repeats_no_part_of_a_broken_string(text: str, message: str) -> None:
    assert problem(text) == message
    assert repr(Conninfo(text)) == "'***'" or not [half for half in HALVES if half in repr(Conninfo(text))]


@pytest.mark.parametrize("number", [0, 4, 11, 25, 26], ids=str)
@pytest.mark.parametrize("source", ["argument", "variable", "file", "sweep"])
def test_a_broken_string_is_one_error_from_every_source(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch, number: int, source: str
) -> None:
    text, message = BROKEN[number]
    monkeypatch.delenv("ROLECALL_PG_DSN")
    advice = "Give a URL (postgresql://…) or a connection string (host=… dbname=…)."
    if source == "sweep":
        monkeypatch.setenv("ROLECALL_PG_DSN", text)
        result = toy.run(sys.executable, "-m", "rolecall", "sweep")
        assert result.ret == 1
    else:
        if source == "variable":
            monkeypatch.setenv("ROLECALL_PG_DSN", text)
        elif source == "file":
            with (toy.path / "pytest.ini").open("a") as file:
                file.write(f"rolecall_pg_dsn = {text}\n")
        options = [f"--rolecall-pg-dsn={text}"] if source == "argument" else []
        result = toy.runpytest_subprocess(*options, "--showlocals", "--full-trace", "-vv", "test_notes.py")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = {"argument": "--rolecall-pg-dsn", "file": "rolecall_pg_dsn"}.get(source, "ROLECALL_PG_DSN")
    assert [line for line in result.stderr.lines if line] == [f"ERROR: {name} cannot be read: {message}.", advice]
    guarded.shown(result)


GOOD = {
    "postgresql://": {},
    "postgres:///db?host=/srv": {"dbname": "db", "host": "/srv"},
    f"postgresql://me:{ONE}%40%2f%25{TWO}@host:1/db": {"user": "me", "password": f"{ONE}@/%{TWO}", "port": "1"},
    f"postgresql://me:{ONE}:{TWO}@[::1]:5432/db?sslmode=require": {"password": f"{ONE}:{TWO}", "host": "::1"},
    "postgresql://me@one:1,two:2/db": {"host": "one,two", "port": "1,2"},
    "postgresql://me@%2Fsrv%2Fx/db": {"host": "/srv/x"},
    f"postgresql://host/db?user=me&password={ONE}%3D{TWO}": {"password": f"{ONE}={TWO}"},
    f"host=h password={ONE}=@{TWO}": {"password": f"{ONE}=@{TWO}"},
    rf"host = 'h' password='{ONE} \'{TWO}\\'": {"password": rf"{ONE} '{TWO}" + "\\"},
    rf"password={ONE}\ {TWO} dbname=''": {"password": f"{ONE} {TWO}"},
    "service=mine": {"service": "mine"},
    "host=@abstract": {"host": "@abstract"},
    "options='-c search_path=app,public -c work_mem=1MB'": {"options": "-c search_path=app,public -c work_mem=1MB"},
}


@pytest.mark.parametrize("text", GOOD)
def test_a_correct_string_is_not_refused(text: str) -> None:
    assert problem(text) is None
    assert GOOD[text].items() <= Conninfo(text).params.items()
    for shown in (repr(Conninfo(text)), str(Conninfo(text)), f"{Conninfo(text):>5}", "%s" % Conninfo(text)):  # noqa: UP031
        assert [half for half in HALVES if half in shown] == []
    assert Conninfo(text).reveal() == text
    assert ONE not in Conninfo(text).bare


def test_secrets_are_removed_from_a_message_in_every_form() -> None:
    conninfo = Conninfo(f"postgresql://me:{ONE}%40%20%2F{TWO}@host/db")
    forms = f"{ONE}@ /{TWO}", f"{ONE}%40%20%2F{TWO}", f"{ONE}%40%20/{TWO}"
    for form in forms:
        assert conninfo.scrub(f"host {form} failed") == "host *** failed"
    assert Conninfo("password=a").scrub('a table of "a"') == '*** table of "***"'


def test_a_worker_gets_the_server_and_takes_the_password_from_its_settings(
    server_settings: settings.Settings, guarded: Guarded
) -> None:
    worker_settings = replace(server_settings, pg_dsn=Conninfo(guarded.url()), pg_bin=None)
    run = run_on(choose.existing(Conninfo(guarded.url())))
    message = json.dumps(run.as_json())
    assert [half for half in HALVES if half in message] == []
    assert Run.of(json.loads(message), worker_settings).conninfo.params["password"] == guarded.password
    with Run.of(json.loads(message), worker_settings).maintain() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("toy_boss",)


def test_a_traceback_has_no_frame_of_psycopg(guarded: Guarded) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(guarded.url(database="nowhere"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    trace = caught.value.__traceback__
    while trace:
        assert "psycopg" not in trace.tb_frame.f_code.co_filename
        assert not [
            half for half in HALVES if half in repr(trace.tb_frame.f_locals)
        ] or trace.tb_frame.f_code.co_name == ("test_a_traceback_has_no_frame_of_psycopg")
        trace = trace.tb_next
