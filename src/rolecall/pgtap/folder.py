"""The folder of the exported scripts: which files are ours, which are new, out of date, or of a grid that has gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rolecall.errors import RolecallError

MARK = "Written by `rolecall pgtap` from "  # in the first line of each file


def names(tables: Iterable[str]) -> list[str]:
    """A name for the script of each grid: that of its table, with a number if another grid has it already."""
    taken: list[str] = []
    for table in tables:
        stem = "rolecall_" + re.sub(r"\W+", "_", table)
        name, number = f"{stem}.sql", 1
        while name.lower() in map(str.lower, taken):  # a disk may not tell capitals apart
            number += 1
            name = f"{stem}_{number}.sql"
        taken.append(name)
    return taken


def out_of_date(folder: Path, texts: Mapping[str, str]) -> list[str]:
    """What differs between the folder and the scripts, by name: a line for each file. Raises RolecallError."""
    existing = _existing(folder, texts)
    lines = [
        f"{folder / name} {'differs from its grid' if name in existing else 'is missing'}"
        for name, text in texts.items()
        if existing.get(name) != text
    ]
    return lines + [f"{folder / name} has no grid any more" for name in existing if name not in texts]


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the scripts, and remove those of grids that no longer exist. Raises RolecallError."""
    existing = _existing(folder, texts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name in existing:
            if name not in texts:
                (folder / name).unlink()
    except OSError as error:
        raise RolecallError(f"{error.filename or folder} cannot be written: {error.strerror}.") from None


def _existing(folder: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """The scripts of the folder that were written before. Raises RolecallError if another file is in the way."""
    if folder.exists() and not folder.is_dir():
        raise RolecallError(f"{folder} is not a folder: name one, such as supabase/tests.")
    found: dict[str, str] = {}
    for path in sorted(folder.glob("rolecall_*.sql")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if text.startswith(f"-- {MARK}"):
            found[path.name] = text
        elif path.name in texts:
            advice = "its first line has changed. Move it, or name another folder."
            raise RolecallError(f"{path} exists, and was not written by rolecall, or {advice}")
    return found
