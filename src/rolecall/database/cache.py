"""What is kept for the next run: the cluster with baseline and migrations, in an archive named after all that it
depends on. The world is not in it: each run loads it, so that rows with ``DEFAULT now()`` are of today.

An archive is never changed: it is written beside, and moved to its name when it is whole. The name ends with the
digest of its contents, by which a broken one is noticed. So two runs at once cannot come between each other. A folder
that another user may write to is not used, and of what lies in it only files of this user with such a name are.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import rolecall
from rolecall.server import cluster
from rolecall.server.directories import NOT_FOLLOWED
from rolecall.settings import Settings
from rolecall.sql import migrations

PACKAGE = Path(rolecall.__file__).parent
MOST = 4  # archives, of some 50 MB each
LONG = 600.0  # seconds, in which any archive is written
IGNORE = "*\n"  # as pytest's own cache does: nobody wants this in a repository
ARCHIVE = re.compile(r"(?P<key>[0-9a-f]{16})\.(?P<digest>[0-9a-f]{16})\.tar")
PART = re.compile(r"[0-9a-f]{16}\.\d+\.part")


class TemplateCache:
    """The archives in a folder, of which those that are for this run have its ``key``."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def find(self) -> Path | None:
        """The archive for this run; None if there is none."""
        return max(self._of_this_run(), key=_age, default=None)

    def is_whole(self, archive: Path) -> bool:
        """Whether an archive has the contents that it was written with."""
        with suppress(OSError):
            return archive.name.split(".")[1] == _digest(archive)
        return False

    def remove(self, archive: Path) -> None:
        """Remove an archive that cannot be used, if it is there."""
        with suppress(OSError):
            archive.unlink()

    def put(self, stopped: cluster.Cluster) -> None:
        """Keep the data of a cluster that was stopped in an orderly way, and only so many of those before it.

        Where nothing can be written, nothing is kept.
        """
        part = self.folder / f"{self.key}.{os.getpid()}.part"
        try:
            self._make()
            if objection(self.folder):
                return
            self.remove(part)  # of a process that was killed and had this number
            stopped.pack(part)
            part.replace(self.folder / f"{self.key}.{_digest(part)}.tar")
        except (OSError, subprocess.SubprocessError):
            pass
        finally:
            self.remove(part)  # if it was not moved
        self._prune()

    def clear(self) -> None:
        """Remove all archives, of other runs too."""
        for archive in self._files(ARCHIVE, PART):
            self.remove(archive)

    def _make(self) -> None:
        if self.folder.is_dir():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError), (self.folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write(IGNORE)

    def _prune(self) -> None:
        """Remove what is too much: all but the newest of this key, which runs at once have built, and the oldest."""
        newest = self.find()
        for same in self._of_this_run():
            if same != newest:
                self.remove(same)
        for old in sorted(self._files(ARCHIVE), key=_age, reverse=True)[MOST:]:
            self.remove(old)
        for left in self._files(PART):  # by a run that was killed
            if _age(left)[0] < (time.time() - LONG) * 1e9:
                self.remove(left)

    def _of_this_run(self) -> list[Path]:
        return [archive for archive in self._files(ARCHIVE) if archive.name.startswith(self.key + ".")]

    def _files(self, *names: re.Pattern[str]) -> list[Path]:
        """What lies in the folder under such names: files of this user, no link, pipe or folder."""
        if objection(self.folder):
            return []
        with suppress(OSError):
            found = [entry for entry in os.scandir(self.folder) if any(name.fullmatch(entry.name) for name in names)]
            return [self.folder / entry.name for entry in found if _is_ours(entry)]
        return []


def objection(folder: Path) -> str | None:
    """Why a folder cannot keep anything, in a line; None if it can, or is not there yet."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        if folder.is_symlink():
            return f"{folder} is not used: it is a link to what is not there. Remove it."
        return None
    except OSError as error:
        return f"{folder} is not used: {error.strerror}."
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not used: it is no folder. Remove it, or name another with --rolecall-cache-dir."
    if found.st_uid != os.geteuid():
        return (
            f"{folder} is not used: it belongs to another user. Remove it, or name another with --rolecall-cache-dir."
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder} is not used: other users may write to it. Remove it, or run: chmod go-w {folder}"
    return None


def _is_ours(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        found = entry.stat(follow_symlinks=False)
        others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not others
    return False


def key(settings: Settings, binaries: Path) -> str:
    """A digest of everything that the kept databases depend on."""
    digest = hashlib.sha256()
    for part in _parts(settings, binaries):
        digest.update(repr(part).encode())
    return digest.hexdigest()[:16]


def _parts(settings: Settings, binaries: Path) -> Iterator[Any]:
    for program in ("postgres", "initdb"):
        path = (binaries / program).resolve()
        yield str(path), path.stat().st_size, path.stat().st_mtime_ns
    yield from sorted(cluster.CONFIGURATION.items())
    yield cluster.INITDB, os.geteuid() == 0, settings.default_privileges, settings.migration_role
    for suffix in ("*.py", "*.sql"):  # rolecall itself, also between its versions
        for module in sorted(PACKAGE.rglob(suffix)):
            yield module.read_bytes()
    for file in (settings.platform, settings.baseline, settings.requires):
        yield file and file.read_bytes()
    for phase in migrations.read(settings.migrations) if settings.migrations else ():
        for script in phase.scripts:
            yield script.id, script.path.read_bytes()


def _digest(path: Path) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | NOT_FOLLOWED), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _age(path: Path) -> tuple[int, str]:
    """What archives are ordered by, the same in every run: when it was written (nanoseconds), and its name."""
    with suppress(OSError):  # another run has removed it
        return path.lstat().st_mtime_ns, path.name
    return 0, path.name
