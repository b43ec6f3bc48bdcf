"""Where the SQL of a project makes an object: file and line, for people who want to change it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import postgast

from rolecall.errors import RolecallError
from rolecall.settings import Settings
from rolecall.sql import files, migrations, script
from rolecall.sql.tree import walk


class Text(NamedTuple):
    """An SQL file, and its text. Offsets in the text are those of the file."""

    path: Path
    text: str


class Places:
    """Looks for the last statement that makes or changes an object. An empty text: it is not known."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def texts(self) -> list[Text]:
        """The SQL of the project, the last step first."""
        try:
            phases = migrations.of(self.settings)
            found = [Text(step.path, step.read()) for phase in phases for step in phase.steps]
            baseline = self.settings.baseline
            first = [Text(baseline, files.read(baseline))] if baseline else []
        except RolecallError:  # the build has reported it
            return []
        return [*first, *found][::-1]

    def of(self, kind: str, name: str, table: str = "") -> str:
        """The place of a policy, trigger or constraint of a table, of a function, view or table: ``file.sql:12``.

        Names are without quotes; that of a function, view or table has its schema.
        """
        wanted = kind, name, table
        for path, text in self.texts:
            if name.rpartition(".")[2] in text and (line := _line(text, wanted)):
                return f"{_shown(path)}:{line}"
        return ""


def _shown(path: Path) -> str:
    """A path relative to the current folder, if it is below it."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd().resolve()) else str(path)


def _line(text: str, wanted: tuple[str, str, str]) -> int:
    """The line of the last statement that makes the wanted object; 0 without one."""
    _, name, table = wanted
    words = [each.rpartition(".")[2] for each in (name, table) if each]
    for statement in [*script.statements(text)][::-1]:
        if not all(word in statement.text for word in words):
            continue
        try:
            tree = postgast.parse(statement.text)
        except postgast.PgQueryError:
            continue
        for node in walk(tree):
            if any(_is_same(wanted, made) for made in _made(node)):
                return text.count("\n", 0, statement.start) + 1
    return 0


def _is_same(wanted: tuple[str, str, str], made: tuple[str, str, str]) -> bool:
    """Whether a statement makes the wanted object. A name without a schema fits any schema."""
    return wanted[0] == made[0] and all(
        each == other or ("." not in other and each.rpartition(".")[2] == other)
        for each, other in zip(wanted[1:], made[1:], strict=True)
    )


def _made(node: Any) -> Iterator[tuple[str, str, str]]:
    """What a node of a statement makes or changes: kind, name, and table."""
    kind = node.DESCRIPTOR.name
    if kind in ("CreatePolicyStmt", "AlterPolicyStmt"):
        yield "policy", node.policy_name, _relation(node.table)
    elif kind == "CreateTrigStmt":
        yield "trigger", node.trigname, _relation(node.relation)
    elif kind == "CreateFunctionStmt":
        yield "function", _joined(node.funcname), ""
    elif kind == "ViewStmt":
        yield "view", _relation(node.view), ""
    elif kind == "CreateStmt":
        yield "table", _relation(node.relation), ""
        yield from (("constraint", name, _relation(node.relation)) for name in _constraints(node))
    elif kind == "AlterTableStmt":
        yield from (("constraint", name, _relation(node.relation)) for name in _constraints(node))


def _constraints(node: Any) -> list[str]:
    return [each.conname for each in walk(node) if each.DESCRIPTOR.name == "Constraint" and each.conname]


def _relation(node: Any) -> str:
    return f"{node.schemaname}.{node.relname}" if node.schemaname else str(node.relname)


def _joined(names: Sequence[Any]) -> str:
    return ".".join(each.string.sval for each in names)
