"""Which phases a database has, what differs in them, and what stops the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from rolecall.catalog import snapshot
from rolecall.drift import check, expected
from rolecall.drift.difference import Difference, Rank
from rolecall.server.choose import Server
from rolecall.settings import Settings
from tests.rolecall.drift.conftest import Project, project

NEXT = {
    "phase_2_tags/2_1_tags.sql": """\
CREATE TABLE shop.tags (note int REFERENCES shop.notes (id), tag text NOT NULL);
CREATE INDEX tags_of_note ON shop.tags (note);
ALTER TABLE shop.notes ADD COLUMN pinned boolean;
CREATE POLICY "keepers pin" ON shop.notes FOR UPDATE TO toy_keeper USING (pinned);
GRANT SELECT ON shop.notes TO toy_visitor;
""",
    "phase_2_tags/2_2_find.sql": """\
CREATE FUNCTION shop.find(what text) RETURNS SETOF shop.tags LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT * FROM shop.tags t WHERE t.tag = what;
END $$;
CREATE OR REPLACE FUNCTION shop.count_notes() RETURNS bigint LANGUAGE sql STABLE
  RETURN (SELECT count(*) FROM shop.notes WHERE pinned);
""",
    "phase_2_tags/verify.sql": "SELECT 1;",
    "phase_2_tags/rollback.sql": "SELECT 1;",
}


@pytest.fixture(scope="module")
def two_phases(toy_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The toy project with a second phase, which also changes what the first made."""
    assert toy_settings.migrations
    folder = tmp_path_factory.mktemp("two") / "migrations"
    texts = {str(path.relative_to(toy_settings.migrations)): path for path in toy_settings.migrations.rglob("*.sql")}
    for name, text in ({name: path.read_text() for name, path in texts.items()} | NEXT).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return replace(toy_settings, migrations=folder)


def shown(differences: list[Difference]) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(each.item.object, each.item.part, each.property, each.expected, each.found) for each in differences]


# ------------------------------------------------------------------ phases


@pytest.mark.parametrize(("applied", "ours"), [(0, 0), (1, 0), (2, 0)])
def test_the_phases_that_are_applied_are_found_out(
    toy_server: Server, toy_settings: Settings, two_phases: Settings, applied: int, ours: int
) -> None:
    settings = [replace(toy_settings, migrations=None), toy_settings, two_phases][applied]
    with project(toy_server, two_phases) as built, expected.database(toy_server, settings) as (_, connection, _role):
        report = check.check(built.made, snapshot.read(connection))
    assert (report.applied, report.differences, len(report.ours)) == (applied, [], ours)


def test_a_phase_is_applied_if_half_of_it_is_there(toy_project: Project) -> None:
    assert toy_project.check("ALTER TABLE shop.notes DROP COLUMN body CASCADE").applied == 1
    assert toy_project.check("DROP TABLE shop.notes CASCADE").applied == 0


def test_the_phase_can_be_given(toy_project: Project) -> None:
    report = toy_project.check("DROP TABLE shop.notes CASCADE", phase=1)
    assert ("shop.notes", "", "", "table", None) in shown(report.drift)
    report = toy_project.check("ALTER TABLE shop.notes DROP COLUMN body CASCADE", phase=0)
    assert report.drift == []
    assert ("shop.notes", "column body", "", "text", None) in shown(report.in_the_way)


def test_what_a_later_step_makes_already_is_no_difference(toy_server: Server, two_phases: Settings) -> None:
    with project(toy_server, two_phases) as built:
        report = built.check("DROP FUNCTION shop.find", phase=1)
    assert report.differences == []
    assert [item.object + item.part for item in report.ours] == [
        "shop.tags",
        "shop.notescolumn pinned",
        'shop.notespolicy "keepers pin"',
    ]


def test_without_migrations_the_baseline_is_what_is_expected(toy_server: Server, toy_settings: Settings) -> None:
    with project(toy_server, replace(toy_settings, migrations=None)) as built:
        assert (built.made.phases, built.check().differences) == ((), [])
        report = built.check("DROP FUNCTION shop.me()")
    assert shown(report.drift) == [("shop.me()", "", "", "function", None)]


# ------------------------------------------------------------------ what stops a step


def test_what_the_steps_need_is_named(toy_server: Server, toy_settings: Settings, two_phases: Settings) -> None:
    baseline = replace(toy_settings, migrations=None)
    with project(toy_server, two_phases) as built, expected.database(toy_server, baseline) as (_, connection, _role):
        connection.execute("DROP FUNCTION shop.me()")
        connection.execute("CREATE FUNCTION shop.me() RETURNS int LANGUAGE sql RETURN 1")
        report = check.check(built.made, snapshot.read(connection))
        assert shown(report.missing) == [("shop.me()", "", "result", "text", "integer")]
        connection.execute("DROP SCHEMA shop CASCADE")
        report = check.check(built.made, snapshot.read(connection))
    assert shown(report.missing) == [
        ("shop", "", "", "schema", None),
        ("shop.me()", "", "", "function", None),
    ]
    assert {each.step for each in report.missing} == {"1_1_notes"}
    assert report.fails(strict=False)


NEEDS = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE TABLE shop.people (id int PRIMARY KEY, name text, mood shop.mood, at timestamptz, "order" int);
ALTER TABLE shop.people ENABLE ROW LEVEL SECURITY;
CREATE VIEW shop.names AS SELECT name FROM shop.people;
CREATE TABLE shop.toys (id int PRIMARY KEY);
CREATE TABLE shop.places (id int PRIMARY KEY);
"""
USES = """
CREATE TABLE shop.pets (owner int REFERENCES shop.people (id), mood shop.mood, place int REFERENCES shop.places);
DROP TABLE shop.toys;
CREATE FUNCTION shop.rename(who int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  known text;
BEGIN
  SELECT n.name INTO known FROM shop.names n WHERE "name" <> '';
  UPDATE shop.people SET name = known, "order" = 1 WHERE id = who;
END $$;
"""


@pytest.fixture(scope="module")
def pets(toy_server: Server, toy_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """What the steps of USES make, and a database that has only NEEDS."""
    folder = tmp_path_factory.mktemp("pets")
    phase = folder / "migrations" / "phase_1_pets"
    phase.mkdir(parents=True)
    (folder / "baseline.sql").write_text(NEEDS)
    for name, text in {"1_1_pets": USES, "verify": "SELECT 1;", "rollback": "SELECT 1;"}.items():
        (phase / f"{name}.sql").write_text(text)
    settings = replace(toy_settings, baseline=folder / "baseline.sql", migrations=phase.parent, migration_role=())
    baseline = replace(settings, migrations=None)
    with project(toy_server, settings) as built, expected.database(toy_server, baseline) as (_, connection, _role):
        yield replace(built, connection=connection)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("DROP TABLE shop.people CASCADE", ("shop.people", "", "", "table", None)),
        ("ALTER TABLE shop.people DROP COLUMN name CASCADE", ("shop.names", "", "", "view", None)),
        ('ALTER TABLE shop.people DROP COLUMN "order"', ("shop.people", 'column "order"', "", "integer", None)),
        ("ALTER TABLE shop.people DROP CONSTRAINT people_pkey",
         ("shop.people", "constraint people_pkey", "", "a unique key on (id)", None)),
        ('ALTER TABLE shop.people ALTER "order" TYPE text',
         ("shop.people", 'column "order"', "type", "integer", "text")),
        ("DROP TYPE shop.mood CASCADE", ("shop.mood", "", "", "enum", None)),
        ("ALTER TYPE shop.mood ADD VALUE 'fair'",
         ("shop.mood", "", "labels", "'good', 'bad'", "'good', 'bad', 'fair'")),
        ("ALTER TABLE shop.people DISABLE ROW LEVEL SECURITY", ("shop.people", "", "row level security", "on", "off")),
    ],
)  # fmt: skip
def test_needs_come_from_the_catalog_and_from_the_texts_of_functions(
    pets: Project, change: str, problem: tuple[str, str, str, str | None, str | None]
) -> None:
    report = pets.check(change)
    assert problem in shown(report.missing)
    assert report.fails(strict=False)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE shop.people DROP COLUMN mood",  # no step uses it
        "ALTER TABLE shop.places ENABLE ROW LEVEL SECURITY",
        "DROP TABLE shop.places; CREATE TABLE shop.places (id int PRIMARY KEY) PARTITION BY LIST (id)",
        "ALTER TABLE shop.people DROP CONSTRAINT people_pkey; ALTER TABLE shop.people ADD UNIQUE (id)",
        "ALTER TABLE shop.people DROP CONSTRAINT people_pkey; CREATE UNIQUE INDEX ON shop.people (id)",
    ],
)
def test_what_no_step_needs_is_not_missing(pets: Project, change: str) -> None:
    assert pets.check(change).missing == []


def test_what_the_steps_drop_must_be_gone(pets: Project) -> None:
    assert ("shop.toys", "", "", None, "the steps drop it") in shown(pets.check(phase=1).drift)
    assert pets.check(phase=0).differences == []


def test_another_type_of_the_same_family_is_a_warning(pets: Project) -> None:
    report = pets.check('ALTER TABLE shop.people ALTER "order" TYPE bigint')
    assert [each.rank for each in report.missing] == [Rank.WARNING]
    assert (report.fails(strict=False), report.fails(strict=True)) == (False, True)


@pytest.fixture(scope="module")
def bare_toy(toy_server: Server, toy_settings: Settings, toy_project: Project) -> Iterator[Project]:
    """What the toy's steps make, and a database at its baseline."""
    with expected.database(toy_server, replace(toy_settings, migrations=None)) as (_, connection, _role):
        yield replace(toy_project, connection=connection)


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("CREATE VIEW shop.notes AS SELECT 1 AS id", ("shop.notes", "", "kind", "table", "view")),
        ("CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text, more text)",
         ("shop.notes", "column more", "", None, "text")),
        ("CREATE FUNCTION shop.count_notes() RETURNS int LANGUAGE sql STABLE RETURN 1",
         ("shop.count_notes()", "", "result", "bigint", "integer")),
        ("CREATE FUNCTION shop.count_notes(int) RETURNS int LANGUAGE sql RETURN 1",
         ("shop.count_notes(integer)", "", check.OVERLOAD, None, "security invoker")),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_named(
    bare_toy: Project, sql: str, problem: tuple[str, str, str, str | None, str | None]
) -> None:
    report = bare_toy.check(sql)
    assert report.applied == 0
    assert problem in shown(report.in_the_way)
    assert report.drift == []
    assert report.fails(strict=False)


def test_of_another_kind_of_object_only_the_kind_is_named(bare_toy: Project) -> None:
    report = bare_toy.check("CREATE VIEW shop.notes AS SELECT 1 AS id")
    assert shown(report.in_the_way) == [("shop.notes", "", "kind", "table", "view")]


# ------------------------------------------------------------------ owners and names


def test_another_role_may_have_run_the_steps(toy_project: Project) -> None:
    sql = """
        CREATE ROLE "The Boss";
        ALTER TABLE shop.notes OWNER TO "The Boss";
        ALTER VIEW shop.titles OWNER TO "The Boss";
        ALTER FUNCTION shop.count_notes() OWNER TO "The Boss";
        ALTER SCHEMA shop OWNER TO "The Boss";
    """
    report = toy_project.check(sql)
    assert (report.differences, report.owner) == ([], "The Boss")
    report = toy_project.check(sql + "ALTER VIEW shop.titles OWNER TO toy_migrator;")
    assert shown(report.drift)[0] == ("shop.titles", "", "owner", "The Boss", "toy_migrator")


def test_a_role_that_the_steps_protect_from_is_no_owner(toy_project: Project) -> None:
    report = toy_project.check("REASSIGN OWNED BY toy_migrator TO toy_member")
    assert ("shop.notes", "", "owner", "toy_migrator", "toy_member") in shown(report.drift)
    assert report.owner is None


def test_personas_are_compared_even_without_a_grant(toy_project: Project) -> None:
    sql = "CREATE ROLE toy_persona; ALTER ROLE toy_visitor BYPASSRLS"
    assert toy_project.check(sql).drift == []
    assert shown(toy_project.check(sql, personas=("toy_visitor",)).drift) == [
        ("toy_visitor", "", "bypasses row level security", "no", "yes")
    ]


def test_the_attributes_of_the_owner_are_its_own_affair(toy_project: Project) -> None:
    sql = "ALTER ROLE toy_migrator BYPASSRLS"
    assert toy_project.check(sql, personas=("toy_migrator",)).differences == []


EVENT_TRIGGER = """
CREATE ROLE {owner} SUPERUSER;
CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.e();
ALTER EVENT TRIGGER e OWNER TO {owner};
"""


@pytest.mark.parametrize(("owner", "differences"), [("supabase_admin", 0), ("toy_admin", 1)])
def test_event_triggers_of_the_platform_are_no_difference(toy_project: Project, owner: str, differences: int) -> None:
    assert len(toy_project.check(EVENT_TRIGGER.format(owner=owner)).differences) == differences


ODD_BREAKS = {
    'ALTER TABLE "Odd Schema"."User" DISABLE ROW LEVEL SECURITY': ('"Odd Schema"."User"', "", "row level security"),
    'ALTER TABLE "Odd Schema"."User" ALTER "Full Name" DROP DEFAULT': (
        '"Odd Schema"."User"', 'column "Full Name"', "default"),
    'ALTER TABLE "Odd Schema"."User" ALTER id SET GENERATED BY DEFAULT': (
        '"Odd Schema"."User"', "column id", "identity"),
    'ALTER TABLE "Odd Schema"."User" DISABLE TRIGGER "tr 1"': ('"Odd Schema"."User"', 'trigger "tr 1"', "enabled"),
    'DROP INDEX "Odd Schema"."odd ix"': ('"Odd Schema"."User"', 'index "odd ix"', ""),
    'DROP POLICY "it\'s ""mine""" ON "Odd Schema"."User"': (
        '"Odd Schema"."User"', 'policy "it\'s ""mine"""', ""),
    'DROP RULE eat ON "Odd Schema".v2': ('"Odd Schema".v2', "rule eat", ""),
    'DROP TABLE "Odd Schema"."Order 2026"': ('"Odd Schema"."Order 2026"', "", ""),
    'CREATE TABLE "Odd Schema"."Order 2027" PARTITION OF "Odd Schema"."Order" DEFAULT': (
        '"Odd Schema"."Order"', 'child "Odd Schema"."Order 2027"', ""),
    'ALTER FUNCTION "Odd Schema"."My Fn" VOLATILE': (
        '"Odd Schema"."My Fn"(integer,text[])', "", "volatility"),
    'CREATE FUNCTION "Odd Schema"."My Fn"() RETURNS int LANGUAGE sql RETURN 1': (
        '"Odd Schema"."My Fn"()', "", check.OVERLOAD),
    'ALTER VIEW "Odd Schema"."My View" RESET (security_invoker)': ('"Odd Schema"."My View"', "", "security_invoker"),
    'ALTER VIEW "Odd Schema"."My View" RESET (check_option)': ('"Odd Schema"."My View"', "", "check option"),
    'ALTER TYPE "Odd Schema"."Mood Type" RENAME VALUE \'a\' TO \'b\'': ('"Odd Schema"."Mood Type"', "", "labels"),
    'ALTER DOMAIN "Odd Schema".posint DROP DEFAULT': ('"Odd Schema".posint', "", "default"),
    'ALTER TYPE "Odd Schema".pair ADD ATTRIBUTE c int': ('"Odd Schema".pair', "", "attributes"),
    'ALTER SEQUENCE "Odd Schema"."User_s_seq" INCREMENT 7': ('"Odd Schema"."User_s_seq"', "", "values"),
    'ALTER PROCEDURE "Odd Schema".pr SECURITY DEFINER': ('"Odd Schema".pr(integer)', "", "security"),
    'REVOKE SELECT ("Full Name") ON "Odd Schema"."User" FROM PUBLIC': (
        '"Odd Schema"."User"', "privileges of PUBLIC", 'SELECT ("Full Name")'),
    'ALTER PUBLICATION "p 1" DROP TABLE "Odd Schema"."User"': ('"Odd Schema"."User"', 'publication "p 1"', ""),
}  # fmt: skip


@pytest.mark.parametrize("sql", ODD_BREAKS)
def test_every_kind_of_object_with_an_odd_name(odd_project: Project, sql: str) -> None:
    differences = odd_project.check(sql).drift
    assert ODD_BREAKS[sql] in [(each.item.object, each.item.part, each.property) for each in differences]


def test_odd_names_alone_are_no_difference(odd_project: Project) -> None:
    assert odd_project.check().differences == []
    assert odd_project.check(phase=0).differences == []


# ------------------------------------------------------------------ what is no difference


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE shop.other (id int)",
        "CREATE FUNCTION shop.other() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE ROLE toy_other BYPASSRLS",
        "ALTER ROLE toy_member SET statement_timeout = '8s'",
        "CREATE SCHEMA toy_other; CREATE TABLE toy_other.notes (id int)",
        "INSERT INTO shop.notes VALUES (1, 'a', 'b')",
        "ANALYZE shop.notes",
    ],
)
def test_what_others_have_is_no_difference(toy_project: Project, sql: str) -> None:
    assert toy_project.check(sql).differences == []
