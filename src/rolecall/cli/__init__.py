"""The ``rolecall`` command: one module a subcommand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rolecall.cli import sweep
from rolecall.errors import RolecallError

SUBCOMMANDS = (sweep,)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; gives the exit code: 0 if all went well, 1 for an error, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="rolecall", description="Access tests against Postgres: helpers of pytest's.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
        module.add(commands)
    asked = parser.parse_args(arguments)
    try:
        asked.run(asked)
    except RolecallError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0
