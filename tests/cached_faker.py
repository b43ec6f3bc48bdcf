"""Faker, without its import where pytest's cache has the values of the last run: the import is a fifth of a start."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from faker import Faker

# Only these providers: to create all of them takes longer.
PROVIDERS = ("company", "file", "internet", "lorem", "misc", "person")


class CachedFaker:
    """The values that Faker makes from a seed for ``source``, the file that asks for them.

    It asks for the same values in the same order in each run, as long as it does not change.
    """

    def __init__(self, seed: int, source: Path, cache: pytest.Cache | None) -> None:
        self._seed, self._cache = seed, cache
        self._key, self._version = f"enorae/faker/{seed}", _version(source)
        kept = cache.get(self._key, None) if cache is not None else None
        self._cached: Iterator[Any] | None = None
        if isinstance(kept, dict) and kept.get("version") == self._version:
            self._cached = iter(kept["values"])
        self._made: list[Any] = []

    def make(self, provider: str, *args: Any, **options: Any) -> Any:
        """The next value, such as that of ``name`` or ``unique.email``. It must be one that JSON has."""
        if self._cached is not None:
            return next(self._cached)
        self._made.append(attrgetter(provider)(self._faker)(*args, **options))
        return self._made[-1]

    def store(self) -> None:
        """Write the values into the cache, after the last one was made."""
        if self._cache is not None and self._cached is None:
            self._cache.set(self._key, {"version": self._version, "values": self._made})

    @cached_property
    def _faker(self) -> Faker:
        from faker import Faker

        faker = Faker(providers=[f"faker.providers.{name}" for name in PROVIDERS])
        faker.seed_instance(self._seed)
        return faker


def _version(source: Path) -> str:
    """A digest of what the values depend on: the file that asks for them, this one, and the installed Faker."""
    faker = find_spec("faker")
    assert faker
    assert faker.origin
    installed = Path(faker.origin).stat()
    sources = source.read_bytes() + Path(__file__).read_bytes()
    return sha256(sources + f"{faker.origin} {installed.st_mtime_ns}".encode()).hexdigest()
