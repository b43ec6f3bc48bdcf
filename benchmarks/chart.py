"""Draws the stored results of the benchmarks as ``docs/benchmarks.svg``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.results import RESULTS, short

CHART = RESULTS.parent.parent / "docs" / "benchmarks.svg"
OURS, THEIRS = "#2a6f97", "#b8c4cc"
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.hashsalt": "rolecall",  # the same results give the same file
}


def draw() -> Path:
    """Draw the chart. Every benchmark must have run once."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    with pyplot.rc_context(STYLE):
        figure, panels = pyplot.subplots(3, 2, figsize=(10, 10.5), layout="constrained")
        for panel, part in zip(panels.flat, (checks, start, mutants, policies, tables, cells), strict=True):
            part(panel, results)
        figure.savefig(CHART, metadata={"Date": None})
        pyplot.close(figure)
    return CHART


def bars(panel: Axes, title: str, lengths: dict[str, float], unit: str) -> None:
    """Horizontal bars with their lengths; those of rolecall are coloured."""
    names = list(lengths)
    colours = [OURS if name.startswith("rolecall") else THEIRS for name in names]
    rectangles = panel.barh(names, list(lengths.values()), color=colours)
    panel.bar_label(rectangles, fmt=lambda length: f"{short(length)} {unit}", padding=3)
    panel.invert_yaxis()
    panel.set_title(title)
    panel.margins(x=0.25)
    panel.xaxis.set_visible(False)
    panel.spines.bottom.set_visible(False)


def checks(panel: Axes, results: dict[str, Any]) -> None:
    """The same checks in several ways."""
    medians = results["checks"]["medians"]
    ways = (
        "rolecall, probing",
        "rolecall, one item per cell",
        "empty parametrized tests",
        "psql -f",
        "psycopg in a loop",
    )
    lengths = {way: medians[way] for way in (*ways, *(way for way in medians if way.startswith("pgTAP")))}
    bars(panel, f"{results['checks']['facts']['checks']:,} access checks", lengths, "s")


def start(panel: Axes, results: dict[str, Any]) -> None:
    """From the command to the first check."""
    labels = {
        "pytest alone": "pytest, no plugin",
        "with the same plugins": "pytest, the same plugins, no rolecall project",
        "rolecall, no cache": "one cell, no cache",
        "rolecall, with cache": "one cell, with cache",
    }
    lengths = {name: results["start"]["medians"][way] for name, way in labels.items()}
    bars(panel, "From the command to the first check", lengths, "s")


def mutants(panel: Axes, results: dict[str, Any]) -> None:
    """A mutant in a transaction, and in its own database."""
    medians = results["mutants"]["medians"]
    lengths = {("rolecall: " if "transaction" in way else "") + way: 1000 * medians[way] for way in medians}
    bars(panel, "A mutant and its tests", lengths, "ms")


def policies(panel: Axes, results: dict[str, Any]) -> None:
    """Each common query on a million rows: with a filter written by hand, and signed in."""
    medians = results["policies"]["medians"]
    queries = {way.rpartition(": ")[0] for way in medians}
    ways = {"the plan's": ("#d08c60", "x"), "shipped": (OURS, "o")}
    panel.axline((1, 1), (10, 10), color="grey", linewidth=0.8)
    for way, (colour, marker) in ways.items():
        measured = [query for query in sorted(queries) if f"{query}: {way}" in medians]
        by_hand, signed_in = ([medians[f"{query}: {one}"] for query in measured] for one in ("by hand", way))
        panel.scatter(by_hand, signed_in, color=colour, marker=marker, s=16, label=f"{way} policies")
    panel.set(xscale="log", yscale="log", xlabel="filter by hand, ms", ylabel="signed in, ms")
    panel.set_title("Common queries on 1,000,000 rows")
    panel.legend(frameon=False)


def tables(panel: Axes, results: dict[str, Any]) -> None:
    """The steps that depend on the number of tables."""
    curves(panel, results["growth"]["medians"], "tables")


def cells(panel: Axes, results: dict[str, Any]) -> None:
    """The steps that depend on the number of cells."""
    curves(panel, results["growth"]["medians"], "cells")


def curves(panel: Axes, medians: dict[str, float], what: str) -> None:
    """The seconds of each step over the number of tables or cells."""
    steps: dict[str, list[tuple[int, float]]] = {}
    for name, seconds in medians.items():
        if (match := re.fullmatch(rf"(.+), ([\d,]+) {what}", name)) and seconds:
            steps.setdefault(match[1], []).append((int(match[2].replace(",", "")), seconds))
    for step, points in steps.items():
        panel.plot(*zip(*sorted(points), strict=True), marker=".", label=step)
    panel.set(xscale="log", yscale="log", xlabel=what, ylabel="s")
    panel.set_title(f"Growth with {what}")
    panel.legend(frameon=False, fontsize=7)
