"""What a tool of the league is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from league.lab import Database, Lab
from league.programs import version

NOTHING = "nothing"


class Tool(ABC):
    """One way to look at a database: a tool with one of its commands.

    :cvar name: the tool and the command, as in the table
    :cvar package: the package that has it, as in the lock files; empty for rolecall's own
    :cvar made_for: what its authors made it for
    :cvar compares_with: what was made from the unchanged schema, if anything: then an edit is enough to be noticed
    :cvar commands: what is run for each schema
    :cvar is_linter: whether it reads the schema and knows nothing else
    :cvar is_clean: whether it finds nothing in the unchanged schema; if it does, the league ends
    :cvar needs_pgtap: whether the database needs pgTAP
    """

    name: str
    package: str
    made_for: str
    compares_with: str = NOTHING
    commands: tuple[str, ...]
    is_linter: bool = False
    is_clean: bool = False
    needs_pgtap: bool = False

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @property
    def version(self) -> str:
        """The package and its version; empty for rolecall's own."""
        return f"{self.package} {version(self.package)}" if self.package else ""

    def prepare(self, database: Database) -> None:  # noqa: B027  # most tools make nothing
        """Make what the tool compares with, once, from the unchanged schema."""

    @abstractmethod
    def findings(self, database: Database) -> Iterable[str]:
        """What the tool finds in a database: see :func:`league.findings.new`. Raises ToolError."""

    def close(self) -> None:  # noqa: B027  # most tools start nothing
        """End what the tool has started."""
