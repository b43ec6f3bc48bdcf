"""A database with all steps, what the steps make, and a function that checks the database after a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from rolecall import World
from rolecall.catalog import snapshot
from rolecall.database.scratch import Scratch
from rolecall.drift import check, expected
from rolecall.drift.check import Report
from rolecall.drift.expected import Expected
from rolecall.server.connection import ServerConnection


@dataclass(frozen=True)
class Migrated:
    """A database after all steps; tests roll their changes back. ``made`` is what each step makes."""

    made: Expected = field(repr=False)
    connection: ServerConnection
    personas: list[str]

    def check(self, sql: str, **options: Any) -> Report:
        """Change the database as the superuser, check it, and roll the change back."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(sql.encode())
            return check.check(self.made, snapshot.read(self.connection), personas=self.personas, **options)


@pytest.fixture(scope="module")
def migrated(module_scratch: Callable[..., Scratch], world: World) -> Migrated:
    """All steps in a database of their own, so that neither a defect nor a mutant changes it."""
    scratch = module_scratch()
    made = expected.after_steps(scratch.run, scratch.connection, scratch.role, list(scratch.phases.values()))
    return Migrated(made, scratch.connection, sorted({persona.role for persona in world.personas.values()}))
