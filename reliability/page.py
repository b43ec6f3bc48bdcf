"""Writes ``docs/reliability.md`` from the stored results: the promises, how each is tried, and how often it held."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reliability.results import RESULTS, ROOT

PAGE = ROOT / "docs" / "reliability.md"
ORDER = ("kills", "foreign", "inputs", "attacks", "oracle", "orders")
TEXT = """\
# Reliability

What rolecall and the migrations promise, how each promise is tried, and the figures of the last run. `make torture`
writes this page from `reliability/results/`. `make torture ARGS="--minutes 5"` takes less time and tries less.
`make test` runs a short form of each experiment.

{machine}

| promise | how it is tried | held |
|---|---|---|
{rows}

## Figures

{figures}

## Broken promises of the last run

{broken}
"""


def write() -> Path:
    """Write the page from the results of the experiments that have run."""
    results = [
        json.loads(path.read_text(encoding="utf-8")) for name in ORDER if (path := RESULTS / f"{name}.json").is_file()
    ]
    PAGE.write_text(render(results), encoding="utf-8")
    return PAGE


def render(results: list[dict[str, Any]]) -> str:
    """The text of the page."""
    machine = ", ".join(f"{what} {value}" for what, value in results[0]["machine"].items())
    rows = [row for result in results for row in _rows(result)]
    figures = [line for result in results for line in _figures(result)]
    broken = [line for result in results for line in _broken(result)]
    return TEXT.format(
        machine=textwrap.fill(f"Machine and versions: {machine}.", 116),
        rows="\n".join(rows),
        figures="\n".join(figures),
        broken="\n".join(broken) or "Nothing.",
    )


def _rows(result: dict[str, Any]) -> Iterator[str]:
    for promise in result["promises"].values():
        figures = promise["figures"] if not promise["broken"] else f"**{promise['figures']}**"
        yield f"| {_cell(promise['text'])} | {_cell(promise['how'])} | {figures} |"


def _figures(result: dict[str, Any]) -> Iterator[str]:
    figures = [f"{name}: {number:,}" for name, number in result["counts"].items()]
    for name, times in result["seconds"].items():
        figures.append(f"{name}: median {times['median']:g} s, longest {times['longest']:g} s")
    detail = f": {'; '.join(figures)}" if figures else ""
    text = f"- **{result['title']}** (`--seed {result['seed']}`, {result['duration, s']} s){detail}"
    yield textwrap.fill(text, 116, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _broken(result: dict[str, Any]) -> Iterator[str]:
    for each in result["broken"]:
        yield f"- {_line(each['what'])}\n  `{each['command']}`"
    if (more := result["broken, total"] - len(result["broken"])) > 0:
        yield f"- and {more} more of {result['title']}"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
