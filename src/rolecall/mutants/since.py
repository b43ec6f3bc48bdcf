"""What the SQL files name that have changed since a revision: these objects, and the files themselves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgast
from postgast.walk import unwrap_node

from rolecall.errors import RolecallError
from rolecall.mutants.rewrites import plpgsql
from rolecall.sql import files
from rolecall.sql.migrations import Script
from rolecall.sql.tree import walk

# What a statement only reads or refers to is below one of these: its queries, calls and foreign keys.
ELSEWHERE = ("SelectStmt", "SubLink", "FuncCall", "Constraint")
BUCKETS = "storage.buckets"
LONGEST = 200  # characters of the parser's message, which may quote the rest of the file


def changed(folder: Path, revision: str) -> set[str]:
    """What the changed files below a folder are about, by :func:`defined`, and each file as ``folder/name.sql``.

    Files that git does not track count as changed. Raises RolecallError where git does not know the revision.
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
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise RolecallError(
                f"--rolecall-mutants-since {revision}: git does not tell what has changed: {said.strip()}"
            ) from None
        names += done.stdout.split("\0")
    paths = [folder / name for name in names if name]
    return [path for path in paths if path.is_file()]


def defined_in(path: Path) -> list[str]:
    """What an SQL file is about, by :func:`defined`. Raises RolecallError with file:line if it is no SQL."""
    text = files.read(path)
    try:
        return defined(text)
    except postgast.PgQueryError as error:
        line = text.count("\n", 0, max(error.cursorpos - 1, 0)) + 1
        reason = " ".join(error.message.split())[:LONGEST]
        raise RolecallError(
            f"{path}:{line}: --rolecall-mutants-since cannot tell what this file is about: {reason}."
        ) from None


def defined(text: str) -> list[str]:
    """What the statements of an SQL text make, change, grant or drop: the qualified names of tables, views and
    functions (for a policy, a trigger or a column its table's), ``schema name`` and ``bucket id``."""
    statements = [unwrap_node(raw.stmt) for raw in postgast.parse(text).stmts]
    return list(dict.fromkeys(name for statement in statements for name in _about(statement)))


def _about(statement: Any) -> Iterator[str]:
    for node in walk(statement, outside=ELSEWHERE):
        match node.DESCRIPTOR.name:
            case "RangeVar":
                yield f"{node.schemaname}.{node.relname}"
            case "ObjectWithArgs":
                yield _name(node.objname)
            case "CreateFunctionStmt":
                yield _name(node.funcname)
            case "GrantStmt":
                yield from (f"schema {each.string.sval}" for each in node.objects if each.HasField("string"))
            case "DropStmt" | "CommentStmt":
                objects = node.objects if node.DESCRIPTOR.name == "DropStmt" else [node.object]
                # Of a policy, a trigger or a column, the table is the first two.
                yield from (_name(each.list.items[:2]) for each in objects if each.HasField("list"))
            case "InsertStmt" if f"{node.relation.schemaname}.{node.relation.relname}" == BUCKETS:
                texts: list[Any] = [each for each in walk(node) if each.DESCRIPTOR.name == "A_Const"]
                yield from (f"bucket {each.sval.sval}" for each in texts if each.HasField("sval"))
            case "DoStmt":
                options = (each.def_elem for each in node.args)
                bodies = (each.arg.string.sval for each in options if each.defname == "as")
                yield from (name for body in bodies for query in plpgsql.statements(body) for name in defined(query))


def _name(parts: Any) -> str:
    return ".".join(part.string.sval for part in parts)
