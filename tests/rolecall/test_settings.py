"""Settings: their order (command line, environment, ini file), and errors that name the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall import fixtures, settings
from rolecall.errors import RolecallError
from rolecall.settings import Names, Settings, options

NOTHING_TO_BUILD = "rolecall has nothing to build:"


@pytest.fixture(autouse=True)
def _no_server(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here needs a server."""
    assert toy.path.is_dir()
    monkeypatch.delenv("ROLECALL_PG_DSN")


def read(toy: pytest.Pytester, *arguments: str) -> Settings:
    return settings.read(toy.parseconfig(*arguments))


def ini(toy: pytest.Pytester, line: str) -> None:
    """Write a setting to pytest.ini, in place of its former value."""
    path = toy.path / "pytest.ini"
    name = line.split(" = ")[0]
    others = [old for old in path.read_text().splitlines() if old.split(" = ")[0] != name]
    path.write_text("\n".join([*others, line, ""]))


def test_the_defaults(toy: pytest.Pytester) -> None:
    expected = {
        "pg": 17,
        "pg_bin": None,
        "pg_dsn": None,
        "default_privileges": "revoked",
        "platform": toy.path / "platform.sql",
        "baseline": toy.path / "baseline.sql",
        "requires": None,
        "migrations": toy.path / "migrations",
        "defects": toy.path / "defects",
        "migration_role": ("toy_migrator",),
        "world_seed": 1,
    }
    actual = read(toy)
    assert {name: getattr(actual, name) for name in expected} == expected


def test_the_command_line_wins_over_the_environment_and_the_environment_over_the_file(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini(toy, "rolecall_world_seed = 2")
    assert read(toy).world_seed == 2
    monkeypatch.setenv("ROLECALL_WORLD_SEED", "3")
    assert read(toy).world_seed == 3
    assert read(toy, "--rolecall-world-seed", "4").world_seed == 4


def test_every_option_is_in_the_help(toy: pytest.Pytester) -> None:
    text = toy.runpytest_inprocess("--help").stdout.str()
    for name, option in options().items():
        names = Names.of(name)
        if option.cli:
            assert f"\n  {names.argument}{'' if option.switch else '=' + option.metavar}" in text
        assert f"{names.ini} ({option.ini_type})" in text


def test_an_empty_variable_unsets_the_setting_of_the_file(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini(toy, "rolecall_pg_dsn = postgresql://somewhere")
    monkeypatch.setenv("ROLECALL_PG_DSN", "")
    assert read(toy).pg_dsn is None


def test_paths_on_the_command_line_are_relative_to_the_current_folder(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in the file and in the environment are relative to the project's root."""
    (toy.path / "deep").mkdir()
    (toy.path / "deep" / "dump.sql").write_text("")
    monkeypatch.chdir(toy.path / "deep")
    assert read(toy).baseline == toy.path / "baseline.sql"
    assert read(toy, "--rolecall-baseline", "dump.sql").baseline == toy.path / "deep" / "dump.sql"
    monkeypatch.setenv("ROLECALL_BASELINE", "deep/dump.sql")
    assert read(toy).baseline == toy.path / "deep" / "dump.sql"


def test_a_path_may_begin_with_the_home_directory(toy: pytest.Pytester) -> None:
    (Path.home() / "dump.sql").write_text("")
    assert read(toy, "--rolecall-baseline", "~/dump.sql").baseline == Path.home().resolve() / "dump.sql"


@pytest.mark.parametrize(
    ("argument", "variable", "line", "message"),
    [
        pytest.param(
            "--rolecall-pg=14", "", "", "--rolecall-pg is '14': choose one of 16, 17, 18.", id="--rolecall-pg"
        ),
        pytest.param("", "ROLECALL_PG=14", "", "ROLECALL_PG is '14': choose one of 16, 17, 18.", id="ROLECALL_PG"),
        pytest.param("", "", "rolecall_pg = 14", "rolecall_pg is '14': choose one of 16, 17, 18.", id="rolecall_pg"),
        pytest.param(
            "--rolecall-default-privileges=lax",
            "",
            "",
            "--rolecall-default-privileges is 'lax': choose one of revoked, granted.",
            id="--rolecall-default-privileges",
        ),
        pytest.param(
            "--rolecall-world-seed=one",
            "",
            "",
            "--rolecall-world-seed is 'one': give a whole number.",
            id="--rolecall-world-seed",
        ),
        pytest.param(
            "", "ROLECALL_WORLD_SEED=", "", "ROLECALL_WORLD_SEED is '': give a whole number.", id="ROLECALL_WORLD_SEED"
        ),
        pytest.param(
            "",
            "",
            "rolecall_world_seed = x",
            "rolecall_world_seed: give a whole number (invalid literal for int() with base 10: 'x').",
            id="rolecall_world_seed",
        ),
        pytest.param(
            "--rolecall-baseline=x.sql",
            "",
            "",
            "--rolecall-baseline names {}/x.sql, which does not exist.",
            id="--rolecall-baseline",
        ),
        pytest.param(
            "--rolecall-baseline=migrations",
            "",
            "",
            "--rolecall-baseline names {}/migrations, which is a folder: name a file in it.",
            id="--rolecall-baseline, a folder",
        ),
        pytest.param(
            "--rolecall-baseline=archive",
            "",
            "",
            "--rolecall-baseline names {}/archive, an archive of pg_dump: "
            "run pg_restore -f dump.sql archive, and name dump.sql.",
            id="--rolecall-baseline, an archive of pg_dump in a folder",
        ),
        pytest.param(
            "",
            "",
            "rolecall_defects = baseline.sql",
            "rolecall_defects names {}/baseline.sql, which is not a folder.",
            id="rolecall_defects, a file",
        ),
        pytest.param(
            "",
            "ROLECALL_BASELINE=x.sql",
            "",
            "ROLECALL_BASELINE names {}/x.sql, which does not exist.",
            id="ROLECALL_BASELINE",
        ),
        pytest.param(
            "",
            "",
            "rolecall_baseline = x.sql",
            "rolecall_baseline names {}/x.sql, which does not exist.",
            id="rolecall_baseline",
        ),
        pytest.param(
            "",
            "",
            "rolecall_platform = x.sql",
            "rolecall_platform names {}/x.sql, which does not exist.\n"
            "The package has the platforms supabase, postgrest, neon, none.",
            id="rolecall_platform",
        ),
        pytest.param(
            "",
            "",
            "rolecall_requires = x.sql",
            "rolecall_requires names {}/x.sql, which does not exist.",
            id="rolecall_requires",
        ),
        pytest.param(
            "",
            "",
            "rolecall_migrations = nowhere",
            "rolecall_migrations names {}/nowhere, which does not exist.",
            id="rolecall_migrations",
        ),
        pytest.param(
            "", "", "rolecall_defects = x", "rolecall_defects names {}/x, which does not exist.", id="rolecall_defects"
        ),
        pytest.param(
            "--rolecall-pg-bin=nowhere",
            "",
            "",
            "--rolecall-pg-bin names {}/nowhere, which does not exist.",
            id="--rolecall-pg-bin",
        ),
        pytest.param(
            "--rolecall-pg-bin=migrations",
            "ROLECALL_PG_DSN=postgresql://somewhere",
            "",
            "--rolecall-pg-bin and --rolecall-pg-dsn exclude each other: give one of the two.",
            id="--rolecall-pg-bin and --rolecall-pg-dsn",
        ),
    ],
)
def test_an_error_names_the_setting_as_the_user_wrote_it(
    toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, argument: str, variable: str, line: str, message: str
) -> None:
    (toy.path / "archive").mkdir()
    (toy.path / "archive" / "toc.dat").write_bytes(b"PGDMP")
    if variable:
        monkeypatch.setenv(*variable.split("="))
    if line:
        ini(toy, line)
    with pytest.raises(RolecallError) as caught:
        read(toy, *filter(None, [argument]))
    assert str(caught.value) == message.format(toy.path)


def test_a_wrong_setting_is_the_only_output(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess("--rolecall-pg", "14")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.lines == ["ERROR: --rolecall-pg is '14': choose one of 16, 17, 18.", ""]
    assert result.stdout.lines == []


def test_the_header_shows_the_server_and_the_settings(toy: pytest.Pytester) -> None:
    """With --collect-only, too, which starts no server."""
    options = ["--collect-only", "--rolecall-default-privileges=granted", "--rolecall-world-seed=7"]
    result = toy.runpytest_inprocess(*options)
    result.stdout.fnmatch_lines(["rolecall: a throwaway PostgreSQL 17; default privileges granted; seed 7"])
    result = toy.runpytest_inprocess(*options, "--rolecall-pg-dsn=postgresql://nowhere.invalid:1/")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "rolecall: the server at nowhere.invalid, port 1: creates and drops only its own databases,"
            " named rolecall_[*]; default privileges granted; seed 7",
            "*<CellItem test_grid[[]alice's note-select-alice]>",
        ]
    )


def test_a_password_is_not_shown(toy: pytest.Pytester) -> None:
    result = toy.runpytest_inprocess("--collect-only", "--rolecall-pg-dsn=postgresql://me:secret@nowhere.invalid/")
    assert result.ret == pytest.ExitCode.OK
    assert "secret" not in result.stdout.str()


# ------------------------------------------------------------------ projects that do not use rolecall


def test_a_project_without_settings_runs_without_rolecall(toy: pytest.Pytester) -> None:
    (toy.path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    for name in ("conftest.py", "test_notes.py"):
        (toy.path / name).unlink()
    toy.makepyfile(test_other="def test_other() -> None: pass")
    result = toy.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert "rolecall:" not in result.stdout.str()


@pytest.mark.parametrize("fixture", [*fixtures.DATABASES, "rolecall_world"])
def test_a_fixture_of_rolecall_needs_settings(toy: pytest.Pytester, fixture: str) -> None:
    (toy.path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (toy.path / "test_notes.py").unlink()
    toy.makepyfile(test_other=f"def test_other({fixture}): pass")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    message = f"{NOTHING_TO_BUILD} set rolecall_baseline or rolecall_migrations in {toy.path / 'pytest.ini'}."
    assert f"RolecallError: {message}" in result.stdout.str()


def test_a_grid_needs_settings(toy: pytest.Pytester) -> None:
    (toy.path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    result = toy.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert f"{NOTHING_TO_BUILD} set rolecall_baseline or rolecall_migrations in " in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("option", ["--rolecall-mutants", "--collect-only"])
def test_the_folder_of_an_option_hides_the_configuration(
    toy: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, option: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    result = toy.runpytest_inprocess(option, "--rolecall-report", elsewhere)
    output = result.stdout.str() + result.stderr.str()
    assert f"{NOTHING_TO_BUILD} pytest has found no configuration file for " in output
    assert "Give a folder elsewhere with '=': --rolecall-report=/tmp/report." in output
