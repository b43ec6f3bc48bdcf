"""The manifest: what the migrations created. A comment on the migrated database stores it for every process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rolecall.catalog.objects import Object
from rolecall.catalog.overloads import Overload
from rolecall.catalog.unprotected import Unprotected
from rolecall.dump.left_out import LeftOut

KEY = "manifest"  # in the JSON of the comment


@dataclass(frozen=True)
class Manifest:
    """The role that ran the migrations, and what they added to the catalog."""

    role: str | None
    added: list[Object]
    tables: list[str]  # every table that the migrations created, or added a policy to
    protected: list[str]  # tables with row-level security, of the migrations or, without migrations, of the baseline
    unprotected: Unprotected  # what row-level security does not protect: of the same, and what the migrations opened
    open_by_name: list[Object]  # of what is unprotected: views, functions and foreign tables, which tests name
    rollbacks: list[str]  # titles of the phases that can be rolled back, in order
    notes: list[str]  # on the migrations' files, for the summary
    left_out: list[LeftOut] = field(default_factory=list)  # of a baseline that is a dump
    overloads: list[Overload] = field(default_factory=list)  # the functions that share their name with another one
    missing: list[tuple[str, str, str]] = field(default_factory=list)  # rows of the world: table, name, the reason

    @classmethod
    def from_comment(cls, text: str) -> Manifest:
        """The manifest in a database's comment."""
        data = json.loads(text)[KEY]
        added = [Object(*item) for item in data["added"]]
        left_out = [LeftOut(*item) for item in data["left_out"]]
        overloads = [Overload(*item) for item in data["overloads"]]
        missing = [(table, name, reason) for table, name, reason in data["missing"]]
        rollbacks, notes = data["rollbacks"], data["notes"]
        tables = data["tables"], data["protected"], Unprotected(**data["unprotected"])
        open_by_name = [Object(*item) for item in data["open_by_name"]]
        return cls(data["role"], added, *tables, open_by_name, rollbacks, notes, left_out, overloads, missing)

    def as_comment(self) -> dict[str, Any]:
        """The data that :meth:`from_comment` reads."""
        return {KEY: asdict(self)}

    def of_kind(self, *kinds: str) -> list[Object]:
        """The added objects of these kinds."""
        return [item for item in self.added if item.kind in kinds]

    def without(self, missing: Mapping[tuple[str, str], str]) -> Manifest:
        """The same, and these rows of the world could not be loaded."""
        return replace(self, missing=[(*key, reason) for key, reason in missing.items()])

    @property
    def missing_rows(self) -> dict[tuple[str, str], str]:
        """The rows of the world that could not be loaded, by table and name, with the reason."""
        return {(table, name): reason for table, name, reason in self.missing}

    def called(self, item: Object) -> str:
        """The name by which tests call a function or view: with the arguments, if the name has several functions."""
        return item.names[-1 if any(each.name == item.full_name for each in self.overloads) else 0]

    def without_arguments(self, called: str) -> str:
        """The qualified name of what :meth:`called` names."""
        return next((each.name for each in self.overloads if each.full_name == called), called)

    @property
    def constraints(self) -> list[Object]:
        """The added constraints, NOT NULLs and unique indexes."""
        return self.of_kind("constraint", "unique", "not null")
