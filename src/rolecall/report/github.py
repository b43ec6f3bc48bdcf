"""Annotations of GitHub Actions: lines on stdout, which GitHub shows at the lines of a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rolecall.report.report import Place, ReportedFailure
from rolecall.report.stryker import TriedMutant

MOST = 10  # GitHub shows no more of one kind in a step
WORST_FIRST = ("let in", "untested", "broken", "refused", "other", "")
TITLES = {
    "let in": "lets somebody in who should have no access",
    "untested": "has no test",
    "broken": "fails with an error that is no refusal",
    "refused": "refuses somebody who should have access",
    "other": "refuses in another way than expected",
    "": "test fails",
}


def of_failures(failures: Iterable[ReportedFailure], folder: str = "") -> Iterator[str]:
    """An ``::error`` for each line of the SQL or of a test that fails, the worst first, and a notice of the rest.

    Cells that the same line decides are one annotation. ``folder`` is the project's folder in the repository, with a
    slash at its end.
    """
    groups: dict[tuple[str, str, Place], list[ReportedFailure]] = {}
    for each in failures:
        groups.setdefault((each.kind, each.object, each.place), []).append(each)
    ordered = sorted(groups.items(), key=lambda group: (WORST_FIRST.index(group[0][0]), -len(group[1]), str(group[0])))
    for (kind, name, place), members in ordered[:MOST]:
        first = members[0]
        title = f"{name} {TITLES[kind]}" if name else f"{first.test} fails" if not kind else TITLES[kind]
        yield _command("error", place, folder, title, [first.text, *_others(members[1:])])
    if rest := ordered[MOST:]:
        count = sum(len(members) for _, members in rest)
        yield _command("notice", Place(), folder, "rolecall", [f"{count} more failures, which GitHub would not show."])


def _others(failures: Sequence[ReportedFailure]) -> Iterator[str]:
    """The other cells of a group, in a line each."""
    for each in failures[:MOST]:
        yield f"also {each.persona}: {each.command} on {each.row!r}" if each.persona else f"also {each.test}"
    if len(failures) > MOST:
        yield f"and {len(failures) - MOST} more"


def of_mutants(mutants: Iterable[TriedMutant], folder: str = "") -> Iterator[str]:
    """A ``::warning`` for each line of the SQL whose mutants survived, in their order."""
    groups: dict[Place, list[TriedMutant]] = {}
    for each in mutants:
        if each.survivor:
            groups.setdefault(each.place, []).append(each)
    for place, members in list(groups.items())[:MOST]:
        lines = [f"{each.target}: {each.change} ({each.operator})" for each in members[:MOST]]
        more = [f"and {len(members) - MOST} more"] if len(members) > MOST else []
        yield _command("warning", place, folder, "No test notices", [*lines, *more])
    if rest := list(groups.values())[MOST:]:
        count = sum(map(len, rest))
        yield _command(
            "notice", Place(), folder, "rolecall", [f"{count} more mutants survived, which GitHub would not show."]
        )


def _command(kind: str, place: Place, folder: str, title: str, lines: Sequence[str]) -> str:
    properties = {"file": folder + place.file, "line": str(place.line)} if place.file else {}
    text = ",".join(f"{name}={_property(value)}" for name, value in {**properties, "title": title}.items())
    return f"::{kind} {text}::{_data(chr(10).join(lines))}"


def _data(text: str) -> str:
    """The text of a command, as GitHub's toolkit escapes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
