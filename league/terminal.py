"""Prints the result of the league."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from league.cases import REWRITE
from league.results import COLUMNS, Result, of


def show(result: Result, console: Console) -> None:
    """Print the table, the false alarms, and the cases that a tool could not look at."""
    table = Table("", "compares with", *COLUMNS.values(), "seconds")
    compares_with = {each.name: each.compares_with for each in result.standings}
    for name, counts, seconds in result.rows():
        table.add_row(name, compares_with.get(name, ""), *map(of, counts.values()), f"{seconds:.1f}")
    console.print(table)
    for each in result.standings:
        alarms = {case: found for case, found in each.noticed.items() if case.startswith(REWRITE) and found}
        lines = [f"{each.name}, {case}: {found}" for case, found in alarms.items()]
        lines += [f"{each.name} could not look at {case}: {problem}" for case, problem in each.problems.items()]
        for line in lines:
            console.print(line, highlight=False, markup=False)
