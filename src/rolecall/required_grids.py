"""Every table with row-level security needs a grid. A run of the whole suite fails if one has none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from glob import glob
from pathlib import Path

import pytest

from rolecall.catalog.manifest import Manifest

ID = "rolecall::tables_without_grid"
SETTING = "rolecall_tables_without_grid"


def is_whole_suite(config: pytest.Config) -> bool:
    """Whether a run collects all tests: no single file or id, no ``-k``, ``-m`` or ``--lf``."""
    option, root = config.option, config.rootpath
    if option.keyword or option.markexpr or getattr(option, "lf", False):
        return False
    arguments = [config.invocation_params.dir / argument for argument in config.args if "::" not in argument]
    patterns = config.getini("testpaths")
    found = [path for each in patterns for path in glob(each, root_dir=root, recursive=True)]  # noqa: PTH207 - absolute
    paths = [root / path for path in found] or [root]
    return all(any(_contains(argument, path) for argument in arguments) for path in paths)


def _contains(folder: Path, path: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def problems(manifest: Manifest, grids: Collection[str], exceptions: Mapping[str, str]) -> Iterator[str]:
    """A line for each table without a grid, and for each exception that is not needed."""
    protected = manifest.protected
    for table in protected:
        if table not in grids and table not in exceptions:
            advice = f"write a grid, or add it to {SETTING} with the reason"
            yield f"{table} has row-level security and no grid: {advice}."
    for table in exceptions:
        if table in grids:
            yield f"{SETTING} names {table}, which has a grid: remove the line."
        elif table not in protected:
            what = "which is not a table with row-level security of this project"
            yield f"{SETTING} names {table}, {what}: remove the line."
