"""What changed since a revision: the changed SQL files, and the objects that they define."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgast
from postgast.walk import unwrap_node

from rolecall.catalog import plpgsql
from rolecall.errors import RolecallError
from rolecall.sql import files
from rolecall.sql.migrations import Script
from rolecall.sql.tree import dotted, walk

# Below these nodes, a statement only reads or refers to objects: queries, calls and foreign keys.
REFERENCES = ("SelectStmt", "SubLink", "FuncCall", "Constraint")
BUCKETS = "storage.buckets"
MAX_LENGTH = 200  # characters of the parser's message, which may quote the rest of the file


def changed(folder: Path, revision: str) -> set[str]:
    """The objects that the changed files below a folder :func:`define <defined>`, and each file as ``folder/name.sql``.

    Files that git does not track count as changed. Raises RolecallError if git does not know the revision.
    """
    paths = _changed_files(folder, revision)
    scripts = {Script(path).id for path in paths}
    return scripts | {name for path in paths for name in defined_in(path)}


def _changed_files(folder: Path, revision: str) -> list[Path]:
    names: list[str] = []
    for command in (
        ["git", "diff", "--name-only", "--relative", "-z", revision, "--", "*.sql"],
        ["git", "ls-files", "--others", "--exclude-standard", "-z", "--", "*.sql"],
    ):
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            message = (getattr(error, "stderr", "") or str(error)).strip()
            raise RolecallError(
                f"--rolecall-mutants-since {revision}: git cannot list the changed files: {message}"
            ) from None
        names += result.stdout.split("\0")
    paths = [folder / name for name in names if name]
    return [path for path in paths if path.is_file()]


def defined_in(path: Path) -> list[str]:
    """The objects that an SQL file defines. Raises RolecallError with file and line if it does not parse."""
    text = files.read(path)
    try:
        return defined(text)
    except postgast.PgQueryError as error:
        line = text.count("\n", 0, max(error.cursorpos - 1, 0)) + 1
        reason = " ".join(error.message.split())[:MAX_LENGTH]
        raise RolecallError(f"{path}:{line}: --rolecall-mutants-since cannot parse this file: {reason}.") from None


def defined(text: str) -> list[str]:
    """The names of the objects that SQL statements create, change, grant or drop.

    They are the qualified names of tables, views and functions, ``schema name`` and ``bucket id``. A policy, a
    trigger or a column has the name of its table.
    """
    statements = [unwrap_node(raw.stmt) for raw in postgast.parse(text).stmts]
    return list(dict.fromkeys(name for statement in statements for name in _names(statement)))


def _names(statement: Any) -> Iterator[str]:
    for node in walk(statement, outside=REFERENCES):
        match node.DESCRIPTOR.name:
            case "RangeVar":
                yield f"{node.schemaname}.{node.relname}"
            case "ObjectWithArgs":
                yield dotted(node.objname)
            case "CreateFunctionStmt":
                yield dotted(node.funcname)
            case "GrantStmt":
                yield from (f"schema {item.string.sval}" for item in node.objects if item.HasField("string"))
            case "DropStmt" | "CommentStmt":
                objects = node.objects if node.DESCRIPTOR.name == "DropStmt" else [node.object]
                # The first two parts are the table of a policy, a trigger or a column.
                yield from (dotted(item.list.items[:2]) for item in objects if item.HasField("list"))
            case "InsertStmt" if f"{node.relation.schemaname}.{node.relation.relname}" == BUCKETS:
                constants: list[Any] = [child for child in walk(node) if child.DESCRIPTOR.name == "A_Const"]
                yield from (f"bucket {constant.sval.sval}" for constant in constants if constant.HasField("sval"))
            case "DoStmt":
                queries = (query.text for body in plpgsql.do_bodies(node) for query in plpgsql.statements(body))
                yield from (name for query in queries for name in defined(query))
