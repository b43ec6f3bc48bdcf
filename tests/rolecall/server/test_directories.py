"""The directory of a run: its owner, what a later run removes, and files that another user has put into it."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from rolecall.server import directories
from rolecall.server.choose import Server
from rolecall.server.directories import LOCK, MAGIC, SERVER

ROOT = os.geteuid() == 0


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder in which runs create their directories, and which they sweep."""
    folder = Path(tempfile.mkdtemp(prefix="places-"))
    folder.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(folder))
    for module, name in ((tempfile, "tempdir"), (directories, "MEMORY"), (directories, "FALLBACK")):
        monkeypatch.setattr(module, name, str(folder) if name == "tempdir" else folder)
    yield folder
    shutil.rmtree(folder)


def server_uid() -> int:
    user = directories.server_user()
    return pwd.getpwnam(user).pw_uid if user else os.geteuid()


def as_server(script: str, folder: Path) -> None:
    """Run a script as the server's user."""
    command = ["/bin/sh", "-ec", script]
    subprocess.run(command, cwd=folder, check=True, **directories.run_as(directories.server_user()))


def leftover(parent: Path, name: str = "rolecall-dead") -> Path:
    """A directory as a killed run leaves it."""
    with directories.run_directory() as (directory, _):
        shutil.copytree(directory, parent / name, ignore=shutil.ignore_patterns(SERVER))
    (parent / name / SERVER).mkdir(0o700)
    os.chown(parent / name / SERVER, server_uid(), -1)
    (parent / name).chmod(0o711)
    return parent / name


# ------------------------------------------------------------------ the owner


def test_the_servers_user_may_write_only_to_its_own_folder(toy_server: Server) -> None:
    assert toy_server.cluster
    directory = toy_server.cluster.directory
    paths = [directory, *(path for path in directory.iterdir() if path.name != SERVER)]
    assert {path.name for path in paths} >= {directory.name, LOCK, "log"}
    for path in paths:
        assert path.lstat().st_uid == os.geteuid()
        assert not path.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    assert (directory / SERVER).stat().st_uid == server_uid()
    assert (directory / SERVER).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["log", LOCK])
def test_a_link_in_place_of_a_file_is_not_followed(parent: Path, name: str) -> None:
    victim = parent / "victim"
    victim.write_text("running_server")
    with directories.run_directory() as (directory, _):
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(victim)
        with pytest.raises(OSError, match="symbolic"):
            os.close(directories.open_log(directory) if name == "log" else os.open(directory / name, os.O_NOFOLLOW))
        assert directories.read_log(directory) == ""
    assert victim.read_text() == "running_server"


HOSTILE = """
ln -s "{victim}" link; ln -s "{victim}" data; mkdir deep; ln -s "{victim}" deep/link; ln -s / deep/root
mkfifo pipe; mkdir locked; touch locked/file; chmod 0 locked; touch -- -rf .hidden ..more
"""


def test_files_of_the_servers_user_are_removed_and_no_link_is_followed(parent: Path) -> None:
    victim = parent / "victim"
    victim.mkdir()
    (victim / "file").write_text("running_server")
    with directories.run_directory() as (directory, _):
        as_server(HOSTILE.format(victim=victim), directory / SERVER)
    assert [path.name for path in parent.iterdir()] == ["victim"]
    assert (victim / "file").read_text() == "running_server"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_in_which_others_could_replace_the_directory_is_not_used(
    parent: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    unsafe = parent / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(mode)
    monkeypatch.setattr(tempfile, "tempdir", str(unsafe))
    assert directories.temporary_directory() == parent
    unsafe.chmod(0o1777)
    assert directories.temporary_directory() == unsafe


# ------------------------------------------------------------------ leftovers of killed runs


def test_the_directory_of_a_killed_run_is_removed(parent: Path) -> None:
    leftover(parent)
    hidden = leftover(parent, ".rolecall-dead")
    os.utime(hidden, (1, 1))
    directories.sweep()
    assert list(parent.iterdir()) == []


def test_an_empty_directory_with_such_a_name_is_kept(parent: Path) -> None:
    """It may be of a run that was killed before it wrote its lock, or of a person."""
    empty = parent / ".rolecall-notes"
    empty.mkdir()
    os.utime(empty, (1, 1))
    directories.sweep()
    assert list(parent.iterdir()) == [empty]


def test_a_new_directory_is_kept(parent: Path) -> None:
    hidden = leftover(parent, ".rolecall-new")
    directories.sweep()
    assert hidden.is_dir()


def notes(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).write_text("my notes on locks\n")


def an_empty_lock(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).write_bytes(b"")


def no_lock(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).unlink()


def a_pipe(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).unlink()
    os.mkfifo(directory / LOCK)


def a_folder(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).unlink()
    (directory / LOCK).mkdir()


def a_link_to_a_lock(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).rename(directory / "real")
    (directory / LOCK).symlink_to("real")


def more_than_the_mark(directory: Path, _: ExitStack) -> None:
    (directory / LOCK).write_bytes(MAGIC * 2)


def locked(directory: Path, stack: ExitStack) -> None:
    lock = stack.enter_context((directory / LOCK).open())
    fcntl.flock(lock, fcntl.LOCK_EX)


def shared(directory: Path, _: ExitStack) -> None:
    directory.chmod(0o777)


def a_link(directory: Path, _: ExitStack) -> None:
    directory.symlink_to(directory.rename(directory.with_name("elsewhere")))


def another_users(directory: Path, _: ExitStack) -> None:
    os.chown(directory, server_uid(), -1)


NOT_OURS: list[Callable[[Path, ExitStack], None]] = [
    *(notes, an_empty_lock, no_lock, a_pipe, a_folder, a_link_to_a_lock, more_than_the_mark),
    *(locked, shared, a_link, *([another_users] if ROOT else [])),
]


@pytest.mark.parametrize("change", NOT_OURS)
def test_a_directory_without_our_mark_is_kept(parent: Path, change: Callable[[Path, ExitStack], None]) -> None:
    directory = leftover(parent, "rolecall-notes")
    (directory / "letter").write_text("dear")
    with ExitStack() as stack:
        change(directory, stack)
        sweeper = threading.Thread(target=directories.sweep, daemon=True)
        sweeper.start()
        sweeper.join(10)
        assert not sweeper.is_alive(), "the sweep hangs"
        assert (directory / "letter").read_text() == "dear"
    for path in (directory, directory.with_name("elsewhere")):
        if path.is_dir() and not path.is_symlink():
            os.chown(path, os.geteuid(), -1)


@pytest.mark.parametrize(
    "script",
    ["echo {pid} > data/postmaster.pid", "mkfifo data/postmaster.pid", "ln -s /dev/zero data/postmaster.pid"],
    ids=["another process", "a pipe", "an endless file"],
)
def test_a_sweep_does_not_trust_files_of_the_servers_user(parent: Path, script: str) -> None:
    directory = leftover(parent)
    # A process with the server's arguments, but with another program.
    command = [sys.executable, "-c", "import time; time.sleep(60)", str(directory / SERVER / "data")]
    bystander = subprocess.Popen(command)
    try:
        as_server(f"mkdir data; {script.format(pid=bystander.pid)}", directory / SERVER)
        sweeper = threading.Thread(target=directories.sweep, daemon=True)
        sweeper.start()
        sweeper.join(10)
        assert not sweeper.is_alive(), "the sweep hangs"
        assert bystander.poll() is None
        assert not directory.exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_still_runs_after_its_run_is_stopped(parent: Path) -> None:
    """This happens on systems that do not end the server with the run."""
    directory = leftover(parent)
    data = directory / SERVER / "data"
    server = subprocess.Popen(
        ["/bin/sh", "-c", 'sleep 60 & wait # "$0"', str(data)],
        **directories.run_as(directories.server_user()),
        start_new_session=True,
    )
    reaper = threading.Thread(target=server.wait)
    reaper.start()
    directories.sweep()
    reaper.join(10)
    assert server.poll() is not None
    with suppress(ProcessLookupError):
        os.killpg(server.pid, 9)
    assert list(parent.iterdir()) == []
