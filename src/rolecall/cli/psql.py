"""``rolecall psql``: a session of psql as a persona."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "open psql as a persona, on a fresh database with the world"
DESCRIPTION = (
    "Open psql on a fresh database with the world, signed in as a persona the way PostgREST does it. What you change "
    "is gone when psql ends. Run it in the folder of the project's pytest configuration. Exit status: that of psql, or "
    "2 if it cannot be opened."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("psql", help=HELP, description=DESCRIPTION)
    parser.add_argument("--as", dest="persona", metavar="PERSONA", required=True, help="who signs in")
    parser.add_argument(
        "arguments", nargs="*", metavar="-- ARGUMENT", help='arguments for psql after --, such as -- -c "select 1"'
    )
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Open psql. Returns its exit status. Raises RolecallError if it cannot be opened."""
    from rolecall.ask.psql import run_psql

    return run_psql(options.persona, options.arguments)
