"""Writes ``docs/benchmarks.md`` from the kept results: what was wanted, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS

PAGE = RESULTS.parent.parent / "docs" / "benchmarks.md"
TEXT = """\
# Benchmarks

![The same checks in several ways, the start, a mutant, queries on a million rows, growth](benchmarks.svg)

Written by `make bench`, from `benchmarks/results/`; [benchmarks/README.md](../benchmarks/README.md) says how each is
measured. Ratios are of one run, and hold elsewhere better than seconds do. Of the policies only what is beyond the
target is listed; why it is, [findings.md](findings.md#on-large-tables) says.

{machine}

| | measured | wanted | |
|---|---:|---:|---|
{rows}
"""


def write() -> Path:
    """Write the page; every benchmark has to have been run once."""
    kept = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    machine = kept["checks"]["machine"]
    told = ", ".join(f"{what} {value}" for what, value in machine.items())
    rows = [row for name, result in kept.items() for row in _rows(name, result)]
    PAGE.write_text(TEXT.format(machine=f"Machine and versions: {told}.", rows="\n".join(rows)), encoding="utf-8")
    return PAGE


def _rows(name: str, result: dict[str, Any]) -> Iterator[str]:
    wanted = [ratio for ratio in result["ratios"] if ratio["met"] is not None]
    shown = [ratio for ratio in wanted if not ratio["met"]] if name == "policies" else wanted
    if name == "policies":
        met = len(wanted) - len(shown)
        yield f"| **policies**: queries within 1.5 times the filter by hand | {met} of {len(wanted)} | | |"
    for ratio in shown:
        limit = f"≤ {ratio['at_most']:g}" if ratio["at_most"] is not None else f"≥ {ratio['at_least']:g}"
        yield f"| **{name}**: {ratio['what']} | {ratio['value']:.3g} | {limit} | {'✓' if ratio['met'] else 'not met'} |"
