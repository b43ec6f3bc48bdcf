"""Every table with row-level security needs a grid, and so does what a persona may use without it.

A run of the whole suite fails if one has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Tried:
    """What the tests tried: the tables and views of the grids, and the views that a persona read otherwise.

    ``roles`` are those of the personas.
    """

    grids: Collection[str]
    read: Collection[str]
    roles: Collection[str]


def problems(manifest: Manifest, tried: Tried, exceptions: Mapping[str, str]) -> Iterator[str]:
    """A line for each table without a grid, and for each exception that is not needed."""
    protected = manifest.protected
    unprotected = {name: sorted({*roles} & {*tried.roles}) for name, roles in manifest.unprotected.items()}
    advice = f"or add it to {SETTING} with the reason"
    for table in protected:
        if table not in tried.grids and table not in exceptions:
            yield f"{table} has row-level security and no grid: write a grid, {advice}."
    for name, roles in unprotected.items():
        if roles and name not in {*tried.grids, *tried.read, *exceptions}:
            what = f"row-level security does not protect {name}, {', '.join(roles)} may use it, and no test tries it"
            yield f"{what}: protect it, revoke the privileges, write a grid, {advice}."
    for table in exceptions:
        if table in tried.grids:
            yield f"{SETTING} names {table}, which has a grid: remove the line."
        elif table not in protected and not unprotected.get(table):
            what = "which is not a table of this project that needs a grid"
            yield f"{SETTING} names {table}, {what}: remove the line."
