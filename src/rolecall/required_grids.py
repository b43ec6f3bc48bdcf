"""Every table with row-level security needs a grid, and so does what a persona may use without it.

A run of the whole suite fails if one has none, if a client who has not signed in may call a SECURITY DEFINER function
that no test calls as its role, and if a persona's role may TRUNCATE a table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import pytest

from rolecall.access.persona import Persona, anonymous_roles
from rolecall.catalog.manifest import Manifest
from rolecall.report.summary import first

ID = "rolecall::tables_without_grid"
SETTING = "rolecall_tables_without_grid"
ADVICE = f"or add it to {SETTING} with the reason"
MOST = 3  # names that are shown, before "and n more"


def is_whole_suite(config: pytest.Config, *, deselects: bool = True) -> bool:
    """Whether a run collects all tests: no single file or id, no ``-k``, ``-m`` or ``--lf``.

    ``deselects``: whether ``-k`` or ``-m`` leaves out a test. ``-m "not slow"`` in ``addopts`` may leave out none.
    """
    option, root = config.option, config.rootpath
    if (deselects and (option.keyword or option.markexpr)) or getattr(option, "lf", False):
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
    """What the tests tried: the tables and views of the grids, and the views and functions that a persona named.

    ``ran`` has the latter, each with the persona.
    """

    grids: Collection[str]
    ran: Collection[tuple[str, str]]
    personas: Mapping[str, Persona]

    @property
    def named(self) -> set[str]:
        """The views and functions."""
        return {name for name, _ in self.ran}

    @property
    def called(self) -> set[tuple[str, str]]:
        """The functions and views, each with the role of the persona."""
        return {(name, self.personas[persona].role) for name, persona in self.ran if persona in self.personas}

    def of_clients(self, found: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
        """What the role of a persona may use, with these roles."""
        return _of_roles(found, {persona.role for persona in self.personas.values()})


def problems(manifest: Manifest, tried: Tried, exceptions: Mapping[str, str]) -> Iterator[str]:
    """A line for each object that needs a test and has none, and for each exception that is not needed."""
    found = manifest.unprotected
    relations, truncates = tried.of_clients(found.relations), tried.of_clients(found.truncates)
    functions = _of_roles(found.functions, anonymous_roles(tried.personas.values()))
    for table in manifest.protected:
        if table not in tried.grids and table not in exceptions:
            yield f"{table} has row-level security and no grid: write a grid, {ADVICE}."
    for name, roles in relations.items():
        if name not in {*tried.grids, *tried.named, *exceptions}:
            what = f"row-level security does not protect {name}, {', '.join(roles)} may use it, and no test tries it"
            yield f"{what}: protect it, revoke the privileges, write a grid, {ADVICE}."
    names = {function: {function, manifest.without_arguments(function)} for function in functions}
    yield from _uncalled({name: roles for name, roles in functions.items() if not names[name] & {*exceptions}}, tried)
    if truncated := {table: roles for table, roles in truncates.items() if table not in exceptions}:
        yield f"{_truncates(truncated)}: revoke it, {ADVICE}."
    with_grid = {*tried.grids} - {*truncates}
    yield from _not_needed(exceptions, {*manifest.protected, *relations, *truncates}.union(*names.values()), with_grid)


def _uncalled(functions: Mapping[str, Collection[str]], tried: Tried) -> Iterator[str]:
    """A line for each SECURITY DEFINER function that no test calls as one of its roles."""
    for name, roles in functions.items():
        if untried := [role for role in roles if (name, role) not in tried.called]:
            who = ", ".join(untried)
            what = f"{name} is SECURITY DEFINER, {who} may call it without signing in, and no test does"
            yield f"{what}: revoke EXECUTE (also from PUBLIC), write a test that calls it as {who}, {ADVICE}."


def _not_needed(exceptions: Collection[str], needed: Collection[str], with_grid: Collection[str]) -> Iterator[str]:
    for name in exceptions:
        if name in with_grid:
            yield f"{SETTING} names {name}, which has a grid: remove the line."
        elif name not in needed:
            what = "which is not a table of this project that needs a grid"
            yield f"{SETTING} names {name}, {what}: remove the line."


def notes(manifest: Manifest, tried: Tried) -> Iterator[str]:
    """A line on TRUNCATE if roles hold it because all privileges were granted, as platforms and dumps do.

    It does not fail the run: PostgREST has no request that truncates a table.
    """
    if truncates := tried.of_clients(manifest.unprotected.truncates_by_all):
        yield f"{_truncates(truncates)}. It came with ALL; PostgREST has no TRUNCATE, and a direct connection has."


def undecided(exceptions: Mapping[str, str]) -> Iterator[str]:
    """A line on the exceptions whose reason is still to be written, as ``rolecall init`` leaves them."""
    if names := [name for name, reason in exceptions.items() if reason.startswith("TODO")]:
        yield f"{SETTING} says TODO for {first(names, MOST)}: write a test, or the reason"


def _of_roles(found: Mapping[str, Collection[str]], roles: Collection[str]) -> dict[str, list[str]]:
    return {name: each for name, users in found.items() if (each := sorted({*users} & {*roles}))}


def _truncates(tables: Mapping[str, Collection[str]]) -> str:
    roles = ", ".join(sorted({role for each in tables.values() for role in each}))
    return f"row-level security does not cover TRUNCATE, which {roles} may do on {first(sorted(tables), MOST)}"
