"""What saved files concern: all tests, some test files, or steps of the migrations."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rolecall.settings import Settings

# pytest's configuration, besides the file that it uses now: a new one may take its place.
CONFIGURATION = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg")


@dataclass(frozen=True)
class Project:
    """What a run finds out about the project. ``patterns`` are those of test files; ``arguments`` are paths and ids."""

    settings: Settings
    root: Path
    folder: Path  # of the command
    configuration: Path | None
    patterns: tuple[str, ...]
    arguments: tuple[str, ...]
    has_xdist: bool

    @property
    def folders(self) -> list[Path]:
        """The folders to watch: that of the project, and those of SQL that lies outside."""
        sql = {path if path.is_dir() else path.parent for path in self.sql}
        folders = {self.root, *sql, *(self.path_of(each) for each in self.arguments if self.path_of(each).is_dir())}
        return sorted(each for each in folders if not any(each.is_relative_to(other) for other in folders - {each}))

    @property
    def sql(self) -> list[Path]:
        """What the databases are built from: files, and a folder."""
        settings = self.settings
        paths = settings.platform, settings.baseline, settings.requires, settings.migrations, settings.seed
        return [path for path in paths if path]

    def path_of(self, argument: str) -> Path:
        """The path of an argument."""
        return Path(os.path.abspath(self.folder / argument.partition("::")[0]))  # noqa: PTH100 - links stay

    def is_test(self, path: Path) -> bool:
        """Whether a path is that of a test file, or of a defect."""
        is_defect = path.suffix == ".sql" and path.parent == self.settings.defects
        return is_defect or (path.name != "conftest.py" and any(path.match(pattern) for pattern in self.patterns))

    def selecting(self, path: Path) -> list[str]:
        """The arguments that run what the user's arguments select of a test file; none if they leave it out."""
        whole = [self.path_of(each) for each in self.arguments if "::" not in each]
        if any(path.is_relative_to(each) for each in whole):
            return [str(path)]
        return [each for each in self.arguments if self.path_of(each) == path]

    def test_files(self) -> Iterator[Path]:
        """The test files in Python that the arguments select."""
        for argument in dict.fromkeys(map(self.path_of, self.arguments)):
            for path in sorted(argument.rglob("*.py")) if argument.is_dir() else [argument]:
                if path.suffix == ".py" and self.is_test(path) and not is_hidden(path, self.root):
                    yield path

    def shown(self, path: Path) -> str:
        """A path as pytest shows it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def is_hidden(path: Path, root: Path) -> bool:
    """Whether a file is hidden, or in a folder that holds no files of the project."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts[-1:]
    return any(part.startswith((".", "#")) or part in ("node_modules", "__pycache__") for part in parts)


@dataclass(frozen=True)
class Concern:
    """What to run. ``everything`` is the reason to run all tests; empty: only these ``tests`` and those of ``scripts``.

    ``scripts`` are SQL files of the databases, or of a phase. ``files`` are all that were saved. ``rest``: this is the
    second run, of what is slower.
    """

    files: frozenset[Path]
    everything: str = ""
    tests: tuple[Path, ...] = ()
    scripts: tuple[Path, ...] = ()
    rest: bool = False

    def __bool__(self) -> bool:
        return bool(self.everything or self.tests or self.scripts)


ALL = Concern(frozenset(), everything="all tests")
NOTHING = Concern(frozenset())


def concern_of(files: Collection[Path], project: Project) -> Concern:
    """What the saved files concern. It is false if that is nothing."""
    reason = next((text for path in sorted(files) if (text := _everything(path, project))), "")
    tests = tuple(path for path in sorted(files) if project.is_test(path) and not is_hidden(path, project.root))
    scripts = tuple(path for path in sorted(files) if _is_script(path, project))
    return Concern(frozenset(files), reason, tests, scripts)


def _everything(path: Path, project: Project) -> str:
    """Why a file concerns all tests; empty if it does not."""
    is_configuration = path == project.configuration or (
        path.name in CONFIGURATION and path.parent in (project.root, project.folder)
    )
    if is_configuration:
        return f"{project.shown(path)}: all tests"
    if path.suffix == ".py" and not project.is_test(path) and not is_hidden(path, project.root):
        return f"{project.shown(path)} may concern every test: all tests"
    return ""


def _is_script(path: Path, project: Project) -> bool:
    if path in project.sql:
        return True
    migrations = project.settings.migrations
    is_below = migrations is not None and path.is_relative_to(migrations)
    return is_below and path.suffix == ".sql" and not path.name.startswith((".", "#"))


def listed(names: Iterable[str], most: int = 3) -> str:
    """Some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 file``, ``2 files``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
