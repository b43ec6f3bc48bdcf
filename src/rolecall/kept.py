"""What is kept for the next run: the cluster with baseline and migrations, in an archive named after all that it
depends on. The world is not in it: each run loads it, so that rows with ``DEFAULT now()`` are of today.

An archive is never changed: it is written beside, and moved to its name when it is whole. The name ends with the
digest of its contents, by which a broken one is noticed. So two runs at once cannot come between each other.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rolecall import cluster, migrations
from rolecall.settings import Settings

MOST = 4  # archives, of some 50 MB each
LONG = 600.0  # seconds, in which any archive is written
IGNORE = "*\n"  # as pytest's own cache does: nobody wants this in a repository


class Kept:
    """The archives in a folder, of which those that are for this run have its ``key``."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key

    def find(self) -> Path | None:
        """The archive for this run; None if there is none."""
        found = sorted(self.folder.glob(f"{self.key}.*.tar"), key=_written)
        return found[-1] if found else None

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
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text(IGNORE, encoding="utf-8")
            stopped.pack(part)
            part.replace(self.folder / f"{self.key}.{_digest(part)}.tar")
        except (OSError, subprocess.SubprocessError):
            self.remove(part)
        for old in sorted(self.folder.glob("*.tar"), key=_written, reverse=True)[MOST:]:
            self.remove(old)
        for left in self.folder.glob("*.part"):  # by a run that was killed
            if _written(left) < time.time() - LONG:
                self.remove(left)

    def forget(self) -> None:
        """Remove all archives, of other runs too."""
        for archive in (*self.folder.glob("*.tar"), *self.folder.glob("*.part")):
            self.remove(archive)


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
    yield cluster.INITDB, os.geteuid() == 0, settings.grants, settings.migration_roles
    for suffix in ("*.py", "*.sql"):  # rolecall itself, also between its versions
        for module in sorted(Path(__file__).parent.rglob(suffix)):
            yield module.read_bytes()
    for file in (settings.platform, settings.baseline, settings.requires):
        yield file and file.read_bytes()
    for phase in migrations.read(settings.migrations) if settings.migrations else ():
        for path in sorted(phase.files):
            yield path.parent.name, path.name, path.read_bytes()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _written(path: Path) -> float:
    with suppress(OSError):  # another run has removed it
        return path.stat().st_mtime
    return 0.0
