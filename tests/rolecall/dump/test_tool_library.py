"""A dump with all that `supabase db dump` writes is a baseline on every embedded server, and personas sign in to it."""

from __future__ import annotations

import pytest

from rolecall.server.choose import EMBEDDED
from tests.rolecall.dump.conftest import PLATFORM
from tests.rolecall.dump.texts import TOOL_LIBRARY

CONFTEST = """
import pytest
from rolecall import World

ANNA, BEN = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))


def pytest_rolecall_world(seed: int) -> World:
    world = World()
    world.persona("anna", "authenticated", subject=ANNA)
    world.persona("ben", "authenticated", subject=BEN)
    world.persona("visitor", "anon")
    for name, key in (("anna", ANNA), ("ben", BEN)):
        world.add("auth.users", name, id=key, email=f"{name}@example.org", raw_user_meta_data={"name": name})
    world.add("public.tools", "anna's drill", id=1, owner_id=ANNA, name="drill", price_cents=250, embedding="[1,2,3]")
    world.add("public.tools", "anna's lost saw", id=2, owner_id=ANNA, name="saw", deleted_at="2025-01-01")
    return world
"""
GRIDS = '''
from rolecall import grid

test_tools = grid(
    "public.tools",
    """
                    select   insert   update   delete
    anna's drill
      anna          yes      yes      yes      yes
      ben           yes      !        -        -
      visitor       !/yes    !        !        !
    anna's lost saw
      anna          yes      yes      yes      yes
      ben           -        !        -        -
      visitor       !/-      !        !        !
    """,
    update="price_cents = 1",
)


def test_what_a_new_user_triggers(rolecall_db):
    assert rolecall_db.rows("SELECT name FROM public.members ORDER BY 1") == [("anna",), ("ben",)]


def test_columns_are_generated(rolecall_db):
    assert rolecall_db.rows("SELECT price, words::text FROM public.tools WHERE id = 1") == [(2.5, "'drill':1")]


def test_nobody_borrows_from_oneself(rolecall_db):
    statement = "INSERT INTO public.loans (tool_id, borrower_id) SELECT 2, owner_id FROM public.tools WHERE id = 2"
    with rolecall_db.raises("42501"):
        rolecall_db.execute(statement)


def test_a_change_is_dated(rolecall_db):
    rolecall_db.execute("UPDATE public.tools SET updated_at = '2000-01-01' WHERE id = 1")
    assert rolecall_db.value("SELECT updated_at = now() FROM public.tools WHERE id = 1")


def test_secrets_requests_and_jobs_are_recorded(rolecall_db):
    rolecall_db.execute("SELECT vault.create_secret('s3cret', 'mail token')")
    rolecall_db.execute("SELECT private.remind_late_borrowers()")
    assert rolecall_db.value("SELECT headers ->> 'Authorization' FROM net.http_request_queue") == "Bearer s3cret"
    rolecall_db.execute("SELECT private.schedule_reminders()")
    assert rolecall_db.rows("SELECT jobname FROM cron.job") == [("reminders",)]


def test_everything_belongs_to_the_migration_role(rolecall_db):
    owners = """
    SELECT DISTINCT owner::regrole::text FROM (
      SELECT relowner, relnamespace FROM pg_class UNION SELECT proowner, pronamespace FROM pg_proc
      UNION SELECT typowner, typnamespace FROM pg_type
    ) AS object (owner, schema) WHERE schema IN ('public'::regnamespace, 'private'::regnamespace)
    """
    assert rolecall_db.rows(owners) == [("postgres",)]
'''


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose baseline is the dump."""
    monkeypatch.delenv("ROLECALL_PG_DSN", raising=False)
    pytester.makeini(
        f"""
        [pytest]
        addopts = -p no:randomly -p no:cacheprovider
        rolecall_platform = {PLATFORM}
        rolecall_baseline = {TOOL_LIBRARY}
        rolecall_migration_role = postgres
        rolecall_tables_without_grid =
            public.loans: a test below
            public.members: tested elsewhere
            public.visits: tested elsewhere
            realtime.messages: the platform's
            storage.objects: the platform's
        """
    )
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_library=GRIDS)
    return pytester


FULL = """
def test_write_a_full_dump(rolecall_scratch):
    with open("full.sql", "w", encoding="utf-8") as file:
        file.write(rolecall_scratch().dump())
        file.write("CREATE TABLE auth.flow_state (id int); ALTER TABLE auth.flow_state ENABLE ROW LEVEL SECURITY;")
"""


def test_a_full_dump_by_pg_dump_is_a_baseline_too(project: pytest.Pytester) -> None:
    """It has the comments and \\restrict lines that `supabase db dump` removes, and the platform's schemas.

    Their tables need no grid.
    """
    project.makepyfile(test_full=FULL)
    project.runpytest_inprocess("test_full.py").assert_outcomes(passed=1)
    result = project.runpytest_inprocess("--rolecall-baseline=full.sql", "-v")
    result.assert_outcomes(passed=7 + 2 * 3 * 4)
    result.stdout.re_match_lines(
        [
            r" +\d+  owners that do not exist here, or are superusers: rolecall",
            r" +\d+  what the platform has already, or has in another form: schema auth, schema storage, auth, storage",
            r" +full.sql:\d+: CREATE SCHEMA auth",
        ]
    )


@pytest.mark.parametrize("version", EMBEDDED)
def test_it_loads_and_personas_try_it(project: pytest.Pytester, version: int) -> None:
    """The second run takes the databases from the cache, and says the same about the baseline."""
    for _ in range(2):
        result = project.runpytest_inprocess(f"--rolecall-pg={version}")
        result.assert_outcomes(passed=6 + 2 * 3 * 4)
        result.stdout.re_match_lines(
            [
                rf"PostgreSQL {version}\.\d+ \(embedded\) .*",
                r"3 personas tried 24 cells of 1 grid: every cell is as its grid says\.",
                r"  note: \d+ statements of the baseline were left out or replaced; pytest -v lists them:",
                r" +\d+  replaced by a stand-in: role dashboard_user, .*, auth.mfa_factors, .*, pg_cron, pg_net.*",
                r" +\d  extensions that this server lacks: .*plpgsql_check, plv8",
                r" +1  functions that need such an extension: language plv8",
                r" +4  on objects that were left out: owners, grants",
                r" +2  owners that do not exist here, or are superusers: supabase_admin, team_ops",
                r" +3  grants to roles that do not exist here: team_ops, supabase_admin",
            ],
            consecutive=True,
        )
