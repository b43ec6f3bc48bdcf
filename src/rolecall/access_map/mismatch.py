"""How the measured access differs from that of the lock file, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolecall.access_map import text
from rolecall.access_map.difference import compare, groups
from rolecall.report.access import HEAD, AccessMap, AccessMaps

MOST = 20  # sentences of one kind, before "and n more"


def mismatch(written: AccessMaps, phase: int, measured: AccessMap) -> Iterator[str]:
    """How the measured access after a phase differs from that of a lock file. Nothing if it does not."""
    expected = written[phase]
    if text.write({HEAD: expected}) == text.write({HEAD: measured}):
        return
    found = compare({HEAD: expected}, {HEAD: measured})
    for changes, verb in ((found.gained, "gained"), (found.lost, "lost")):
        yield from _some([group.sentence for group in groups(changes, verb)])
    yield from _some(found.not_compared)
    if not found:  # an object that nobody may use
        for name in sorted({*expected.objects} ^ {*measured.objects}):
            yield f"{name} is new" if name in measured.objects else f"{name} does not exist any more"


def _some(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"and {len(lines) - MOST} more like this"
