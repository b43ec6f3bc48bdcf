"""The migrations of the Supabase CLI are the steps, in order and byte for byte, and they run as the CLI runs them.

How the CLI runs a file: github.com/supabase/cli, ``pkg/migration/file.go`` and ``apply.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from rolecall.database.scratch import Scratch
from rolecall.settings import Settings
from rolecall.settings import read as read_settings
from rolecall.sql.files import statements
from rolecall.sql.migrations import Phase
from scripts.supabase_migrations import PLAN, ExportError, export, main, write


@pytest.fixture(scope="session")
def settings(pytestconfig: pytest.Config) -> Settings:
    return read_settings(pytestconfig)


@pytest.fixture(scope="session")
def files(settings: Settings) -> dict[str, bytes]:
    """The files that are written, by name."""
    assert settings.migrations
    assert settings.requires
    return export(settings.migrations, settings.requires, PLAN)


# ------------------------------------------------------------------ the files


def test_they_hold_the_same_bytes_in_the_same_order(
    files: dict[str, bytes], phases: dict[int, Phase], settings: Settings
) -> None:
    assert settings.requires
    scripts = [settings.requires]
    for _, phase in sorted(phases.items()):
        scripts += [*(step.path for step in phase.steps), phase.verify.path]
    assert [files[name] for name in sorted(files)] == [path.read_bytes() for path in scripts]
    assert list(files) == sorted(files)


def test_the_cli_takes_them_for_migrations(files: dict[str, bytes]) -> None:
    versions = [match[1] for match in (re.fullmatch(r"([0-9]{14})_(.*)\.sql", name) for name in files) if match]
    assert len(set(versions)) == len(files) > 20


def test_their_names_say_which_step_they_are(files: dict[str, bytes]) -> None:
    assert {
        "20251029000000_requires.sql",
        "20251029010000_1_0_schema_usage.sql",
        "20251029015959_phase_1_verify.sql",
        "20251029020105_2_1_5_get_notifications_page.sql",
    } <= files.keys()


def test_a_second_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--app", str(tmp_path)]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"new"}
    folder = tmp_path / "supabase" / "migrations"
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert main(["--app", str(tmp_path)]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"unchanged"}
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_a_file_that_differs_is_written_again_and_named(tmp_path: Path, files: dict[str, bytes]) -> None:
    name = "20251029010100_1_1_appointment_services.sql"
    (tmp_path / name).write_text("SELECT 1;\n")
    (tmp_path / "20240101000000_application.sql").write_text("SELECT 1;\n")
    lines = list(write(files, tmp_path))
    assert [line for line in lines if not line.startswith("new ")] == [f"changed    {tmp_path / name}"]
    assert (tmp_path / name).read_bytes() == files[name]
    assert (tmp_path / "20240101000000_application.sql").read_text() == "SELECT 1;\n"


@pytest.mark.parametrize(
    "existing",
    ["20251029010100_something_else.sql", "20240101000000_1_1_appointment_services.sql"],
    ids=["the same version", "the same step"],
)
def test_it_writes_nothing_beside_a_file_that_would_clash(
    tmp_path: Path, files: dict[str, bytes], existing: str
) -> None:
    (tmp_path / existing).write_text("SELECT 1;\n")
    with pytest.raises(ExportError, match=existing):
        list(write(files, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [existing]


def test_another_date_moves_them_all(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert main(["--app", str(tmp_path), "--date", "20261129"]) == 0
    written = sorted(path.name for path in (tmp_path / "supabase" / "migrations").iterdir())
    assert written == [name.replace("20251029", "20261129") for name in sorted(files)]


@pytest.mark.parametrize("date", ["2026-11-29", "20261301", "tomorrow"])
def test_a_date_that_is_none_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str], date: str) -> None:
    assert main(["--app", str(tmp_path), "--date", date]) == 1
    assert date in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["1_60_late", "1_1_1_1_deep", "1_59_59_last"])
def test_a_number_that_does_not_fit_is_an_error(tmp_path: Path, step: str) -> None:
    phase = tmp_path / "phase_1_notes"
    phase.mkdir()
    for name in (step, "verify", "rollback"):
        (phase / f"{name}.sql").write_text("SELECT 1;\n")
    with pytest.raises(ExportError, match="does not fit"):
        export(tmp_path, phase / "verify.sql", PLAN)


# ------------------------------------------------------------------ the CLI


class Cli:
    """``supabase db push``: each file is one pipeline of statements, with the row of the history as the last one."""

    def __init__(self, scratch: Scratch) -> None:
        self.connection = scratch.connection
        self.connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(scratch.role or "")))

    def push(self, name: str, content: bytes) -> None:
        """Run one file. Raises psycopg's error; the file has then changed nothing."""
        self.connection.execute("RESET ALL")
        parts = [each.text for each in statements(content.decode())]
        with self.connection.pipeline():
            for part in parts:
                self.connection.execute(part.encode())
            row = [name.split("_")[0], parts]
            self.connection.execute("INSERT INTO supabase_migrations.schema_migrations VALUES (%s, %s)", row)

    def history(self) -> list[str]:
        query = "SELECT version FROM supabase_migrations.schema_migrations ORDER BY 1"
        return [version for (version,) in self.connection.execute(query)]

    def close(self) -> None:
        self.connection.execute("DELETE FROM supabase_migrations.schema_migrations; RESET ROLE")


def test_the_cli_makes_the_same_schema(scratch: Callable[..., Scratch], files: dict[str, bytes]) -> None:
    pushed, applied = scratch(), scratch()
    cli = Cli(pushed)
    for name, content in files.items():
        cli.push(name, content)
    assert cli.history() == [name.split("_")[0] for name in files]
    cli.close()
    applied.apply()
    assert pushed.dump() == applied.dump()


def test_a_step_of_the_cli_gives_up_after_five_seconds_too(
    scratch: Callable[..., Scratch], files: dict[str, bytes]
) -> None:
    """SET LOCAL is the first command of a pipeline: PostgreSQL warns that it is outside of a transaction, and obeys."""
    cli = Cli(scratch())
    before = cli.connection.execute("SELECT current_setting('lock_timeout')").fetchall()
    for name, content in files.items():
        if name.endswith(("_requires.sql", "_verify.sql")):
            continue
        with cli.connection.pipeline():
            for part in statements(content.decode()):
                cli.connection.execute(part.text.encode())
            timeout = cli.connection.execute("SELECT current_setting('lock_timeout')")
        assert (name, timeout.fetchall()) == (name, [("5s",)])
    assert before != [("5s",)]
    assert cli.connection.execute("SELECT current_setting('lock_timeout')").fetchall() == before


def test_a_check_stops_the_cli(scratch: Callable[..., Scratch], files: dict[str, bytes]) -> None:
    cli = Cli(scratch())
    names = [name for name in files if name < "2025102902"]
    for name in names[:-1]:
        cli.push(name, files[name])
    cli.connection.execute("DROP INDEX audit.idx_audit_logs_actor")
    with pytest.raises(psycopg.Error, match="idx_audit_logs_actor"):
        cli.push(names[-1], files[names[-1]])
    assert cli.history() == [name.split("_")[0] for name in names[:-1]]


def test_a_database_without_what_the_steps_need_stops_the_cli_first(
    scratch: Callable[..., Scratch], files: dict[str, bytes]
) -> None:
    cli = Cli(scratch())
    cli.connection.execute("DROP TABLE communication.notifications")
    first = next(iter(files))
    with pytest.raises(psycopg.Error, match=r"table communication\.notifications"):
        cli.push(first, files[first])
    assert cli.history() == []
