"""SQL that no tool has numbered: one file, and Supabase's declarative schemas."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from rolecall.errors import MigrationError
from rolecall.sql.layouts.layout import Layout, Migration, as_phases, require_text, sql_files
from rolecall.sql.phases import Phase, Step, Transaction


def _as_phases(path: Path, files: list[Path], root: Path) -> tuple[Phase, ...]:
    titles = [file.relative_to(root).with_suffix("").as_posix() for file in files]
    steps = [
        Step(file, (number,), file.stem, title, transaction=Transaction.OWN)
        for number, (file, title) in enumerate(zip(files, titles, strict=True), start=1)
    ]
    return as_phases(path, [Migration(require_text(step)) for step in steps])


class SingleFile(Layout):
    """One SQL file, for example from ``alembic upgrade head --sql``."""

    name, example, is_file = "file", "one SQL file, for example of alembic upgrade head --sql", True

    def fits(self, path: Path) -> bool:  # noqa: ARG002
        """Every file has this layout."""
        return True

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The file as the only step."""
        return _as_phases(path, [path], path.parent)


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
