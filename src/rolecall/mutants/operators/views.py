"""Operators that break views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rolecall.catalog.definitions import Schema, View
from rolecall.catalog.objects import identifier, qualified
from rolecall.mutants.operators.operator import Gain, Mutant, Operator, Target
from rolecall.mutants.rewrites import matching, queries, values
from rolecall.sql.tree import edit


class InvokerOff(Operator):
    """Run a view with the rights of its owner."""

    name = "view-invoker"
    stands_for = "a forgotten security_invoker: the view reads as its owner, and bypasses every policy"
    catches = "a test with a persona that must not see a row of the tables under the view"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each view that runs with the rights of its reader."""
        for view in (each for each in schema.views if each.invoker):
            sql = f"ALTER VIEW {qualified(view.full_name)} SET (security_invoker = false)"
            target, gain = Target.of("view", view.full_name), Gain(schema.grantees(view.full_name), "select")
            yield self.mutant(target, view.full_name, "runs as its owner", "security_invoker = true", sql, gain)


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


class EditRows(Operator):
    """A view leaves out rows: those over a limit, equal ones, or those that one more condition excludes."""

    name = "view-rows"
    stands_for = "a LIMIT for speed, a DISTINCT to hide duplicates, a condition of one screen"
    catches = "a test with many rows, equal rows, a NULL, or a time in the future"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each view."""
        for view in schema.views:
            for what, text in (*edit(view.query, (matching.limit_result, matching.add_distinct)), *self.filters(view)):
                yield self.mutant(
                    Target.of("view", view.full_name), view.full_name, what, view.query, _create(view, text)
                )

    def filters(self, view: View) -> Iterator[tuple[str, str]]:
        """The query with one more condition: the last column of each type is not NULL, the last time is past.

        The last columns are often those of an outer join, which may be NULL.
        """
        shown = f"SELECT * FROM ({view.query}) AS shown WHERE"
        for kind, column in {kind: column for column, kind in view.columns}.items():
            yield f"{column} is not NULL", f"{shown} {identifier(column)} IS NOT NULL"
            if kind.startswith("timestamp"):
                yield f"{column} is past", f"{shown} ({identifier(column)} <= now()) IS NOT FALSE"


class EditValues(Operator):
    """A column of a view shows a cut, rounded or otherwise changed value, or another column of its type."""

    name = "view-values"
    stands_for = "lower() or left() for one screen; the same column twice in a long list"
    catches = "a test that compares each column with a stored value that has capitals, a time of day and a fraction"
    MOST = 3  # columns with the same change

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of the first columns of each type."""
        for view in schema.views:
            count = Counter[str]()
            for column, kind in view.columns:
                for what, text in self.changes(view, column, kind):
                    count[what] += 1
                    if count[what] <= self.MOST:
                        columns = ", ".join(
                            f"{text if name == column else f'shown.{identifier(name)}'} AS {identifier(name)}"
                            for name, _ in view.columns
                        )
                        sql = _create(view, f"SELECT {columns} FROM ({view.query}) AS shown")
                        target = Target.of("view", view.full_name)
                        yield self.mutant(target, view.full_name, f"{column} {what}", view.query, sql)

    def changes(self, view: View, column: str, kind: str) -> Iterator[tuple[str, str]]:
        """The changed values of a column, with the column's type, so that the view can be replaced."""
        for what, text in values.changed(f"shown.{identifier(column)}", kind):
            yield what, f"CAST({text} AS {kind})"
        other = next((name for name, other in view.columns if other == kind and name != column), None)
        if other:
            yield "is another column", f"shown.{identifier(other)}"


class Barrier(Operator):
    """Set or reset security_barrier."""

    name = "view-barrier"
    stands_for = "an option copied from another view, or forgotten: functions of the caller may see hidden rows"
    catches = "a test with a leaky function in a condition, or of the view's options"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each view."""
        for view in schema.views:
            value = "false" if "security_barrier=true" in view.options else "true"
            sql = f"ALTER VIEW {qualified(view.full_name)} SET (security_barrier = {value})"
            yield self.mutant(Target.of("view", view.full_name), view.full_name, f"security_barrier = {value}", "", sql)


def _create(view: View, query: str) -> str:
    # Replaced and not dropped, so that grants and dependent objects stay. A changed column type makes it invalid.
    options = f" WITH ({', '.join(view.options)})" if view.options else ""
    return f"CREATE OR REPLACE VIEW {qualified(view.full_name)}{options} AS {query}"
