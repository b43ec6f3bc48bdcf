"""``rolecall serve``: keep a throwaway database up, with the settings for PostgREST and a notebook."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "keep a throwaway database with the world up, until Ctrl-C"
DESCRIPTION = (
    "Keep a throwaway database with the migrations and the world up until Ctrl-C, and print its address, the settings "
    "for PostgREST with a token for each persona, and a snippet for a notebook. Run it in the folder of the project's "
    "pytest configuration. Exit status: 0, or 2 if the database cannot be made."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("serve", help=HELP, description=DESCRIPTION)
    parser.add_argument("--once", action="store_true", help="print everything, and end at once")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes. Raises RolecallError if the database cannot be made."""
    from rolecall.ask.serve import serve

    return serve(once=options.once)
