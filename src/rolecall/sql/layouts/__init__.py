"""The layouts of migrations: our own phases, and those of the common tools."""

from __future__ import annotations

from pathlib import Path

from rolecall.errors import MigrationError
from rolecall.sql.layouts.flyway import Flyway
from rolecall.sql.layouts.layout import Layout
from rolecall.sql.layouts.marked import Dbmate, Goose
from rolecall.sql.layouts.numbered import Flat, GolangMigrate
from rolecall.sql.layouts.phases import Phases
from rolecall.sql.layouts.plain import Schemas, SingleFile
from rolecall.sql.layouts.prisma import Prisma
from rolecall.sql.layouts.sqitch import Sqitch

AUTO = "auto"
# The first that recognizes a folder is its layout, so the particular ones come first: every file of dbmate, for
# example, is also named like one of the flat layout.
LAYOUTS: tuple[Layout, ...] = (
    *(SingleFile(), Sqitch(), Phases(), Prisma(), GolangMigrate(), Flyway(), Dbmate(), Goose(), Schemas(), Flat()),
)
ADVICE = (
    f"Name another folder, or set rolecall_layout to one of {', '.join(layout.name for layout in LAYOUTS)}.\n"
    'The page "Layouts of migrations" of rolecall\'s documentation has an example of each.'
)
INCLUDES = ", whose names do not say their order. A file with a line such as \\ir {} for each can be named, too"
SHOWN = 3  # names of files in the error


def choose(path: Path, name: str = AUTO) -> Layout:
    """The layout with this name; with ``auto``, the one that the folder or file has. Raises MigrationError."""
    if name != AUTO:
        layout = next(each for each in LAYOUTS if each.name == name)
        if layout.is_file != path.is_file():
            what = "is a file" if path.is_file() else "is a folder"
            raise MigrationError(f"{path} {what}, and rolecall_layout = {name} needs {layout.example}.")
        return layout
    found = next((each for each in LAYOUTS if each.is_file == path.is_file() and each.fits(path)), None)
    if found is None:
        raise MigrationError(f"the layout of {path} is not clear: {_contents(path)}.\n{ADVICE}")
    return found


def _contents(folder: Path) -> str:
    """What a folder has, as the end of a sentence, with advice for what is no layout."""
    if any((folder / name).exists() for name in ("alembic.ini", "env.py", "versions")):
        return (
            "it has migrations of Alembic, which are Python. Write them as SQL with "
            "alembic upgrade head --sql > all.sql, and name all.sql"
        )
    if any((folder / name).is_dir() for name in ("migrations", "schemas")):
        name = next(name for name in ("migrations", "schemas") if (folder / name).is_dir())
        return f"it has a folder {name}, which can be named"
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() == ".sql")
    if not names:
        return "it has no SQL file"
    if len(names) == 1:
        return f"it has {names[0]}, which can be named"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "it has " + ", ".join(names[:SHOWN]) + more + INCLUDES.format(names[0])
