"""Finds what a folder has to build: the migrations or a dump, and the platform that they are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import postgast

from rolecall import platforms
from rolecall.dump.reading import is_dump
from rolecall.errors import RolecallError
from rolecall.sql import files, layouts, migrations
from rolecall.sql.layouts import AUTO

# Where the common tools keep the migrations, or a schema in one file.
PLACES = (
    *("supabase/migrations", "supabase/schemas", "prisma/migrations", "db/migrations", "db/migration"),
    *("src/main/resources/db/migration", "migrations", "drizzle", "sql", "schema.sql", "db/structure.sql"),
    "db/schema.sql",
)
SUPABASE, POSTGREST, NEON = "supabase", "postgrest", "neon"
OF_SUPABASE = ("auth.uid", "auth.users", "auth.jwt", "auth.role", "auth.email", "storage.", "service_role")
OF_NEON = ("auth.user_id", "auth.session", "neon_auth.")
OF_POSTGREST = ("request.jwt.claim", "web_anon", "authenticator")


@dataclass(frozen=True)
class Project:
    """What to build: a path, whether it is a dump, and the name of the platform."""

    path: Path
    is_dump: bool
    platform: str

    def lines(self, root: Path) -> dict[str, str]:
        """The settings of pytest's configuration in the folder ``root``."""
        path = self.path.relative_to(root) if self.path.is_relative_to(root) else self.path
        platform = {} if self.platform == platforms.NONE else {"rolecall_platform": self.platform}
        return {**platform, "rolecall_baseline" if self.is_dump else "rolecall_migrations": path.as_posix()}


def find(path: Path, layout: str = AUTO, platform: str | None = None) -> Project:
    """What a folder or file has. Raises RolecallError if that is not clear, and MigrationError or SqlError."""
    if path.is_file():
        text = files.read(path)
        dump = is_dump(text)
        texts = iter([text])
    elif path.is_dir():
        path, dump = _migrations(path, layout), False
        if path.is_file():
            return find(path, layout, platform)
        phases = migrations.read(path, layout)
        texts = (step.read() for phase in phases for step in phase.steps)
    else:
        raise RolecallError(
            f"{path} is no folder and no file: name the folder of the migrations, or an SQL file.\n"
            'Of a database, make one: pg_dump --schema-only --file=schema.sql "$DATABASE_URL"'
        )
    return Project(path.resolve(), dump, platform or _platform(texts))


def _migrations(folder: Path, layout: str) -> Path:
    """One of the usual places in a folder, or the folder itself. Raises MigrationError if it has no layout."""
    existing = [folder / place for place in PLACES if (folder / place).exists()]
    if existing:
        return existing[0]
    layouts.choose(folder, layout)
    return folder


def _platform(texts: Iterator[str]) -> str:
    """The platform that SQL is written for."""
    words = {word.lower() for text in texts for word in _words(text)}
    for name, marks in ((NEON, OF_NEON), (SUPABASE, OF_SUPABASE), (POSTGREST, OF_POSTGREST)):
        if any(word.startswith(mark) if mark[-1] in "._m" else word == mark for word in words for mark in marks):
            return name
    return platforms.NONE


def _words(text: str, depth: int = 0) -> Iterator[str]:
    """The names and strings of a text without its comments; a name with its schema. Also in bodies of functions."""
    data = text.encode()
    try:
        tokens = postgast.scan(text).tokens
    except postgast.PgQueryError:
        return
    before = dot = ""
    for token in tokens:
        word = data[token.start : token.end].decode(errors="replace")
        if word.startswith("$") and depth < 2 and len(word) > 2:
            yield from _words(word.split("$", 2)[-1].rpartition("$")[0].rpartition("$")[0], depth + 1)
        elif word.startswith("'"):
            yield word.strip("'")
            if depth < 2 and "\n" in word:
                yield from _words(word.strip("'"), depth + 1)
        elif word == ".":
            dot = before
            continue
        elif word[:1].isalnum() or word[:1] in '_"':
            name = word.strip('"')
            yield f"{dot}.{name}" if dot else name
            before, dot = name, ""
            continue
        before = dot = ""
