"""``python -m benchmarks [NAME …]``: run the benchmarks of these names, or all.

``python -m benchmarks --page [NAME …]`` runs nothing. It writes the summaries of these names again from the samples in
``.benchmarks/``, and then the page and the chart from all summaries.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from rich.console import Console

from benchmarks.chart import draw
from benchmarks.page import write
from benchmarks.results import RAW, summarize

NAMES = ("checks", "start", "growth", "workers", "mutants", "policies", "decided_by", "report", "watch")


def main() -> None:
    """Run each benchmark, and show and save its result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--page", action="store_true", help="run nothing: write the page and the chart again")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(NAMES)):
        parser.error(f"unknown benchmark {', '.join(unknown)}: choose from {', '.join(NAMES)}")
    console = Console()
    if options.page:
        for name in options.names:
            if not (samples := RAW / f"{name}.json").is_file():
                parser.error(f"{samples}: no samples of {name}. Run it first.")
            console.print(f"  summary in {summarize(samples)}", highlight=False)
    else:
        for name in options.names or NAMES:
            result = import_module(f"benchmarks.{name}").run()
            result.show(console)
            console.print(f"  samples in {result.save()}", highlight=False)
    console.print(f"chart in {draw()}, page in {write()}", highlight=False)


if __name__ == "__main__":
    main()
