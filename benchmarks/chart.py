"""Draws what the benchmarks found, from their kept results, as ``docs/benchmarks.svg``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.results import RESULTS

CHART = RESULTS.parent.parent / "docs" / "benchmarks.svg"
OURS, THEIRS = "#2a6f97", "#b8c4cc"
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "rolecall",  # so that the same results make the same file
}


def draw() -> Path:
    """Draw the chart; every benchmark has to have been run once."""
    kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    with pyplot.rc_context(STYLE):
        figure, panels = pyplot.subplots(3, 2, figsize=(10, 10.5), layout="constrained")
        for panel, part in zip(panels.flat, (checks, start, mutants, policies, tables, cells), strict=True):
            part(panel, kept)
        figure.savefig(CHART, metadata={"Date": None})
        pyplot.close(figure)
    return CHART


def bars(panel: Axes, title: str, lengths: dict[str, float], unit: str) -> None:
    """Horizontal bars with their lengths written beside; ours are coloured."""
    names = list(lengths)
    colours = [OURS if name.startswith("rolecall") else THEIRS for name in names]
    drawn = panel.barh(names, list(lengths.values()), color=colours)
    panel.bar_label(drawn, fmt=lambda length: f"{length:,.3g} {unit}", padding=3)
    panel.invert_yaxis()
    panel.set_title(title)
    panel.margins(x=0.25)
    panel.xaxis.set_visible(False)
    panel.spines.bottom.set_visible(False)


def checks(panel: Axes, kept: dict[str, Any]) -> None:
    """The same checks in several ways."""
    found = kept["checks"]["medians"]
    ways = ("rolecall, probing", "rolecall, an item a cell", "empty parametrized tests", "psql -f", "psycopg in a loop")
    lengths = {way: found[way] for way in (*ways, *(way for way in found if way.startswith("pgTAP")))}
    bars(panel, f"{kept['checks']['facts']['checks']:,} access checks", lengths, "s")


def start(panel: Axes, kept: dict[str, Any]) -> None:
    """From the command to the first check."""
    named = {
        "pytest alone": "pytest, no plugin",
        "with the same plugins": "pytest, the same plugins, nothing of rolecall's to build",
        "rolecall, nothing kept": "one cell, nothing kept",
        "rolecall, databases kept": "one cell, the databases kept",
    }
    lengths = {name: kept["start"]["medians"][way] for name, way in named.items()}
    bars(panel, "From the command to the first check", lengths, "s")


def mutants(panel: Axes, kept: dict[str, Any]) -> None:
    """A mutant in a transaction, and in a database of its own."""
    found = kept["mutants"]["medians"]
    lengths = {("rolecall: " if "transaction" in way else "") + way: 1000 * found[way] for way in found}
    bars(panel, "A mutant and its tests", lengths, "ms")


def policies(panel: Axes, kept: dict[str, Any]) -> None:
    """Each everyday query on a million rows: by its filter written by hand, and signed in."""
    found = kept["policies"]["medians"]
    queries = {way.rpartition(": ")[0] for way in found}
    ways = {"the plan's": ("#d08c60", "x"), "shipped": (OURS, "o")}
    panel.axline((1, 1), (10, 10), color="grey", linewidth=0.8)
    for way, (colour, marker) in ways.items():
        there = [query for query in sorted(queries) if f"{query}: {way}" in found]
        by_hand, signed_in = ([found[f"{query}: {one}"] for query in there] for one in ("by hand", way))
        panel.scatter(by_hand, signed_in, color=colour, marker=marker, s=16, label=f"{way} policies")
    panel.set(xscale="log", yscale="log", xlabel="filter by hand, ms", ylabel="signed in, ms")
    panel.set_title("Everyday queries on 1,000,000 rows")
    panel.legend(frameon=False)


def tables(panel: Axes, kept: dict[str, Any]) -> None:
    """What grows with the schema."""
    curves(panel, kept["growth"]["medians"], "tables")


def cells(panel: Axes, kept: dict[str, Any]) -> None:
    """What grows with the grids."""
    curves(panel, kept["growth"]["medians"], "cells")


def curves(panel: Axes, found: dict[str, float], what: str) -> None:
    """The seconds of each step over the number of tables or cells."""
    steps: dict[str, list[tuple[int, float]]] = {}
    for name, seconds in found.items():
        if (told := re.fullmatch(rf"(.+), ([\d,]+) {what}", name)) and seconds:
            steps.setdefault(told[1], []).append((int(told[2].replace(",", "")), seconds))
    for step, points in steps.items():
        panel.plot(*zip(*sorted(points), strict=True), marker=".", label=step)
    panel.set(xscale="log", yscale="log", xlabel=what, ylabel="s")
    panel.set_title(f"Growth with {what}")
    panel.legend(frameon=False, fontsize=7)
