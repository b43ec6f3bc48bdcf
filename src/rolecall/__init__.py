"""rolecall: a pytest plugin that signs in to Postgres as each of your users and tries."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if os.name != "posix":
    raise ImportError("rolecall needs a POSIX system such as Linux; on Windows, use it inside WSL.")

if TYPE_CHECKING:
    from rolecall.access.persona import Persona
    from rolecall.access.session import Session
    from rolecall.access.world import Row, World
    from rolecall.changes.changes import Changes, FindChanges
    from rolecall.changes.expected import Change, deleted, inserted, rewritten, set_to, updated
    from rolecall.errors import RolecallError
    from rolecall.grids.grid import Grid, grid

__all__ = [
    "Change",
    "Changes",
    "FindChanges",
    "Grid",
    "Persona",
    "RolecallError",
    "Row",
    "Session",
    "World",
    "deleted",
    "grid",
    "inserted",
    "rewritten",
    "set_to",
    "updated",
]

# Imported at the first use: pytest imports this package in every project of the environment.
_MODULES = {
    "Change": "rolecall.changes.expected",
    "Changes": "rolecall.changes.changes",
    "FindChanges": "rolecall.changes.changes",
    "Grid": "rolecall.grids.grid",
    "Persona": "rolecall.access.persona",
    "RolecallError": "rolecall.errors",
    "Row": "rolecall.access.world",
    "Session": "rolecall.access.session",
    "World": "rolecall.access.world",
    "deleted": "rolecall.changes.expected",
    "grid": "rolecall.grids.grid",
    "inserted": "rolecall.changes.expected",
    "rewritten": "rolecall.changes.expected",
    "set_to": "rolecall.changes.expected",
    "updated": "rolecall.changes.expected",
}


def __getattr__(name: str) -> object:
    try:
        module = _MODULES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(module), name)
