"""The template cache: used if nothing has changed, built again otherwise, and never a reason for a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zlib
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
    """The cache of the inner runs, which start their own servers."""
    folder = toy.path / "cached databases"
    monkeypatch.delenv("ROLECALL_PG_DSN")
    monkeypatch.setenv("ROLECALL_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An entry for each build of an inner run."""
    calls, original = list[str](), build.build

    def count(*arguments: Any) -> Any:
        calls.append("build")
        return original(*arguments)

    monkeypatch.setattr(build, "build", count)
    return calls


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar"))


def passes(toy: pytest.Pytester, *options: str) -> None:
    toy.runpytest_inprocess(CELL, *options).assert_outcomes(passed=1)


# ------------------------------------------------------------------ the next run


def test_the_second_run_builds_nothing(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    passes(toy)
    (archive,) = archives(folder)
    toy.runpytest_inprocess().assert_outcomes(passed=41)
    assert (builds, archives(folder)) == (["build"], [archive])


def test_several_processes_use_the_cache(toy: pytest.Pytester, folder: Path) -> None:
    for _ in ("built", "from the cache"):
        toy.runpytest_subprocess("-n", "2").assert_outcomes(passed=41)
    assert len(archives(folder)) == 1


def test_changes_of_one_run_do_not_reach_the_next(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    toy.makepyfile(
        test_leaves="""
        def test_leaves(db):
            connection = db.connection
            connection.execute("COMMIT")
            row = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'left_behind'").fetchone()
            assert row == (0,)
            connection.execute("CREATE ROLE left_behind; DELETE FROM shop.notes; BEGIN")
        """
    )
    for _ in ("built", "from the cache", "from the cache again"):
        toy.runpytest_inprocess("test_leaves.py").assert_outcomes(passed=1, errors=1)  # the COMMIT is an error
    passes(toy)
    assert builds == ["build"]
    assert len(archives(folder)) == 1


def test_git_ignores_the_cache(toy: pytest.Pytester, folder: Path) -> None:
    passes(toy)
    assert (folder / ".gitignore").read_text() == "*\n"


# ------------------------------------------------------------------ the key

STEPS = "migrations/phase_1_notes"


@pytest.mark.parametrize(
    "file", ["platform.sql", "baseline.sql", f"{STEPS}/1_2_count_notes.sql", f"{STEPS}/rollback.sql"]
)
def test_an_archive_from_other_sql_is_not_used(
    toy: pytest.Pytester, folder: Path, builds: list[str], file: str
) -> None:
    passes(toy)
    path = toy.path / file
    path.write_text(path.read_text() + "-- changed\n")
    passes(toy)
    assert len(builds) == len(archives(folder)) == 2


@pytest.mark.parametrize("options", [["--rolecall-default-privileges=granted"], ["--rolecall-pg=16"]], ids=" ".join)
def test_an_archive_from_other_options_is_not_used(
    toy: pytest.Pytester, folder: Path, builds: list[str], options: list[str]
) -> None:
    passes(toy)
    passes(toy, *options)
    assert len(builds) == len(archives(folder)) == 2


def key_of(pytestconfig: pytest.Config) -> str:
    outer = settings.read(pytestconfig)
    return cache.key(outer, choose.binaries_of(replace(outer, pg_bin=None)))


def test_another_world_is_loaded_without_a_build(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    passes(toy)
    path = toy.path / "conftest.py"
    path.write_text(path.read_text().replace('body="hers"', 'body="new"'))
    toy.makepyfile(test_body="def test_body(db): assert db.value('SELECT body FROM shop.notes WHERE id = 1') == 'new'")
    toy.runpytest_inprocess("test_body.py").assert_outcomes(passed=1)
    assert (builds, len(archives(folder))) == (["build"], 1)


@pytest.mark.usefixtures("folder")
def test_rows_do_not_age(toy: pytest.Pytester, builds: list[str]) -> None:
    """An invitation that is valid for an hour must be valid in each run, so each run loads the rows again."""
    step = toy.path / f"{STEPS}/1_1_notes.sql"
    step.write_text(f"{step.read_text()}ALTER TABLE shop.notes ADD made_at timestamptz DEFAULT now();\n")
    toy.makepyfile(
        test_age="""
        def test_age(db):
            assert db.value("SELECT bool_and(made_at > pg_postmaster_start_time()) FROM shop.notes")
        """
    )
    for _ in ("built", "from the cache"):
        toy.runpytest_inprocess("test_age.py").assert_outcomes(passed=1)
    assert builds == ["build"]


def test_rows_of_migrations_are_at_most_an_hour_old(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    step = toy.path / f"{STEPS}/1_1_notes.sql"
    table = "CREATE TABLE shop.invitations AS SELECT now() AS made_at; GRANT SELECT ON shop.invitations TO toy_member;"
    step.write_text(f"{step.read_text()}{table}\n")
    toy.makepyfile(
        test_age="""
        def test_age(db):
            assert db.value("SELECT made_at > now() - interval '1 hour' FROM shop.invitations")
        """
    )
    for age, known in ((0, 1), (cache.YOUNG - 600, 1), (cache.YOUNG, 2)):
        for path in archives(folder):
            made = path.stat().st_mtime - age
            os.utime(path, (made, made))
        toy.runpytest_inprocess("test_age.py").assert_outcomes(passed=1)
        assert (len(builds), len(archives(folder))) == (known, 1)


def test_every_room_of_rolecall_is_part_of_the_key(
    pytestconfig: pytest.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of any module, in any folder of the package, builds the templates again."""
    package = tmp_path / "rolecall"
    shutil.copytree(cache.PACKAGE, package)
    monkeypatch.setattr(cache, "PACKAGE", package)
    rooms = sorted({path.parent for pattern in ("*.py", "*.sql") for path in package.rglob(pattern)})
    assert {"rolecall", "sql", "grids", "operators", "stand_ins"} <= {room.name for room in rooms}
    keys = {key_of(pytestconfig)}
    modules = [*(min([*room.glob("*.py"), *room.glob("*.sql")]) for room in rooms), package / "grids" / "probe.sql"]
    for path in modules:
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        keys.add(key_of(pytestconfig))
    assert len(keys) == 1 + len(modules)


# ------------------------------------------------------------------ damaged archives, and folders without write access


def flipped(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)


def cut_off(archive: Path) -> None:
    os.truncate(archive, archive.stat().st_size // 2)


def emptied(archive: Path) -> None:
    archive.write_bytes(b"")


@pytest.mark.parametrize("damage", [flipped, cut_off, emptied])
def test_a_damaged_archive_is_noticed_and_built_again(
    toy: pytest.Pytester, folder: Path, builds: list[str], damage: Callable[[Path], None]
) -> None:
    passes(toy)
    (archive,) = archives(folder)
    damage(archive)
    passes(toy)
    (new,) = archives(folder)
    assert TemplateCache(folder, "").is_whole(new)
    assert len(builds) == 2


def test_a_damaged_archive_is_built_again_with_several_processes(toy: pytest.Pytester, folder: Path) -> None:
    passes(toy)
    (archive,) = archives(folder)
    flipped(archive)
    toy.runpytest_subprocess("-n", "2").assert_outcomes(passed=41)
    (new,) = archives(folder)
    assert TemplateCache(folder, "").is_whole(new)


def test_an_archive_from_which_no_server_starts_is_built_again(
    toy: pytest.Pytester, folder: Path, builds: list[str]
) -> None:
    """Even if its checksum is right."""
    passes(toy)
    (archive,) = archives(folder)
    with tarfile.open(archive, "w") as empty:
        empty.add(toy.path / "baseline.sql", "data/PG_VERSION")
    checksum = zlib.crc32(archive.read_bytes())
    wrong = archive.rename(folder / f"{archive.name.split('.')[0]}.{checksum:08x}.tar")
    passes(toy)
    assert len(builds) == 2
    assert wrong not in archives(folder)


def test_runs_at_the_same_time_do_not_disturb_each_other(toy: pytest.Pytester, folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q"]
    runs = [subprocess.Popen(command, cwd=toy.path, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    assert archives(folder)
    assert all(TemplateCache(folder, "").is_whole(archive) for archive in archives(folder))
    assert list(folder.glob("*.part")) == []


def test_without_write_access_there_is_no_cache(
    toy: pytest.Pytester, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toy.path / "a file").touch()
    monkeypatch.setenv("ROLECALL_CACHE_DIR", str(toy.path / "a file" / "cache"))
    passes(toy)
    assert not folder.exists()


def test_a_full_disk_leaves_no_archive(toy: pytest.Pytester, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pack(_: Cluster, archive: Path) -> None:
        archive.write_bytes(b"half")
        raise subprocess.CalledProcessError(2, "tar")

    monkeypatch.setattr(Cluster, "pack", pack)
    passes(toy)
    assert [path.name for path in folder.iterdir()] == [".gitignore"]


# ------------------------------------------------------------------ the number of archives, and their removal


def test_old_archives_and_unfinished_ones_are_removed(toy: pytest.Pytester, folder: Path) -> None:
    folder.mkdir()
    for age in range(1, cache.MAXIMUM + 3):
        for name in (f"{age:016}.{age:016}.tar", f"{age:016}.{age}.part"):
            (folder / name).touch()
            os.utime(folder / name, (age, age))
    passes(toy)
    assert len(archives(folder)) == cache.MAXIMUM
    assert [path.name[:16] for path in archives(folder)[: cache.MAXIMUM - 1]] == [
        "4".zfill(16),
        "5".zfill(16),
        "6".zfill(16),
    ]
    assert list(folder.glob("*.part")) == []


def test_cache_clear_removes_all_archives_and_builds(toy: pytest.Pytester, folder: Path, builds: list[str]) -> None:
    passes(toy)
    (folder / f"{'0' * 16}.{'1' * 16}.tar").touch()
    passes(toy, "--rolecall-cache-clear")
    assert len(builds) == 2
    assert len(archives(folder)) == 1


def test_cache_dir_off_writes_nothing(
    toy: pytest.Pytester, folder: Path, builds: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_CACHE_DIR", "off")
    passes(toy)
    passes(toy)
    assert len(builds) == 2
    assert not folder.exists()


def test_a_running_server_is_not_cached(toy: pytest.Pytester, toy_server: choose.Server, folder: Path) -> None:
    passes(toy, f"--rolecall-pg-dsn={toy_server.conninfo}")
    assert not folder.exists()


# ------------------------------------------------------------------ folders and archives that are not used


def a_file(folder: Path) -> None:
    folder.touch()


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder)


def shared(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o775)


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        (a_file, "it is not a folder. *"),
        (a_pipe, "it is not a folder. *"),
        (shared, "other users may write to it. *chmod go-w *"),
    ],
)
def test_an_unusable_folder_is_reported_in_one_line(
    toy: pytest.Pytester, folder: Path, builds: list[str], create: Callable[[Path], None], reason: str
) -> None:
    create(folder)
    before = folder.lstat().st_mode
    result = toy.runpytest_inprocess(CELL)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"rolecall: {folder} is not used: {reason}"])
    assert (builds, folder.lstat().st_mode) == (["build"], before)
    assert not folder.is_dir() or list(folder.iterdir()) == []


def another_users(archive: Path) -> None:
    """Only root can change the owner; for other users, let others write to it."""
    if os.geteuid() == 0:
        os.chown(archive, 65534, 65534)
    else:
        archive.chmod(0o666)


def pipe_instead(archive: Path) -> None:
    archive.unlink()
    os.mkfifo(archive)


def folder_instead(archive: Path) -> None:
    archive.unlink()
    archive.mkdir()


def link_instead(archive: Path) -> None:
    archive.symlink_to(archive.rename(archive.parent.parent / "moved.tar"))


def dangling_link(archive: Path) -> None:
    archive.unlink()
    archive.symlink_to("nothing")


@pytest.mark.parametrize("change", [another_users, pipe_instead, folder_instead, link_instead, dangling_link])
def test_an_archive_that_is_not_a_file_of_this_user_is_not_used(
    toy: pytest.Pytester, folder: Path, builds: list[str], change: Callable[[Path], None]
) -> None:
    passes(toy)
    change(archives(folder)[0])
    passes(toy)
    passes(toy, "--rolecall-cache-clear")
    assert len(builds) == 3


def test_other_files_in_the_folder_are_not_changed(toy: pytest.Pytester, folder: Path) -> None:
    """It may be a folder of backups."""
    folder.mkdir()
    others = {folder / name: name for name in (".gitignore", "backup.tar", *(f"{n}.tar" for n in range(9)), "x.part")}
    for path, text in others.items():
        path.write_text(text)
        os.utime(path, (1, 1))
    passes(toy)
    passes(toy, "--rolecall-cache-clear")
    assert {path: path.read_text() for path in others} == others
    assert len(archives(folder)) == 1 + 10


def test_runs_at_the_same_time_leave_one_archive(toy: pytest.Pytester, folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--rolecall-cache-clear"]
    runs = [subprocess.Popen(command, cwd=toy.path, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    assert len(archives(folder)) == 1
    assert TemplateCache(folder, "").is_whole(archives(folder)[0])


def test_other_users_cannot_read_the_archives(toy: pytest.Pytester, folder: Path) -> None:
    """They have the schema, and rows that may be confidential."""
    passes(toy)
    assert (folder.stat().st_mode & 0o777, archives(folder)[0].stat().st_mode & 0o777) == (0o700, 0o600)
