"""Rows that differ from Alice's in a value that a policy asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rolecall.init.facts import FUTURE, PAST, SET, ColumnOf, Constant
from rolecall.init.proposed_row import ProposedRow

if TYPE_CHECKING:
    from rolecall.init.rows import Rows

MOST_ROWS = 10  # of one table: a grid must stay readable


def add(rows: Rows, base: ProposedRow) -> None:
    """Make a row for each value that differs from the one in ``base``, and one that has all that policies ask for."""
    columns = rows.shape.tables[base.table].columns
    asked = {column: rows.facts.values.get(ColumnOf(base.table, column), []) for column in columns}
    wanted = {
        column: constants[0]
        for column, constants in asked.items()
        if constants and constants[0] != SET and constants[0].value is not False
    }
    all_at_once = {column: each for column, each in wanted.items() if _differs(rows, base, column, each)}
    if len(all_at_once) > 1:
        rows.vary(base, all_at_once, " and ".join(_what(*each) for each in all_at_once.items()))
    for column, constants in asked.items():
        for constant in constants:
            if len(rows.rows[base.table]) < MOST_ROWS and _differs(rows, base, column, constant):
                # What is deleted or over must be visible otherwise, to show that it is not.
                others = all_at_once if constant in (SET, PAST, FUTURE) else {}
                rows.vary(base, {**others, column: constant}, _what(column, constant), column)
    for column in rows.references.named_keys(rows.shape.tables[base.table]):
        other = Constant(f"other-{base.whole[column]}")
        if len(rows.rows[base.table]) < MOST_ROWS and columns[column].category == "S" and other not in asked[column]:
            rows.vary(base, {column: other}, _what(column, other), column)


def _differs(rows: Rows, base: ProposedRow, column: str, constant: Constant) -> bool:
    """Whether a row with this value would be of another kind."""
    table = rows.shape.tables[base.table]
    if column in base.sources or table.columns[column].is_fixed:
        return False
    if (table.foreign_key_of(column) and constant == SET) or ColumnOf(base.table, column) in rows.facts.named:
        return False
    existing_rows = base.whole[column]
    return existing_rows is None if constant == SET else str(existing_rows) != str(constant.value)


def _what(column: str, constant: Constant) -> str:
    """A column and its value, for the name of a row: in one line."""
    value = constant.value
    text = "set" if constant == SET else str(value).lower() if isinstance(value, bool) else str(value)
    return " ".join(f"{column} {text}".split())
