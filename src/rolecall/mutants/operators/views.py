"""Operators that break views."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema, View
from rolecall.catalog.objects import identifier
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import queries
from rolecall.sql.tree import edit


class InvokerOff(Operator):
    """Let a view run as its owner."""

    name = "view-invoker"
    stands_for = "security_invoker forgotten: the view reads as its owner, past every policy"
    catches = "a persona who must not see a row of the tables under the view"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each view."""
        for view in schema.views:
            sql = f"ALTER VIEW {view.full_name} SET (security_invoker = false)"
            yield self.mutant(
                Target.of("view", view.full_name), view.full_name, "runs as its owner", "security_invoker = true", sql
            )


class EditView(Operator):
    """Change one thing of a view's query: a WHERE, a join, a default, a window, an order, a constant."""

    name = "view-edit"
    stands_for = "LEFT JOIN for JOIN, a filter or a partition forgotten, a default the wrong way round"
    catches = "a value in the view that only this part decides"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each view."""
        for view in schema.views:
            for what, text in edit(view.query, queries.QUERY):
                yield self.mutant(
                    Target.of("view", view.full_name), view.full_name, what, view.query, _create(view, text)
                )


class SwapColumns(Operator):
    """Give a view's column the value of another one of its type."""

    name = "view-columns"
    stands_for = "two columns of one type mixed up: created_at and updated_at, the one id and the other"
    catches = "a row whose columns all have different values"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each pair of columns of one type."""
        for view in schema.views:
            for one, (column, kind) in enumerate(view.columns):
                for other, other_kind in view.columns[one + 1 :]:
                    if kind == other_kind:
                        names = {column: other, other: column}
                        columns = ", ".join(
                            f"shown.{identifier(names.get(each, each))} AS {identifier(each)}"
                            for each, _ in view.columns
                        )
                        text = f"SELECT {columns} FROM ({view.query}) AS shown"
                        what = f"{column} and {other} swapped"
                        yield self.mutant(
                            Target.of("view", view.full_name), view.full_name, what, view.query, _create(view, text)
                        )


def _create(view: View, query: str) -> str:
    # Replaced, not dropped: grants and dependents stay. A change of a column's type is refused, and so invalid.
    options = f" WITH ({', '.join(view.options)})" if view.options else ""
    return f"CREATE OR REPLACE VIEW {view.full_name}{options} AS {query}"
