"""Operators that break constraints, defaults and types.

Most of them are SchemaAnalyst's (McMinn, Wright and Kapfhammer, The Effectiveness of Test Coverage
Criteria for Relational Database Schema Integrity Constraints, TOSEM 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rolecall.catalog.definitions import Constraint, Schema
from rolecall.catalog.objects import identifier
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions
from rolecall.sql.tree import Change, edit, edit_expression

SCHEMA_ANALYST = "McMinn, Wright and Kapfhammer, TOSEM 2015 (SchemaAnalyst)"
CATCHES = "a value just inside or just outside of it, in the table's file of tests/constraints"
ACTIONS = {"c": "CASCADE", "n": "SET NULL", "a": "NO ACTION"}  # by the parser's letters


def _drop(constraint: Constraint) -> str:
    return f"ALTER TABLE {constraint.table} DROP CONSTRAINT {identifier(constraint.name)}"


def _add(constraint: Constraint, definition: str) -> str:
    # NOT VALID: the rows that are there may break it, and that is not what is tried.
    valid = " NOT VALID" if constraint.kind in ("c", "f") else ""
    return f"ALTER TABLE {constraint.table} ADD CONSTRAINT {identifier(constraint.name)} {definition}{valid}"


class DropConstraint(Operator):
    """Drop a CHECK, a foreign key or a primary key."""

    name = "constraint-drop"
    stands_for = "a constraint that a table made by hand lacks; IF NOT EXISTS passes over it"
    source = f"{SCHEMA_ANALYST}: removal"
    catches = CATCHES

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each constraint."""
        for each in schema.constraints:
            yield self.mutant(
                Target("constraint", each.name, each.table),
                each.table,
                "dropped",
                _add(each, each.definition),
                _drop(each),
            )


class EditCheck(Operator):
    """Change one comparison, bound, connective or part of a CHECK, or a column in it."""

    name = "check-edit"
    stands_for = "< for <=, a bound off by one, OR for AND, the wrong one of two columns"
    source = f"{SCHEMA_ANALYST}: relational operator and column exchange; connectives: ours"
    catches = CATCHES

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each CHECK."""
        for each in schema.constraints:
            if each.kind == "c":
                rewrites = (*expressions.PREDICATE, expressions.swap_column({"": schema.types[each.table]}))
                predicate = each.definition.removeprefix("CHECK ")
                for what, text in edit_expression(predicate, rewrites):
                    sql = f"{_drop(each)}; {_add(each, f'CHECK ({text})')}"
                    yield self.mutant(
                        Target("constraint", each.name, each.table), each.table, what, each.definition, sql
                    )


class NotNull(Operator):
    """Drop a NOT NULL, and add one where there is none."""

    name = "not-null"
    stands_for = "a column that should be told, or that may be left open"
    source = f"{SCHEMA_ANALYST}: NOT NULL removal and addition"
    catches = CATCHES

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each column."""
        for column in schema.columns:
            alter = f"ALTER TABLE {column.table} ALTER {identifier(column.name)}"
            before, after = ("SET", "DROP") if column.not_null else ("DROP", "SET")
            what, target = f"{after} NOT NULL", Target("column", column.name, column.table)
            sql = f"{alter} {after} NOT NULL"
            if after == "SET":  # rows that are there would refuse it; from now on is what matters
                sql = (
                    f"ALTER TABLE {column.table} ADD CONSTRAINT rolecall_mutant "
                    f"CHECK ({identifier(column.name)} IS NOT NULL) NOT VALID"
                )
            yield self.mutant(target, column.table, what, f"{alter} {before} NOT NULL", sql)


class ForeignKeyAction(Operator):
    """Change what a foreign key does when its target goes."""

    name = "foreign-key-action"
    stands_for = "CASCADE where history should stay, or rows of nobody where it should not"
    source = "ours"
    catches = "a test that deletes what the key refers to, and looks"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each foreign key and other action."""
        for each in schema.constraints:
            if each.kind == "f":
                for what, added in edit(_add(each, each.definition), [_another_action]):
                    sql = f"{_drop(each)}; {added}"
                    yield self.mutant(
                        Target("constraint", each.name, each.table), each.table, what, each.definition, sql
                    )


class EditDefault(Operator):
    """Drop a default, or change it."""

    name = "default"
    stands_for = "a flag that is NULL unless somebody says so, or that begins the wrong way"
    source = "ours"
    catches = "a row inserted without the column"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each default, and for each change of its value."""
        for column in schema.columns:
            if column.default is None:
                continue
            alter = f"ALTER TABLE {column.table} ALTER {identifier(column.name)}"
            target, before = Target("column", column.name, column.table), f"DEFAULT {column.default}"
            yield self.mutant(target, column.table, "without default", before, f"{alter} DROP DEFAULT")
            for what, text in edit_expression(column.default, (expressions.change_constant,)):
                yield self.mutant(target, column.table, f"default: {what}", before, f"{alter} SET DEFAULT {text}")


class WidenType(Operator):
    """Make a column wider: text without a length, numbers without a precision, bigint for integer."""

    name = "type-widen"
    stands_for = "a length that the application relies on and the database does not hold"
    source = "ours"
    catches = "a value one longer than the column takes, or the list of columns and types"
    WIDER = (
        *(("character varying(", "text"), ("character(", "text"), ("numeric(", "numeric")),
        *(("smallint", "integer"), ("integer", "bigint"), ("real", "double precision")),
    )

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each column that can be wider; views that show it make some invalid."""
        for column in schema.columns:
            for narrow, wide in self.WIDER:
                if column.type.startswith(narrow):
                    sql = f"ALTER TABLE {column.table} ALTER {identifier(column.name)} TYPE {wide}"
                    target = Target("column", column.name, column.table)
                    yield self.mutant(target, column.table, f"type {wide}", f"TYPE {column.type}", sql)


def _another_action(node: Any) -> Iterator[tuple[str, Change]]:
    """A foreign key that does something else when its target is deleted."""
    if node.DESCRIPTOR.name == "Constraint" and node.HasField("pktable"):
        for letter, action in ACTIONS.items():
            if letter != (node.fk_del_action or "a"):

                def change(node: Any, letter: str = letter) -> None:
                    node.fk_del_action = letter

                yield f"ON DELETE {action}", change
