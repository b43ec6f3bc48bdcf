"""The manifest: what the migrations made, as the comment of the migrated database holds it for every process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from rolecall.catalog.objects import Object

KEY = "manifest"  # in the comment


@dataclass(frozen=True)
class Manifest:
    """What the migrations made: the role that ran them, and what they added to the catalog."""

    role: str | None
    added: list[Object]
    tables: list[str]  # every table that the migrations made, or put a policy on
    protected: list[str]  # tables with row-level security, of the migrations or, without migrations, of the baseline
    phases: list[str]  # names of the folders, in order
    notes: list[str]  # on the migrations' files, for the summary

    @classmethod
    def from_comment(cls, text: str) -> Manifest:
        """The manifest in a database's comment."""
        data = json.loads(text)[KEY]
        added = [Object(*item) for item in data["added"]]
        return cls(data["role"], added, data["tables"], data["protected"], data["phases"], data["notes"])

    def as_comment(self) -> dict[str, Any]:
        """What :meth:`from_comment` reads."""
        return {KEY: asdict(self)}

    def of_kind(self, *kinds: str) -> list[Object]:
        """The added objects of these kinds."""
        return [item for item in self.added if item.kind in kinds]

    @property
    def constraints(self) -> list[Object]:
        """The added constraints, NOT NULLs and unique indexes."""
        return self.of_kind("constraint", "unique", "not null")
