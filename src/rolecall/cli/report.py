"""``rolecall report``: measure who can do what, and write it as a page and as JSON."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from rolecall.collect import collect_grids
from rolecall.errors import RolecallError
from rolecall.gather import folder, report
from rolecall.report.html.page import page
from rolecall.report.report import Report, as_json

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "write who can do what as one HTML page, and as JSON"
DESCRIPTION = (
    "Measure what every persona can do with every row, table, view and function, and what decides it, and write it as "
    "report.html (one page that needs no network) and report.json. Run it in the folder of the project's pytest "
    "configuration. The results of the last tests and mutants are in it too if pytest wrote them to DIR with "
    "--rolecall-report. Exit status: 0, also if a verdict differs from its grid; 2 if the report cannot be made."
)
DRIFT = "the output of rolecall check --format json, to show it in the report (default: DIR/drift.json, if it exists)"


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("report", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        default=folder.DEFAULT,
        help="where to write (default: %(default)s)",
    )
    parser.add_argument("--format", choices=("html", "json"), help="write only this one (default: both)")
    parser.add_argument("--drift", type=Path, metavar="FILE", help=DRIFT)
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Measure, write, and print the paths. Raises RolecallError; then no file has been written."""
    results = folder.read(options.folder, options.drift)
    collected = collect_grids()
    try:
        measured = report.measure(collected)
    except psycopg.Error as error:
        raise RolecallError(f"the report cannot be made: {' '.join(str(error).split())}") from None
    for path in folder.write(options.folder, render(results.added_to(measured), options.format)):
        print(path)
    return 0


def render(report: Report, only: str | None) -> dict[str, str]:
    """The text of each file, by name. ``only`` is html or json; None: both."""
    texts = {"report.html": page(report)} if only != "json" else {}
    return texts | ({"report.json": as_json(report)} if only != "html" else {})
