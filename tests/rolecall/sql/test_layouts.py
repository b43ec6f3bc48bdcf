"""Every layout of migrations is read, applied and covered; a folder that does not fit it is one clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall import settings
from rolecall.errors import MigrationError
from rolecall.sql import layouts, migrations
from tests.rolecall import toy_suite
from tests.rolecall.sql.layouts import PROJECTS, Project
from tests.rolecall.toy_suite import coverage_lines

SUITE = (
    toy_suite.SUITE.partition("def test_migrations")[0]
    + """
def test_everything_that_can_be_undone(scratch, rolecall_phases):
    database = scratch()
    for number, phase in rolecall_phases.items():
        database.apply(number)
        if phase.verifies:
            database.verify(number)
    for number, phase in reversed(rolecall_phases.items()):
        if phase.rolls_back:
            if number == 1 and len(rolecall_phases) > 1:  # what has no down script is still there
                database.connection.execute("DROP VIEW IF EXISTS shop.titles")
                database.connection.execute("DROP FUNCTION IF EXISTS shop.count_notes")
            database.rollback(number)
    gone = database.connection.execute("SELECT to_regclass('shop.notes') IS NULL").fetchone()
    assert gone == (any(phase.rolls_back for phase in rolecall_phases.values()),)
"""
)
# Each tool has a project that is also run. These differ from it only in how they are read.
ONLY_READ = ("schemas in the order of config.toml", "flyway", "prisma", "golang-migrate without down")
each_project = pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)


@pytest.mark.parametrize("name", [name for name in PROJECTS if name not in ONLY_READ])
def test_a_project_in_each_layout_passes_with_full_coverage(toy: pytest.Pytester, name: str) -> None:
    project = PROJECTS[name]
    project.write(toy.path)
    (toy.path / "test_rest.py").write_text(SUITE)
    result = toy.runpytest_inprocess("--rolecall-coverage")
    result.assert_outcomes(passed=47)
    assert result.ret == 0
    counted = {line.split("  ")[1].strip(): line.split("  ")[-1].strip() for line in coverage_lines(result)}
    assert counted["policies"] == "8 of 8"
    undo = len(project.undo)
    verify = sum("verify/" in name for name in project.files)
    assert counted.get("scripts") == (f"{undo + verify} of {undo + verify}" if undo else None)


@each_project
def test_the_layout_is_recognized_and_has_the_steps_in_order(tmp_path: Path, project: Project) -> None:
    for name, text in project.files.items():
        add(tmp_path / name, text)
    path = tmp_path / project.path
    assert layouts.choose(path).name == project.layout
    phases = migrations.read(path)
    assert [step.title for phase in phases for step in phase.steps] == project.steps
    assert [phase.title for phase in phases if phase.rolls_back] == project.undo
    assert len(phases) == (len(project.steps) if project.undo else 1)
    assert len({script.id for phase in phases for script in phase.scripts}) == sum(len(p.scripts) for p in phases)
    assert migrations.read(path, project.layout) == phases


def test_the_setting_knows_every_layout() -> None:
    assert sorted(settings.LAYOUTS) == sorted(layout.name for layout in layouts.LAYOUTS)


def test_a_part_of_a_file_keeps_its_lines(tmp_path: Path) -> None:
    text = "-- migrate:up\r\nSELECT 1;\r\n-- migrate:down\nSELECT 2;\n"
    add(tmp_path / "1_x.sql", text)
    (phase,) = migrations.read(tmp_path)
    blank = [" " * 13 + "\r\n", " " * 9 + "\r\n", " " * 15 + "\n", " " * 9 + "\n"]
    assert phase.steps[0].read() == blank[0] + "SELECT 1;\r\n" + blank[2] + blank[3]
    assert phase.rollback.read() == "".join(blank[:3]) + "SELECT 2;\n"


def test_a_baseline_of_flyway_takes_the_place_of_what_it_sums_up(tmp_path: Path) -> None:
    for name in ("V1__a", "V2__b", "V3__c", "B1__first", "B2__all"):
        add(tmp_path / f"{name}.sql")
    (phase,) = migrations.read(tmp_path)
    assert [step.title for step in phase.steps] == ["B2__all", "V3__c"]


def test_a_gap_and_files_that_are_no_migrations_do_not_matter(tmp_path: Path) -> None:
    for name in ("1_a.sql", "7_b.sql", "README.md", "_drafts/x.sql", ".x.sql", "meta/_journal.json"):
        add(tmp_path / name)
    (phase,) = migrations.read(tmp_path)
    assert [step.title for step in phase.steps] == ["1_a", "7_b"]


# ------------------------------------------------------------------ what does not fit


def add(path: Path, text: str = "SELECT 1;\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")


BROKEN: dict[str, tuple[list[str] | dict[str, str], str]] = {
    "flat: two of one version": (
        ["20240101_a.sql", "20240101_b.sql"],
        "{0}/20240101_b.sql: version 20240101 is also that of 20240101_a.sql. Their order is not clear: rename one.",
    ),
    "flat: two orders": (
        ["10_a.sql", "9_b.sql"],
        "{0}/10_a.sql: by name it comes before 9_b.sql, and by number after it. Their order is not clear: give all "
        "numbers the same length.",
    ),
    "flat: a name without a number": (
        ["1_a.sql", "late.sql"],
        "{0}/late.sql: the name fits no migration of this layout (20241129101500_notes.sql, perhaps with "
        "20241129101500_notes.down.sql): rename or move it.",
    ),
    "flat: a file without text": (
        {"1_a.sql": "\n"},
        "{0}/1_a.sql: the file is empty: write its SQL, or remove the file.",
    ),
    "flat: a down script of nothing": (
        ["1_a.sql", "2_b.down.sql"],
        "{0}/2_b.down.sql undoes a migration that does not exist: rename or remove it.",
    ),
    "golang-migrate: two of one version": (
        ["1_a.up.sql", "01_b.up.sql"],
        "{0}/1_a.up.sql: version 1 is also that of 01_b.up.sql. Their order is not clear: rename one.",
    ),
    "golang-migrate: neither up nor down": (
        ["1_a.up.sql", "2_b.sql"],
        "{0}/2_b.sql: the name fits no migration of this layout (000001_notes.up.sql, perhaps with "
        "000001_notes.down.sql): rename or move it.",
    ),
    "flyway: two of one version": (
        ["V1__a.sql", "V1.0__b.sql"],
        "{0}/V1__a.sql: version 1 is also that of V1.0__b.sql. Their order is not clear: rename one.",
    ),
    "flyway: one underscore": (
        ["V1__a.sql", "V2_b.sql"],
        "{0}/V2_b.sql: the name fits no migration of this layout (V1__notes.sql, perhaps with U1__notes.sql and "
        "R__views.sql): rename or move it.",
    ),
    "flyway: an undo of nothing": (
        ["V1__a.sql", "U2__b.sql"],
        "{0}/U2__b.sql undoes a version that does not exist: rename or remove it.",
    ),
    "prisma: two of one version": (
        ["1_a/migration.sql", "1_b/migration.sql"],
        "{0}/1_b/migration.sql: version 1 is also that of migration.sql. Their order is not clear: rename one.",
    ),
    "prisma: a folder without a migration": (
        ["1_a/migration.sql", "2_b/x.txt"],
        "{0}/2_b has no migration.sql: write it, or remove the folder.",
    ),
    "prisma: a folder without a number": (
        ["1_a/migration.sql", "late/migration.sql"],
        "{0}/late: the name of a migration begins with a number: rename it.",
    ),
    "prisma: a file beside the folders": (
        ["1_a/migration.sql", "2_b.sql"],
        "{0}/2_b.sql is in no migration: move it into a folder (20241129101500_notes/migration.sql, perhaps with "
        "down.sql).",
    ),
    "dbmate: a file without up": (
        {"1_a.sql": "-- migrate:up\nSELECT 1;", "2_b.sql": "SELECT 1;"},
        "{0}/2_b.sql: the file has no line -- migrate:up: write it before the SQL.",
    ),
    "dbmate: an up without text": (
        {"1_a.sql": "-- migrate:up\n\n-- migrate:down\nSELECT 1;"},
        "{0}/1_a.sql: the part up is empty: write its SQL, or remove the file.",
    ),
    "dbmate: two ups": (
        {"1_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 1;"},
        "{0}/1_a.sql: the part up is there twice: join the two.",
    ),
    "dbmate: a statement before up": (
        {"1_a.sql": "-- notes\nSELECT 1;\n-- migrate:up\nSELECT 1;"},
        "{0}/1_a.sql:2: this line is before -- migrate:up: move it below.",
    ),
    "goose: two of one version": (
        {"1_a.sql": "-- +goose Up\nSELECT 1;", "01_b.sql": "-- +goose Up\nSELECT 1;"},
        "{0}/1_a.sql: version 1 is also that of 01_b.sql. Their order is not clear: rename one.",
    ),
    "sqitch: a change without a script": (
        {"sqitch.plan": "%project=x\na 2024 x\n", "deploy/b.sql": "SELECT 1;"},
        "{0}/sqitch.plan:2: the change a has no {0}/deploy/a.sql: write it.",
    ),
    "sqitch: a plan without a change": ({"sqitch.plan": "%project=x\n"}, "{0} has no migration."),
    "schemas: a pattern that names no file": (
        {"a.sql": "SELECT 1;", "../config.toml": '[db.migrations]\nschema_paths = ["./schemas/x.sql"]\n'},
        "{1}/config.toml: schema_paths has './schemas/x.sql', which names no file: correct or remove it.",
    ),
    "includes: SQL beside": (
        {"all.sql": "\\ir a.sql\n\nSELECT 1;\n", "a.sql": "SELECT 1;"},
        "{0}/all.sql:3: a file that includes others may have nothing else. Move the SQL to a file, and include it.",
    ),
    "includes: no such file": (
        {"all.sql": "-- all\n\\ir b.sql\n"},
        "{0}/all.sql:2: b.sql does not exist: correct the name.",
    ),
    "includes: a folder": (
        {"all.sql": "\\ir d\n", "d/a.sql": "SELECT 1;"},
        "{0}/d is not a file: replace or remove it.",
    ),
    "includes: a circle": (
        {"all.sql": "\\ir d/a.sql\n", "d/a.sql": "\\ir ../all.sql\n"},
        "{0}/d/a.sql:1: all.sql includes itself: remove the line.",
    ),
    "includes: an empty file": (
        {"all.sql": "\\ir a.sql\n", "a.sql": "\n"},
        "{0}/a.sql: the file is empty: write its SQL, or remove the file.",
    ),
    "a link to nothing": (
        {"1_a.sql": "SELECT 1;", "2_b.sql": "link"},
        "{0}/2_b.sql is a link to gone.sql, which does not exist: replace or remove it.",
    ),
}


@pytest.mark.parametrize(("files", "message"), BROKEN.values(), ids=BROKEN)
def test_what_does_not_fit_is_an_error(tmp_path: Path, files: list[str] | dict[str, str], message: str) -> None:
    folder = tmp_path / "schemas"
    for name in files:
        add(folder / name, files[name] if isinstance(files, dict) else "SELECT 1;\n")
        if (folder / name).read_text() == "link":
            (folder / name).unlink()
            (folder / name).symlink_to("gone.sql")
    if "schema_paths" not in message:
        folder = folder.rename(tmp_path / "migrations")
    with pytest.raises(MigrationError) as caught:
        migrations.read(folder / "all.sql" if "all.sql" in files else folder)
    assert str(caught.value) == message.format(folder, tmp_path)


def test_an_include_starts_at_the_working_directory_as_with_psql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with ``\\i``, and only if the file is there: others start psql in the folder of the file."""
    add(tmp_path / "db" / "all.sql", "\\i db/a.sql\n\\i b.sql\n\\ir c.sql\n")
    for name in ("db/a.sql", "db/b.sql", "db/c.sql", "c.sql"):
        add(tmp_path / name, "SELECT 1;")
    monkeypatch.chdir(tmp_path)
    (phase,) = migrations.read(tmp_path / "db" / "all.sql")
    assert [step.path.relative_to(tmp_path).as_posix() for step in phase.steps] == ["db/a.sql", "db/b.sql", "db/c.sql"]


UNCLEAR: dict[str, tuple[list[str], str]] = {
    "an empty folder": ([], "it has no SQL file"),
    "one name without a number": (["a.sql"], "it has a.sql, which can be named"),
    "names without numbers": (
        ["a.sql", "b.sql", "c.sql", "d.sql"],
        "it has a.sql, b.sql, c.sql and 1 more, whose names do not say their order. A file with a line such as "
        "\\ir a.sql for each can be named, too",
    ),
    "a level too high": (["migrations/1_a.sql"], "it has a folder migrations, which can be named"),
    "Alembic": (
        ["env.py", "versions/1_a.py"],
        "it has migrations of Alembic, which are Python. Write them as SQL with alembic upgrade head --sql > all.sql, "
        "and name all.sql",
    ),
}


@pytest.mark.parametrize(("files", "contents"), UNCLEAR.values(), ids=UNCLEAR)
def test_a_folder_without_a_layout_is_one_error_that_lists_the_layouts(
    toy: pytest.Pytester, files: list[str], contents: str
) -> None:
    folder = toy.path / "other"
    folder.mkdir()
    for name in files:
        add(folder / name)
    set_ini(toy, "migrations", "other")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    names = ", ".join(layout.name for layout in layouts.LAYOUTS)
    assert result.stderr.lines == [
        f"ERROR: the layout of {folder} is not clear: {contents}.",
        f"Name another folder, or set rolecall_layout to one of {names}.",
        'The page "Layouts of migrations" of rolecall\'s documentation has an example of each.',
        "",
    ]


def set_ini(toy: pytest.Pytester, name: str, value: str) -> None:
    ini = toy.path / "pytest.ini"
    lines = [line for line in ini.read_text().splitlines() if not line.startswith(f"rolecall_{name} =")]
    ini.write_text("\n".join([*lines, f"rolecall_{name} = {value}", ""]))


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("file", "{0} is a folder, and rolecall_layout = file needs one SQL file, for example of alembic upgrade head"),
        ("sqitch", "{0} has no sqitch.plan, which has the order of its changes."),
        ("flyway", "{0}/x.sql: the name fits no migration of this layout (V1__notes.sql, perhaps with"),
    ],
)
def test_a_layout_that_is_not_there_is_an_error(tmp_path: Path, layout: str, message: str) -> None:
    add(tmp_path / "x.sql")
    with pytest.raises(MigrationError) as caught:
        migrations.read(tmp_path, layout)
    assert str(caught.value).startswith(message.format(tmp_path))


def test_an_unknown_layout_is_an_error(toy: pytest.Pytester) -> None:
    set_ini(toy, "layout", "rails")
    result = toy.runpytest_inprocess()
    choices = ", ".join(["auto", *settings.LAYOUTS])
    assert result.stderr.lines[0] == f"ERROR: rolecall_layout is 'rails': choose one of {choices}."


def test_a_test_cannot_roll_back_what_has_no_script(toy: pytest.Pytester) -> None:
    PROJECTS["golang-migrate without down"].write(toy.path)
    toy.makepyfile(
        test_back="""
        import pytest


        def test_back(scratch):
            database = scratch()
            database.apply()
            for method, end in ((database.rollback, "rolls it back"), (database.verify, "verifies it")):
                with pytest.raises(Exception, match=f"^phase 1 .migrations. has no script that {end}.$"):
                    method(1)
        """
    )
    toy.runpytest_inprocess("test_back.py").assert_outcomes(passed=1)


# ------------------------------------------------------------------ rows


def test_seed_sql_is_loaded_after_the_migrations_in_each_run(toy: pytest.Pytester) -> None:
    PROJECTS["flat"].write(toy.path)
    seed = "BEGIN;\nINSERT INTO shop.notes VALUES (7, current_user, to_char(now(), 'HH24:MI'));\nCOMMIT;\n"
    add(toy.path / "supabase/seed.sql", seed)
    set_ini(toy, "seed", "supabase/seed.sql")
    toy.makepyfile(
        test_seed="""
        def test_seed(db, rolecall_scratch):
            assert db.value("SELECT author FROM shop.notes WHERE id = 7") == "toy_migrator"
            assert db.value("SELECT count(*) FROM shop.notes") == 3
            with_world = rolecall_scratch(migrated=True).connection
            assert with_world.execute("SELECT count(*) FROM shop.notes").fetchone() == (3,)
        """
    )
    for _ in ("built", "from the cache"):
        result = toy.runpytest_inprocess("--rolecall-pg-dsn=", "--rolecall-cache-dir=cache", "test_seed.py")
        result.assert_outcomes(passed=1)


def test_an_error_in_seed_sql_is_one_error_before_any_test(toy: pytest.Pytester) -> None:
    add(toy.path / "seed.sql", "SELECT 1;\nINSERT INTO shop.gone VALUES (1);\n")
    set_ini(toy, "seed", "seed.sql")
    result = toy.runpytest_inprocess()
    assert result.stderr.lines[0] == 'ERROR: seed.sql:2:13: relation "shop.gone" does not exist (42P01)'
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_an_error_in_a_part_of_a_file_has_the_line_of_the_file(toy: pytest.Pytester) -> None:
    project = PROJECTS["dbmate"]
    down = "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\nDROP TABLE shop.gone;\n"
    project._replace(files=project.files | {"db/migrations/20240303_x.sql": down}).write(toy.path)
    toy.makepyfile(test_down="def test_down(scratch): scratch().rollback(3)")
    result = toy.runpytest_inprocess("test_down.py")
    result.stdout.fnmatch_lines(['*db/migrations/20240303_x.sql:5:1: table "gone" does not exist (42P01)'])
