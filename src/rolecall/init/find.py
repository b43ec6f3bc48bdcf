"""Finds what a folder has to build: the migrations or a dump, and the platform that they are for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import postgast

from rolecall import platforms
from rolecall.dump.reading import is_dump
from rolecall.errors import MigrationError, RolecallError
from rolecall.sql import files, layouts, migrations
from rolecall.sql.layouts import AUTO
from rolecall.sql.layouts.layout import sql_files

# Where the common tools keep the migrations, or a schema in one file.
PLACES = (
    *("supabase/migrations", "supabase/schemas", "prisma/migrations", "db/migrations", "db/migration"),
    *("src/main/resources/db/migration", "migrations", "drizzle", "sql", "schema.sql", "db/structure.sql"),
    *("db/schema.sql", "docker-entrypoint-initdb.d"),
)
SUPABASE, POSTGREST, NEON = "supabase", "postgrest", "neon"
OF_SUPABASE = ("auth.uid", "auth.users", "auth.jwt", "auth.role", "auth.email", "storage.", "service_role")
OF_NEON = ("auth.user_id", "auth.session", "neon_auth.")
OF_POSTGREST = ("request.jwt.claim", "web_anon", "authenticator")
SHOWN = 5  # files or folders in a message
OF_OTHERS = ("node_modules", "site-packages", "vendor")  # folders with what a project did not write


@dataclass(frozen=True)
class Project:
    """What to build: a path, whether it is a dump, and the name of the platform.

    ``unread`` are the SQL files beside a file that was found, and not named.
    """

    path: Path
    is_dump: bool
    platform: str
    unread: Sequence[str] = ()

    @property
    def note(self) -> str:
        """What was read, if there are other SQL files beside it."""
        if not self.unread:
            return ""
        more = f" and {len(self.unread) - SHOWN} more" if len(self.unread) > SHOWN else ""
        return (
            f"Only {self.path.name} was read, and not {', '.join(self.unread[:SHOWN])}{more} beside it. If they belong "
            f"together, write a file all.sql with a line \\ir {self.path.name} for each, in their order, and name it: "
            "rolecall init all.sql"
        )

    def lines(self, root: Path) -> dict[str, str]:
        """The settings of pytest's configuration in the folder ``root``."""
        path = self.path.relative_to(root) if self.path.is_relative_to(root) else self.path
        platform = {} if self.platform == platforms.NONE else {"rolecall_platform": self.platform}
        return {**platform, "rolecall_baseline" if self.is_dump else "rolecall_migrations": path.as_posix()}


def find(path: Path, layout: str = AUTO, platform: str | None = None) -> Project:
    """What a folder or file has. Raises RolecallError if that is not clear, and MigrationError or SqlError."""
    if path.is_file():
        dump = is_dump(text := files.read(path))
        texts = [text] if dump else _texts(path, layout)
        return Project(path.resolve(), dump, platform or _platform(path, texts, is_dump=dump))
    if not path.is_dir():
        raise RolecallError(
            f"{path} is no folder and no file: name the folder of the migrations, or an SQL file.\n"
            'Of a database, make one: pg_dump --schema-only --file=schema.sql "$DATABASE_URL"'
        )
    found = _migrations(path, layout)
    if found.is_file():
        unread = [each.name for each in sql_files(found.parent) if each != found]
        return replace(find(found, layout, platform), unread=unread)
    return Project(found.resolve(), False, platform or _platform(found, _texts(found, layout)))


def _texts(path: Path, layout: str) -> list[str]:
    return [step.read() for phase in migrations.read(path, layout) for step in phase.steps]


def _migrations(folder: Path, layout: str) -> Path:
    """One of the usual places in a folder that has SQL, or the folder itself, or its only SQL file.

    Raises MigrationError if it has no layout.
    """
    found = next(iter(_places(folder)), folder)
    if found.is_file():
        return found
    try:
        layouts.choose(found, layout)
    except MigrationError as error:
        alone = sql_files(found) or _below(folder)
        if len(alone) == 1:
            return alone[0]
        raise MigrationError(f"{error}{'' if sql_files(found) else _elsewhere(folder)}") from None
    return found


def _places(folder: Path) -> list[Path]:
    """The usual places in a folder that have SQL, the most usual first."""
    existing = [folder / place for place in PLACES if (folder / place).exists()]
    return [place for place in existing if place.is_file() or any(place.rglob("*.sql"))]


def _below(folder: Path) -> list[Path]:
    """The usual places in the folders below a folder: a repository may have several applications."""
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*.sql")))
    parents = {parent for path in paths if _is_own(path) for parent in path.parents}
    found = (place for parent in sorted(parents) for place in _places(folder / parent)[:1])
    outer = dict.fromkeys(place for place in found if place != folder)
    return [place for place in outer if not any(other in place.parents for other in outer)]


def _is_own(path: Path) -> bool:
    """Whether a project wrote a file: it is not hidden, and in no folder with what others wrote."""
    return not any(part.startswith(".") or part in OF_OTHERS for part in path.parts)


def _elsewhere(folder: Path) -> str:
    """The folders below a folder that have SQL files, as the end of an error."""
    paths = [path.relative_to(folder) for path in sorted(folder.rglob("*.sql"))]
    count = Counter(path.parent.as_posix() for path in paths if _is_own(path))
    shown = ", ".join(f"{name} ({number})" for name, number in count.most_common(SHOWN))
    more = f", and {len(count) - SHOWN} more folders" if len(count) > SHOWN else ""
    return f"\nSQL files are in {shown}{more}." if count else ""


def _platform(path: Path, texts: Sequence[str], *, is_dump: bool = False) -> str:
    """The platform that SQL is written for. Supabase's folder says it, too."""
    if path.parent.name == SUPABASE:
        return SUPABASE
    words = [word.lower() for text in texts for word in _words(text)]
    platforms_of = ((NEON, OF_NEON), (SUPABASE, OF_SUPABASE), (POSTGREST, OF_POSTGREST))
    # A project that makes auth.uid() or auth.users does without the platform. A dump has what its platform made.
    made = set() if is_dump else _made(words)
    if any(_marks(word, marks) for word in made for name, marks in platforms_of if name != POSTGREST):
        return platforms.NONE
    used = set(words)
    return next((name for name, marks in platforms_of if any(_marks(word, marks) for word in used)), platforms.NONE)


def _marks(word: str, marks: Sequence[str]) -> bool:
    """Whether a word is one of the marks of a platform, or begins with one that is open at its end."""
    return any(word.startswith(mark) if mark[-1] in "._m" else word == mark for mark in marks)


def _made(words: Sequence[str]) -> set[str]:
    """The functions and tables that statements create, among the words of a text. They have their schema."""
    rest = [word for word in words if word not in ("or", "replace", "if", "not", "exists")]
    named = zip(pairwise(rest), pairwise(rest[2:]), strict=False)  # a name with a schema comes after the schema
    kinds = (("create", "function"), ("create", "table"))
    return {name for kind, (schema, name) in named if kind in kinds and name.startswith(f"{schema}.")}


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
