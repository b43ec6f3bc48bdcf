"""What killed each mutant in an earlier run: it is tried first. PIT calls this the history.

Only the order comes from it. A killer must fail again, so a run without a history has the same outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

KEY = "rolecall/killers"  # in pytest's cache, which -p no:cacheprovider switches off and --cache-clear clears
KILLED_BY = "rolecall killed by"  # the user property with the id of the test or cell


def read(config: pytest.Config) -> dict[str, str]:
    """The id of the test or cell that killed each mutant, by the mutant's id; none without a cache."""
    cache = getattr(config, "cache", None)
    stored: Any = cache.get(KEY, {}) if cache else {}
    if not isinstance(stored, dict):  # somebody has written to the file
        return {}
    return {mutant: killer for mutant, killer in stored.items() if isinstance(killer, str)}


def store(config: pytest.Config, killers: Mapping[str, str]) -> None:
    """Store what killed the mutants of this run, by their ids. An empty id takes the place of a former killer."""
    cache = getattr(config, "cache", None)
    if cache and killers:
        cache.set(KEY, {mutant: killer for mutant, killer in {**read(config), **killers}.items() if killer})
