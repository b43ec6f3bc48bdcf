"""The world is the same, whether Faker makes its values or pytest's cache has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cached_faker import CachedFaker

ROOT = Path(__file__).parent.parent


class Cache(dict[str, Any]):
    """pytest's cache, in memory."""

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        self[key] = value


def values(cache: Cache | None, source: Path, seed: int = 1) -> list[object]:
    """What Faker makes for a source file."""
    faker = CachedFaker(seed, source, cache)  # type: ignore[arg-type]
    made = [faker.make("unique.email"), faker.make("random_int", 1, 10**9), faker.make("name")]
    faker.store()
    return made


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "world.py"
    path.write_text("# the first version\n")
    return path


def test_the_cache_has_the_values_of_the_last_run(source: Path) -> None:
    cache = Cache()
    assert values(cache, source) == values(None, source)
    cache["enorae/faker/1"]["values"][2] = "from the cache"
    assert values(cache, source)[2] == "from the cache"


def test_a_changed_file_and_another_seed_have_new_values(source: Path) -> None:
    cache = Cache()
    first = values(cache, source)
    cache["enorae/faker/1"]["values"][2] = "from the cache"
    assert values(cache, source, seed=2)[2] not in (first[2], "from the cache")
    source.write_text("# the second version\n")
    assert values(cache, source) == first


def test_a_cache_that_cannot_be_read_is_not_used(source: Path) -> None:
    """Another process writes it at the same time, or somebody has changed it."""
    broken: list[Any] = [None, "", [], ["version"], {"values": []}]
    for damaged in broken:
        assert values(Cache({"enorae/faker/1": damaged}), source) == values(None, source)


def test_faker_is_imported_only_to_make_values() -> None:
    """Its import would be a fifth of the start of a run of one grid."""
    script = "import conftest, sys; print('faker' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
