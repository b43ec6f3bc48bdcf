"""Run the SQL files of a project on its databases, as the migration tool would."""

from __future__ import annotations

import re
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from rolecall.database import roles
from rolecall.database.run import Run
from rolecall.dump import extensions
from rolecall.server.connection import ServerConnection
from rolecall.sql import files, piecewise
from rolecall.sql.migrations import Script, Transaction
from rolecall.sql.script import Statement

# A file without any of these words creates no role.
ABOUT_ROLES = re.compile(r"\b(role|user|group)\b", re.IGNORECASE)


def run_file(run: Run, connection: ServerConnection, path: Path, role: str | None = None) -> None:
    """Run an SQL file in one transaction, and mark the roles that it creates. Raises SqlError."""
    run_script(run, connection, Script(path), role)


def run_script(
    run: Run,
    connection: ServerConnection,
    script: Script,
    role: str | None = None,
    rewrite: files.Rewrite | None = None,
) -> None:
    """Run a script as its tool does, and mark the roles that it creates in the same transaction. Raises SqlError.

    ``rewrite`` is that of :func:`rolecall.sql.files.run`.
    """
    text, path = script.read(), script.path
    of_extensions, of_roles = extensions.for_migrations(connection, role), roles.skips_existing(run, connection)

    def privileged(statement: Statement) -> bool:
        return of_roles(statement) or of_extensions(statement)

    marking = partial(run.marking, connection) if ABOUT_ROLES.search(text) else nullcontext
    if runs_in_pieces(script, text):
        piecewise.run(connection, path, text, role=role, privileged=privileged, rewrite=rewrite, marking=marking)
        return
    with marking():
        files.run(connection, path, text, role=role, privileged=privileged, rewrite=rewrite)


def runs_in_pieces(script: Script, text: str) -> bool:
    """Whether a script with this text has more than one transaction, so that no transaction may be open around it."""
    own = script.transaction is Transaction.OWN and piecewise.is_needed(text)
    return own or script.transaction is Transaction.NONE
