"""The folder of a project, to which the places of a report are relative."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rolecall.report.report import Place


@dataclass(frozen=True)
class Project:
    """A project. ``root`` is the folder of pytest's configuration."""

    root: Path

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

    def file(self, path: Path) -> str:
        """A path relative to the folder, with ``/`` between its parts; a path outside of it as it is."""
        relative = os.path.relpath(path, self.root)
        return str(path) if relative.startswith("..") else Path(relative).as_posix()

    def place(self, path: Path, line: int) -> Place:
        """A line of a file."""
        return Place(self.file(path), line)
