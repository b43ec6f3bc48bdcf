"""Results as text for the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rolecall.report.results import MutationScore, ObservedCell, Survivor

if TYPE_CHECKING:
    import pytest

    from rolecall.report.failures import Attempt, CellFailure, Decisions, DigestSection, FailureGroup, Reason

MAX_LEAKS = 20  # that are named, before "and n more"
MAX_PERSONAS = 3  # besides the first of a leak
MAX_GROUPS = 6  # of the first section of the digest, before "in n more groups"
LATER_GROUPS = 3  # of every other section
MAX_LINES = 12  # of the explanation of one failure in the digest
LOG_WIDTH = 100  # of a line where there is no terminal, for example in a log of CI
COLOURS = {"killed": "green", "pinned": "cyan", "survived": "red", "invalid": "yellow", "equivalent": "blue"}
WAYS = {
    (False, False): "",
    (True, False): "  (blind: a cursor aims at the row, no column is read)",
    (False, True): "  (with RETURNING, as a client's insert().select())",
}


def width_of(reporter: pytest.TerminalReporter) -> int:
    """The width of the terminal; of a log, at least :data:`LOG_WIDTH`."""
    width: int = reporter.config.get_terminal_writer().fullwidth
    return width if reporter.isatty else max(width, LOG_WIDTH)


# ------------------------------------------------------------------ cells


def cell_failure(failure: CellFailure) -> str:
    """A paragraph: persona, statement, expected, got, and the reason."""
    lines = [
        f"{failure.persona}: {failure.command} on {failure.row!r} of {failure.table}",
        f"  written     {failure.path.name}:{failure.line}",
        f"  signed in   role {failure.role}, claims {json.dumps(dict(failure.claims))}",
        *([f"  settings    {json.dumps(dict(failure.settings))}"] if failure.settings else []),
        *([f"  and before  {failure.setup}"] if failure.setup else []),
        f"  expected    {failure.expected:4} {failure.meaning}",
    ]
    lines += [line for attempt in failure.attempts for line in _attempt(attempt)]
    lines += _reason(failure.reason) if failure.reason else []
    return "\n".join(lines)


def _attempt(attempt: Attempt) -> Iterator[str]:
    yield f"  ran         {attempt.statement}{WAYS[attempt.blind, attempt.representation]}"
    yield f"  got         {attempt.verdict:4} {attempt.outcome}"
    if attempt.column_rows is not None:
        word = "yes " if attempt.column_rows else "-   "
        what = "writes" if attempt.writes else "reads"
        yield f"  and         {word} {what} single columns, granted one by one: {', '.join(attempt.columns)}"


def _reason(reason: Reason) -> Iterator[str]:
    yield f"  grants      {reason.role} holds {', '.join(reason.privileges) or 'nothing'} on {reason.table}"
    yield from _decisions(reason.decisions)
    if reason.reads:
        yield f"  reads       the {reason.reads_what}: the SELECT policies decide too"
        yield from _decisions(reason.reads)


def _decisions(decisions: Decisions) -> Iterator[str]:
    if not decisions.policies:
        yield f"  policy      none applies to {decisions.command} for {decisions.role}"
    for item in decisions.policies:
        yield f"  policy      {item.policy}\n              -> {item.decision}"


# ------------------------------------------------------------------ cells that nobody has decided


def undecided(cell: ObservedCell) -> str:
    """A paragraph: the cell, where it is written, and what to do."""
    lines = [
        f"{cell} in the grid, and nobody has decided it",
        f"  written     {cell.file}:{cell.line}",
        *([f"  leak?       {cell.leak}"] if cell.leak else []),
        "If the verdict is right, remove the question mark. If not, write the right one, and correct the policy.",
    ]
    return "\n".join(lines)


def write_undecided(reporter: pytest.TerminalReporter, cells: Sequence[ObservedCell]) -> None:
    """Write a section: the cells that look like a leak, and how many cells are left in each file.

    The personas of one leak are named in the order of ``cells``.
    """
    reporter.section("undecided", sep="-", yellow=True)
    leaks = list(_leaks(cells))
    for leak in leaks[:MAX_LEAKS]:
        reporter.line(f"  looks like a leak: {leak}", red=True)
    if len(leaks) > MAX_LEAKS:
        reporter.line(f"  and {len(leaks) - MAX_LEAKS} more look like a leak", red=True)
    files = ", ".join(f"{file} {count}" for file, count in Counter(cell.file for cell in cells).most_common())
    are = "1 cell is" if len(cells) == 1 else f"{len(cells)} cells are"
    reporter.line(f"{are} not decided yet: {files}: read them, and remove the question marks", yellow=True)


def _leaks(cells: Iterable[ObservedCell]) -> Iterator[str]:
    """A line for each command on a row, with the personas that should perhaps not have it, and why for the first."""
    groups: dict[tuple[str, str, str, str], list[ObservedCell]] = {}
    for cell in (cell for cell in cells if cell.leak):
        groups.setdefault((cell.file, cell.row, cell.command, cell.verdict), []).append(cell)
    for first, *others in sorted(groups.values(), key=lambda same: (same[0].file, min(cell.line for cell in same))):
        more = f" and {len(others) - MAX_PERSONAS} more" if len(others) > MAX_PERSONAS else ""
        personas = ", ".join(cell.persona for cell in (first, *others[:MAX_PERSONAS])) + more
        what = f"{first.command} on {first.row!r} as {personas} is {first.verdict}?"
        yield f"{first.file}:{first.line}: {what} ({first.leak})"


# ------------------------------------------------------------------ the digest of many failures


def write_digest(
    reporter: pytest.TerminalReporter, sections: Iterable[DigestSection], failures: int, advice: Iterable[str]
) -> None:
    """Write a paragraph for each section, with one failure of its largest group, and the lines of ``advice``.

    The first section is the worst: only its failure is explained in full, so that the digest fits a screen. No line is
    longer than the terminal is wide.
    """
    width = width_of(reporter)
    reporter.section(f"digest of {failures:,} failure{'' if failures == 1 else 's'}", sep="-")
    for number, section in enumerate(sections):
        reporter.line(f"{section.title}:", red=True, bold=True)
        for line in [*_groups(section, LATER_GROUPS if number else MAX_GROUPS), *_example(section, whole=not number)]:
            reporter.line(_shortened(line, width))
        reporter.line("")
    for line in advice:
        reporter.line(line)


def _groups(section: DigestSection, most: int) -> Iterator[str]:
    yield from map(_group, section.groups[:most])
    if rest := section.groups[most:]:
        failures = sum(len(group.failures) for group in rest)
        yield f"{failures:6}  in {len(rest)} more {'group' if len(rest) == 1 else 'groups'}"


def _group(group: FailureGroup) -> str:
    return f"{len(group.failures):6}  {group.subject}{f'  ({group.details})' if group.details else ''}"


def _example(section: DigestSection, *, whole: bool) -> Iterator[str]:
    """One failure of the largest group: the explanation of a cell, or the test and the first lines of its message."""
    failure = section.groups[0].failures[0]
    lines = failure.text.splitlines() if failure.cell else [failure.nodeid, *failure.message.splitlines()]
    if not whole:
        is_verdict = ("  expected", "  got")
        lines = [lines[0], *[line for line in lines[1:] if not failure.cell or line.startswith(is_verdict)][:2]]
    elif len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], "…"]
    for number, line in enumerate(lines):
        yield f"{'' if number else 'e.g.':>7} {line}"


def _shortened(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


# ------------------------------------------------------------------ mutants


def survivor(survivor: Survivor) -> str:
    """A paragraph: the change, the mistake that it stands for, the tests that were tried, and what to do."""
    tests = ", ".join(f"{path} ({count})" for path, count in survivor.tests.items()) or "none"
    reason = "why only a pin can notice it" if survivor.pin else "why it is equivalent"
    return "\n".join(
        [
            f"{'only a pin noticed' if survivor.pin else 'survived'}: {survivor.target}: {survivor.change}",
            f"  operator    {survivor.operator}: {survivor.description}",
            f"  stands for  {survivor.stands_for}",
            f"  before      {survivor.before}",
            f"  after       {survivor.after}",
            f"  tried       {survivor.cells} cells; tests: {tests}",
            *([f"  pin         {survivor.pin}"] if survivor.pin else []),
            f"  killed by   {survivor.catches}",
            f"  or declare  {survivor.id} :: {reason}",
        ]
    )


WORDS = {"killed": "killed by behaviour", "pinned": "by pins"}  # the other outcomes are their own words


def mutation_score(score: MutationScore) -> str:
    """A line with the number of mutants by outcome, the share that behaviour showed, and the speed."""
    counts = []
    for outcome in (*COLOURS, "error"):
        if count := score.outcomes.get(outcome, 0):
            percent = f" ({score.score:.1f}%)" if outcome == "killed" and score.score is not None else ""
            counts.append(f"{WORDS.get(outcome, outcome)} {count}{percent}")
    return f"{', '.join(counts)} · {score.total / score.seconds:.0f} a second"
