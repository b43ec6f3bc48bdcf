"""Operators that break constraints, indexes, defaults and types.

Most of them are SchemaAnalyst's (McMinn, Wright and Kapfhammer, The Effectiveness of Test Coverage
Criteria for Relational Database Schema Integrity Constraints, TOSEM 2015).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast

from rolecall.access.world import literal
from rolecall.catalog.definitions import Constraint, Index, Schema
from rolecall.catalog.objects import identifier
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.mutants.rewrites import expressions
from rolecall.sql import tree

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
                f"{each.table} {each.name}", each.table, "dropped", _add(each, each.definition), _drop(each)
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
                for what, text in tree.edit_expression(predicate, rewrites):
                    sql = f"{_drop(each)}; {_add(each, f'CHECK ({text})')}"
                    yield self.mutant(f"{each.table} {each.name}", each.table, what, each.definition, sql)


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
            what, object_ = f"{after} NOT NULL", f"{column.table}.{column.name}"
            sql = f"{alter} {after} NOT NULL"
            if after == "SET":  # rows that are there would refuse it; from now on is what matters
                sql = (
                    f"ALTER TABLE {column.table} ADD CONSTRAINT rolecall_mutant "
                    f"CHECK ({identifier(column.name)} IS NOT NULL) NOT VALID"
                )
            yield self.mutant(object_, column.table, what, f"{alter} {before} NOT NULL", sql)


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
                for what, added in tree.edit(_add(each, each.definition), [_another_action]):
                    sql = f"{_drop(each)}; {added}"
                    yield self.mutant(f"{each.table} {each.name}", each.table, what, each.definition, sql)


class DropIndex(Operator):
    """Drop an index."""

    name = "index-drop"
    stands_for = "an index forgotten: nobody notices before the table is large"
    catches = "a test of the indexes that there are, or of a query that one serves"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each index."""
        for each in schema.indexes:
            if not each.of_constraint:
                object_ = f"{each.table} {each.name}"
                yield self.mutant(object_, each.table, "dropped", each.definition, _drop_index(each))


class EditIndex(Operator):
    """Take a column or the predicate from an index or a UNIQUE, add a column, or make it allow duplicates."""

    name = "index-edit"
    stands_for = "a unique index over one column too few or too many, or of all rows instead of the living ones"
    source = f"{SCHEMA_ANALYST}: UNIQUE column addition, removal and exchange; predicates: ours"
    catches = "a pair of rows that only this part of the index tells apart"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each part of each index."""
        for each in schema.indexes:
            for what, sql in self.others(each, schema):
                yield self.mutant(
                    f"{each.table} {each.name}", each.table, what, each.definition, f"{_drop_index(each)}; {sql}"
                )

    def others(self, index: Index, schema: Schema) -> Iterator[tuple[str, str]]:
        """What an index could be instead, as statements."""
        for change, what in self.changes(index, schema):
            tree = postgast.parse(index.definition)
            change(tree.stmts[0].stmt.index_stmt)
            yield what, _create_index(index, postgast.deparse(tree))
        if index.unique:
            for what, definition in tree.edit(index.definition, expressions.PREDICATE):
                yield what, _create_index(index, definition)

    def changes(self, index: Index, schema: Schema) -> Iterator[tuple[tree.Change, str]]:
        """Changes of an index' own clauses, in words."""
        node = postgast.parse(index.definition).stmts[0].stmt.index_stmt
        for place in range(len(node.index_params)):
            if len(node.index_params) > 1:

                def take(node: object, place: int = place) -> None:
                    del node.index_params[place]  # type: ignore[attr-defined]

                yield take, f"without column {place + 1}"
        if node.HasField("where_clause"):
            yield (lambda node: node.ClearField("where_clause")), "without its predicate"
        if index.unique:
            yield (lambda node: setattr(node, "unique", False)), "not unique"
            there = {param.index_elem.name for param in node.index_params}
            other = next((c.name for c in schema.columns if c.table == index.table and c.name not in there), None)
            if other:

                def add(node: object, other: str = other) -> None:
                    node.index_params.add().index_elem.CopyFrom(_element(other))  # type: ignore[attr-defined]

                yield add, f"with column {other}"


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
            object_, before = f"{column.table}.{column.name}", f"DEFAULT {column.default}"
            yield self.mutant(object_, column.table, "without default", before, f"{alter} DROP DEFAULT")
            for what, text in tree.edit_expression(column.default, (expressions.change_constant,)):
                yield self.mutant(object_, column.table, f"default: {what}", before, f"{alter} SET DEFAULT {text}")


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
                    object_ = f"{column.table}.{column.name}"
                    yield self.mutant(object_, column.table, f"type {wide}", f"TYPE {column.type}", sql)


def _another_action(node: Any) -> Iterator[tuple[str, tree.Change]]:
    """A foreign key that does something else when its target is deleted."""
    if node.DESCRIPTOR.name == "Constraint" and node.HasField("pktable"):
        for letter, action in ACTIONS.items():
            if letter != (node.fk_del_action or "a"):

                def change(node: Any, letter: str = letter) -> None:
                    node.fk_del_action = letter

                yield f"ON DELETE {action}", change


def _drop_index(index: Index) -> str:
    if index.of_constraint:
        return f"ALTER TABLE {index.table} DROP CONSTRAINT {identifier(index.name)}"
    return f"DROP INDEX {index.table.split('.')[0]}.{identifier(index.name)}"


# From now on is what matters: of rows that stand there and are one too many, the first counts.
FROM_NOW_ON = """DO $rolecall$
DECLARE
  surplus text[];
BEGIN
  {create};
EXCEPTION
  WHEN unique_violation THEN
    SELECT array_agg(key) INTO surplus FROM (
      SELECT {key} AS key, row_number() OVER (PARTITION BY {columns} ORDER BY {key}) AS nth
      FROM {table} WHERE {predicate}
    ) AS standing WHERE nth > 1;
    EXECUTE format({but}, surplus);
END
$rolecall$"""


def _create_index(index: Index, definition: str) -> str:
    """The statement for an index, also where rows of the world would be in the way of a unique one."""
    tree = postgast.parse(definition)
    node = tree.stmts[0].stmt.index_stmt
    if not node.unique or not index.key:
        return definition
    key = " || ',' || ".join(f"{identifier(column)}::text" for column in index.key)
    elements = (param.index_elem for param in node.index_params)
    columns = [identifier(each.name) if each.name else tree.shown(each.expr) for each in elements]
    predicate = tree.shown(node.where_clause) if node.HasField("where_clause") else "true"
    node.ClearField("where_clause")
    but = f"{postgast.deparse(tree)} WHERE ({predicate}) AND {key} ".replace("%", "%%") + "<> ALL (%L)"
    return FROM_NOW_ON.format(
        create=definition,
        key=key,
        columns=", ".join(columns),
        table=index.table,
        predicate=predicate,
        but=literal(but).as_string(),
    )


def _element(column: str) -> object:
    tree = postgast.parse(f"CREATE INDEX ON t ({identifier(column)})")
    return tree.stmts[0].stmt.index_stmt.index_params[0].index_elem
