"""What is kept for the next run: used where all is as it was, built anew where it is not, and never in the way."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rolecall import settings
from rolecall.database import build, cache
from rolecall.database.cache import TemplateCache
from rolecall.server import choose
from rolecall.server.cluster import Cluster

CELL = "test_notes.py::test_grid[bob's note-select-bob]"


@pytest.fixture
def folder(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the inner runs, which start servers of their own, keep what they have built."""
    made = toy.path / "kept databases"
    monkeypatch.delenv("ROLECALL_PG_DSN")
    monkeypatch.setenv("ROLECALL_CACHE_DIR", str(made))
    return made


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often the inner runs have built the databases."""
    calls, original = list[str](), build.build

    def counted(*arguments: Any) -> Any:
        calls.append("built")
        return original(*arguments)

    monkeypatch.setattr(build, "build", counted)
    return calls


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar"))


def passes(toy: pytest.Pytester, *options: str) -> None:
    toy.runpytest_inprocess(CELL, *options).assert_outcomes(passed=1)


# ------------------------------------------------------------------ used again


def test_the_second_run_builds_nothing(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    passes(toy)
    (archive,) = archives(folder)
    toy.runpytest_inprocess().assert_outcomes(passed=41)
    assert (builds, archives(folder)) == (["built"], [archive])


def test_several_processes_have_it_too(toy: pytest.Pytester, folder: Path) -> None:
    for _ in ("built", "kept"):
        toy.runpytest_subprocess("-n", "2").assert_outcomes(passed=41)
    assert len(archives(folder)) == 1


def test_what_one_run_does_is_not_there_in_the_next(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    toy.makepyfile(
        test_leaves="""
        def test_leaves(db):
            connection = db.connection
            connection.execute("COMMIT")
            found = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'left_behind'").fetchone()
            assert found == (0,)
            connection.execute("CREATE ROLE left_behind; DELETE FROM shop.notes; BEGIN")
        """
    )
    for _ in ("built", "kept", "kept again"):
        toy.runpytest_inprocess("test_leaves.py").assert_outcomes(passed=1, errors=1)  # it is caught, too
    passes(toy)
    assert builds == ["built"]
    assert len(archives(folder)) == 1


def test_nobody_wants_it_in_a_repository(toy: pytest.Pytester, folder: Path) -> None:
    passes(toy)
    assert (folder / ".gitignore").read_text() == "*\n"


# ------------------------------------------------------------------ for which run


STEPS = "migrations/phase_1_notes"


@pytest.mark.parametrize(
    "file", ["platform.sql", "baseline.sql", f"{STEPS}/1_2_count_notes.sql", f"{STEPS}/rollback.sql"]
)
def test_what_was_built_of_other_sql_is_not_used(
    toy: pytest.Pytester, folder: Path, builds: list[str], file: str
) -> None:
    passes(toy)
    path = toy.path / file
    path.write_text(path.read_text() + "-- changed\n")
    passes(toy)
    assert len(builds) == len(archives(folder)) == 2


@pytest.mark.parametrize("options", [["--rolecall-default-privileges=granted"], ["--rolecall-pg=16"]], ids=" ".join)
def test_nor_what_was_built_otherwise(
    toy: pytest.Pytester, folder: Path, builds: list[str], options: list[str]
) -> None:
    passes(toy)
    passes(toy, *options)
    assert len(builds) == len(archives(folder)) == 2


def of(pytestconfig: pytest.Config) -> str:
    asked = settings.read(pytestconfig)
    return cache.key(asked, choose.binaries_of(replace(asked, pg_bin=None)))


def test_another_world_is_loaded_without_a_build(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    passes(toy)
    path = toy.path / "conftest.py"
    path.write_text(path.read_text().replace('body="hers"', 'body="new"'))
    toy.makepyfile(test_body="def test_body(db): assert db.value('SELECT body FROM shop.notes WHERE id = 1') == 'new'")
    toy.runpytest_inprocess("test_body.py").assert_outcomes(passed=1)
    assert (builds, len(archives(folder))) == (["built"], 1)


@pytest.mark.usefixtures("folder")
def test_rows_do_not_age(toy: pytest.Pytester, builds: list[str]) -> None:
    """An invitation that is good for an hour must be good in each run: its rows are as young as the run's server."""
    step = toy.path / f"{STEPS}/1_1_notes.sql"
    step.write_text(f"{step.read_text()}ALTER TABLE shop.notes ADD made_at timestamptz DEFAULT now();\n")
    toy.makepyfile(
        test_age="""
        def test_age(db):
            assert db.value("SELECT bool_and(made_at > pg_postmaster_start_time()) FROM shop.notes")
        """
    )
    for _ in ("built", "kept"):
        toy.runpytest_inprocess("test_age.py").assert_outcomes(passed=1)
    assert builds == ["built"]


def test_every_room_of_rolecall_is_part_of_the_key(
    pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of any module, in any folder of the package, builds the templates again."""
    copied = tmp_path / "rolecall"
    shutil.copytree(cache.PACKAGE, copied)
    monkeypatch.setattr(cache, "PACKAGE", copied)
    rooms = sorted({path.parent for suffix in ("*.py", "*.sql") for path in copied.rglob(suffix)})
    assert {"rolecall", "sql", "grids", "operators"} <= {room.name for room in rooms}
    keys = {of(pytestconfig)}
    edited = [*(min(room.glob("*.py")) for room in rooms), copied / "grids" / "probe.sql"]
    for path in edited:
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        keys.add(of(pytestconfig))
    assert len(keys) == 1 + len(edited)


# ------------------------------------------------------------------ wrong, broken, or not to be had


def flipped(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)


def cut_off(archive: Path) -> None:
    os.truncate(archive, archive.stat().st_size // 2)


def emptied(archive: Path) -> None:
    archive.write_bytes(b"")


@pytest.mark.parametrize("breaks", [flipped, cut_off, emptied])
def test_what_is_broken_is_noticed_and_built_anew(
    toy: pytest.Pytester, folder: Path, builds: list[str], breaks: Callable[[Path], None]
) -> None:
    passes(toy)
    (archive,) = archives(folder)
    breaks(archive)
    passes(toy)
    (new,) = archives(folder)
    assert TemplateCache(folder, "").is_whole(new)
    assert len(builds) == 2


def test_also_where_several_processes_were_told_of_it_already(toy: pytest.Pytester, folder: Path) -> None:
    passes(toy)
    (archive,) = archives(folder)
    flipped(archive)
    toy.runpytest_subprocess("-n", "2").assert_outcomes(passed=41)
    (new,) = archives(folder)
    assert TemplateCache(folder, "").is_whole(new)


def test_one_of_which_no_server_can_be_started_is_built_anew(
    toy: pytest.Pytester, folder: Path, builds: list[str]
) -> None:
    """Its digest is right: it was kept so."""
    passes(toy)
    (archive,) = archives(folder)
    with tarfile.open(archive, "w") as empty:
        empty.add(toy.path / "baseline.sql", "data/PG_VERSION")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    wrong = archive.rename(folder / f"{archive.name.split('.')[0]}.{digest}.tar")
    passes(toy)
    assert len(builds) == 2
    assert wrong not in archives(folder)


def test_two_runs_at_once_do_not_come_between_each_other(toy: pytest.Pytester, folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q"]
    runs = [subprocess.Popen(command, cwd=toy.path, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    assert archives(folder)
    assert all(TemplateCache(folder, "").is_whole(archive) for archive in archives(folder))
    assert list(folder.glob("*.part")) == []


def test_where_nothing_can_be_written_nothing_is_kept(
    toy: pytest.Pytester, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toy.path / "a file").touch()
    monkeypatch.setenv("ROLECALL_CACHE_DIR", str(toy.path / "a file" / "kept"))
    passes(toy)
    assert not folder.exists()


def test_a_disk_that_is_full_keeps_nothing(toy: pytest.Pytester, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(_: Cluster, archive: Path) -> None:
        archive.write_bytes(b"half")
        raise subprocess.CalledProcessError(2, "tar")

    monkeypatch.setattr(Cluster, "pack", pack)
    passes(toy)
    assert [path.name for path in folder.iterdir()] == [".gitignore"]


# ------------------------------------------------------------------ bounded, and removed


def test_only_so_many_are_kept_and_none_that_is_half(toy: pytest.Pytester, folder: Path) -> None:
    folder.mkdir()
    for age in range(1, cache.MOST + 3):
        for name in (f"{age:016}.{age:016}.tar", f"{age:016}.{age}.part"):
            (folder / name).touch()
            os.utime(folder / name, (age, age))
    passes(toy)
    assert len(archives(folder)) == cache.MOST
    assert [path.name[:16] for path in archives(folder)[: cache.MOST - 1]] == [
        "4".zfill(16),
        "5".zfill(16),
        "6".zfill(16),
    ]
    assert list(folder.glob("*.part")) == []


def test_fresh_removes_all_and_builds(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    passes(toy)
    (folder / f"{'0' * 16}.{'1' * 16}.tar").touch()
    passes(toy, "--rolecall-cache-clear")
    assert len(builds) == 2
    assert len(archives(folder)) == 1


def test_off_keeps_nothing(
    toy: pytest.Pytester, folder: Path, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_CACHE_DIR", "off")
    passes(toy)
    passes(toy)
    assert len(builds) == 2
    assert not folder.exists()


def test_on_somebody_elses_server_nothing_is_kept(
    toy: pytest.Pytester, toy_server: choose.Server, folder: Path
) -> None:
    passes(toy, f"--rolecall-pg-dsn={toy_server.conninfo}")
    assert not folder.exists()


# ------------------------------------------------------------------ prepared by others, or by accident


def a_file(folder: Path) -> None:
    folder.touch()


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder)


def shared(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o775)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (a_file, "it is no folder. *"),
        (a_pipe, "it is no folder. *"),
        (shared, "other users may write to it. *chmod go-w *"),
    ],
)
def test_what_cannot_keep_is_not_used_and_said_in_a_line(
    toy: pytest.Pytester, folder: Path, builds: list[str], prepare: Callable[[Path], None], why: str
) -> None:
    prepare(folder)
    before = folder.lstat().st_mode
    result = toy.runpytest_inprocess(CELL)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"rolecall: {folder} is not used: {why}"])
    assert (builds, folder.lstat().st_mode) == (["built"], before)
    assert not folder.is_dir() or list(folder.iterdir()) == []


def another_users(archive: Path) -> None:
    """Or, where this user may give nothing away, one that others may write to."""
    if os.geteuid() == 0:
        os.chown(archive, 65534, 65534)
    else:
        archive.chmod(0o666)


def in_a_pipe(archive: Path) -> None:
    archive.unlink()
    os.mkfifo(archive)


def in_a_folder(archive: Path) -> None:
    archive.unlink()
    archive.mkdir()


def behind_a_link(archive: Path) -> None:
    archive.symlink_to(archive.rename(archive.parent.parent / "moved.tar"))


def behind_a_link_to_nothing(archive: Path) -> None:
    archive.unlink()
    archive.symlink_to("nothing")


@pytest.mark.parametrize("change", [another_users, in_a_pipe, in_a_folder, behind_a_link, behind_a_link_to_nothing])
def test_an_archive_that_is_no_file_of_ours_is_not_used(
    toy: pytest.Pytester, folder: Path, builds: list[str], change: Callable[[Path], None]
) -> None:
    passes(toy)
    change(archives(folder)[0])
    passes(toy)
    passes(toy, "--rolecall-cache-clear")
    assert len(builds) == 3


def test_what_else_lies_in_the_folder_is_left_alone(toy: pytest.Pytester, folder: Path) -> None:
    """It may be somebody's folder of backups."""
    folder.mkdir()
    theirs = {folder / name: name for name in (".gitignore", "backup.tar", *(f"{n}.tar" for n in range(9)), "x.part")}
    for path, text in theirs.items():
        path.write_text(text)
        os.utime(path, (1, 1))
    passes(toy)
    passes(toy, "--rolecall-cache-clear")
    assert {path: path.read_text() for path in theirs} == theirs
    assert len(archives(folder)) == 1 + 10


def test_several_at_once_keep_no_more_than_one_would(toy: pytest.Pytester, folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--rolecall-cache-clear"]
    runs = [subprocess.Popen(command, cwd=toy.path, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    assert len(archives(folder)) == 1
    assert TemplateCache(folder, "").is_whole(archives(folder)[0])


def test_the_archives_are_for_nobody_else(toy: pytest.Pytester, folder: Path) -> None:
    """They hold the schema, and rows that may be somebody's."""
    passes(toy)
    assert (folder.stat().st_mode & 0o777, archives(folder)[0].stat().st_mode & 0o777) == (0o700, 0o600)
