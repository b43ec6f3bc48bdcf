"""The ``rolecall`` command: one module a subcommand."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rolecall.cli import access, check, diff, explain, init, pgtap, psql, report, serve, sweep, watch, who
from rolecall.errors import RolecallError

# As they are listed: the tests and questions first, then files, then the rest.
SUBCOMMANDS = (watch, explain, who, psql, serve, diff, access, report, init, check, pgtap, sweep)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. Returns the exit code: what its ``run`` returns (None: 0), 2 for a wrong command line.

    For an error it is 1, or the subcommand's ``error_status``. It is 1 without a message if the reader closes the pipe,
    as in ``rolecall … | head``.
    """
    parser = argparse.ArgumentParser(prog="rolecall", description="Commands for access tests against Postgres.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in SUBCOMMANDS:
        module.add(commands)
    options = parser.parse_args(arguments)
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except RolecallError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return getattr(options, "error_status", 1)
