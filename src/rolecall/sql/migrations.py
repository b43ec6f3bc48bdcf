"""The migrations of a project, in whatever layout they are: read as phases."""

from __future__ import annotations

from pathlib import Path

from rolecall.settings import Settings
from rolecall.sql import layouts
from rolecall.sql.phases import Part, Phase, Script, Step, Transaction

__all__ = ["Part", "Phase", "Script", "Step", "Transaction", "of", "read"]


def of(settings: Settings) -> tuple[Phase, ...]:
    """The phases of the project's migrations, in order; none without migrations. Raises MigrationError."""
    return read(settings.migrations, settings.layout) if settings.migrations else ()


def read(path: Path, layout: str = layouts.AUTO) -> tuple[Phase, ...]:
    """The phases in a folder or file, in order. ``layout`` is the name of its layout, or ``auto``.

    Raises MigrationError if the layout is not clear, or something in the folder does not fit it.
    """
    return tuple(layouts.choose(path, layout).phases(path))
