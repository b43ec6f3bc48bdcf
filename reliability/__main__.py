"""``python -m reliability [NAME …]``: try what the documentation promises; exit 1 if a promise is broken."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from importlib import import_module

from rich.console import Console

from reliability.page import write
from reliability.results import Deadline, Result
from reliability.terminal import show, show_broken

# Each experiment gets its share of the remaining time when it starts. Unused time goes to the next ones.
SHARES = {"kills": 35, "foreign": 12, "inputs": 15, "attacks": 8, "oracle": 8, "orders": 22}


def main() -> None:
    """Run each experiment, show and save its result, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(SHARES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=20, help="time for all experiments together (default: 20)")
    parser.add_argument("--seed", type=int, help="seed of all random choices (default: a random one)")
    parser.add_argument(
        "--only", default="", metavar="CASE", help="run one case of one experiment; failures print its name"
    )
    options = parser.parse_args()
    names = options.names or list(SHARES)
    if unknown := sorted(set(names) - set(SHARES)):
        parser.error(f"unknown experiment {', '.join(unknown)}: choose from {', '.join(SHARES)}")
    if options.only and len(names) != 1:
        parser.error("--only needs the name of one experiment")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # to stop servers and remove folders
    seed = random.randrange(10**6) if options.seed is None else options.seed  # noqa: S311 - no secret
    console, deadline = Console(), Deadline(options.minutes * 60)
    console.print(f"{', '.join(names)}: {options.minutes:g} minutes, --seed {seed}", highlight=False)
    results = [_run(console, name, names[number:], deadline, seed, options.only) for number, name in enumerate(names)]
    if not options.only:
        console.print(f"page in {write()}", highlight=False)
    show_broken(console, results)
    broken = sum(len(result.broken) for result in results)
    console.print(f"[{'red' if broken else 'green'}]{broken} broken promises[/]", highlight=False)
    sys.exit(1 if broken else 0)


def _run(console: Console, name: str, remaining: list[str], deadline: Deadline, seed: int, only: str) -> Result:
    share = SHARES[name] / sum(SHARES[each] for each in remaining)
    with console.status(name) as status:
        result: Result = import_module(f"reliability.{name}").run(
            Deadline(deadline.left * share), seed, only, lambda step: status.update(f"{name}: {step}")
        )
    show(console, result)
    if not only:
        result.save()
    return result


if __name__ == "__main__":
    main()
