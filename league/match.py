"""A match: one tool looks at the unchanged schema and at every case, each on its own clone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from league import findings
from league.cases import Case
from league.lab import Lab
from league.programs import ToolError
from league.results import Standing
from league.tools.tool import Tool

WORKERS = 2


def play(lab: Lab, kind: type[Tool], cases: Sequence[Case]) -> Standing:
    """Try one tool on all cases. Raises ToolError if it cannot look at the unchanged schema."""
    with closing(kind(lab)) as tool:
        with lab.clone(pgtap=tool.needs_pgtap) as database:
            tool.prepare(database)
        with lab.clone(pgtap=tool.needs_pgtap) as database:
            start = time.perf_counter()
            before = set(tool.findings(database))
            seconds = time.perf_counter() - start
        if tool.is_clean and before:
            raise ToolError(f"{tool.name} finds something in the unchanged schema: {sorted(before)[0]}")
        standing = Standing(
            tool.name,
            tool.version,
            tool.made_for,
            tool.compares_with,
            tool.commands,
            tool.is_linter,
            round(seconds, 2),
        )
        with ThreadPoolExecutor(WORKERS) as pool:
            for case, found, problem in pool.map(lambda case: _try(lab, tool, case, before), cases):
                if problem:
                    standing.problems[case.id] = problem
                else:
                    standing.noticed[case.id] = found
    return standing


def _try(lab: Lab, tool: Tool, case: Case, before: set[str]) -> tuple[Case, str | None, str]:
    """The first new finding of a case, or why the tool could not look at it."""
    try:
        with lab.clone(case, pgtap=tool.needs_pgtap) as database:
            return case, _first(found for found in tool.findings(database) if findings.new(before, [found])), ""
    except Exception as error:  # other people's programs may fail in any way, and the other cases go on
        return case, None, findings.shortened(f"{type(error).__name__}: {error}")


def _first(found: Iterator[str]) -> str | None:
    """The first new finding: the tool need not look any further."""
    first = next(found, None)
    return None if first is None else findings.shortened(first)
