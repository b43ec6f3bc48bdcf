"""The template cache: a cluster with baseline and migrations, in an archive that the next run can start from.

The archive's name begins with a key: the digest of everything that the databases depend on. The world is not in the
archive. Each run loads it, so that rows with ``DEFAULT now()`` are new. Rows that the migrations insert are in the
archive, and so it is used for an hour only: an invitation that is valid for a day must not expire on the next one.

An archive is never changed. It is written to another name and renamed when it is complete, so two runs at the same
time do not disturb each other. The name ends with a checksum of the contents, which shows damage. A folder that other
users may write to is not used. In the folder, only this user's files with such a name are used.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import rolecall
from rolecall import platforms
from rolecall.server import cluster
from rolecall.server.directories import NOT_FOLLOWED
from rolecall.settings import Settings
from rolecall.sql import migrations

PACKAGE = Path(rolecall.__file__).parent
MAXIMUM = 4  # archives; each has about 50 MB
PIECE = 4 * 2**20  # bytes; between two pieces, a thread waits until the others let it run
YOUNG = 3600.0  # seconds; the rows in an older archive have aged too much
PATIENCE = 600.0  # seconds; an older part is of a run that was killed
IGNORE = "*\n"  # for git, as in pytest's own cache
# Earlier versions of rolecall wrote longer checksums. Those archives are removed when they are old.
ARCHIVE = re.compile(r"(?P<key>[0-9a-f]{16})\.(?P<checksum>[0-9a-f]{8,16})\.tar")
PART = re.compile(r"[0-9a-f]{16}\.\d+\.part")


class TemplateCache:
    """The archives in a folder. Those for this run have its ``key``."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def find(self) -> Path | None:
        """The archive for this run; None if there is none that is young enough."""
        oldest = (time.time() - YOUNG) * 1e9
        return max((each for each in self._of_this_run() if _age(each)[0] >= oldest), key=_age, default=None)

    def is_whole(self, archive: Path) -> bool:
        """Whether an archive is undamaged."""
        with suppress(OSError):
            return archive.name.split(".")[1] == _checksum(archive)
        return False

    def remove(self, archive: Path) -> None:
        """Remove an archive, if it exists."""
        with suppress(OSError):
            archive.unlink()

    def put(self, stopped: cluster.Cluster) -> None:
        """Write an archive of a cluster that was stopped with SIGINT, and remove old ones.

        If the folder cannot be written to, nothing happens.
        """
        part = self.folder / f"{self.key}.{os.getpid()}.part"
        try:
            self._create_folder()
            if objection(self.folder):
                return
            self.remove(part)  # of a killed process with the same pid
            stopped.pack(part)
            part.replace(self.folder / f"{self.key}.{_checksum(part)}.tar")
        except (OSError, subprocess.SubprocessError):
            pass
        finally:
            self.remove(part)  # if it was not renamed
        self._prune()

    def clear(self) -> None:
        """Remove all archives, also those with other keys."""
        for archive in self._files(ARCHIVE, PART):
            self.remove(archive)

    def _create_folder(self) -> None:
        if self.folder.is_dir():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError), (self.folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write(IGNORE)

    def _prune(self) -> None:
        """Remove all but the newest archive with this key (several runs may have built one), and the oldest ones."""
        newest = self.find()
        for archive in self._of_this_run():
            if archive != newest:
                self.remove(archive)
        for archive in sorted(self._files(ARCHIVE), key=_age, reverse=True)[MAXIMUM:]:
            self.remove(archive)
        for part in self._files(PART):
            if _age(part)[0] < (time.time() - PATIENCE) * 1e9:
                self.remove(part)

    def _of_this_run(self) -> list[Path]:
        return [archive for archive in self._files(ARCHIVE) if archive.name.startswith(self.key + ".")]

    def _files(self, *patterns: re.Pattern[str]) -> list[Path]:
        """This user's files in the folder with such names. No links, pipes or folders."""
        if objection(self.folder):
            return []
        with suppress(OSError):
            entries = [each for each in os.scandir(self.folder) if any(name.fullmatch(each.name) for name in patterns)]
            return [self.folder / entry.name for entry in entries if _is_ours(entry)]
        return []


def objection(folder: Path) -> str | None:
    """Why a folder cannot be used for the cache, in one line; None if it can, or does not exist yet."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        if folder.is_symlink():
            return f"{folder} is not used: it is a link to a folder that does not exist. Remove it."
        return None
    except OSError as error:
        return f"{folder} is not used: {error.strerror}."
    if not stat.S_ISDIR(status.st_mode):
        return f"{folder} is not used: it is not a folder. Remove it, or name another with --rolecall-cache-dir."
    if status.st_uid != os.geteuid():
        return (
            f"{folder} is not used: it belongs to another user. Remove it, or name another with --rolecall-cache-dir."
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{folder} is not used: other users may write to it. Remove it, or run: chmod go-w {folder}"
    return None


def _is_ours(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not shared
    return False


def key(settings: Settings, binaries: Path) -> str:
    """A digest of everything that the databases depend on."""
    digest = hashlib.sha256()
    for part in _parts(settings, binaries):
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(b"%d %b" % (len(data), data))
    return digest.hexdigest()[:16]


def _parts(settings: Settings, binaries: Path) -> Iterator[Any]:
    for program in ("postgres", "initdb"):
        path = (binaries / program).resolve()
        yield str(path), path.stat().st_size, path.stat().st_mtime_ns
    yield from sorted(cluster.CONFIGURATION.items())
    yield cluster.INITDB, os.geteuid() == 0, settings.default_privileges, settings.migration_role
    for pattern in ("*.py", "*.sql"):  # rolecall itself: its version does not change with each edit
        for module in sorted(PACKAGE.rglob(pattern)):
            yield module.read_bytes()
    for part in platforms.of(settings.platform).files if settings.platform else ():
        yield part.read_bytes()
    for file in (settings.baseline, settings.requires):
        yield file and file.read_bytes()
    for phase in migrations.of(settings):
        for script in phase.scripts:
            yield script.id, script.transaction.name, script.path.read_bytes()


def _checksum(path: Path) -> str:
    checksum, piece = 0, memoryview(bytearray(PIECE))
    with os.fdopen(os.open(path, os.O_RDONLY | NOT_FOLLOWED), "rb") as file:
        while size := file.readinto(piece):
            checksum = zlib.crc32(piece[:size], checksum)
    return f"{checksum:08x}"


def _age(path: Path) -> tuple[int, str]:
    """The sort key of an archive, the same in every run: its modification time (nanoseconds) and its name."""
    with suppress(OSError):  # another run may have removed it
        return path.lstat().st_mtime_ns, path.name
    return 0, path.name
