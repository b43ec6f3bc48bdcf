"""``rolecall access``: measure who may do what, and print it as the text of a lock file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from rolecall.access_map import text
from rolecall.access_map.project import measure_project
from rolecall.collect import collect_grids
from rolecall.errors import RolecallError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "measure who may do what, and print it"
DESCRIPTION = (
    "Measure what every persona may do with every row, view and function, and print it as the text of a lock file. Run "
    "it in the folder of the project's pytest configuration. Exit status: 0, or 2 if it cannot be measured."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("access", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "--sql-of",
        type=Path,
        metavar="DIR",
        help="measure the SQL of the project in DIR with the personas of this one",
    )
    parser.add_argument("--format", choices=("lock", "json"), default="lock", help="default: lock")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> None:
    """Measure, and print. Raises RolecallError if that is not possible."""
    if options.sql_of and not options.sql_of.is_dir():
        raise RolecallError(f"--sql-of {options.sql_of}: there is no such folder.")
    try:
        measured = measure_project(collect_grids(), options.sql_of)
    except psycopg.Error as error:
        raise RolecallError(f"the access cannot be measured: {' '.join(str(error).split())}") from None
    print(text.write(measured.maps) if options.format == "lock" else measured.as_json(), end="")
