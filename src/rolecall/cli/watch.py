"""``rolecall watch``: run what a saved file concerns, with a server that stays up."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "keep the server and the databases up, and run the tests that a saved file concerns"
DESCRIPTION = (
    "Keep the server and the databases up, and run the tests that a saved file concerns, until Ctrl-C. All arguments "
    "are pytest's: rolecall watch tests/policies -k anon. Run it in the folder of the project's pytest configuration. "
    "Exit status: 0, or 4 for a wrong command line."
)
NO_OPTION = "\0"  # options are pytest's: no argument begins with this, so that argparse takes them as they are


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("watch", help=HELP, description=DESCRIPTION, prefix_chars=NO_OPTION, add_help=False)
    parser.add_argument("arguments", nargs="*", metavar="PYTEST-ARGUMENTS")
    parser.set_defaults(run=run, help_text=parser.format_help())


def run(options: argparse.Namespace) -> int:
    """Watch. Returns the exit status."""
    if options.arguments in (["-h"], ["--help"]):
        print(options.help_text, end="")
        return 0
    from rolecall.watch.loop import watch

    return watch(options.arguments)
