"""Operators that break views."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema, View
from rolecall.catalog.objects import identifier
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import queries
from rolecall.sql.tree import edit


class InvokerOff(Operator):
    """Run a view with the rights of its owner."""

    name = "view-invoker"
    stands_for = "a forgotten security_invoker: the view reads as its owner, and bypasses every policy"
    catches = "a test with a persona that must not see a row of the tables under the view"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each view."""
        for view in schema.views:
            sql = f"ALTER VIEW {view.full_name} SET (security_invoker = false)"
            yield self.mutant(
                Target.of("view", view.full_name), view.full_name, "runs as its owner", "security_invoker = true", sql
            )


class EditView(Operator):
    """Change one part of a view's query: a WHERE, a join, a default, a window, an order, a constant."""

    name = "view-edit"
    stands_for = "LEFT JOIN for JOIN, a forgotten filter or partition, a reversed default"
    catches = "a test of a value in the view that depends on this part only"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each view."""
        for view in schema.views:
            for what, text in edit(view.query, queries.QUERY):
                yield self.mutant(
                    Target.of("view", view.full_name), view.full_name, what, view.query, _create(view, text)
                )


class SwapColumns(Operator):
    """Swap two columns of a view that have the same type."""

    name = "view-columns"
    stands_for = "two confused columns of the same type, e.g. created_at and updated_at, or two ids"
    catches = "a test with a row whose columns all have different values"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each pair of columns of one type."""
        for view in schema.views:
            for place, (column, kind) in enumerate(view.columns):
                for other, other_kind in view.columns[place + 1 :]:
                    if kind == other_kind:
                        names = {column: other, other: column}
                        columns = ", ".join(
                            f"shown.{identifier(names.get(name, name))} AS {identifier(name)}"
                            for name, _ in view.columns
                        )
                        text = f"SELECT {columns} FROM ({view.query}) AS shown"
                        what = f"{column} and {other} swapped"
                        yield self.mutant(
                            Target.of("view", view.full_name), view.full_name, what, view.query, _create(view, text)
                        )


def _create(view: View, query: str) -> str:
    # Replaced and not dropped, so that grants and dependent objects stay. A changed column type makes it invalid.
    options = f" WITH ({', '.join(view.options)})" if view.options else ""
    return f"CREATE OR REPLACE VIEW {view.full_name}{options} AS {query}"
