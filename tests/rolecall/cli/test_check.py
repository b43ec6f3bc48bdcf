"""The command `rolecall check`: its targets, its exit status, and what it does on a server that others use."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rolecall.catalog import snapshot
from rolecall.drift.target import Target
from rolecall.server.choose import Server
from rolecall.worker import Worker
from tests.rolecall.conftest import FILES, Guarded

Check = Callable[..., pytest.RunResult]
MIGRATED = "".join(text for name, text in FILES.items() if "1_1_" in name or "1_2_" in name)


@pytest.fixture
def check(toy: pytest.Pytester) -> Check:
    """A function that runs the command in the folder of the toy project."""
    return lambda *arguments: toy.run(sys.executable, "-m", "rolecall", "check", *arguments)


@pytest.fixture
def target(toy_built: Worker) -> Iterator[psycopg.Connection[object]]:
    """A connection to a copy of the migrated toy database."""
    with toy_built.scratch(migrated=True) as scratch:
        yield scratch.connection


def dsn(connection: psycopg.Connection[object], **params: str) -> str:
    return make_conninfo(connection.info.dsn, **params)


# ------------------------------------------------------------------ the exit status, and the text


def test_no_difference(check: Check, target: psycopg.Connection[object]) -> None:
    result = check(dsn(target))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["Phase 1 is applied. 3 objects compared.", "No difference."])
    assert result.stderr.str() == ""


def test_a_difference(check: Check, target: psycopg.Connection[object]) -> None:
    target.execute(
        "ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY; GRANT SELECT, DELETE ON shop.notes TO toy_visitor"
    )
    target.execute('ALTER POLICY "own notes are read" ON shop.notes USING (true)')
    result = check(dsn(target))
    assert result.ret == 1
    assert result.outlines[2:] == [
        "Phase 1 is applied. 3 objects compared.",
        "",
        "DIFFERENT from what the steps make",
        "",
        "  table shop.notes  [1_1_notes]",
        "    row level security: expected on, found off",
        '    policy "own notes are read", using: expected (author = shop.me()), found true',
        "    toy_visitor has DELETE, SELECT, which no step grants",
        "",
        "4 differences in 1 object.",
    ]


def test_a_warning_fails_with_strict(check: Check, target: psycopg.Connection[object]) -> None:
    target.execute("CREATE INDEX more ON shop.notes (body)")
    assert check(dsn(target)).ret == 0
    result = check(dsn(target), "--strict")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["WARNINGS: they fail only with --strict", "No difference, 1 warning."])


def test_json(check: Check, target: psycopg.Connection[object]) -> None:
    target.execute("DROP VIEW shop.titles")
    result = check(dsn(target), "--format", "json")
    data = json.loads(result.stdout.str())
    assert result.ret == 1
    assert (data["applied"], data["missing"], data["in_the_way"]) == (1, [], [])
    assert data["drift"] == [
        {
            "object": "shop.titles",
            "part": "",
            "kind": "view",
            "property": "",
            "expected": "view",
            "found": None,
            "step": "1_2_count_notes",
            "rank": "missing",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ERROR: TARGET names no database."),
        (["nothing.sql"], "*TARGET names */nothing.sql, which does not exist."),
        (["postgresql://h:x"], "*TARGET cannot be read: its host and port cannot be read*"),
        (["host=/nowhere"], "*TARGET: the server does not answer: *"),
        (["no_such_service"], "*TARGET*no_such_service*"),
        (["host=/nowhere", "--format", "xml"], "*invalid choice: 'xml'*"),
    ],
)
def test_a_check_that_cannot_be_made(check: Check, arguments: list[str], message: str) -> None:
    result = check(*arguments)
    assert (result.ret, result.outlines) == (2, [])
    result.stderr.fnmatch_lines([message])
    result.stderr.no_fnmatch_line("*Traceback*")


def test_a_phase_that_does_not_exist(check: Check, target: psycopg.Connection[object]) -> None:
    result = check(dsn(target), "--phase", "7")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["ERROR: --phase 7: the project has no such phase. Its phases: 1."])


def test_a_folder_without_a_project(check: Check, toy: pytest.Pytester, target: psycopg.Connection[object]) -> None:
    (toy.path / "pytest.ini").write_text("[pytest]\n")
    result = check(dsn(target))
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        ["ERROR: this folder has nothing to compare with:*", "Run rolecall check in the folder*"]
    )


def test_a_conftest_that_fails(check: Check, toy: pytest.Pytester, target: psycopg.Connection[object]) -> None:
    (toy.path / "conftest.py").write_text("1 / 0\n")
    result = check(dsn(target))
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*ZeroDivisionError*", "ERROR: pytest cannot read the configuration of this folder*"])


# ------------------------------------------------------------------ targets


def test_a_dump(check: Check, toy: pytest.Pytester) -> None:
    (toy.path / "dump.sql").write_text(FILES["baseline.sql"] + MIGRATED)
    result = check("dump.sql")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["NOT COMPARED", "  roles: a dump does not have *", "No difference."])
    (toy.path / "dump.sql").write_text(FILES["baseline.sql"])
    result = check("dump.sql")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["Phase 1 is not applied.", "No difference."])
    (toy.path / "dump.sql").write_text("CREATE SCHEMA shop; CREATE TABLE shop.notes (id uuid);")
    result = check("dump.sql")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "MISSING: the steps need it",
            "    function shop.me() is missing",
            "IN THE WAY:*",
            "*type: expected integer, found uuid",
        ]
    )


def test_a_file_that_creates_the_roles_of_the_steps(
    check: Check, toy: pytest.Pytester, running_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has them already, from the steps."""
    monkeypatch.setenv("ROLECALL_PG_DSN", running_server.conninfo.reveal())
    (toy.path / "conftest.py").unlink()
    (toy.path / "pytest.ini").write_text("[pytest]\nrolecall_migrations = steps.sql\n")
    made = "CREATE ROLE toy_auditor; CREATE SCHEMA shop; CREATE TABLE shop.notes (id int);"
    (toy.path / "steps.sql").write_text(f"{made} GRANT SELECT ON shop.notes TO toy_auditor;")
    (toy.path / "dump.sql").write_text(made)
    assert check("steps.sql").outlines[-1] == "No difference."
    check("dump.sql").stdout.fnmatch_lines(["*toy_auditor*SELECT*", "1 difference in 1 object."])
    with psycopg.connect(running_server.conninfo.reveal()) as connection:
        assert connection.execute("SELECT FROM pg_roles WHERE rolname = 'toy_auditor'").fetchall() == []


def test_what_was_left_out_of_a_dump_is_listed(check: Check, toy: pytest.Pytester) -> None:
    header = "--\n-- PostgreSQL database dump\n--\n\n"
    owner = "ALTER SCHEMA shop OWNER TO somebody_else;\n"
    (toy.path / "dump.sql").write_text(header + FILES["baseline.sql"] + MIGRATED + owner)
    result = check("dump.sql")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "  1 statement of the dump, left out or replaced by a stand-in:",
            "     1  owners that do not exist here, or are superusers: somebody_else",
        ]
    )


def test_a_dump_that_fails(check: Check, toy: pytest.Pytester) -> None:
    (toy.path / "dump.sql").write_text("CREATE SCHEMA shop;\nCREATE TABLE shop.notes (id nonsense);\n")
    result = check("dump.sql")
    assert result.ret == 2
    result.stderr.fnmatch_lines(['ERROR: dump.sql:2:29: type "nonsense" does not exist (42704)'])


def test_a_service(
    check: Check, toy: pytest.Pytester, target: psycopg.Connection[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    info = target.info
    monkeypatch.setenv("HOME", str(toy.path))
    (toy.path / ".pg_service.conf").write_text(
        f"[toy]\nhost={info.host}\nport={info.port}\nuser={info.user}\ndbname={info.dbname}\n"
    )
    assert check("toy").ret == 0


def test_the_variable_and_no_password(check: Check, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLECALL_CHECK_TARGET", guarded.url())
    result = check()
    assert result.ret == 1  # an empty database
    guarded.shown(result)
    result.stdout.fnmatch_lines(["*[*][*][*]*"])
    monkeypatch.setenv("ROLECALL_CHECK_TARGET", guarded.url("nobody"))
    result = check()
    assert result.ret == 2
    guarded.shown(result)
    result.stderr.fnmatch_lines(["ERROR: ROLECALL_CHECK_TARGET: the server does not answer*"])


# ------------------------------------------------------------------ it only reads


@pytest.fixture
def reader(target: psycopg.Connection[object]) -> Iterator[str]:
    """The DSN of a role that may do nothing but connect."""
    target.execute("CREATE ROLE toy_reader LOGIN")
    yield dsn(target, user="toy_reader")
    target.execute("DROP OWNED BY toy_reader; DROP ROLE toy_reader")


def test_a_role_without_rights_sees_the_same(check: Check, reader: str, target: psycopg.Connection[object]) -> None:
    target.execute("REVOKE ALL ON SCHEMA shop FROM PUBLIC")
    assert check(reader).ret == 0
    target.execute("ALTER TABLE shop.notes ALTER body SET DEFAULT 'x'")
    assert check(reader).outlines[1:] == check(dsn(target)).outlines[1:]


BUCKETS = """
CREATE SCHEMA storage;
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text, public boolean);
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
"""
BUCKET = "INSERT INTO storage.buckets VALUES ('pictures', 'pictures', false);"


@pytest.fixture
def with_bucket(toy: pytest.Pytester) -> None:
    """A step of the toy makes a bucket."""
    toy.path.joinpath("baseline.sql").write_text(FILES["baseline.sql"] + BUCKETS)
    toy.path.joinpath("migrations/phase_1_notes/1_3_bucket.sql").write_text(BUCKET)


@pytest.mark.usefixtures("with_bucket")
def test_buckets_that_a_role_may_not_read_are_not_compared(
    check: Check, reader: str, target: psycopg.Connection[object]
) -> None:
    target.execute((BUCKETS + BUCKET.replace("false", "true")).encode())
    result = check(reader)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["NOT COMPARED", "  storage buckets: this role may not read the table"])
    target.execute("GRANT USAGE ON SCHEMA storage TO toy_reader; GRANT SELECT ON storage.buckets TO toy_reader")
    result = check(reader)
    result.stdout.fnmatch_lines(["  storage buckets: row-level security hides them from this role"])
    result = check(dsn(target))
    assert result.ret == 1
    result.stdout.fnmatch_lines(["  bucket pictures  [[]1_3_bucket]", "    public: expected false, found true"])


@pytest.mark.usefixtures("with_bucket")
def test_a_dump_with_and_without_the_rows_of_buckets(check: Check, toy: pytest.Pytester) -> None:
    dump = FILES["baseline.sql"] + BUCKETS + MIGRATED
    (toy.path / "dump.sql").write_text(dump)
    result = check("dump.sql")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  storage buckets: the dump has no rows of storage.buckets"])
    (toy.path / "dump.sql").write_text(dump + BUCKET.replace("false", "true"))
    result = check("dump.sql")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["    public: expected false, found true"])


def test_it_waits_for_no_lock(check: Check, target: psycopg.Connection[object]) -> None:
    with target.transaction(force_rollback=True):
        target.execute("ALTER TABLE shop.notes ADD COLUMN more text")
        result = check(dsn(target))
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        [
            "ERROR: the database could not be read: canceling statement due to lock timeout.",
            "Another session holds a lock*",
        ]
    )


def test_its_connection_cannot_write(target: psycopg.Connection[object]) -> None:
    with closing(Target.of(dsn(target), "TARGET").open()) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE shop.more (id int)")
        connection.autocommit = False  # the locks stay until the transaction ends
        snapshot.read(connection, ["shop"])
        locks = "SELECT DISTINCT mode FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid()"
        assert connection.execute(locks.encode()).fetchall() == [("AccessShareLock",)]


def test_nothing_is_written(
    check: Check,
    target: psycopg.Connection[object],
    inventory: Callable[[psycopg.Connection[object]], list[tuple[object, ...]]],
) -> None:
    before = inventory(target), _activity(target)
    assert check(dsn(target)).ret == 0
    assert (inventory(target), _activity(target)) == before


def _activity(connection: psycopg.Connection[object]) -> object:
    """The number of rows and objects that were written in the database."""
    return connection.execute(
        "SELECT (SELECT max(oid::int8) FROM pg_class), (SELECT count(*) FROM pg_depend),"
        " (SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_all_tables WHERE schemaname = 'shop')"
    ).fetchone()


def test_the_path_of_a_dump_is_a_path(check: Check, tmp_path: Path) -> None:
    dump = tmp_path / "a dump.sql"
    dump.write_text(FILES["baseline.sql"])
    assert check(str(dump)).ret == 0
