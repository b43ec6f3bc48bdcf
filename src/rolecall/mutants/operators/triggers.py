"""Operators that break triggers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import identifier, qualified
from rolecall.mutants.operators.constraints import parsed
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions, triggers, values
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
            sql = f"ALTER TABLE {qualified(trigger.table)} DISABLE TRIGGER {identifier(trigger.name)}"
            yield self.mutant(
                Target("trigger", trigger.name, trigger.table), trigger.table, "disabled", trigger.definition, sql
            )


class EditTrigger(Operator):
    """Change the event of a trigger, its time, or a part of its condition."""

    name = "trigger-edit"
    stands_for = "a trigger that fires too often, too rarely, or too late"
    catches = "a test in which it must fire, and one in which it must not"
    by_grid = True
    REWRITES = (*expressions.PREDICATE, triggers.drop_condition, triggers.change_event, triggers.swap_old_new)

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each event, time, and change of the condition."""
        for trigger in schema.triggers:
            drop = f"DROP TRIGGER {identifier(trigger.name)} ON {qualified(trigger.table)}"
            for what, text in edit(trigger.definition, self.REWRITES):
                sql = f"{drop}; {text}"
                yield self.mutant(
                    Target("trigger", trigger.name, trigger.table), trigger.table, what, trigger.definition, sql
                )


class AddTrigger(Operator):
    """Add a trigger that changes, loses or swaps values, ignores rows, or writes to another table."""

    name = "trigger-add"
    stands_for = "a trigger that a colleague added for one case: it empties a column or returns NULL"
    catches = "a test that writes a row and compares all columns, and the rows of the other tables"
    by_grid = True

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each effect and event; of each type only the first column."""
        for table in schema.tables:
            for when, what, body in self.effects(table, schema):
                function = f"{identifier(table.split('.')[0])}.rolecall_mutant()"
                sql = (
                    f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
                    f"$rolecall$BEGIN {body} END$rolecall$; "
                    f"CREATE TRIGGER a_rolecall_mutant {when} ON {qualified(table)} "
                    f"FOR EACH ROW EXECUTE FUNCTION {function}"
                )
                yield self.mutant(Target.of("table", table), table, f"{when}: {what}", "", sql)

    def effects(self, table: str, schema: Schema) -> Iterator[tuple[str, str, str]]:
        """The event, a description and the body of each trigger."""
        for command in ("INSERT", "UPDATE"):
            for what, statement in self.assignments(table, schema):
                yield f"BEFORE {command}", what, f"{statement}; RETURN NEW;"
        for command in ("INSERT", "UPDATE", "DELETE"):
            yield f"BEFORE {command}", "the row is ignored", "RETURN NULL;"
            for other, key, column in _referenced(table, schema):
                row = "OLD" if command == "DELETE" else "NEW"
                statement = f"DELETE FROM {qualified(other)} WHERE {identifier(key)} = {row}.{identifier(column)}"
                yield f"AFTER {command}", f"the row of its {column} is deleted", f"{statement}; RETURN NULL;"
        yield "BEFORE UPDATE", "the old row stays", "RETURN OLD;"

    def assignments(self, table: str, schema: Schema) -> Iterator[tuple[str, str]]:
        """Statements that change the new row."""
        columns = [column for column in schema.columns if column.table == table]
        nullable: dict[str, str] = {}
        for column in columns:
            if not column.not_null:
                nullable.setdefault(column.type.split("(")[0], column.name)
        for name in nullable.values():
            yield f"{name} becomes NULL", f"NEW.{identifier(name)} := NULL"
        seen: set[str] = set()
        for column in columns:
            for what, text in values.changed(f"NEW.{identifier(column.name)}", column.type):
                if what not in seen:
                    seen.add(what)
                    yield f"{column.name} {what}", f"NEW.{identifier(column.name)} := {text}"
        # The first id is the row's own. Two others that every row has may be two people.
        _, *ids = [column.name for column in columns if column.type == "uuid" and column.not_null] or [""]
        for one, other in pairwise(ids):
            first, second = identifier(one), identifier(other)
            yield f"{one} and {other} swapped", f"SELECT NEW.{first}, NEW.{second} INTO NEW.{second}, NEW.{first}"


def _referenced(table: str, schema: Schema) -> Iterator[tuple[str, str, str]]:
    """The table that the first foreign key refers to, the key there, and the column here."""
    for each in schema.constraints:
        if each.table == table and each.kind == "f":
            node = parsed(each)
            other = f"{node.pktable.schemaname}.{node.pktable.relname}"
            yield other, node.pk_attrs[0].string.sval, node.fk_attrs[0].string.sval
            return
