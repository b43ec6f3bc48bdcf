"""Operators that break indexes.

Most of them are SchemaAnalyst's; see :mod:`rolecall.mutants.operators.constraints`.
"""

from __future__ import annotations

from collections.abc import Iterator

import postgast

from rolecall.access.world import literal
from rolecall.catalog.definitions import Index, Schema
from rolecall.catalog.objects import identifier, qualified
from rolecall.mutants.operators.constraints import SCHEMA_ANALYST
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions
from rolecall.sql.tree import Change, as_sql, edit


class DropIndex(Operator):
    """Drop an index."""

    name = "index-drop"
    stands_for = "a forgotten index, which only matters once the table is large"
    catches = "a test of the list of indexes, or of a query plan that uses the index"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each index."""
        for each in schema.indexes:
            if not each.of_constraint:
                target = Target("index", each.name, each.table)
                yield self.mutant(target, each.table, "dropped", each.definition, _drop_index(each))


class EditIndex(Operator):
    """Drop a column or the predicate of an index or a UNIQUE, add a column, or allow duplicates."""

    name = "index-edit"
    stands_for = "a unique index with one column too few or too many, or without its predicate"
    source = f"{SCHEMA_ANALYST}: UNIQUE column addition, removal and exchange; predicates: ours"
    catches = "a test with two rows that differ in this part of the index only"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each part of each index."""
        for each in schema.indexes:
            for what, sql in self.edits(each, schema):
                yield self.mutant(
                    Target("index", each.name, each.table),
                    each.table,
                    what,
                    each.definition,
                    f"{_drop_index(each)}; {sql}",
                )

    def edits(self, index: Index, schema: Schema) -> Iterator[tuple[str, str]]:
        """The changed indexes, as statements."""
        for change, what in self.changes(index, schema):
            tree = postgast.parse(index.definition)
            change(tree.stmts[0].stmt.index_stmt)
            yield what, _create_index(index, postgast.deparse(tree))
        if index.unique:
            for what, definition in edit(index.definition, expressions.PREDICATE):
                yield what, _create_index(index, definition)

    def changes(self, index: Index, schema: Schema) -> Iterator[tuple[Change, str]]:
        """The changes of the clauses of an index, each with its description."""
        node = postgast.parse(index.definition).stmts[0].stmt.index_stmt
        for place in range(len(node.index_params)):
            if len(node.index_params) > 1:

                def drop(node: object, place: int = place) -> None:
                    del node.index_params[place]  # type: ignore[attr-defined]

                yield drop, f"without column {place + 1}"
        if node.HasField("where_clause"):
            yield (lambda node: node.ClearField("where_clause")), "without its predicate"
        if index.unique:
            yield (lambda node: setattr(node, "unique", False)), "not unique"
            columns = {param.index_elem.name for param in node.index_params}
            if any(c.table == index.table and c.name in columns and not c.not_null for c in schema.columns):
                yield (lambda node: setattr(node, "nulls_not_distinct", True)), "NULLS NOT DISTINCT"
            other = next((c.name for c in schema.columns if c.table == index.table and c.name not in columns), None)
            if other:

                def add(node: object, other: str = other) -> None:
                    node.index_params.add().index_elem.CopyFrom(_element(other))  # type: ignore[attr-defined]

                yield add, f"with column {other}"


def _drop_index(index: Index) -> str:
    if index.of_constraint:
        return f"ALTER TABLE {qualified(index.table)} DROP CONSTRAINT {identifier(index.name)}"
    return f"DROP INDEX {identifier(index.table.split('.')[0])}.{identifier(index.name)}"


# Only new rows must be checked: of existing rows with equal values, all but the first are left out of the index.
CREATE_FOR_NEW_ROWS = """DO $rolecall$
DECLARE
  surplus text[];
BEGIN
  {create};
EXCEPTION
  WHEN unique_violation THEN
    SELECT array_agg(key) INTO surplus FROM (
      SELECT {key} AS key, row_number() OVER (PARTITION BY {columns} ORDER BY {key}) AS nth
      FROM {table} WHERE {predicate}
    ) AS existing WHERE nth > 1;
    EXECUTE format({statement}, surplus);
END
$rolecall$"""


def _create_index(index: Index, definition: str) -> str:
    """The statement that creates an index, also if existing rows violate a unique one."""
    tree = postgast.parse(definition)
    node = tree.stmts[0].stmt.index_stmt
    if not node.unique or not index.key:
        return definition
    key = " || ',' || ".join(f"{identifier(column)}::text" for column in index.key)
    elements = (param.index_elem for param in node.index_params)
    columns = [identifier(each.name) if each.name else as_sql(each.expr) for each in elements]
    predicate = as_sql(node.where_clause) if node.HasField("where_clause") else "true"
    node.ClearField("where_clause")
    statement = f"{postgast.deparse(tree)} WHERE ({predicate}) AND {key} ".replace("%", "%%") + "<> ALL (%L)"
    return CREATE_FOR_NEW_ROWS.format(
        create=definition,
        key=key,
        columns=", ".join(columns),
        table=qualified(index.table),
        predicate=predicate,
        statement=literal(statement).as_string(),
    )


def _element(column: str) -> object:
    tree = postgast.parse(f"CREATE INDEX ON t ({identifier(column)})")
    return tree.stmts[0].stmt.index_stmt.index_params[0].index_elem
