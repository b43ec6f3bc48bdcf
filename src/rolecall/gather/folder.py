"""The folder of a report: the results of earlier runs that it has, and the report that is written into it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rolecall.errors import RolecallError
from rolecall.gather import mutants, run
from rolecall.report.report import Report, ReportedMutants, ReportedRun

DEFAULT = Path(".rolecall/report")
DRIFT, CHANGES = "drift.json", "changes.json"
CHECK = "Make it with rolecall check --format json."
DIFF = "Make it with rolecall diff --format json."


class Results(NamedTuple):
    """What the folder has of earlier commands; None without their file."""

    run: ReportedRun | None = None
    mutants: ReportedMutants | None = None
    drift: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] | None = None

    def added_to(self, report: Report) -> Report:
        """A report with these results."""
        if self.run:
            report = replace(report, tests=self.run.tests, coverage=self.run.coverage)
        return replace(report, mutants=self.mutants, drift=self.drift, changes=self.changes)


def read(folder: Path, drift: Path | None = None) -> Results:
    """Read the results in a folder. ``drift`` is read in place of the one in the folder.

    Raises RolecallError for a file that cannot be read, or a folder that is none.
    """
    if folder.exists() and not folder.is_dir():
        raise RolecallError(f"{folder} is not a folder: name one, such as {DEFAULT}.")
    if drift and not drift.exists():
        raise RolecallError(f"{drift} does not exist. {CHECK}")
    return Results(
        run.read(folder),
        mutants.read(folder),
        run.read_json(drift or folder / DRIFT, CHECK),
        run.read_json(folder / CHANGES, DIFF),
    )


def write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write files by name, each as a whole. Returns their paths. Raises RolecallError."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            _write(folder / name, text)
            written.append(folder / name)
    except OSError as error:
        raise RolecallError(f"{error.filename or folder} cannot be written: {error.strerror}.") from None
    return written


def _write(path: Path, text: str) -> None:
    """Write a file beside its place first: a reader, or a killed command, never leaves half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
