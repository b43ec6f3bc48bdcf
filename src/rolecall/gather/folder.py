"""The folder of a report: the results of earlier runs that it has, and the report that is written into it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rolecall.errors import RolecallError
from rolecall.report.report import Report, ReportedMutants
from rolecall.report.results import MutationScore

DEFAULT = Path(".rolecall/report")
MUTANTS, DRIFT, CHANGES = "mutants.json", "drift.json", "changes.json"

# The outcomes of mutants, by the status in Stryker's schema.
OUTCOMES = {
    "Killed": "killed",
    "Survived": "survived",
    "Ignored": "equivalent",
    "CompileError": "invalid",
}


class Results(NamedTuple):
    """What the folder has of earlier commands; None without their file."""

    mutants: ReportedMutants | None = None
    drift: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] | None = None

    def added_to(self, report: Report) -> Report:
        """A report with these results."""
        return replace(report, **self._asdict())


def read(folder: Path, drift: Path | None = None) -> Results:
    """Read the results in a folder. ``drift`` is read in place of the one in the folder.

    Raises RolecallError for a file that cannot be read, or a folder that is none.
    """
    if folder.exists() and not folder.is_dir():
        raise RolecallError(f"{folder} is not a folder: name one, such as {DEFAULT}.")
    if drift and not drift.exists():
        raise RolecallError(f"{drift} does not exist: make it with rolecall check --format json TARGET > {drift.name}.")
    mutants = _read(folder / MUTANTS)
    return Results(
        _mutants(mutants, folder / MUTANTS) if mutants is not None else None,
        _read(drift or folder / DRIFT),
        _read(folder / CHANGES),
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


def _read(path: Path) -> Mapping[str, Any] | None:
    """The object in a JSON file; None without the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RolecallError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise RolecallError(f"{path} is not JSON ({error}): write it again, or remove it.") from None
    if not isinstance(data, dict):
        raise RolecallError(f"{path} has no JSON object: write it again, or remove it.")
    return data


def _mutants(stryker: Mapping[str, Any], path: Path) -> ReportedMutants:
    """The mutants of a report in Stryker's schema."""
    try:
        statuses = [mutant["status"] for file in stryker["files"].values() for mutant in file["mutants"]]
    except (AttributeError, KeyError, TypeError):
        text = (
            "is not in Stryker's schema: run pytest with --rolecall-mutants and --rolecall-report again, or remove it"
        )
        raise RolecallError(f"{path} {text}.") from None
    outcomes: dict[str, int] = {}
    for status in statuses:
        outcome = OUTCOMES.get(status, "error")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return ReportedMutants(MutationScore(outcomes, 0), [], stryker)
