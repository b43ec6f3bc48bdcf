"""The sections of the digest: the failures by kind and by cause, the worst kind and the largest group first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import PurePath

from rolecall.digest.failures import KINDS
from rolecall.report.failures import DigestSection, FailedCell, Failure, FailureGroup

MAX_NAMES = 3  # personas or commands in a line, before "and n more"


def sections(failures: Iterable[Failure]) -> Iterator[DigestSection]:
    """The sections of a digest that have failures, the worst first."""
    cells: dict[str, list[Failure]] = defaultdict(list)
    errors: list[Failure] = []
    tests: list[Failure] = []
    for failure in sorted(failures, key=lambda failure: failure.nodeid):  # workers report in any order
        if failure.cell:
            cells[failure.cell.kind].append(failure)
        else:
            (tests if failure.in_test else errors).append(failure)
    for kind in KINDS:
        if cells[kind]:
            yield _cells(kind, cells[kind])
    if errors:
        groups = _groups(errors, lambda failure: _first_line(failure.message), lambda _: "")
        yield DigestSection(_count(len(errors), "test", "tests") + " could not run", groups)
    if tests:
        title = _count(len(tests), "other test fails", "other tests fail")
        yield DigestSection(title, _groups(tests, _folder, _most_frequent_message))


# ------------------------------------------------------------------ cells


def cell_groups(failures: Sequence[Failure], *, with_table: bool = True) -> list[FailureGroup]:
    """Failed cells by table and cause, the largest group first. Its subject names the cause, and perhaps the table."""

    def cause(failure: Failure) -> Hashable:
        assert failure.cell
        return failure.cell.table, failure.cell.causes

    def subject(failure: Failure) -> str:
        assert failure.cell
        causes = " + ".join(failure.cell.causes)
        return f"{failure.cell.table}: {causes}" if with_table else causes

    return _groups(failures, cause, _who_and_what, subject)


def _cells(kind: str, failures: Sequence[Failure]) -> DigestSection:
    groups = cell_groups(failures)
    count = _count(len(failures), "cell", "cells")
    one = len(failures) == 1
    titles = {
        "let in": f"{count} {'lets' if one else 'let'} somebody in who should have no access",
        "broken": f"{count} {'fails' if one else 'fail'} with an error that is no refusal",
        "refused": f"{count} {'refuses' if one else 'refuse'} somebody who should have access",
        "other": f"{count} {'refuses' if one else 'refuse'} in another way than expected",
    }
    return DigestSection(titles[kind], groups)


def _who_and_what(failures: Sequence[Failure]) -> str:
    cells: list[FailedCell] = [failure.cell for failure in failures if failure.cell]
    return f"{_most_frequent(cell.command for cell in cells)} as {_most_frequent(cell.persona for cell in cells)}"


# ------------------------------------------------------------------ other tests


def _folder(failure: Failure) -> str:
    """The test file, or the folder of files that are not Python: each of them is one test."""
    file = failure.nodeid.partition("::")[0]
    return file if file.endswith(".py") else f"{PurePath(file).parent}/"


def _most_frequent_message(failures: Sequence[Failure]) -> str:
    return Counter(_first_line(failure.message) for failure in failures).most_common(1)[0][0]


# ------------------------------------------------------------------ groups and words


def _groups(
    failures: Sequence[Failure],
    key: Callable[[Failure], Hashable],
    details: Callable[[Sequence[Failure]], str],
    subject: Callable[[Failure], str] | None = None,
) -> list[FailureGroup]:
    groups: dict[Hashable, list[Failure]] = defaultdict(list)
    for failure in failures:
        groups[key(failure)].append(failure)
    largest_first = sorted(groups.values(), key=len, reverse=True)
    return [FailureGroup(str((subject or key)(group[0])), details(group), group) for group in largest_first]


def _most_frequent(names: Iterable[str]) -> str:
    counts = Counter(names)
    rest = len(counts) - MAX_NAMES
    shown = ", ".join(sorted(counts, key=lambda name: (-counts[name], name))[:MAX_NAMES])
    return f"{shown} and {rest} more" if rest > 0 else shown


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no message"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
