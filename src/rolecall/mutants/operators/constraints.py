"""Operators that break constraints, defaults and types.

Most of them are SchemaAnalyst's (McMinn, Wright and Kapfhammer, The Effectiveness of Test Coverage
Criteria for Relational Database Schema Integrity Constraints, TOSEM 2015).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import postgast

from rolecall.catalog.definitions import Constraint, Schema
from rolecall.catalog.objects import identifier, qualified
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions
from rolecall.sql.tree import Change, edit, edit_expression, walk

SCHEMA_ANALYST = "McMinn, Wright and Kapfhammer, TOSEM 2015 (SchemaAnalyst)"
CATCHES = "a test with a value just inside or just outside the limit"
MARKS = re.compile(r"( NO INHERIT)?( NOT VALID)?$")  # after the condition of a CHECK
ACTIONS = {"c": "CASCADE", "n": "SET NULL", "a": "NO ACTION"}  # by the letters of the parser


def _drop(constraint: Constraint) -> str:
    return f"ALTER TABLE {qualified(constraint.table)} DROP CONSTRAINT {identifier(constraint.name)}"


def _add(constraint: Constraint, definition: str) -> str:
    # NOT VALID: existing rows may violate it, which must not make the mutant invalid.
    valid = " NOT VALID" if constraint.kind in ("c", "f") else ""
    return f"ALTER TABLE {qualified(constraint.table)} ADD CONSTRAINT {identifier(constraint.name)} {definition}{valid}"


def _replaced(constraint: Constraint, added: str) -> str:
    """The statements that replace a constraint. It becomes valid unless an existing row violates it."""
    validate = f"ALTER TABLE {qualified(constraint.table)} VALIDATE CONSTRAINT {identifier(constraint.name)}"
    ignore = "EXCEPTION WHEN check_violation OR foreign_key_violation THEN NULL"
    return f"{_drop(constraint)}; {added}; DO $$ BEGIN {validate}; {ignore}; END $$"


class DropConstraint(Operator):
    """Drop a CHECK, a foreign key or a primary key."""

    name = "constraint-drop"
    stands_for = "a constraint missing from a table that was created by hand, since IF NOT EXISTS skips it"
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
    """Change a comparison, a limit, an AND or OR, a column or another part of a CHECK."""

    name = "check-edit"
    stands_for = "< for <=, a limit off by one, OR for AND, the wrong one of two columns"
    source = f"{SCHEMA_ANALYST}: relational operator and column exchange; connectives: ours"
    catches = CATCHES

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each CHECK."""
        for each in schema.constraints:
            if each.kind == "c":
                rewrites = (*expressions.PREDICATE, expressions.swap_column({"": schema.types[each.table]}))
                predicate = MARKS.sub("", each.definition.removeprefix("CHECK "))
                for what, text in edit_expression(predicate, rewrites):
                    sql = _replaced(each, _add(each, f"CHECK ({text})"))
                    yield self.mutant(
                        Target("constraint", each.name, each.table), each.table, what, each.definition, sql
                    )


class NotNull(Operator):
    """Drop a NOT NULL, or add one."""

    name = "not-null"
    stands_for = "a value that must not be missing, or one that may be missing"
    source = f"{SCHEMA_ANALYST}: NOT NULL removal and addition"
    catches = CATCHES

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each column."""
        for column in schema.columns:
            alter = f"ALTER TABLE {qualified(column.table)} ALTER {identifier(column.name)}"
            before, after = ("SET", "DROP") if column.not_null else ("DROP", "SET")
            what, target = f"{after} NOT NULL", Target("column", column.name, column.table)
            sql = f"{alter} {after} NOT NULL"
            if after == "SET":  # existing rows may have NULLs, so only new rows are checked
                sql = (
                    f"ALTER TABLE {qualified(column.table)} ADD CONSTRAINT rolecall_mutant "
                    f"CHECK ({identifier(column.name)} IS NOT NULL) NOT VALID"
                )
            yield self.mutant(target, column.table, what, f"{alter} {before} NOT NULL", sql)


class ForeignKeyAction(Operator):
    """Change what a foreign key does when the row that it refers to is deleted, or gets another key."""

    name = "foreign-key-action"
    stands_for = "CASCADE where rows should be kept, or rows without an owner where they should be deleted"
    source = "ours"
    catches = "a test that deletes the referenced row, or changes its key, and checks the referencing ones"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each other action of each foreign key."""
        for each in schema.constraints:
            if each.kind == "f":
                for what, added in edit(_add(each, each.definition), [_another_action]):
                    sql = _replaced(each, added)
                    yield self.mutant(
                        Target("constraint", each.name, each.table), each.table, what, each.definition, sql
                    )


class EditDefault(Operator):
    """Drop a default, or change it."""

    name = "default"
    stands_for = "a flag that is NULL unless it is set, or that starts with the wrong value"
    source = "ours"
    catches = "a test that inserts a row without the column"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each default, and for each change of its value."""
        for column in schema.columns:
            if column.default is None:
                continue
            alter = f"ALTER TABLE {qualified(column.table)} ALTER {identifier(column.name)}"
            target, before = Target("column", column.name, column.table), f"DEFAULT {column.default}"
            yield self.mutant(target, column.table, "without default", before, f"{alter} DROP DEFAULT")
            for what, text in edit_expression(column.default, (expressions.change_constant,)):
                yield self.mutant(target, column.table, f"default: {what}", before, f"{alter} SET DEFAULT {text}")


class WidenType(Operator):
    """Make a column wider: text without a length, numbers without a precision, bigint for integer."""

    name = "type-widen"
    stands_for = "a length limit of the application that the database does not enforce"
    source = "ours"
    catches = "a test with a value that is one too long for the column, or of the list of columns and types"
    WIDER = (
        *(("character varying(", "text"), ("character(", "text"), ("numeric(", "numeric")),
        *(("smallint", "integer"), ("integer", "bigint"), ("real", "double precision")),
    )

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each column that can be wider. It is invalid if a view shows the column."""
        for column in schema.columns:
            for narrow, wide in self.WIDER:
                if column.type.startswith(narrow):
                    sql = f"ALTER TABLE {qualified(column.table)} ALTER {identifier(column.name)} TYPE {wide}"
                    target = Target("column", column.name, column.table)
                    yield self.mutant(target, column.table, f"type {wide}", f"TYPE {column.type}", sql)


class Checking(Operator):
    """A constraint is checked at COMMIT, not for existing rows, or not for tables that inherit from this one."""

    name = "constraint-checking"
    stands_for = "NOT VALID without VALIDATE; DEFERRABLE to make an import work; a copied NO INHERIT"
    catches = "a test in which one statement violates the constraint; the others only show in the catalog"
    FORMS: ClassVar = {
        "c": {"not valid": " NOT VALID", "no inherit": " NO INHERIT"},
        "f": {"not valid": " NOT VALID", "deferred": " DEFERRABLE INITIALLY DEFERRED"},
        "p": {"deferred": " DEFERRABLE INITIALLY DEFERRED"},
    }

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each form that a constraint may have and does not.

        What only shows in the catalog is changed for the first constraint of its kind in each table.
        """
        seen: set[tuple[str, str, str]] = set()
        for each in schema.constraints:
            for what, form in self.FORMS.get(each.kind, {}).items():
                is_first = (key := (each.table, each.kind, what)) not in seen
                seen.add(key)
                if form.split()[0] not in each.definition and (is_first or what == "deferred"):
                    add = f"ALTER TABLE {qualified(each.table)} ADD CONSTRAINT {identifier(each.name)}"
                    target = Target("constraint", each.name, each.table)
                    yield self.mutant(
                        target, each.table, what, each.definition, f"{_drop(each)}; {add} {each.definition}{form}"
                    )


def parsed(constraint: Constraint) -> Any:
    """The node of a constraint: of a foreign key with ``pktable``, ``pk_attrs`` and ``fk_attrs``, or with ``keys``."""
    tree = postgast.parse(f"ALTER TABLE t ADD {constraint.definition}")
    return next(node for node in walk(tree) if node.DESCRIPTOR.name == "Constraint")


def _another_action(node: Any) -> Iterator[tuple[str, Change]]:
    """Another action of a foreign key when the row that it refers to is deleted, or gets another key."""
    if node.DESCRIPTOR.name == "Constraint" and node.HasField("pktable"):
        for event, attribute in (("DELETE", "fk_del_action"), ("UPDATE", "fk_upd_action")):
            for letter, action in ACTIONS.items():
                if letter != (getattr(node, attribute) or "a"):

                    def change(node: Any, attribute: str = attribute, letter: str = letter) -> None:
                        setattr(node, attribute, letter)

                    yield f"ON {event} {action}", change
