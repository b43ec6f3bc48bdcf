"""Writes the steps as migrations of the Supabase CLI: ``supabase/migrations/<timestamp>_<step>.sql``.

``make supabase-migrations APP=/path/to/app`` writes them into the folder of an application. The files are copies, byte
for byte. The timestamps are made of the date and the numbers of the steps, so each run writes the same files.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from rolecall.sql.migrations import Phase, Step, read

ROOT = Path(__file__).parents[1]
PLAN = "20251029"  # the day of the plan
CHECK_FIRST = "000000"  # before all steps
CHECK_LAST = "5959"  # after all steps of a phase
NAME = re.compile(r"(?P<version>\d+)_(?P<step>.+\.sql)")  # what the CLI takes for a migration


class ExportError(Exception):
    """The files cannot be written as they are meant. Nothing was written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, and print a line for each; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the steps as migrations of the Supabase CLI.")
    parser.add_argument("--app", type=Path, default=Path(), help="the folder with supabase/ (default: this one)")
    parser.add_argument("--date", default=PLAN, help=f"the date of all timestamps, YYYYMMDD (default: {PLAN})")
    options = parser.parse_args(arguments)
    try:
        _check(options.date)
        files = export(ROOT / "migrations", ROOT / "baseline" / "requires.sql", options.date)
        for line in write(files, options.app / "supabase" / "migrations"):
            print(line)
    except ExportError as error:
        print(f"supabase_migrations: {error}", file=sys.stderr)
        return 1
    return 0


def _check(day: str) -> None:
    try:
        if re.fullmatch(r"\d{8}", day) and datetime.strptime(day, "%Y%m%d"):
            return
    except ValueError:  # there is no such day
        pass
    raise ExportError(f"--date {day}: write a date as YYYYMMDD")


def export(migrations: Path, requires: Path, date: str) -> dict[str, bytes]:
    """The files in the order in which the CLI runs them: their names and contents.

    First ``requires.sql``, then the steps; each phase ends with its ``verify.sql``. These checks only read, and stop
    the CLI with an error before the next file. Raises ExportError for a number that does not fit into a timestamp.
    """
    files = {f"{date}{CHECK_FIRST}_requires.sql": requires}
    for phase in read(migrations):
        files |= {f"{date}{time}_{name}.sql": path for time, name, path in _scripts(phase)}
    return {name: path.read_bytes() for name, path in files.items()}


def _scripts(phase: Phase) -> Iterator[tuple[str, str, Path]]:
    if not 0 < phase.number < 24:
        raise ExportError(f"phase {phase.number}: the hour of a timestamp ends at 23")
    for step in phase.steps:
        yield _time(step), step.path.stem, step.path
    yield f"{phase.number:02}{CHECK_LAST}", f"phase_{phase.number}_verify", phase.verify.path


def _time(step: Step) -> str:
    """Hour, minute and second: the first three numbers of a step. 2_1_5 is 02:01:05."""
    numbers = (*step.number, 0)[:3]
    time = "".join(f"{number:02}" for number in numbers)
    if len(step.number) > 3 or max(numbers) > 59 or time.endswith(CHECK_LAST):
        raise ExportError(f"step {step}: its number does not fit into a timestamp")
    return time


def write(files: dict[str, bytes], folder: Path) -> Iterator[str]:
    """Write the files; yields a line for each that says what was done.

    Raises ExportError before it writes anything if the folder has a version or a step of ours under another name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ours = {_parts(name) for name in files}
    for path in sorted(folder.iterdir()):
        version, step = _parts(path.name)
        if path.name not in files and (version in dict(ours) or step in {step for _, step in ours}):
            raise ExportError(
                f"{path} has the version or the name of another file that would be written.\n"
                "Remove it, or write all files with another --date."
            )
    for name, content in files.items():
        path = folder / name
        before = path.read_bytes() if path.exists() else None
        if before != content:
            path.write_bytes(content)
        state = "new" if before is None else "unchanged" if before == content else "changed"
        yield f"{state:9}  {path}"


def _parts(name: str) -> tuple[str, str]:
    """The version and the step of a file's name; both empty if the CLI does not take it for a migration."""
    match = NAME.fullmatch(name)
    return (match["version"], match["step"]) if match else ("", "")


if __name__ == "__main__":
    sys.exit(main())
