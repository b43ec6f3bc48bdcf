"""Which files were saved, and which folders are watched for that."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rolecall.watch.saves import Saves, watches


def test_folders_to_leave_out_are_not_watched(tmp_path: Path) -> None:
    for name in ("a/b/c", "d/node_modules/x", "d/e/f", ".git/objects", "env"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert {(path.relative_to(tmp_path).as_posix(), recursive) for path, recursive in watches(tmp_path)} == {
        (".", False),
        ("a", True),
        ("d", False),
        ("d/e", True),
    }


@pytest.fixture
def saves(tmp_path: Path) -> Iterator[Saves]:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "old.py").touch()
    saves = Saves([tmp_path])
    yield saves
    saves.close()


def read_until(saves: Saves, path: Path) -> set[Path]:
    """All files that were saved, up to this one."""
    found: set[Path] = set()
    deadline = time.monotonic() + 20
    while path not in found:
        assert select.select([saves], [], [], max(deadline - time.monotonic(), 0))[0], f"only {found}"
        found |= saves.read()
    return found


def test_saves(saves: Saves, tmp_path: Path) -> None:
    (tmp_path / "node_modules" / "left_out.py").write_text("")
    (tmp_path / "new.py").write_text("")
    assert read_until(saves, tmp_path / "new.py") == {tmp_path / "new.py"}
    (tmp_path / "new.py").rename(tmp_path / "other.py")
    assert read_until(saves, tmp_path / "other.py") == {tmp_path / "new.py", tmp_path / "other.py"}
    (tmp_path / "old.py").unlink()
    assert read_until(saves, tmp_path / "old.py") == {tmp_path / "old.py"}


def test_a_file_that_is_read_was_not_saved(saves: Saves, tmp_path: Path) -> None:
    (tmp_path / "old.py").read_text()
    (tmp_path / "new.py").write_text("")
    assert read_until(saves, tmp_path / "new.py") == {tmp_path / "new.py"}


def test_new_folders(saves: Saves, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "first.py").write_text("")
    read_until(saves, tmp_path / "a" / "b" / "first.py")
    (tmp_path / "a" / "b" / "second.py").write_text("")
    read_until(saves, tmp_path / "a" / "b" / "second.py")


def test_folders_that_are_gone_at_once(saves: Saves, tmp_path: Path) -> None:
    """pytest makes its cache like this: a folder with another name, which it renames."""
    for number in range(200):
        (tmp_path / f"part {number}").mkdir()
        (tmp_path / f"part {number}").rename(tmp_path / f".cache {number}")
    (tmp_path / "new.py").write_text("")
    read_until(saves, tmp_path / "new.py")
