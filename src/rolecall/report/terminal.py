"""The terminal's last section: what was exercised, counted from the catalog."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rolecall.coverage.recorder import Tally
from rolecall.settings import Settings

NAMED = 3  # of those left out, before "and n more"


def write(
    reporter: pytest.TerminalReporter,
    server: str,
    settings: Settings,
    tallies: Iterable[Tally],
    seconds: float,
    notes: Iterable[str] = (),
) -> None:
    """Write the section, with ``notes`` on the files; with ``--coverage``, name everything that is missing."""
    reporter.section("rolecall", sep="-")
    reporter.line(f"{server} · grants {settings.grants} · {seconds:.1f} s")
    for count in tallies:
        complete = not count.missing
        reporter.write(f"  {count.what:21}")
        reporter.write(f"{count.done:4} of {count.total}", green=complete, yellow=not complete)
        if settings.coverage:
            reporter.line("" if complete else "   without")
            for name in count.missing:
                reporter.line(f"    {name}", red=True)
        else:
            reporter.line("" if complete else f"   without {_names(count.missing)}")
    for note in notes:
        reporter.line(f"  note: {note}", yellow=True)


def _names(missing: list[str]) -> str:
    rest = len(missing) - NAMED
    return ", ".join(missing[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
