"""``python -m reliability [NAME …]``: try what the docs promise; exit 1 if something did not hold."""

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

# Each gets its share of the time that is left when it begins, so what one does not use, the next ones do.
SHARES = {"kills": 35, "foreign": 12, "inputs": 15, "attacks": 8, "oracle": 8, "orders": 22}


def main() -> None:
    """Run each experiment, show what it found, keep it, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SHARES)} (default: all)")
    parser.add_argument("--minutes", type=float, default=20, help="for all of them together (default: 20)")
    parser.add_argument("--seed", type=int, help="of all that is chosen at random (default: another each time)")
    parser.add_argument("--only", default="", metavar="CASE", help="one case of one experiment, as a failure names it")
    asked = parser.parse_args()
    names = asked.names or list(SHARES)
    if unknown := sorted(set(names) - set(SHARES)):
        parser.error(f"there is no experiment {', '.join(unknown)}: choose of {', '.join(SHARES)}")
    if asked.only and len(names) != 1:
        parser.error("--only wants the name of its experiment before it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are stopped and folders removed
    seed = random.randrange(10**6) if asked.seed is None else asked.seed  # noqa: S311 - no secret
    console, whole = Console(), Deadline(asked.minutes * 60)
    console.print(f"{', '.join(names)}: {asked.minutes:g} minutes, --seed {seed}", highlight=False)
    results = [_run(console, name, names[number:], whole, seed, asked.only) for number, name in enumerate(names)]
    if not asked.only:
        console.print(f"written: {write()}", highlight=False)
    show_broken(console, results)
    broken = sum(len(result.broken) for result in results)
    console.print(f"[{'red' if broken else 'green'}]{broken} not as promised[/]", highlight=False)
    sys.exit(1 if broken else 0)


def _run(console: Console, name: str, waiting: list[str], whole: Deadline, seed: int, only: str) -> Result:
    share = SHARES[name] / sum(SHARES[each] for each in waiting)
    with console.status(name) as status:
        result: Result = import_module(f"reliability.{name}").run(
            Deadline(whole.left * share), seed, only, lambda what: status.update(f"{name}: {what}")
        )
    show(console, result)
    if not only:
        result.save()
    return result


if __name__ == "__main__":
    main()
