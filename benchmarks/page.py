"""Writes ``docs/benchmarks.md`` from the stored results: measured values and targets."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS, short

PAGE = RESULTS.parent.parent / "docs" / "benchmarks.md"
TEXT = """\
# Benchmarks

![The same checks in several ways, the start, a mutant, queries on a million rows, growth](benchmarks.svg)

`make bench` writes this page from `benchmarks/results/`. [benchmarks/README.md](../benchmarks/README.md) describes
each measurement. Ratios compare times of the same run: they differ less between machines than seconds do. For the
policies, only queries that miss the target are listed; [findings.md](findings.md#on-large-tables) explains them.

{machine}

| | measured | target | |
|---|---:|---:|---|
{rows}
"""


def write() -> Path:
    """Write the page. Every benchmark must have run once."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    machine = ", ".join(f"{name} {value}" for name, value in results["checks"]["machine"].items())
    rows = [row for name, result in results.items() for row in _rows(name, result)]
    text = textwrap.fill(f"Machine and versions: {machine}.", 116)
    PAGE.write_text(TEXT.format(machine=text, rows="\n".join(rows)), encoding="utf-8")
    return PAGE


def _rows(name: str, result: dict[str, Any]) -> Iterator[str]:
    targets = [ratio for ratio in result["ratios"] if ratio["met"] is not None]
    rows = [ratio for ratio in targets if not ratio["met"]] if name == "policies" else targets
    if name == "policies":
        met = len(targets) - len(rows)
        yield f"| **policies**: queries within 1.5 times the filter by hand | {met} of {len(targets)} | | |"
    for ratio in rows:
        limit = f"≤ {ratio['at_most']:g}" if ratio["at_most"] is not None else f"≥ {ratio['at_least']:g}"
        word = "✓" if ratio["met"] else "not met"
        yield f"| **{name}**: {ratio['what']} | {short(ratio['value'])} | {limit} | {word} |"
