"""What the migrations need: requires.sql names what a baseline lacks, and the platform behaves as Supabase does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from rolecall import Session, platforms
from rolecall.catalog.manifest import Manifest
from rolecall.database import build
from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import Settings
from rolecall.settings import read as read_settings
from rolecall.sql.files import run

API_ROLES = ["anon", "authenticated", "service_role"]
SCHEMAS = ["audit", "catalog", "communication", "engagement", "identity", "organization", "scheduling"]


@pytest.fixture(scope="module")
def settings(pytestconfig: pytest.Config) -> Settings:
    return read_settings(pytestconfig)


@pytest.fixture(scope="module")
def requires(settings: Settings) -> Path:
    assert settings.requires
    return settings.requires


def missing(scratch: Scratch, requires: Path, *changes: str) -> list[str]:
    """The lines in which requires.sql lists what is missing after these changes. The changes are undone."""
    with scratch.connection.transaction(force_rollback=True):
        for change in changes:
            scratch.connection.execute(change.encode())
        with pytest.raises(SqlError, match="the migrations need what this database does not have") as excinfo:
            scratch.execute(requires)
    assert excinfo.value.sqlstate == "42704"
    message = str(excinfo.value).split("the migrations need what this database does not have:\n")[1]
    return message.split(" (42704)")[0].splitlines()


# ------------------------------------------------------------------ requires.sql


def test_it_passes_before_and_after_the_migrations(bare: Scratch, requires: Path) -> None:
    notices: list[str | None] = []
    with bare.connection.transaction(force_rollback=True):
        bare.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        bare.execute(requires)
        assert notices == []
        bare.apply()
        notices.clear()
        bare.execute(requires)
        assert notices == []


def test_it_only_reads(bare: Scratch, requires: Path) -> None:
    with bare.connection.transaction():
        bare.connection.execute("SET TRANSACTION READ ONLY")
        bare.execute(requires)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param("ALTER SCHEMA audit RENAME TO other", ["schema audit"], id="an empty schema"),
        pytest.param("DROP TABLE catalog.services CASCADE", ["table catalog.services"], id="a table"),
        pytest.param(
            "ALTER SCHEMA auth RENAME TO other",
            ["schema auth", "function auth.role()", "function auth.uid()"],
            id="a schema with functions",
        ),
        pytest.param(
            "ALTER TABLE catalog.services RENAME is_active TO active",
            ["column catalog.services.is_active"],
            id="a column",
        ),
        pytest.param(
            "ALTER TABLE scheduling.operating_hours ALTER day_of_week TYPE text",
            ["column scheduling.operating_hours.day_of_week: is text, must be number"],
            id="a column of another type",
        ),
        pytest.param("ALTER FUNCTION auth.uid() RENAME TO other", ["function auth.uid()"], id="a function"),
        pytest.param(
            "ALTER FUNCTION auth.role() RENAME TO other; "
            "CREATE FUNCTION auth.role() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            ["function auth.role(): returns integer, must return text"],
            id="a function of another result",
        ),
        pytest.param("ALTER ROLE service_role RENAME TO other", ["role service_role"], id="a role"),
        pytest.param(
            "ALTER TABLE engagement.salon_reviews RENAME TO other; "
            "CREATE VIEW engagement.salon_reviews AS SELECT * FROM engagement.other",
            ["table engagement.salon_reviews"],
            id="a table that is a view",
        ),
    ],
)
def test_it_names_what_is_missing(bare: Scratch, requires: Path, change: str, expected: list[str]) -> None:
    assert missing(bare, requires, change) == expected


def test_it_names_all_missing_objects_at_once(bare: Scratch, requires: Path) -> None:
    changes = (
        "ALTER FUNCTION storage.foldername(text) RENAME TO other",
        "ALTER TABLE identity.profiles DROP metadata",
        "ALTER TABLE identity.profiles RENAME email TO mail",
        "DROP TABLE communication.notifications CASCADE",
        "ALTER SCHEMA audit RENAME TO other",
    )
    assert missing(bare, requires, *changes) == [
        "schema audit",
        "table communication.notifications",
        "column identity.profiles.email",
        "column identity.profiles.metadata",
        "function storage.foldername(text)",
    ]


def columns(scratch: Scratch) -> set[tuple[str, str]]:
    rows = scratch.connection.execute(
        """
        SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE relkind = 'r' AND attnum > 0 AND relnamespace::regnamespace::text = ANY (%s)
        """,
        [[*SCHEMAS, "storage"]],
    )
    return set(rows)


def required(requires: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"\('([a-z_]+\.[a-z_]+)', '([a-z_]+)', (?:'|NULL)", requires.read_text(encoding="utf-8")))


def test_it_names_each_column_that_it_requires(bare: Scratch, requires: Path) -> None:
    needed = required(requires)
    assert needed
    assert needed <= columns(bare)
    renames = [f"ALTER TABLE {table} RENAME {column} TO other_{column}" for table, column in needed]
    assert set(missing(bare, requires, *renames)) == {f"column {table}.{column}" for table, column in needed}


def test_the_migrations_need_only_the_required_columns(bare: Scratch, requires: Path) -> None:
    others = columns(bare) - required(requires)
    assert others
    with bare.connection.transaction(force_rollback=True):
        for table, column in others:
            bare.connection.execute(f"ALTER TABLE {table} RENAME {column} TO other_{column}".encode())
        bare.execute(requires)
        bare.apply()
        for number in (1, 2, 3, 4):
            bare.verify(number)


# ------------------------------------------------------------------ auth

ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
CLAIMS = f'{{"sub": "{ONE}", "role": "authenticated"}}'


@pytest.mark.parametrize(
    ("old", "claims", "uid", "role"),
    [
        pytest.param(None, None, None, None, id="no setting"),
        pytest.param("", "", None, None, id="empty settings, as after a request"),
        pytest.param(None, CLAIMS, ONE, "authenticated", id="claims alone"),
        pytest.param("", CLAIMS, ONE, "authenticated", id="an empty old setting counts as no setting"),
        pytest.param(TWO, CLAIMS, TWO, TWO, id="the old setting first"),
        pytest.param(TWO, "", TWO, TWO, id="the old setting alone"),
        pytest.param(None, "{}", None, None, id="claims without subject and role"),
        pytest.param(None, '{"sub": null, "role": null}', None, None, id="claims of null"),
    ],
)
def test_the_subject_and_the_role_come_from_the_session(
    bare: Scratch, old: str | None, claims: str | None, uid: str | None, role: str | None
) -> None:
    with bare.run.connect(bare.name) as connection:
        for name, value in (("claim.sub", old), ("claim.role", old), ("claims", claims)):
            if value is not None:
                connection.execute("SELECT set_config('request.jwt.' || %s, %s, false)", [name, value])
        assert connection.execute("SELECT auth.uid()::text, auth.role()").fetchone() == (uid, role)


@pytest.mark.parametrize(
    ("old", "claims", "expected"),
    [
        pytest.param("", "", None, id="nothing"),
        pytest.param("", '{"a": 1}', {"a": 1}, id="claims alone"),
        pytest.param('{"b": 2}', '{"a": 1}', {"b": 2}, id="the old setting first"),
        pytest.param('{"b": 2}', "", {"b": 2}, id="the old setting alone"),
    ],
)
def test_the_whole_token_comes_from_the_session(db: Session, old: str, claims: str, expected: dict[str, int]) -> None:
    db.execute("SELECT set_config('request.jwt.claim', %s, true)", [old])
    db.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
    assert db.value("SELECT auth.jwt()") == expected


def test_a_subject_that_is_no_uuid_is_an_error(db: Session) -> None:
    db.execute("""SELECT set_config('request.jwt.claims', '{"sub": "someone"}', true)""")
    with db.raises("22P02"):
        db.value("SELECT auth.uid()")


def test_a_request_leaves_no_settings(scratch: Callable[..., Scratch]) -> None:
    connection = scratch().connection
    with connection.transaction():
        connection.execute("SELECT set_config('role', 'anon', true)")
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [CLAIMS])
        assert connection.execute("SELECT auth.uid()::text, current_user").fetchone() == (ONE, "anon")
    assert connection.execute("SELECT auth.uid(), auth.role(), auth.jwt()").fetchone() == (None, None, None)
    state = "SELECT current_setting('request.jwt.claims'), current_user = session_user"
    assert connection.execute(state).fetchone() == ("", True)


def test_the_functions_of_auth_are_stable_sql(db: Session) -> None:
    rows = db.rows(
        "SELECT proname, provolatile, lanname, prosecdef FROM pg_proc p JOIN pg_language l ON l.oid = prolang "
        "WHERE pronamespace = 'auth'::regnamespace ORDER BY 1"
    )
    assert rows == [(name, "s", "sql", False) for name in ("email", "jwt", "role", "uid")]


# ------------------------------------------------------------------ roles and regimes


def test_the_roles_of_the_api_are_as_on_supabase(db: Session) -> None:
    rows = db.rows(
        "SELECT rolname, rolcanlogin, rolinherit, rolbypassrls, rolsuper FROM pg_roles "
        "WHERE rolname = ANY (%s) ORDER BY 1",
        [[*API_ROLES, "authenticator"]],
    )
    assert rows == [
        ("anon", False, True, False, False),
        ("authenticated", False, True, False, False),
        ("authenticator", True, False, False, False),
        ("service_role", False, True, True, False),
    ]
    for role in API_ROLES:
        assert db.value("SELECT pg_has_role('authenticator', %s, 'MEMBER')", [role]) is True, role


def test_the_migration_role_owns_the_schemas_and_is_no_superuser(db: Session, manifest: Manifest) -> None:
    assert db.value("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [manifest.role]) is False
    schemas = "SELECT nspname FROM pg_namespace WHERE nspowner = %s::regrole AND nspname = ANY (%s) ORDER BY 1"
    assert [name for (name,) in db.rows(schemas, [manifest.role, SCHEMAS])] == SCHEMAS
    others = db.rows(
        "SELECT oid::regclass FROM pg_class "
        "WHERE relnamespace::regnamespace::text = ANY (%s) AND relowner <> %s::regrole",
        [SCHEMAS, manifest.role],
    )
    assert others == []


PRIVILEGES = """
SELECT array_agg(DISTINCT privilege_type ORDER BY privilege_type)
FROM (
  SELECT relacl AS acl FROM pg_class WHERE relname IN ('stray', 'stray_id_seq')
  UNION ALL SELECT proacl FROM pg_proc WHERE proname = 'stray'
) AS created, aclexplode(acl)
WHERE grantee = %s::regrole
"""


@pytest.mark.parametrize("regime", ["revoked", "granted"])
def test_the_regime_decides_the_default_privileges(bare: Scratch, settings: Settings, regime: str) -> None:
    """On a new database: the one under test has the regime of the command line."""
    assert settings.platform
    assert bare.role
    with (
        bare.run.clone("template0", f"regime_{regime}") as name,
        bare.run.connect(name) as connection,
    ):
        build.run_platform(bare.run, connection, replace(settings, default_privileges=regime), bare.role)
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(bare.role)))
        connection.execute("CREATE SCHEMA app CREATE TABLE stray (id serial)")
        connection.execute("CREATE FUNCTION app.stray() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        privileges = {role: connection.execute(PRIVILEGES, [role]).fetchone() for role in API_ROLES}
    if regime == "revoked":
        assert privileges == dict.fromkeys(API_ROLES, (None,))
    else:
        for role in API_ROLES:
            granted = set((privileges[role] or [[]])[0])
            assert {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "USAGE", "EXECUTE"} <= granted, role


@pytest.mark.parametrize(
    ("setting", "value", "sqlstate", "message"),
    [
        ("rolecall.default_privileges", "loose", "22023", "must be revoked or granted"),
        ("rolecall.migration_role", None, "42501", "must bypass RLS and not be a superuser"),
    ],
    ids=["an unknown regime", "a superuser as migration role"],
)
def test_the_platform_refuses(
    bare: Scratch, settings: Settings, setting: str, value: str | None, sqlstate: str, message: str
) -> None:
    assert settings.platform
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("SELECT set_config(%s, coalesce(%s, current_user), true)", [setting, value])
        with pytest.raises(SqlError, match=message) as excinfo:
            run(bare.connection, platforms.of(settings.platform).files[0])
    assert excinfo.value.sqlstate == sqlstate
