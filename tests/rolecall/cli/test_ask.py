"""The commands `rolecall explain`, `who`, `psql` and `serve`: what they print, their exit status, and their end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable

import psycopg
import pytest

from rolecall.server.choose import Server

Command = Callable[..., pytest.RunResult]
LEAK = 'ALTER POLICY "own notes are read" ON shop.notes USING (true);\n'
COUNT = "SELECT count(*) FROM pg_database WHERE datname LIKE 'rolecall%'"


@pytest.fixture
def rolecall(toy: pytest.Pytester) -> Command:
    """A function that runs a command in the folder of the toy project."""
    return lambda *arguments: toy.run(sys.executable, "-m", "rolecall", *arguments)


def leak(toy: pytest.Pytester) -> None:
    step = toy.path / "migrations/phase_1_notes/1_2_count_notes.sql"
    step.write_text(step.read_text() + LEAK)


def test_explain(rolecall: Command) -> None:
    result = rolecall("explain", "shop.notes", "select", "--as", "bob", "--row", "alice's note")
    assert (result.ret, result.errlines) == (0, [])
    result.stdout.fnmatch_lines(
        [
            'bob: select on "alice\'s note" of shop.notes: -  no error, no row',
            "  signed in   role toy_member, claims *",
            "  ran         SELECT * FROM*",
            "  got         -    no row",
            "  grants      DELETE, INSERT, SELECT, UPDATE (granted to toy_member)",
            '  policy      "own notes are read"*',
            '  decides     policy "own notes are read" stops the row (migrations/phase_1_notes/1_1_notes.sql:8)',
            "  to change   a row for which policy*",
            "  grid        the grid says -, test_notes.py:9",
        ]
    )


def test_explain_fails_at_a_difference_and_names_the_repair(toy: pytest.Pytester, rolecall: Command) -> None:
    leak(toy)
    result = rolecall("explain", "shop.notes", "select", "--as", "bob", "--fix")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the grid says -*", "the shortest repair*", "", "  ALTER POLICY*author = shop.me()*"])
    result = rolecall("explain", "shop.notes", "select", "--as", "bob", "--fix", "--format", "json")
    data = json.loads(result.stdout.str())
    assert [each["differs"] for each in data["answers"]] == [True, False]
    assert data["repairs"]["best"]["sql"].startswith("ALTER POLICY")


def test_explain_without_any_grid(toy: pytest.Pytester, rolecall: Command) -> None:
    (toy.path / "test_notes.py").unlink()
    result = rolecall("explain", "shop.notes", "update", "--as", "alice", "--row", "alice's note")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["alice: update*: yes*", "  grid        no test has a grid of this"])


def test_who(rolecall: Command) -> None:
    result = rolecall("who", "notes", "delete", "--row", "bob's note")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["    can     bob, keeper", "    cannot  alice (-); visitor (!)"])
    data = json.loads(rolecall("who", "notes", "delete", "--format", "json").stdout.str())
    assert data["who"][0]["rows"][0]["can"] == {"alice": "yes", "keeper": "yes"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "notes", "select", "--as", "bobb"], "ERROR: unknown persona 'bobb'. Do you mean 'bob'?*"),
        (["explain", "notes", "select", "--as", "bob", "--expect", "no"], "ERROR: --expect 'no' is no verdict*"),
        (["explain", "notes", "select", "--as", "bob", "--fix"], "ERROR: nothing differs from what the grid says*"),
        (["explain", "notes", "select"], "*the following arguments are required: --as"),
        (["who", "nots", "select"], "ERROR: unknown table, view or function 'nots'. Do you mean*"),
        (["psql", "--as", "bobb"], "ERROR: unknown persona 'bobb'. Do you mean 'bob'?*"),
    ],
)
def test_wrong_input(rolecall: Command, arguments: list[str], message: str) -> None:
    result = rolecall(*arguments)
    assert (result.ret, result.outlines) == (2, [])
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_reader_may_close_the_pipe(throwaway: pytest.Pytester) -> None:
    """As `rolecall who … | head -1` does."""
    command = [sys.executable, "-m", "rolecall", "who", "notes", "select"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=throwaway.path) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert b"Traceback" not in (errors := process.stderr.read())
        assert b"BrokenPipe" not in errors
    assert process.returncode == 1


def test_a_folder_without_a_project(toy: pytest.Pytester, rolecall: Command) -> None:
    (toy.path / "pytest.ini").write_text("[pytest]\n")
    result = rolecall("who", "notes", "select")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*rolecall has nothing to build*"])


# ------------------------------------------------------------------ psql

ESCAPES = [
    *("-c", "SELECT current_user, session_user, shop.me()"),
    *("-c", "RESET ROLE; SELECT current_user"),
    *("-c", "SET ROLE NONE; SELECT current_user"),
    *("-c", "SELECT count(*) FROM shop.notes"),
]


@pytest.fixture
def throwaway(monkeypatch: pytest.MonkeyPatch, toy: pytest.Pytester) -> pytest.Pytester:
    """The toy project on a throwaway server."""
    monkeypatch.delenv("ROLECALL_PG_DSN")
    return toy


@pytest.mark.usefixtures("throwaway")
def test_a_session_is_the_persona(rolecall: Command) -> None:
    result = rolecall("psql", "--as", "alice", "--", "-At", *ESCAPES)
    assert result.outlines == [
        "toy_member|persona_login|alice",
        *("RESET", "toy_member"),
        *("SET", "persona_login"),
    ]
    assert result.ret == 1  # psql's: persona_login itself may do nothing
    result.stderr.fnmatch_lines(["ERROR:  permission denied for schema shop"])


@pytest.mark.usefixtures("throwaway")
def test_a_session_cannot_become_the_superuser(rolecall: Command) -> None:
    result = rolecall("psql", "--as", "alice", "--", "-w", "-c", r"\c - rolecall")
    assert result.ret == 1
    result.stderr.fnmatch_lines(["*no password supplied"])
    result = rolecall("psql", "--as", "alice", "--", "-At", "-c", "SET SESSION AUTHORIZATION rolecall")
    result.stderr.fnmatch_lines(["ERROR:*permission denied to set session authorization*"])


def test_psql_on_a_running_server_drops_its_database(rolecall: Command, toy_server: Server) -> None:
    with psycopg.connect(toy_server.conninfo) as connection:
        before = connection.execute(COUNT).fetchone()
        result = rolecall("psql", "--as", "bob", "--", "-At", "-c", "SELECT current_user, shop.me()")
        assert (result.ret, result.outlines) == (0, ["toy_member|bob"])
        result.stderr.fnmatch_lines(["note: the server is that of --rolecall-pg-dsn*"])
        assert connection.execute(COUNT).fetchone() == before


# ------------------------------------------------------------------ serve


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_at_a_signal(throwaway: pytest.Pytester, number: int) -> None:
    command = [sys.executable, "-m", "rolecall", "serve"]
    with subprocess.Popen(command, cwd=throwaway.path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl-C"):
                break
        printed = "".join(lines)
        uri = re.search(r'^db-uri = "(.*)"$', printed, re.MULTILINE)
        assert uri
        assert 'db-schemas = "shop"' in printed
        assert 'db-anon-role = "toy_visitor"' in printed
        snippet = printed[printed.index("import psycopg") : printed.index("Ctrl-C")]
        names: dict[str, psycopg.Connection[tuple[object, ...]]] = {}
        exec(snippet, names)  # noqa: S102 - what a user pastes into a notebook
        with names["as_alice"] as connection:
            assert connection.execute("SELECT body FROM shop.notes").fetchall() == [("hers",)]
        process.send_signal(number)
        assert process.wait(30) == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(uri[1])


def test_serve_once(rolecall: Command) -> None:
    result = rolecall("serve", "--once")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["# postgrest.conf", "# alice", "eyJ*", "Ctrl-C ends*"])
