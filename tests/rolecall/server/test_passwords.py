"""No password is shown, whatever fails, and however the connection string is broken."""

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

# Each connects inside a test to where it is refused, or shows what holds the connection string.
FAILS = """
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


def test_a_failure_beside_it(db, run, worker_input):
    conninfo, settings = run.conninfo, run.as_json()
    assert run == conninfo, f"{run} {run!r} {conninfo} {conninfo!r} {settings}"


def test_a_statement_that_fails(db, scratch, run):
    with run.cursor() as cursor:
        cursor.execute("SELECT nothing")


def test_the_dump(scratch):
    one = scratch()
    one.name = "nowhere"
    one.dump()
"""


@pytest.mark.parametrize("options", RENDERERS)
def test_a_failing_connection_shows_none(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url())
    toy.makepyfile(test_fails=FAILS)
    result = toy.runpytest_subprocess(*options, "test_fails.py")
    result.assert_outcomes(failed=5)
    shown = guarded.shown(result)
    assert 'database "nowhere" does not exist' in shown
    if (toy.path / "report.xml").exists():
        report = (toy.path / "report.xml").read_text()
        assert "nowhere" in report
        assert [half for half in HALVES if half in report] == []


def test_an_internal_error_shows_none(toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_an_interruption_while_it_connects_shows_none(toy: pytest.Pytester, options: list[str]) -> None:
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
            shown = child.communicate(timeout=30)[0]
    assert child.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in shown
    assert [half for half in HALVES if half in shown] == []


def test_a_wrong_password_is_one_error(toy: pytest.Pytester, guarded: Guarded) -> None:
    result = toy.runpytest_subprocess(f"--rolecall-pg-dsn={guarded.url(password=TWO + ONE)}", "test_notes.py")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told, advice = [line for line in result.stderr.lines if line]
    assert told.startswith("ERROR: --rolecall-pg-dsn does not answer: connection ")
    assert told.endswith('FATAL: password authentication failed for user "toy_boss"')
    assert advice == "Start that server, mend the URL, or leave --rolecall-pg-dsn out for an embedded one."
    guarded.shown(result)


def test_a_password_that_libpq_would_have_found_elsewhere_is_not_read(
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
    # What the DSN itself names is what it says.
    (home / "mine").write_text(f"*:*:*:*:{guarded.password.replace(':', chr(92) + ':')}\n")
    (home / "mine").chmod(0o600)
    connect(url + f"&passfile={home / 'mine'}").close()
    (home / ".pg_service.conf").write_text(
        f"[toy]\nhost={conninfo_to_dict(url)['host']}\nuser=toy_boss\npassword={guarded.password}\ndbname=postgres\n"
    )
    connect("service=toy").close()
    with pytest.raises(ConnectError):
        connect("service=another")


def test_pg_dump_has_it_in_its_environment_alone(
    guarded: Guarded, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody sees the arguments of a process."""
    program = toy.path / "pg_dump"
    program.write_text('#!/bin/sh\necho "--restrict-key" "$@"; env\n')
    program.chmod(0o755)
    monkeypatch.setenv("PGSSLMODE", "nonsense")
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url())
    run = Run(Conninfo(guarded.url()), "rolecall_x", "", str(toy.path), ours=False)
    scratch = Scratch(run, "postgres", None, {}, None, None)  # type: ignore[arg-type]
    arguments, *environment = scratch.dump().splitlines()
    assert [half for half in HALVES if half in arguments] == []
    assert [line for line in environment if line.startswith(("PG", "ROLECALL"))] == [f"PGPASSWORD={guarded.password}"]
    real = Scratch(replace(run, bin=None), "postgres", None, {}, None, None)  # type: ignore[arg-type]
    assert "PostgreSQL database dump complete" in real.dump()


def test_pg_dump_is_not_run_with_a_secret_that_would_be_seen(guarded: Guarded) -> None:
    run = Run(Conninfo(guarded.url() + f"&sslpassword={ONE}"), "rolecall_x", "", None, ours=False)
    with pytest.raises(RolecallError) as caught:
        Scratch(run, "postgres", None, {}, None, None).dump()  # type: ignore[arg-type]
    assert str(caught.value).startswith("the DSN has sslpassword, which pg_dump could only be given where everybody")


# ------------------------------------------------------------------ connection strings that are broken

AT = "it has two @: the one in the password must be written %40"
SLASH = "it has a / or ? before the @: in a password they must be written %2F and %3F"
PERCENT = "it has a % without two hexadecimal digits: the character itself must be written %25"
SPACE = "it has a space, which must be written %20"
PLACE = "its host and port cannot be read: write user:password@host:port"
UNKNOWN = "it has a parameter that libpq does not know"
PORT = "its port is no number from 1 to 65535"
EQUALS = 'missing "=" behind a word: a value with a space needs quotes'
QUOTE = "a quote is not closed"
PRINT = "it has a character that cannot be printed (a line break, say)"
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
    (f"mysql://me:{ONE}{TWO}@host/db", "it begins neither with postgresql:// nor with postgres://"),
    (f"{ONE}://{TWO}", "it begins neither with postgresql:// nor with postgres://"),
    (f"POSTGRES://me:{ONE}{TWO}@host", "it begins neither with postgresql:// nor with postgres://"),
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
    (f"host=h connect_timeout={ONE}{TWO}", "its connect_timeout is no number"),
    (f"me:{ONE}@{TWO}:5432/db", EQUALS),
    (f"{ONE}{TWO}", EQUALS),
    (f"postgresql://me:{ONE}\n{TWO}@host", PRINT),
    (f"postgresql://me:{ONE}\x1b[31m{TWO}@host", PRINT),
    (f"postgresql://me:{ONE}\udcff{TWO}@host", PRINT),
]


@pytest.mark.parametrize(("text", "wrong"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_wrong_is_said_without_repeating_it(text: str, wrong: str) -> None:
    assert problem(text) == wrong
    assert repr(Conninfo(text)) == "'***'" or not [half for half in HALVES if half in repr(Conninfo(text))]


@pytest.mark.parametrize("number", [0, 4, 11, 25, 26], ids=str)
@pytest.mark.parametrize("given", ["argument", "variable", "file", "sweep"])
def test_it_is_one_error_wherever_it_was_given(
    toy: pytest.Pytester, guarded: Guarded, monkeypatch: pytest.MonkeyPatch, number: int, given: str
) -> None:
    text, wrong = BROKEN[number]
    monkeypatch.delenv("ROLECALL_PG_DSN")
    advice = "Give a URL (postgresql://…) or a connection string (host=… dbname=…)."
    if given == "sweep":
        monkeypatch.setenv("ROLECALL_PG_DSN", text)
        result = toy.run(sys.executable, "-m", "rolecall", "sweep")
        assert result.ret == 1
    else:
        if given == "variable":
            monkeypatch.setenv("ROLECALL_PG_DSN", text)
        elif given == "file":
            with (toy.path / "pytest.ini").open("a") as file:
                file.write(f"rolecall_pg_dsn = {text}\n")
        options = [f"--rolecall-pg-dsn={text}"] if given == "argument" else []
        result = toy.runpytest_subprocess(*options, "--showlocals", "--full-trace", "-vv", "test_notes.py")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = {"argument": "--rolecall-pg-dsn", "file": "rolecall_pg_dsn"}.get(given, "ROLECALL_PG_DSN")
    assert [line for line in result.stderr.lines if line] == [f"ERROR: {name} cannot be read: {wrong}.", advice]
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
def test_what_libpq_reads_rightly_is_not_refused(text: str) -> None:
    assert problem(text) is None
    assert GOOD[text].items() <= Conninfo(text).params.items()
    for shown in (repr(Conninfo(text)), str(Conninfo(text)), f"{Conninfo(text):>5}", "%s" % Conninfo(text)):  # noqa: UP031
        assert [half for half in HALVES if half in shown] == []
    assert Conninfo(text).reveal() == text
    assert ONE not in Conninfo(text).bare


def test_secrets_are_taken_out_of_a_message_in_every_form() -> None:
    conninfo = Conninfo(f"postgresql://me:{ONE}%40%20%2F{TWO}@host/db")
    forms = f"{ONE}@ /{TWO}", f"{ONE}%40%20%2F{TWO}", f"{ONE}%40%20/{TWO}"
    for form in forms:
        assert conninfo.scrub(f"host {form} failed") == "host *** failed"
    assert Conninfo("password=a").scrub('a table of "a"') == '*** table of "***"'


def test_a_worker_is_told_where_the_server_is_and_knows_the_password_itself(
    pytestconfig: pytest.Config, guarded: Guarded
) -> None:
    asked = replace(settings.read(pytestconfig), pg_dsn=Conninfo(guarded.url()), pg_bin=None)
    run = run_on(choose.existing(Conninfo(guarded.url())))
    told = json.dumps(run.as_json())
    assert [half for half in HALVES if half in told] == []
    assert Run.of(json.loads(told), asked).conninfo.params["password"] == guarded.password
    with Run.of(json.loads(told), asked).maintain() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("toy_boss",)


def test_an_error_leads_to_no_frame_of_psycopg(guarded: Guarded) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(guarded.url(database="nowhere"))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    trace = caught.value.__traceback__
    while trace:
        assert "psycopg" not in trace.tb_frame.f_code.co_filename
        assert not [
            half for half in HALVES if half in repr(trace.tb_frame.f_locals)
        ] or trace.tb_frame.f_code.co_name == ("test_an_error_leads_to_no_frame_of_psycopg")
        trace = trace.tb_next
