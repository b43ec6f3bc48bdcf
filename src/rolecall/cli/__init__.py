"""The ``rolecall`` command: one module a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rolecall.cli import sweep
from rolecall.errors import RolecallError

SUBCOMMANDS = (sweep,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit code: 0 for success, 1 for an error, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="rolecall", description="Commands for access tests against Postgres.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
        module.add(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except RolecallError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0
