"""``python -m benchmarks [NAME …]``: run the benchmarks of these names, or all."""

from __future__ import annotations

import argparse
from importlib import import_module

from rich.console import Console

from benchmarks.chart import draw
from benchmarks.page import write

NAMES = ("checks", "start", "growth", "workers", "mutants", "policies")


def main() -> None:
    """Run each, show what it found, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)} (default: all)")
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}: choose of {', '.join(NAMES)}")
    console = Console()
    for name in names:
        result = import_module(f"benchmarks.{name}").run()
        result.show(console)
        console.print(f"  kept in {result.save()}", highlight=False)
    console.print(f"drawn in {draw()}, told in {write()}", highlight=False)


if __name__ == "__main__":
    main()
