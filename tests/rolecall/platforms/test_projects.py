"""A project names a platform of the package: its tests run with nothing else set up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from rolecall import platforms, settings
from rolecall.database import build, cache
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.errors import RolecallError
from rolecall.server import choose
from rolecall.server.choose import Server
from tests.rolecall.dump.texts import TOOL_LIBRARY

MIGRATION = """\
CREATE EXTENSION IF NOT EXISTS pg_net;
CREATE SCHEMA app;
CREATE TABLE app.notes (
  id uuid PRIMARY KEY DEFAULT uuid_generate_v4(),
  author uuid NOT NULL REFERENCES auth.users,
  body text
);
ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own notes" ON app.notes TO authenticated USING (author = auth.uid());
GRANT USAGE ON SCHEMA app TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON app.notes TO authenticated;
"""
TESTS = """\
from rolecall import World


def pytest_rolecall_world(seed):
    world = World()
    for number, name in enumerate(("alice", "bob"), start=1):
        key = f"{number}0000000-0000-4000-8000-000000000000"
        world.persona(name, "authenticated", subject=key)
        world.add("auth.users", name, id=key, email=f"{name}@a.example")
    world.persona("visitor", "anon")
    world.add("app.notes", "alice's note", id=world.personas["alice"].subject, author=world.personas["alice"].subject)
    return world
"""
GRID = '''\
from rolecall import grid

test_grid = grid(
    "app.notes",
    """
                    select   insert   update   delete
    alice's note
      alice         yes      yes      yes      yes
      bob           -        !        -        -
      visitor       !        !        !        !
    """,
    update="body = 'changed'",
)


def test_the_search_path(rolecall_db):
    with rolecall_db.acting_as("alice"):
        assert rolecall_db.value("SELECT count(*) FROM app.notes") == 1
        assert rolecall_db.value("SELECT pg_typeof(uuid_generate_v4())::text") == "uuid"
'''


@pytest.fixture
def project(pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with the platform supabase, one migration and a grid. It sets no migration role."""
    monkeypatch.setenv("ROLECALL_PG_DSN", server.conninfo)
    pytester.makeini(
        "[pytest]\naddopts = -p no:randomly -p no:cacheprovider\n"
        "rolecall_platform = supabase\nrolecall_migrations = migrations\nrolecall_cache_dir = off\n"
    )
    phase = pytester.path / "migrations" / "phase_1_notes"
    phase.mkdir(parents=True)
    (phase / "1_1_notes.sql").write_text(MIGRATION)
    (phase / "verify.sql").write_text("SELECT 1;")
    (phase / "rollback.sql").write_text("DROP SCHEMA app CASCADE;")
    pytester.makeconftest(TESTS)
    pytester.makepyfile(test_notes=GRID)
    return pytester


@pytest.mark.parametrize("regime", ["revoked", "granted"])
def test_a_project_needs_only_the_name(project: pytest.Pytester, regime: str) -> None:
    result = project.runpytest_subprocess("-n", "0", f"--rolecall-default-privileges={regime}")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=13)


def test_permissive_default_privileges_take_effect_without_a_migration_role(project: pytest.Pytester) -> None:
    """They are those of the role that runs the migrations. The platform names it if the project does not."""
    project.makepyfile(
        test_notes="""
        def test_granted(rolecall_db, rolecall_manifest):
            assert rolecall_manifest.role is not None
            assert rolecall_db.value("SELECT has_table_privilege('anon', 'app.notes', 'INSERT')")
        """
    )
    result = project.runpytest_subprocess("-n", "0", "--rolecall-default-privileges=granted", "test_notes.py")
    result.assert_outcomes(passed=1)


def test_the_objects_of_a_stand_in_are_not_the_projects(project: pytest.Pytester) -> None:
    """As those of an extension: no test has to cover them."""
    step = project.path / "migrations/phase_1_notes/1_1_notes.sql"
    more = ("pg_cron", "vector", "uuid-ossp", "pgjwt", "pgsodium", "pg_graphql", "moddatetime")
    extensions = "".join(f'CREATE EXTENSION IF NOT EXISTS "{name}";\n' for name in more)
    ours = (
        "CREATE FUNCTION public.digest() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TRIGGER ours BEFORE UPDATE ON auth.users FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger();"
    )
    step.write_text(extensions + MIGRATION + ours)
    project.makepyfile(
        test_notes="""
        def test_objects(rolecall_manifest):
            owners = {item.owner.split(".")[0] for item in rolecall_manifest.added}
            assert owners == {"app", "public", "auth"}
            assert [item.full_name for item in rolecall_manifest.of_kind("trigger")] == ["auth.users.ours"]
            functions = [item.full_name for item in rolecall_manifest.of_kind("function", "trigger function", "view")]
            assert functions == ["public.digest"]
        """
    )
    project.runpytest_subprocess("-n", "0", "test_notes.py").assert_outcomes(passed=1)


STATE = "SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database ORDER BY 1"
OWN_PLATFORM = """\
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'own_owner') THEN
    CREATE ROLE own_owner;
  END IF;
  IF current_setting('rolecall.default_privileges') = 'granted' THEN
    ALTER DEFAULT PRIVILEGES FOR ROLE own_owner GRANT SELECT ON TABLES TO PUBLIC;
  END IF;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO own_owner', current_database());
END $$;
"""


@pytest.mark.parametrize("role", ["", "own_owner"])
def test_default_privileges_of_another_role_than_that_of_the_migrations_are_an_error(
    project: pytest.Pytester, server: Server, role: str
) -> None:
    """They would have no effect, and nothing else would say so."""
    platform = project.path / "platform.sql"
    platform.write_text(OWN_PLATFORM)
    roles = (role,) if role else ()
    for regime in ("revoked", "granted"):
        own = settings.Settings(platform=platform, migration_role=roles, default_privileges=regime)
        run = run_on(server)
        with owned(run):
            if role or regime == "revoked":
                build.build(run, own)
                continue
            with pytest.raises(RolecallError) as excinfo:
                build.build(run, own)
            assert str(excinfo.value).splitlines() == [
                f"{platform} grants default privileges on what own_owner creates, but the migrations run as rolecall: "
                "they would have no effect.",
                "Set rolecall_migration_role to own_owner, or grant them for rolecall in that file.",
            ]


def test_a_dump_loads_on_top_of_the_platform(server: Server) -> None:
    """It makes what the platform has, and asks for extensions that have a stand-in."""
    run = run_on(server)
    supabase = platforms.NAMES["supabase"]
    with owned(run):
        manifest = build.build(run, settings.Settings(platform=supabase, baseline=TOOL_LIBRARY))
        with run.connect(run.baseline) as connection:
            row = connection.execute("SELECT count(*) FROM auth.users JOIN public.members USING (id)").fetchone()
    assert row == (0,)
    stand_ins = {each.what for each in manifest.left_out if each.group == "stand-in"}
    assert {"pg_cron", "pg_net"} <= stand_ins
    assert stand_ins.isdisjoint({"auth.users", "storage.extension", "supabase_realtime"})


def test_where_postgres_is_a_superuser_the_migrations_have_another_role(pytestconfig: pytest.Config) -> None:
    with (
        choose.running(replace(settings.read(pytestconfig), pg_dsn=None)) as server,
        psycopg.connect(server.conninfo, autocommit=True) as connection,
    ):
        connection.execute("CREATE ROLE postgres SUPERUSER LOGIN")
        before = connection.execute(STATE).fetchall()
        run = run_on(server)
        with owned(run):
            manifest = build.build(run, settings.Settings(platform=platforms.NAMES["supabase"]))
        assert connection.execute(STATE).fetchall() == before, "the run leaves a role or a database"
    assert manifest.role == "supabase_postgres"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("supabase", "supabase"), ("postgrest", "postgrest.sql"), ("neon", "neon.sql"), ("none", None)],
)
def test_a_name_is_a_platform_of_the_package(project: pytest.Pytester, value: str, expected: str | None) -> None:
    (project.path / value).write_text("SELECT 1;")  # ./supabase is a file of that name
    _set(project, value)
    found = settings.read(project.parseconfig()).platform
    assert found == (platforms.FOLDER / expected if expected else None)
    _set(project, f"./{value}")
    assert settings.read(project.parseconfig()).platform == project.path / value


def test_an_unknown_name_lists_the_platforms(project: pytest.Pytester) -> None:
    _set(project, "supabse")
    with pytest.raises(RolecallError) as excinfo:
        settings.read(project.parseconfig())
    assert str(excinfo.value).splitlines() == [
        f"rolecall_platform names {project.path / 'supabse'}, which does not exist.",
        "The package has the platforms supabase, postgrest, neon, none.",
    ]


def test_a_project_with_the_platform_none_alone_does_not_use_rolecall(project: pytest.Pytester) -> None:
    (project.path / "tox.ini").write_text("[pytest]\nrolecall_platform = none\n")
    assert not settings.read(project.parseconfig()).in_use


def test_each_file_of_a_platform_exists() -> None:
    for platform in platforms.PLATFORMS.values():
        assert [file for file in platform.files if not file.is_file()] == []


def test_the_name_of_the_platform_is_part_of_the_caches_key(tmp_path: Path) -> None:
    (tmp_path / "postgres").touch()
    (tmp_path / "initdb").touch()
    keys = {cache.key(settings.Settings(platform=path), tmp_path) for path in platforms.NAMES.values()}
    assert len(keys) == len(platforms.NAMES)


def _set(project: pytest.Pytester, platform: str) -> None:
    project.makeini(f"[pytest]\nrolecall_platform = {platform}\n")
