"""SQL that no tool has numbered: one file, which may include others, and Supabase's declarative schemas."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rolecall.errors import MigrationError
from rolecall.sql import psql
from rolecall.sql.layouts.layout import Layout, Migration, as_phases, require_file, require_text, sql_files
from rolecall.sql.phases import Phase, Script, Step, Transaction
from rolecall.sql.text import display_path

INCLUDE = re.compile(r"\\(?P<command>ir?|include(?:_relative)?)\s+(?P<quote>'?)(?P<name>.+?)(?P=quote)\s*;?")


def _as_phases(path: Path, files: list[Path], root: Path) -> tuple[Phase, ...]:
    titles = [Path(os.path.relpath(file, root)).with_suffix("").as_posix() for file in files]
    steps = [
        Step(file, (number,), file.stem, title, transaction=Transaction.OWN)
        for number, (file, title) in enumerate(zip(files, titles, strict=True), start=1)
    ]
    return as_phases(path, [Migration(require_text(step)) for step in steps])


class SingleFile(Layout):
    r"""One SQL file, for example from ``alembic upgrade head --sql``. It may only include others: ``\ir roles.sql``."""

    name, example, is_file = "file", "one SQL file, for example of alembic upgrade head --sql", True

    def fits(self, path: Path) -> bool:  # noqa: ARG002
        """Every file has this layout."""
        return True

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The file as the only step, or the files that it includes."""
        return _as_phases(path, list(_included(path)), path.parent)


def _included(path: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """The files that a file includes, in their order; the file itself if it includes none.

    Raises MigrationError if it has anything else too, or includes itself.
    """
    lines = [line.strip() for line in Script(path).read().splitlines()]
    includes = [INCLUDE.fullmatch(line) for line in lines]
    if not any(includes):
        yield path
        return
    for number, (line, include) in enumerate(zip(lines, includes, strict=True), start=1):
        place = f"{display_path(path)}:{number}"
        if include:
            file = require_file(_place_of(include, path, place))
            if file in (path, *above):
                raise MigrationError(f"{place}: {file.name} includes itself: remove the line.")
            yield from _included(file, (path, *above))
        elif line and not line.startswith("--") and not psql.HARMLESS.fullmatch(line):
            raise MigrationError(
                f"{place}: a file that includes others may have nothing else. Move the SQL to a file, and include it."
            )


def _place_of(include: re.Match[str], path: Path, place: str) -> Path:
    r"""The file that a line includes. ``\i`` starts at the working directory, as with psql, or beside the file."""
    beside = (path.parent / include["name"]).resolve()
    here = Path(include["name"]).resolve()
    file = here if "r" not in include["command"] and here.exists() else beside
    if not file.exists():
        raise MigrationError(f"{place}: {include['name']} does not exist: correct the name.")
    return file


class Schemas(Layout):
    """Supabase's ``schemas``: all files in the order of their paths, or in that of ``config.toml``."""

    name, example = "schemas", "supabase/schemas/notes.sql, in the order of config.toml or of the names"

    def fits(self, path: Path) -> bool:
        """Whether it has the name of Supabase's folder, and an SQL file."""
        return path.name == "schemas" and bool(sql_files(path, below=True))

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The files as the steps of one phase."""
        patterns = _schema_paths(path.parent / "config.toml")
        if not patterns:
            return _as_phases(path, sql_files(path, below=True), path)
        files: dict[Path, None] = {}
        for pattern in patterns:
            found = sorted(path.parent.glob(pattern.removeprefix("./")))
            if not found:
                raise MigrationError(
                    f"{path.parent / 'config.toml'}: schema_paths has {pattern!r}, which names no file: "
                    "correct or remove it."
                )
            files |= dict.fromkeys(found)
        return _as_phases(path, list(files), path.parent)


def _schema_paths(config: Path) -> list[str]:
    """``schema_paths`` of Supabase's configuration; empty without one."""
    if not config.is_file():
        return []
    try:
        data: dict[str, Any] = tomllib.loads(config.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MigrationError(f"{config} cannot be read: {error}.") from None
    patterns = data.get("db", {}).get("migrations", {}).get("schema_paths", [])
    return list(patterns)
