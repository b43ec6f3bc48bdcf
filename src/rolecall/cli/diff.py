"""``rolecall diff``: who gains access, and who loses it, between two revisions, folders or lock files."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rolecall.access_map import render
from rolecall.access_map.difference import compare
from rolecall.access_map.project import Measured
from rolecall.access_map.render import Title
from rolecall.access_map.sides import Side, measure_sides, side_of
from rolecall.errors import RolecallError
from rolecall.report.access import HEAD, Attempt
from rolecall.report.difference import AccessChange, AccessDifference

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "show who gains and who loses access between two revisions"
DESCRIPTION = (
    "Show who gains and who loses access from BEFORE to AFTER: git revisions, folders or lock files. The SQL of both "
    "is measured with the personas, rows and grids of AFTER. Run it in the folder of the project's configuration. "
    "Exit status: 0 if nobody gains access (see --fail-on), 1 if somebody does, 2 if they cannot be compared."
)
SIDE = "a git revision, a folder or a lock file"
COMMENT = 64_000  # bytes: GitHub's limit for a comment is 65,536 characters


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("diff", help=HELP, description=DESCRIPTION)
    parser.add_argument("before", metavar="BEFORE", help=SIDE)
    parser.add_argument("after", nargs="?", default=".", metavar="AFTER", help=f"{SIDE} (default: this folder)")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="default: text")
    parser.add_argument(
        "--fail-on", choices=("gained", "lost", "any", "never"), default="gained", help="what fails (default: gained)"
    )
    parser.add_argument(
        "--common-personas", action="store_true", help="compare lock files of different personas: those that both have"
    )
    parser.add_argument(
        "--most-bytes", type=int, default=COMMENT, metavar="N", help=f"length of the Markdown (default: {COMMENT})"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it to FILE instead of the terminal")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Compare, and print. Returns the exit status. Raises RolecallError if they cannot be compared."""
    with ExitStack() as stack:
        sides = side_of(options.before, stack), side_of(options.after, stack)
        if measured := [side.name for side in sides if side.folder]:
            print(f"measuring {' and '.join(measured)} …", file=sys.stderr)
        before, after = measure_sides(*sides)
    if not options.common_personas:
        check_personas(sides, before, after)
    difference = with_witnesses(compare(before.maps, after.maps), after)
    title = Title.of(options.before, options.after, after.maps[HEAD])
    write(_rendered(difference, title, options), options.output)
    return int(is_failure(difference, options.fail_on))


def _rendered(difference: AccessDifference, title: Title, options: argparse.Namespace) -> str:
    if options.format == "json":
        return render.as_json(difference, title)
    if options.format == "markdown":
        return render.as_markdown(difference, title, options.most_bytes)
    return render.as_text(difference, title)


def write(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file. Raises RolecallError if it cannot be written."""
    if output is None:
        print(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise RolecallError(f"--output {output}: {error.strerror}.") from None


def check_personas(sides: tuple[Side, Side], before: Measured, after: Measured) -> None:
    """Raises RolecallError if the two have different personas: somebody who is new has not gained access."""
    old, new = before.maps[HEAD].personas, after.maps[HEAD].personas
    if old == new:
        return
    lines = []
    for side, own, other in ((sides[0], old, new), (sides[1], new, old)):
        if only := sorted({*own.items()} - {*other.items()}):
            lines.append(f"only {side.name} has " + ", ".join(f"{name} ({role})" for name, role in only))
    advice = "Compare revisions, which are measured with the same personas, or give --common-personas."
    raise RolecallError(f"the two sides have different personas: {'; '.join(lines)}.\n{advice}")


def with_witnesses(difference: AccessDifference, after: Measured) -> AccessDifference:
    """The difference with a witness for each gain, if the newer side was measured."""

    def witness(change: AccessChange) -> AccessChange:
        attempt = Attempt(change.row, change.command)
        return replace(change, witness=after.requests.witness(change.persona, change.object, attempt))

    return replace(difference, gained=list(map(witness, difference.gained)))


def is_failure(difference: AccessDifference, fail_on: str) -> bool:
    """Whether the changes are such that the command fails."""
    failing = {"gained": [difference.gained], "lost": [difference.lost], "any": [difference.gained, difference.lost]}
    return any(failing.get(fail_on, []))
