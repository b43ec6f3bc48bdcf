"""``rolecall sweep``: remove what killed runs left, on a server that others use or on this machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from rolecall.database import cleanup
from rolecall.database.cleanup import Leftover
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError
from rolecall.server import directories
from rolecall.server.connection import ConnectError, connect
from rolecall.settings import check_dsn

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "remove what killed runs left"
DESCRIPTION = (
    "Remove what killed runs left: with --pg-dsn (or ROLECALL_PG_DSN) databases and roles on that server, without it "
    "the directories of throwaway servers on this machine. Only what carries rolecall's mark is removed, and nothing "
    "of a run that lives."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("sweep", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "--pg-dsn", metavar="URL", help="the server; better given as ROLECALL_PG_DSN if it has a password"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> None:
    """Sweep, and print a line for each thing that was found. Raises RolecallError if the server cannot be used."""
    where = "--pg-dsn" if asked.pg_dsn is not None else "ROLECALL_PG_DSN"
    text = Conninfo((os.environ.get(where, "") if asked.pg_dsn is None else asked.pg_dsn).strip())
    check_dsn(text, where)
    print_report(on_server(text, asked.dry_run) if text else on_machine(asked.dry_run), asked.dry_run)


def on_server(dsn: Conninfo, dry_run: bool) -> list[Leftover]:
    """What killed runs left on a server."""
    try:
        connection = connect(dsn, application_name="rolecall sweep")
    except ConnectError as error:
        raise RolecallError(f"the server does not answer: {error}") from None
    with closing(connection):
        return cleanup.sweep(connection, dry_run=dry_run)


def on_machine(dry_run: bool) -> list[Leftover]:
    """The directories of throwaway servers of this user."""
    found = list(directories.runs())
    if not dry_run:
        directories.sweep()
    return [Leftover("directory", str(path), "a run that lives uses it" if lives else None) for path, lives in found]


def print_report(found: Iterable[Leftover], dry_run: bool) -> None:
    """Print what was removed, and what was left and why."""
    lines = [
        f"left {each.kind} {each.name}: {each.why}"
        if each.why
        else f"{'would remove' if dry_run else 'removed'} {each.kind} {each.name}"
        for each in found
    ]
    print("\n".join(lines or ["nothing was left behind"]))
