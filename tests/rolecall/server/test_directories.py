"""The directory of a run: whose it is, what a later run removes, and that what others plant does no harm."""

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
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only place that directories of runs go to, and are swept in."""
    made = Path(tempfile.mkdtemp(prefix="places-"))
    made.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(made))
    for module, name in ((tempfile, "tempdir"), (directories, "MEMORY"), (directories, "LAST")):
        monkeypatch.setattr(module, name, str(made) if name == "tempdir" else made)
    yield made
    shutil.rmtree(made)


def server_uid() -> int:
    user = directories.server_user()
    return pwd.getpwnam(user).pw_uid if user else os.geteuid()


def as_server(script: str, folder: Path) -> None:
    """Run a script as the server's user, who may write in the part of a directory that is its own."""
    command = ["/bin/sh", "-ec", script]
    subprocess.run(command, cwd=folder, check=True, **directories.run_as(directories.server_user()))


def left_over(place: Path, name: str = "rolecall-dead") -> Path:
    """A directory as a killed run leaves it."""
    with directories.home() as (directory, _):
        shutil.copytree(directory, place / name, ignore=shutil.ignore_patterns(SERVER))
    (place / name / SERVER).mkdir(0o700)
    os.chown(place / name / SERVER, server_uid(), -1)
    (place / name).chmod(0o711)
    return place / name


# ------------------------------------------------------------------ whose it is


def test_the_servers_user_may_write_its_own_part_and_nothing_else(toy_server: Server) -> None:
    assert toy_server.cluster
    directory = toy_server.cluster.directory
    found = [directory, *(path for path in directory.iterdir() if path.name != SERVER)]
    assert {path.name for path in found} >= {directory.name, LOCK, "log"}
    for path in found:
        assert path.lstat().st_uid == os.geteuid()
        assert not path.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    assert (directory / SERVER).stat().st_uid == server_uid()
    assert (directory / SERVER).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["log", LOCK])
def test_a_link_in_place_of_a_file_is_not_followed(place: Path, name: str) -> None:
    victim = place / "victim"
    victim.write_text("theirs")
    with directories.home() as (directory, _):
        (directory / name).unlink(missing_ok=True)
        (directory / name).symlink_to(victim)
        with pytest.raises(OSError, match="symbolic"):
            os.close(directories.open_log(directory) if name == "log" else os.open(directory / name, os.O_NOFOLLOW))
        assert directories.read_log(directory) == ""
    assert victim.read_text() == "theirs"


PLANTED = """
ln -s "{victim}" link; ln -s "{victim}" data; mkdir deep; ln -s "{victim}" deep/link; ln -s / deep/root
mkfifo pipe; mkdir locked; touch locked/file; chmod 0 locked; touch -- -rf .hidden ..more
"""


def test_what_the_servers_user_leaves_is_removed_and_no_link_followed(place: Path) -> None:
    victim = place / "victim"
    victim.mkdir()
    (victim / "file").write_text("theirs")
    with directories.home() as (directory, _):
        as_server(PLANTED.format(victim=victim), directory / SERVER)
    assert [path.name for path in place.iterdir()] == ["victim"]
    assert (victim / "file").read_text() == "theirs"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_place_where_others_could_exchange_it_is_not_used(
    place: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    unsafe = place / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(mode)
    monkeypatch.setattr(tempfile, "tempdir", str(unsafe))
    assert directories.temporary_directory() == place
    unsafe.chmod(0o1777)
    assert directories.temporary_directory() == unsafe


# ------------------------------------------------------------------ swept


def test_what_a_killed_run_left_is_swept(place: Path) -> None:
    left_over(place)
    hidden = left_over(place, ".rolecall-dead")
    os.utime(hidden, (1, 1))
    directories.sweep()
    assert list(place.iterdir()) == []


def test_an_empty_directory_of_such_a_name_has_no_mark(place: Path) -> None:
    """A run that is killed before it has made its lock leaves one, and so may a person."""
    empty = place / ".rolecall-notes"
    empty.mkdir()
    os.utime(empty, (1, 1))
    directories.sweep()
    assert list(place.iterdir()) == [empty]


def test_what_is_just_being_made_is_not_swept(place: Path) -> None:
    hidden = left_over(place, ".rolecall-new")
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


def held_by_somebody(directory: Path, stack: ExitStack) -> None:
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
    *(held_by_somebody, shared, a_link, *([another_users] if ROOT else [])),
]


@pytest.mark.parametrize("change", NOT_OURS)
def test_what_does_not_carry_our_mark_is_left_alone(place: Path, change: Callable[[Path, ExitStack], None]) -> None:
    directory = left_over(place, "rolecall-notes")
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
    "plant",
    ["echo {pid} > data/postmaster.pid", "mkfifo data/postmaster.pid", "ln -s /dev/zero data/postmaster.pid"],
    ids=["another's process", "a pipe", "a file without an end"],
)
def test_a_sweep_believes_nothing_that_the_servers_user_wrote(place: Path, plant: str) -> None:
    directory = left_over(place)
    # What looks like the server's arguments is not enough.
    waits = [sys.executable, "-c", "import time; time.sleep(60)", str(directory / SERVER / "data")]
    bystander = subprocess.Popen(waits)
    try:
        as_server(f"mkdir data; {plant.format(pid=bystander.pid)}", directory / SERVER)
        sweeper = threading.Thread(target=directories.sweep, daemon=True)
        sweeper.start()
        sweeper.join(10)
        assert not sweeper.is_alive(), "the sweep hangs"
        assert bystander.poll() is None
        assert not directory.exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_outlived_its_run_is_stopped(place: Path) -> None:
    """As where a system does not end it with the run."""
    directory = left_over(place)
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
    assert list(place.iterdir()) == []
