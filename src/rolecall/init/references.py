"""What a row refers to, and why it names that: it must, or a policy asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from rolecall.init.facts import SET, ColumnOf, Constant, Facts
from rolecall.init.proposed_row import Origin
from rolecall.init.shape import Table
from rolecall.noninterference.schema import ForeignKey


class References:
    """Answers questions about foreign keys with what policies ask for."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def is_wanted(self, table: Table, key: ForeignKey) -> bool:
        """Whether a row names what a foreign key refers to: it must, or a policy may ask for it."""
        columns = [table.columns[each] for each in key.columns]
        if key.parent == table.name and not any(each.is_required for each in columns):
            return False
        return any(
            each.is_required or each.name in table.key or ColumnOf(table.name, each.name) in self._asked
            for each in columns
        )

    @cached_property
    def _asked(self) -> set[ColumnOf]:
        linked = {column for pair in self.facts.linked for column in pair}
        return self.facts.used | linked | set(self.facts.named)

    def named_keys(self, table: Table) -> dict[str, Constant]:
        """The foreign keys whose row a policy names, each with the first such row."""
        keys = [key for key in table.foreign_keys if self.is_named(key)]
        values = {key.columns[0]: self.facts.values[ColumnOf(table.name, key.columns[0])] for key in keys}
        return {column: next(each for each in named if each != SET) for column, named in values.items()}

    def is_named(self, key: ForeignKey) -> bool:
        """Whether a policy names the row that a foreign key refers to: a bucket, a plan."""
        values = self.facts.values.get(ColumnOf(key.child, key.columns[0]), [])
        return len(key.columns) == 1 and any(each != SET for each in values)


def alternatives(table: Table, sources: Mapping[str, Origin]) -> list[str]:
    """The optional columns that refer to a row each, if a CHECK is about several: maybe only one may do so."""
    optional = [column for column in sources if not table.columns[column].not_null]
    found = [column for column in optional for check in table.checks if column in check.columns]
    return list(dict.fromkeys(found)) if len(set(found)) > 1 else []
