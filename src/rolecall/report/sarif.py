"""Results in SARIF 2.1.0, the format of code scanning: each at the line of the SQL that decides."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from rolecall.report.report import Place, ReportedFailure
from rolecall.report.stryker import TriedMutant

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
HOME = "https://github.com/enorae/rolecall"
DOCS = f"{HOME}/blob/main/docs"
ROOT = "%SRCROOT%"


class Rule(NamedTuple):
    """A kind of result. ``severity`` is GitHub's, from 0 to 10: 7 and more is high; 0 is no matter of security."""

    id: str
    title: str
    help: str
    page: str
    severity: float


class Finding(NamedTuple):
    """A result. ``identity`` is what makes it the same result in the next run; ``related`` are other places."""

    rule: Rule
    message: str
    place: Place
    identity: Sequence[str]
    related: Sequence[tuple[Place, str]] = ()


RULES = {
    "let in": Rule(
        "let-in",
        "A persona can do what the grid forbids",
        "The policies let a persona do something with a row that the grid marks with - or !. The line is the policy "
        "that lets it in; without one, the table, which row-level security does not protect. If the access is right, "
        "correct the grid.",
        "writing-tests.md",
        8.5,
    ),
    "refused": Rule(
        "refused",
        "A persona cannot do what the grid allows",
        "A policy or a missing privilege stops a persona that the grid marks with yes. The line is the policy that "
        "stops it, or the table. If that is right, correct the grid.",
        "writing-tests.md",
        0,
    ),
    "other": Rule(
        "refused-otherwise",
        "A persona is refused in another way than the grid says",
        "The grid tells a refusal (!) from a row that the persona does not see (-). A client can tell one from the "
        "other, and so learns whether the row exists. If the outcome is right, correct the grid.",
        "writing-tests.md",
        3.0,
    ),
    "broken": Rule(
        "error",
        "A cell fails with an error that is no refusal",
        "The statement of the cell failed with another error than SQLSTATE 42501, so that it shows nothing about "
        "access. Read the error: often a constraint or a trigger, or an update= of the grid that does not fit.",
        "writing-tests.md",
        0,
    ),
    "untested": Rule(
        "untested",
        "No test tries an object that clients can reach",
        "The table, view or function can be reached by a persona, and no grid or test tries it. Write one, or name "
        "it in rolecall_tables_without_grid with the reason.",
        "writing-tests.md",
        4.0,
    ),
}
MEANINGS = {"yes": "allowed (yes)", "-": "without effect (-)", "!": "refused (!)", "": "an error", "error": "an error"}


def of_failures(failures: Iterable[ReportedFailure]) -> Iterator[Finding]:
    """A result for each failed cell, and for each object without a test. Other tests say nothing about the SQL."""
    for each in failures:
        rule = RULES.get(each.kind)
        if rule is None:
            continue
        if each.kind == "untested":
            yield Finding(rule, each.text, each.place, [each.text])
            continue
        what = f"{each.persona}: {each.command} on {each.row!r} of {each.object}"
        got, expected = (MEANINGS.get(verdict, verdict) for verdict in (each.got, each.expected))
        message = f"{what} is {got}, and the grid says {expected}. {_causes(each)}".rstrip()
        related = [(each.test_place, "the cell of the grid")] if each.test_place.file else []
        identity = [each.test, each.object, each.row, each.command, each.persona]
        yield Finding(rule, message, each.place, identity, related)


def _causes(failure: ReportedFailure) -> str:
    verb = "Lets it in" if failure.kind == "let in" else "Error" if failure.kind == "broken" else "Stops it"
    return f"{verb}: {', '.join(failure.causes)}." if failure.causes else ""


def of_mutants(mutants: Iterable[TriedMutant]) -> Iterator[Finding]:
    """A result for each mutant that survived."""
    for each in mutants:
        if survivor := each.survivor:
            help_text = f"{survivor.description} It stands for: {survivor.stands_for}."
            rule = Rule(
                f"survived/{survivor.operator}", f"No test notices: {survivor.operator}", help_text, MUTANTS, 5.0
            )
            who = f"Only the pin {survivor.pin} notices" if survivor.pin else "No test notices"
            message = f"{who} this change of {survivor.target}: {survivor.change}. Killed by: {survivor.catches}"
            yield Finding(rule, message, each.place, [survivor.id])


MUTANTS = "mutants.md"


def log(findings: Iterable[Finding], *, version: str, category: str, folder: str = "") -> str:
    """A SARIF log with one run.

    ``version`` is that of rolecall. ``category`` separates runs of several kinds of one commit: GitHub replaces the
    results of the same category. ``folder`` is the project's folder in the repository, with a slash at its end.
    """
    found = list(findings)
    rules = list({each.rule.id: each.rule for each in found}.values())
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    copies = Counter[str]()
    results = []
    for finding in found:
        fingerprint = _fingerprint(finding)
        copies[fingerprint] += 1
        results.append(_result(finding, numbers[finding.rule.id], f"{fingerprint}:{copies[fingerprint]}", folder))
    driver = {
        "name": "rolecall",
        "semanticVersion": version,
        "informationUri": HOME,
        "rules": list(map(_rule, rules)),
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"{category}/"},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=1)


def _rule(rule: Rule) -> dict[str, Any]:
    security = {"tags": ["security"], "security-severity": str(rule.severity)} if rule.severity else {"tags": ["test"]}
    return {
        "id": rule.id,
        "shortDescription": {"text": _escaped(rule.title)},
        "fullDescription": {"text": _escaped(rule.help)},
        "help": {"text": _escaped(rule.help)},
        "helpUri": f"{DOCS}/{rule.page}",
        "defaultConfiguration": {"level": _level(rule)},
        "properties": security,
    }


def _level(rule: Rule) -> str:
    return "warning" if rule.page == MUTANTS else "error"


def _result(finding: Finding, rule: int, fingerprint: str, folder: str) -> dict[str, Any]:
    related = [
        {"id": number, **_location(place, folder), "message": {"text": _escaped(text)}}
        for number, (place, text) in enumerate(finding.related, start=1)
    ]
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": rule,
        "level": _level(finding.rule),
        "message": {"text": _escaped(finding.message)},
        **({"locations": [_location(finding.place, folder)]} if finding.place.file else {}),
        **({"relatedLocations": related} if related else {}),
        # GitHub identifies an alert by the first; without it, by the text around the line, which cells share.
        "partialFingerprints": {"primaryLocationLineHash": fingerprint, "rolecall/v1": fingerprint},
    }


def _location(place: Place, folder: str) -> dict[str, Any]:
    artifact = {"uri": quote(folder + place.file), "uriBaseId": ROOT}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(place.line, 1)}}}


def _fingerprint(finding: Finding) -> str:
    """The same for the same result, wherever its line has moved."""
    return hashlib.sha256(json.dumps([finding.rule.id, *finding.identity]).encode()).hexdigest()[:32]


def _escaped(text: str) -> str:
    """A message. In SARIF, braces are placeholders, and ``[…](…)`` is a link."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")
