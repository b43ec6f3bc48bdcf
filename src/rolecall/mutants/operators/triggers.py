"""Operators that break triggers."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import identifier
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions, triggers
from rolecall.sql.tree import edit


class DisableTrigger(Operator):
    """Disable a trigger."""

    name = "trigger-off"
    stands_for = "DISABLE TRIGGER for an import, without ENABLE afterwards"
    catches = "a test of the effect of the trigger"
    by_grid = True

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each trigger."""
        for trigger in schema.triggers:
            sql = f"ALTER TABLE {trigger.table} DISABLE TRIGGER {identifier(trigger.name)}"
            yield self.mutant(
                Target("trigger", trigger.name, trigger.table), trigger.table, "disabled", trigger.definition, sql
            )


class EditTrigger(Operator):
    """Change the event of a trigger, its time, or a part of its condition."""

    name = "trigger-edit"
    stands_for = "a trigger that fires too often, too rarely, or too late"
    catches = "a test in which it must fire, and one in which it must not"
    by_grid = True
    REWRITES = (*expressions.PREDICATE, triggers.drop_condition, triggers.change_event)

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each event, time, and change of the condition."""
        for trigger in schema.triggers:
            drop = f"DROP TRIGGER {identifier(trigger.name)} ON {trigger.table}"
            for what, text in edit(trigger.definition, self.REWRITES):
                sql = f"{drop}; {text}"
                yield self.mutant(
                    Target("trigger", trigger.name, trigger.table), trigger.table, what, trigger.definition, sql
                )
