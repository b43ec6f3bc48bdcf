"""Writes ``docs/reliability.md`` from the kept results: promises, how each is tried, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reliability.results import RESULTS, ROOT

PAGE = ROOT / "docs" / "reliability.md"
ORDER = ("kills", "foreign", "inputs", "attacks", "oracle", "orders")
TEXT = """\
# Reliability

What rolecall and the migrations promise, how each promise is tried, and the figures of the last run. Written by
`make torture`, from `reliability/results/`. `make torture ARGS="--minutes 5"` takes less time and tries less.
`make test` has a short form of each.

{machine}

| promise | how it is tried | held |
|---|---|---|
{rows}

## Figures

{figures}

## Not as promised in the last run

{broken}
"""


def write() -> Path:
    """Write the page, of the experiments that have been run."""
    kept = [
        json.loads(path.read_text(encoding="utf-8")) for name in ORDER if (path := RESULTS / f"{name}.json").is_file()
    ]
    PAGE.write_text(render(kept), encoding="utf-8")
    return PAGE


def render(kept: list[dict[str, Any]]) -> str:
    """The page's text."""
    machine = ", ".join(f"{what} {value}" for what, value in kept[0]["machine"].items())
    rows = [row for result in kept for row in _rows(result)]
    figures = [line for result in kept for line in _figures(result)]
    broken = [line for result in kept for line in _broken(result)]
    return TEXT.format(
        machine=f"Machine and versions: {machine}.",
        rows="\n".join(rows),
        figures="\n".join(figures),
        broken="\n".join(broken) or "Nothing.",
    )


def _rows(result: dict[str, Any]) -> Iterator[str]:
    for promise in result["promises"].values():
        held = promise["figures"] if not promise["broken"] else f"**{promise['figures']}**"
        yield f"| {_cell(promise['text'])} | {_cell(promise['how'])} | {held} |"


def _figures(result: dict[str, Any]) -> Iterator[str]:
    told = [f"{what}: {number:,}" for what, number in result["counts"].items()]
    for what, took in result["seconds"].items():
        told.append(f"{what}: median {took['median']:g} s, longest {took['longest']:g} s")
    detail = f": {'; '.join(told)}" if told else ""
    yield f"- **{result['title']}** (`--seed {result['seed']}`, {result['took, s']} s){detail}"


def _broken(result: dict[str, Any]) -> Iterator[str]:
    for each in result["broken"]:
        yield f"- {_line(each['what'])}\n  `{each['again']}`"
    if (more := result["broken in all"] - len(result["broken"])) > 0:
        yield f"- and {more} more of {result['title']}"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
