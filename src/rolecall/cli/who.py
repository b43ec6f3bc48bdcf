"""``rolecall who``: everybody who can do something, row by row."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "list who can do a command with a table, view or function, row by row"
DESCRIPTION = (
    "Try a command as every persona, on a row of the world or on all rows of the table, roll it back, and list who can "
    "and who cannot. Run it in the folder of the project's pytest configuration. Exit status: 0, or 2 if the question "
    "cannot be answered."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("who", help=HELP, description=DESCRIPTION)
    parser.add_argument("object", metavar="OBJECT", help="a table or view (schema.name), or a function")
    parser.add_argument(
        "command", metavar="COMMAND", help="select, insert, update, delete, a move of the grid, or execute"
    )
    parser.add_argument("--row", metavar="NAME", help="the name of a row of the world (default: all rows)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> None:
    """Answer, and print it. Raises RolecallError if the question cannot be answered."""
    from rolecall.ask import text
    from rolecall.ask.answer import as_json
    from rolecall.ask.project import opened
    from rolecall.ask.questions import who

    with opened() as project:
        found = who(project, options.object, options.command, options.row)
    print(as_json({"who": found}) if options.format == "json" else "\n\n".join(map(text.who, found)))
