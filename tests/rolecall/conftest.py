"""A toy project that rolecall is tested with, and the servers that it runs on."""

from __future__ import annotations

import os
import runpy
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from rolecall import World, settings
from rolecall.database import build, load
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.worker import Worker

FILES = {
    "pytest.ini": """\
[pytest]
addopts = --strict-config --import-mode=importlib -p no:randomly -p no:cacheprovider
filterwarnings = error
rolecall_platform = platform.sql
rolecall_baseline = baseline.sql
rolecall_migrations = migrations
rolecall_defects = defects
rolecall_migration_role = toy_migrator
rolecall_cache_dir = off
""",
    "platform.sql": """\
DO $$
DECLARE
  new_role record;
BEGIN
  FOR new_role IN
    SELECT *
    FROM (VALUES
      ('toy_member', 'NOLOGIN'),
      ('toy_visitor', 'NOLOGIN'),
      ('toy_keeper', 'NOLOGIN BYPASSRLS'),
      ('toy_migrator', 'NOLOGIN')
    ) AS role (name, options)
  LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = new_role.name) THEN
        EXECUTE format('CREATE ROLE %I %s', new_role.name, new_role.options);
        EXECUTE format('GRANT %I TO CURRENT_USER', new_role.name);
      END IF;
    EXCEPTION
      WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO toy_migrator', current_database());
END
$$;
""",
    "baseline.sql": """\
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO toy_member, toy_visitor, toy_keeper;
CREATE FUNCTION shop.me() RETURNS text LANGUAGE sql STABLE
  RETURN NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
""",
    "migrations/phase_1_notes/1_1_notes.sql": """\
CREATE TABLE shop.notes (
  id int PRIMARY KEY,
  author text NOT NULL,
  body text CONSTRAINT short_body CHECK (length(body) <= 10)
);
ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO toy_member, toy_keeper;
CREATE POLICY "own notes are read" ON shop.notes FOR SELECT USING (author = shop.me());
CREATE POLICY "own notes are written" ON shop.notes FOR INSERT WITH CHECK (author = shop.me());
CREATE POLICY "own notes are changed" ON shop.notes FOR UPDATE USING (author = shop.me());
CREATE POLICY "own notes are deleted" ON shop.notes FOR DELETE USING (author = shop.me());
""",
    "migrations/phase_1_notes/1_2_count_notes.sql": """\
CREATE FUNCTION shop.count_notes() RETURNS bigint LANGUAGE sql STABLE
  RETURN (SELECT count(*) FROM shop.notes);
CREATE VIEW shop.titles WITH (security_invoker = true) AS SELECT id, left(body, 3) AS title FROM shop.notes;
GRANT SELECT ON shop.titles TO toy_member, toy_keeper;
""",
    "migrations/phase_1_notes/verify.sql": """\
SELECT id, author, body FROM shop.notes;
""",
    "migrations/phase_1_notes/rollback.sql": """\
DROP VIEW shop.titles;
DROP FUNCTION shop.count_notes();
DROP TABLE shop.notes;
""",
    "defects/f1_anybody_reads.sql": """\
-- F1: anybody reads every note
-- caught by: test_notes.py::test_grid
ALTER POLICY "own notes are read" ON shop.notes USING (true);
""",
    "conftest.py": """\
import pytest
from rolecall import World


@pytest.fixture
def db(rolecall_db):
    return rolecall_db


@pytest.fixture
def scratch(rolecall_scratch):
    return rolecall_scratch


@pytest.fixture
def rolled_back_scratch(rolecall_rolled_back_scratch):
    return rolecall_rolled_back_scratch


def pytest_rolecall_world(seed: int) -> World:
    world = World()
    for name in ("alice", "bob"):
        world.persona(name, "toy_member", subject=name)
    world.persona("visitor", "toy_visitor")
    world.persona("keeper", "toy_keeper")
    world.add("shop.notes", "alice's note", id=1, author="alice", body="hers")
    world.add("shop.notes", "bob's note", id=2, author="bob", body="his")
    return world
""",
    "test_notes.py": '''\
from rolecall import grid

test_grid = grid(
    "shop.notes",
    """
                        select   insert   update   delete   hand over
    alice's note
      alice             yes      yes      yes      yes      !
      bob               -        !        -        -        -
      visitor           !        !        !        !        !
      keeper            yes      yes      yes      yes      yes

    bob's note
      bob,
      keeper            yes      yes      yes      yes      yes
      alice             -        !        -        -        -
      visitor           !        !        !        !        !
    """,
    update="body = 'changed'",
    moves={"hand over": "author = {bob}"},
)
''',
}


def lay_out(folder: Path) -> None:
    """Write the project into a folder."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture(autouse=True)
def without_hypothesis(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave Hypothesis' plugin out of inner runs: it complains about tests that ran in this process before."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it removes the variable
        monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")


@pytest.fixture(scope="session")
def toy_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The server that all tests share, with the version of the outer run."""
    with choose.running(replace(settings.read(pytestconfig), pg_dsn=None)) as server:
        yield server


@dataclass(frozen=True)
class Guarded:
    """A server that requires a password (SCRAM) from every role except its superuser ``rolecall``.

    ``toy_boss`` is another superuser, and ``toy_poor`` has only the rights that rolecall needs.
    """

    server: Server

    # The halves appear in no other text. Neither may be printed, whatever fails.
    halves = ("Zq7xKj", "Wv9pRt")
    password = "@ /%".join(halves)

    def url(self, user: str = "toy_boss", password: str = password, database: str = "postgres") -> str:
        """The URL of its socket, with a user and a password."""
        host = quote(str(self.server.conninfo.params["host"]), safe="")
        return f"postgresql://{user}:{quote(password, safe='')}@/{database}?host={host}"

    def shown(self, result: pytest.RunResult) -> str:
        """Everything that an inner run printed. Fails if a part of the password is in it."""
        text = result.stdout.str() + result.stderr.str()
        assert [half for half in self.halves if half in text] == []
        return text


@pytest.fixture(scope="session")
def guarded(pytestconfig: pytest.Config) -> Iterator[Guarded]:
    """A server with passwords, with the version of the outer run."""
    with choose.running(replace(settings.read(pytestconfig), pg_dsn=None)) as server:
        assert server.cluster
        with psycopg.connect(server.conninfo, autocommit=True) as connection:
            for name, rights in (("toy_boss", "SUPERUSER"), ("toy_poor", "CREATEDB CREATEROLE BYPASSRLS")):
                connection.execute(f"CREATE ROLE {name} {rights} LOGIN PASSWORD '{Guarded.password}'".encode())
            rules = "local all rolecall trust\nlocal all all scram-sha-256\n"
            (server.cluster.data / "pg_hba.conf").write_text(rules)
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute("SELECT max(line_number) FROM pg_hba_file_rules").fetchone() != (2,):
                pass
        yield Guarded(server)


@pytest.fixture(scope="module")
def running_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """A running server that rolecall does not own, one for each module."""
    with choose.running(replace(settings.read(pytestconfig), pg_dsn=None)) as server:
        yield server


@pytest.fixture
def inventory() -> Callable[[psycopg.Connection[Any]], list[tuple[Any, ...]]]:
    """A function that lists the databases and roles of a server, with their attributes and comments."""
    return lambda connection: connection.execute(
        """
        SELECT 'database', datname, datistemplate, datallowconn, datdba::regrole::text, datacl::text,
               shobj_description(oid, 'pg_database')
        FROM pg_database
        UNION ALL
        SELECT 'role', rolname, rolsuper, rolcreatedb, rolbypassrls::text || rolcreaterole::text || rolinherit::text,
               (SELECT string_agg(roleid::regrole::text, ',') FROM pg_auth_members WHERE member = r.oid),
               shobj_description(oid, 'pg_authid')
        FROM pg_roles r
        ORDER BY 1, 2
        """
    ).fetchall()


@pytest.fixture
def toy(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, toy_server: Server) -> pytest.Pytester:
    """The project, to run pytest in. It uses the shared server unless a test changes that."""
    for name in [name for name in os.environ if name.startswith("ROLECALL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROLECALL_PG_DSN", toy_server.conninfo)
    lay_out(pytester.path)
    return pytester


@pytest.fixture(scope="session")
def toy_built(
    pytestconfig: pytest.Config, toy_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    """The project as rolecall builds it, without an inner pytest: its databases, world and connection."""
    folder = tmp_path_factory.mktemp("toy")
    lay_out(folder)
    toy_settings = settings_of(pytestconfig, folder)
    world: World = runpy.run_path(str(folder / "conftest.py"))["pytest_rolecall_world"](1)
    run = run_on(toy_server)
    with owned(run):
        build.build(run, toy_settings)
        load.load(run, world)
        worker = Worker(run, toy_settings, world, "toy")
        yield worker
        worker.close()


@pytest.fixture
def toy_worker(toy_built: Worker) -> Iterator[Worker]:
    """The worker of ``toy_built`` for one test. Changes through its connection are rolled back."""
    with toy_built.connection.transaction(force_rollback=True):
        yield toy_built


AUTHENTICATOR = """
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticator') THEN
    CREATE ROLE authenticator LOGIN NOINHERIT;
  END IF;
END
$$;
GRANT toy_member, toy_visitor, toy_keeper TO authenticator;
CREATE SCHEMA "it's ""mine\""" AUTHORIZATION toy_migrator;
GRANT USAGE ON SCHEMA "it's ""mine\""" TO toy_member, toy_visitor;
"""


@pytest.fixture
def project(
    pytestconfig: pytest.Config, toy_server: Server, tmp_path: Path
) -> Iterator[Callable[[str, World], Worker]]:
    """A function that builds a project of one migration and a world, and returns its worker."""
    lay_out(tmp_path)
    shutil.rmtree(tmp_path / "migrations")
    platform = tmp_path / "platform.sql"
    platform.write_text(platform.read_text() + AUTHENTICATOR)
    toy_settings = settings_of(pytestconfig, tmp_path)

    def create(sql: str, world: World) -> Worker:
        write_phase(tmp_path, sql)
        run = run_on(toy_server)
        stack.enter_context(owned(run))
        build.build(run, toy_settings)
        load.load(run, world)
        worker = Worker(run, toy_settings, world, "main")
        stack.callback(worker.close)
        return worker

    with ExitStack() as stack:
        yield create


def write_phase(folder: Path, sql: str) -> None:
    """Write a migrations folder of one phase with one step."""
    phase = folder / "migrations" / "phase_1_shape"
    phase.mkdir(parents=True, exist_ok=True)
    (phase / "1_1_shape.sql").write_text(sql, encoding="utf-8")
    (phase / "verify.sql").write_text("SELECT 1;")
    (phase / "rollback.sql").write_text("SELECT 1;")


def settings_of(pytestconfig: pytest.Config, folder: Path) -> settings.Settings:
    """The settings of the project in a folder, on the server of the outer run."""
    return replace(
        settings.read(pytestconfig),
        platform=folder / "platform.sql",
        baseline=folder / "baseline.sql",
        requires=None,
        migrations=folder / "migrations",
        defects=None,
        migration_role=("toy_migrator",),
    )
