"""Prints the results in the terminal: a table for each experiment, and the broken promises at the end."""

from __future__ import annotations

from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reliability.results import Result


def show(console: Console, result: Result) -> None:
    """Print the promises, the counts and the times."""
    table = Table("promise", "held", title=result.title, title_justify="left")
    for each in result.promises.values():
        colour = "red" if each.broken else "green" if each.tried else "yellow"
        table.add_row(each.text, f"[{colour}]{each.figures}[/]")
    console.print(table)
    counts = [f"{name}: {number:,}" for name, number in result.counts.items()]
    times = [
        f"{name}: median {median(values):.1f} s, longest {max(values):.1f} s" for name, values in result.seconds.items()
    ]
    if figures := [*counts, *times]:
        console.print("  " + " · ".join(figures), highlight=False, markup=False)


def show_broken(console: Console, results: list[Result]) -> None:
    """List the broken promises, each with the command that tries it again."""
    for result in results:
        for each in result.broken:
            console.print(f"[red]{escape(result.name)}[/]: {escape(each.what)}", highlight=False)
            console.print(f"    run again: {escape(each.command)}", highlight=False)
