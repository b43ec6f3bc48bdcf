"""``rolecall sweep``: remove what killed runs left, on a running server or on this machine."""

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
    "Remove what killed runs left. With --pg-dsn (or ROLECALL_PG_DSN): databases and roles on that server. Without: "
    "directories of throwaway servers on this machine. It removes only what carries rolecall's mark, and nothing of "
    "a run that is still alive."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("sweep", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "--pg-dsn", metavar="URL", help="the server; if the URL has a password, use ROLECALL_PG_DSN instead"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Sweep, and print a line for each leftover. Raises RolecallError if the server cannot be used."""
    source = "--pg-dsn" if options.pg_dsn is not None else "ROLECALL_PG_DSN"
    dsn = Conninfo((os.environ.get(source, "") if options.pg_dsn is None else options.pg_dsn).strip())
    check_dsn(dsn, source)
    print_report(on_server(dsn, options.dry_run) if dsn else on_machine(options.dry_run), options.dry_run)


def on_server(dsn: Conninfo, dry_run: bool) -> list[Leftover]:
    """Sweep a server, and return what killed runs left there. Raises RolecallError if it does not answer."""
    try:
        connection = connect(dsn, application_name="rolecall sweep")
    except ConnectError as error:
        raise RolecallError(f"the server does not answer: {error}") from None
    with closing(connection):
        return cleanup.sweep(connection, dry_run=dry_run)


def on_machine(dry_run: bool) -> list[Leftover]:
    """Sweep this machine, and return the directories of this user's throwaway servers."""
    runs = list(directories.runs())
    if not dry_run:
        directories.sweep()
    return [Leftover("directory", str(path), "its run is still alive" if alive else None) for path, alive in runs]


def print_report(leftovers: Iterable[Leftover], dry_run: bool) -> None:
    """Print what was removed, and what was kept and why."""
    lines = [
        f"kept {each.kind} {each.name}: {each.reason}"
        if each.reason
        else f"{'would remove' if dry_run else 'removed'} {each.kind} {each.name}"
        for each in leftovers
    ]
    print("\n".join(lines or ["nothing to remove"]))
