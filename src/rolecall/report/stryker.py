"""Mutants as a report of Stryker: the JSON that its viewer, badges and dashboard read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rolecall.report.report import Place
from rolecall.report.results import MutationScore, Survivor

SCHEMA = "2.0"
HOME = "https://github.com/enorae/rolecall"
HIGH, LOW = 90, 70  # per cent, from which the viewer shows green and yellow
# Stryker's score is killed / (killed + survived), and leaves the others out, as rolecall's does. A pin fails for every
# change, harmful or not: it says nothing about behaviour. So a mutant that only pins notice counts as survived in both
# scores, and statusReason names the pin.
STATUS = {
    "killed": "Killed",
    "pinned": "Survived",
    "survived": "Survived",
    "equivalent": "Ignored",
    "invalid": "CompileError",
    "error": "RuntimeError",
}
ELSEWHERE = "not-in-the-files.sql"  # in place of a file, for objects that no statement of the SQL files makes
KEY = "rolecall"  # of what the schema has no place for, in its free object `config`


class Extent(NamedTuple):
    """Where a part of a file begins and ends: lines and columns from 1. The end is exclusive."""

    start: tuple[int, int]
    end: tuple[int, int]


@dataclass(frozen=True)
class TriedMutant:
    """A mutant that was tried.

    ``outcome`` is killed, pinned, survived, equivalent, invalid or error, and ``reason`` says why. ``test`` is the id
    of the test that noticed it. ``place`` and ``extent`` are those of the statement that makes the object; without a
    file, ``before`` is the object's definition. ``after`` takes its place.
    """

    id: str
    target: str
    change: str
    operator: str
    before: str
    after: str
    outcome: str
    reason: str = ""
    test: str = ""
    place: Place = Place()
    extent: Extent = Extent((1, 1), (1, 2))
    milliseconds: float = 0
    survivor: Survivor | None = None


def report(mutants: Sequence[TriedMutant], sources: Mapping[str, str], score: MutationScore, version: str) -> str:
    """The report as JSON. ``sources`` are the texts of the SQL files, by the path that the mutants have."""
    elsewhere = [each for each in mutants if each.place.file not in sources]
    files = {
        path: _file(text, [_mutant(each, each.extent) for each in mutants if each.place.file == path])
        for path, text in sources.items()
    }
    files = {path: file for path, file in files.items() if file["mutants"]}
    if elsewhere:
        files[ELSEWHERE] = _elsewhere(elsewhere)
    survivors = [asdict(each.survivor) for each in mutants if each.survivor]
    return json.dumps(
        {
            "schemaVersion": SCHEMA,
            "thresholds": {"high": HIGH, "low": LOW},
            "framework": {"name": "rolecall", "version": version, "branding": {"homepageUrl": HOME}},
            "files": files,
            "testFiles": _test_files(each.test for each in mutants),
            "config": {KEY: {"score": asdict(score), "survivors": survivors}},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _file(source: str, mutants: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"language": "sql", "source": source, "mutants": list(mutants)}


def _elsewhere(mutants: Sequence[TriedMutant]) -> dict[str, Any]:
    """A file with the definitions of the objects that no file makes."""
    lines: list[str] = ["-- What an extension, the platform or EXECUTE in a body makes: no statement of a file."]
    found = []
    first: dict[tuple[str, str], int] = {}
    for each in mutants:
        key = each.target, each.before
        text = each.before.splitlines() or [""]
        if key not in first:
            lines += ["", f"-- {each.target}"]
            first[key] = len(lines) + 1
            lines += text
        start = first[key]
        found.append(_mutant(each, Extent((start, 1), (start + len(text) - 1, len(text[-1]) + 1))))
    return _file("\n".join(lines) + "\n", found)


def _mutant(mutant: TriedMutant, extent: Extent) -> dict[str, Any]:
    start, end = extent
    if end <= start:
        end = start[0], start[1] + 1
    positions = {name: {"line": line, "column": column} for name, (line, column) in (("start", start), ("end", end))}
    result = {
        "id": mutant.id,
        "mutatorName": mutant.operator,
        "description": f"{mutant.target}: {mutant.change}",
        "location": positions,
        "replacement": mutant.after,
        "status": STATUS[mutant.outcome],
        "duration": mutant.milliseconds,
    }
    if mutant.reason:
        result["statusReason"] = mutant.reason
    if mutant.test:
        # Of a survivor, `killedBy` would contradict its status.
        result["killedBy" if mutant.outcome == "killed" else "coveredBy"] = [mutant.test]
    return result


def _test_files(tests: Iterable[str]) -> dict[str, Any]:
    """The tests that noticed something, by their file."""
    files: dict[str, list[dict[str, str]]] = {}
    for test in sorted({*filter(None, tests)}):
        file, _, name = test.partition("::")
        files.setdefault(file, []).append({"id": test, "name": name or file})
    return {file: {"tests": found} for file, found in files.items()}
