"""Which objects the SQL files define that have changed since a revision."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import postgast
from postgast.walk import unwrap_node

from rolecall import sqlfile
from rolecall.errors import RolecallError

# Where each kind of statement has the table, view or function that it is about.
RELATION = {
    "CreateStmt": "relation",
    "ViewStmt": "view",
    "IndexStmt": "relation",
    "CreatePolicyStmt": "table",
    "CreateTrigStmt": "relation",
    "AlterTableStmt": "relation",
}


def changed(folder: Path, revision: str) -> set[str]:
    """The qualified names of what the changed files below a folder define.

    Files that git does not track count as changed. Raises RolecallError where git does not know the revision.
    """
    return {name for path in _changed_files(folder, revision) for name in defined(sqlfile.read(path))}


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
            raise RolecallError(f"--since {revision}: git does not tell what has changed: {said.strip()}") from None
        names += done.stdout.split("\0")
    paths = [folder / name for name in names if name]
    return [path for path in paths if path.is_file()]


def defined(text: str) -> Iterator[str]:
    """The qualified names of the tables, views and functions that an SQL text is about."""
    for raw in postgast.parse(text).stmts:
        node: Any = unwrap_node(raw.stmt)
        kind = node.DESCRIPTOR.name
        if kind in RELATION:
            relation = getattr(node, RELATION[kind])
            yield f"{relation.schemaname}.{relation.relname}"
        elif kind == "CreateFunctionStmt":
            yield ".".join(part.string.sval for part in node.funcname)
