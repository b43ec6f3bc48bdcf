"""Where the project's SQL makes an object: the file and the line of the last statement that does."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from rolecall import platforms
from rolecall.catalog.granted import PUBLIC, Grant
from rolecall.catalog.made import Key, Made
from rolecall.catalog.signatures import signature_of
from rolecall.catalog.spans import Source, Span
from rolecall.errors import RolecallError
from rolecall.report.report import Place
from rolecall.settings import Settings
from rolecall.sql import files, migrations

# The kinds of the catalog, of mutants and of reports, and what they are here.
KINDS = {"table": "relation", "view": "relation", "trigger function": "function", "unique": "index"}
# A NOT NULL may be a part of the column; a UNIQUE is an index, too.
OTHERWISE = {"not null": ("column", "constraint"), "index": ("constraint",), "constraint": ("index", "not null")}


class Places:
    """The places of objects in SQL files. Paths are relative to the folder ``root``, with slashes."""

    def __init__(self, made: Made, root: Path) -> None:
        self.made, self.root = made, root

    def find(self, kind: str, name: str, table: str = "") -> Place:
        """The place of an object; without a file if the SQL does not make it, or if the parser cannot read that.

        ``kind`` is table, view, function, column, policy, constraint, not null, index, unique, trigger, rule, schema,
        bucket, or row security (of a table). ``name`` is ``schema.name`` for a table, view or function, and may have
        the arguments of a function: ``app.f(a integer)``. Parts of a table have its ``schema.name`` as ``table``.
        """
        return self.place(self.span(kind, name, table))

    def shown(self, kind: str, name: str, table: str = "") -> str:
        """The same as ``file.sql:12``; empty if it is not known."""
        place = self.find(kind, name, table)
        return f"{place.file}:{place.line}" if place.file else ""

    def nearest(self, kind: str, name: str, table: str = "") -> Place:
        """The same; if it is not known, the place of the table."""
        return self.place(self.span(kind, name, table) or self.span("table", table))

    def span(self, kind: str, name: str, table: str = "") -> Span | None:
        """The part of a file that makes an object, as :meth:`find` finds it."""
        kind = KINDS.get(kind, kind)
        if kind == "function":
            return self._function(name)
        kinds = (kind, *OTHERWISE.get(kind, ()))
        return next(filter(None, (self.made.spans.get(Key(each, table, name)) for each in kinds)), None)

    def _function(self, name: str) -> Span | None:
        """A function by its name and arguments; without arguments, the last one of that name."""
        bare, parenthesis, arguments = name.partition("(")
        exact = signature_of(arguments.removesuffix(")")) if parenthesis else None
        found = {
            key.name: span for key, span in self.made.spans.items() if key.kind == "function" and key.owner == bare
        }
        if exact is not None and exact in found:
            return found[exact]
        return next(reversed(found.values()), None)

    def grant(self, name: str, privilege: str, roles: Collection[str]) -> Place:
        """The place of the statement that grants a privilege on an object to one of the roles, or to PUBLIC."""
        return self._privilege(self.made.privileges.grants, name, privilege, roles)

    def revoke(self, name: str, privilege: str, roles: Collection[str]) -> Place:
        """The same for the statement that takes a privilege away; without a file if none does."""
        return self._privilege(self.made.privileges.revokes, name, privilege, roles)

    def _privilege(self, statements: dict[Grant, Span], name: str, privilege: str, roles: Collection[str]) -> Place:
        grants = (Grant(name.partition("(")[0], role, privilege.upper()) for role in (*roles, PUBLIC))
        return self.place(next(filter(None, map(statements.get, grants)), None))

    def place(self, span: Span | None) -> Place:
        """The place of a part of a file; without a file for None."""
        return Place(self.file(span.source.path), span.begins.line) if span else Place()

    def file(self, path: Path) -> str:
        """A path relative to the root, with slashes."""
        return Path(os.path.relpath(path, self.root)).as_posix()


def of(settings: Settings, root: Path | None = None) -> Places:
    """The places in the SQL of a project: of its platform if that is a file of its own, its baseline and migrations.

    ``root`` is the project's folder (default: the current one). A file that cannot be read makes nothing: the build
    reports it.
    """
    made = Made()
    for source in _sources(settings):
        made.read(source)
    return Places(made, (root or Path.cwd()).resolve())


def _sources(settings: Settings) -> Iterator[Source]:
    for path in (settings.platform, settings.baseline):
        if path and path not in platforms.PLATFORMS:
            yield from _source(path)
    try:
        phases = migrations.of(settings)
    except RolecallError:
        return
    for step in (step for phase in phases for step in phase.steps):
        try:
            yield Source(step.path, step.read())
        except RolecallError:
            continue


def _source(path: Path) -> Iterator[Source]:
    try:
        yield Source(path, files.read(path))
    except RolecallError:
        return
