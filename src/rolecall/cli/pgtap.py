"""``rolecall pgtap``: write the grids of a project as tests of pgTAP."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from rolecall.collect import collect
from rolecall.errors import RolecallError
from rolecall.pgtap import folder
from rolecall.pgtap.export import Export, export_all

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "write the grids of a project as tests of pgTAP"
DESCRIPTION = (
    "Write each grid of the project as a script for pg_prove or supabase test db: the rows of the world, and a test "
    "for each statement that a cell tries. Run it in the folder of the project's pytest configuration. Files in DIR "
    "that the command did not write stay as they are. Exit status: 0, with --check 1 if a script is out of date, 2 if "
    "the grids cannot be exported."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("pgtap", help=HELP, description=DESCRIPTION)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write the scripts, such as supabase/tests")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a script is out of date")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Export the grids, or compare. Returns the exit status. Raises RolecallError if the grids cannot be exported."""
    collected = collect()
    assert collected.process
    try:
        export = export_all(collected.process.settings, collected.world, collected.grids)
    except psycopg.Error as error:
        raise RolecallError(f"the grids cannot be tried: {' '.join(str(error).split())}") from None
    if options.check:
        lines = folder.out_of_date(options.folder, export.texts)
        print("\n".join([*lines, f"Run: rolecall pgtap {options.folder}"]) if lines else "every script is up to date")
        return int(bool(lines))
    folder.write(options.folder, export.texts)
    print("\n".join(summary(export, options.folder)))
    return 0


def summary(export: Export, where: Path) -> list[str]:
    """What was written, what pgTAP does not test, and what fails now."""
    lines = [f"wrote {len(export.texts)} scripts with {export.tests} tests into {where}"]
    if export.left_out:
        lines += ["not in the scripts:", *(f"  {text}" for text in export.left_out)]
    if export.differing:
        lines += ["pytest fails at these cells now:", *(f"  {text}" for text in export.differing)]
    return lines
