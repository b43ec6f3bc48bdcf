"""A report as text: by object, the worst first, in lines of at most 100 characters."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, zip_longest

from rolecall.catalog.snapshot import Item
from rolecall.drift.check import OVERLOAD, Report
from rolecall.drift.difference import Difference, Rank

WIDTH = 100
INDENT = "    "


def render(report: Report, title: str) -> str:
    """The whole report. ``title`` says what was compared with what."""
    sections = [[title, *_phases(report)], *_sections(report), _unseen(report), [_verdict(report)]]
    return "\n\n".join("\n".join(section) for section in sections if section)


def _phases(report: Report) -> Iterator[str]:
    """Which phases the database has."""
    applied = [number for number in report.phases if number <= report.applied]
    later = [number for number in report.phases if number > report.applied]
    if applied:
        yield f"{_numbers(applied)} applied. {_count(report.objects, 'object')} compared."
    elif not report.phases:
        yield f"{_count(report.objects, 'object')} compared."
    if later:
        there = len({item.whole for item in report.ours})
        yield f"{_numbers(later)} not applied" + (
            f"; {_count(there, 'object')} of them there already, as the steps make it." if there else "."
        )
    if report.owner:
        yield f"The owner of the objects is {report.owner}; it stands for the role that runs the migrations here."


def _sections(report: Report) -> Iterator[list[str]]:
    warnings = [each for each in report.differences if each.rank == Rank.WARNING]
    serious, missing, in_the_way = (
        [each for each in section if each.rank < Rank.WARNING]
        for section in (report.drift, report.missing, report.in_the_way)
    )
    yield _section("DIFFERENT from what the steps make", serious, _by_object)
    yield _section("MISSING: the steps need it", missing, _by_need)
    yield _section("IN THE WAY: other objects stand under the names of the steps", in_the_way, _by_object)
    yield _section("WARNINGS: they fail only with --strict", warnings, _by_object)


def _section(
    heading: str, differences: list[Difference], write: Callable[[Iterable[Difference]], Iterator[str]]
) -> list[str]:
    return [heading, "", *write(differences)] if differences else []


def _by_object(differences: Iterable[Difference]) -> Iterator[str]:
    """A paragraph for each object, the worst first."""
    objects: dict[Item, list[Difference]] = {}
    for each in differences:
        objects.setdefault(each.item.whole, []).append(each)
    for whole, group in objects.items():
        step = next((f"[{each.step}]" for each in group if each.step), "")
        heading = f"  {group[0].kind} {whole.object}"
        yield from [f"{heading}  {step}".rstrip()] if len(heading + step) < WIDTH - 1 else [heading, f"    {step}"]
        for line in _lines(group):
            yield INDENT + line


def _by_need(differences: Iterable[Difference]) -> Iterator[str]:
    """What the steps need, by the first step that needs it."""
    ordered = sorted(differences, key=lambda each: (each.step, each.item))
    for step, group in groupby(ordered, key=lambda each: each.step):
        yield f"  needed by {step}"
        for each in group:
            yield INDENT + need(each)


def need(each: Difference) -> str:
    """A need as a line."""
    name = f"{each.kind} {each.item.object}" + (f", {each.item.part}" if each.item.part else "")
    if each.item.part_kind == "constraint":
        return f"table {each.item.object} has no key: {each.expected}"
    if each.found is None:
        return f"{name} is missing" + (f": {each.expected}" if each.item.part else "")
    return f"{name}: {each.property} is {each.found}, must be {each.expected}"


def _lines(group: list[Difference]) -> Iterator[str]:
    """The lines of an object. The privileges of a role are one line."""
    for (part, extra), each in groupby(group, key=lambda each: (_privileges(each), each.found is not None)):
        parts = list(each)
        if part:
            yield from _wrap(_grants(part, [difference.property for difference in parts], extra))
        else:
            for difference in parts:
                yield from lines(difference)


def _privileges(each: Difference) -> str:
    return each.item.part.removeprefix("privileges of ") if each.item.part_kind == "privileges" else ""


def _grants(role: str, privileges: list[str], extra: bool) -> str:
    names = ", ".join(privileges)
    return f"{role} has {names}, which no step grants" if extra else f"{role} lacks {names}"


# What a part of this kind is called if no step makes it, with its name and its value.
EXTRA = {
    "child": "{name} inherits from it",
    "membership": "it is a member of {name}, which no step grants",
    "publication": "the publication {name} has it",
    "setting": "it has the setting {name} = {value}",
}


def lines(each: Difference) -> Iterator[str]:
    """A difference in one line, or in three if its values are long."""
    part, name = each.item.part, each.property
    if name == OVERLOAD:
        yield f"it has the name of a function of the steps, and other arguments ({each.found})"
    elif not name and each.found is None:
        yield from _wrap(f"{part} is missing: {_one_line(each.expected)}" if part else "is missing")
    elif not name:
        phrase = EXTRA.get(each.item.part_kind, "{part} is made by no step: {value}")
        short = part.removeprefix(f"{each.item.part_kind} ").removeprefix("in ")
        yield from _wrap(phrase.format(part=part or "it", name=short, value=_one_line(each.found)))
    else:
        yield from _values(f"{part}, {name}" if part else name, each)


def _values(name: str, each: Difference) -> Iterator[str]:
    """The expected and the found value of a property."""
    expected, found = each.expected or "none", each.found or "none"
    if each.property == "body":
        number, expected, found = _line_that_differs(expected, found)
        name += f", line {number}"
    expected, found = _around_the_difference(_one_line(expected), _one_line(found))
    line = f"{name}: expected {expected}, found {found}"
    if len(line) + len(INDENT) <= WIDTH:
        yield line
    else:
        yield f"{name}:"
        yield f"  expected  {expected}"
        yield f"  found     {found}"


def _one_line(text: str | None) -> str:
    return " ".join((text or "none").split())


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH - len(INDENT), subsequent_indent="  ", break_long_words=False) or [line]


def _around_the_difference(expected: str, found: str) -> tuple[str, str]:
    """Two texts, cut so that the first character that differs is in both of them."""
    room = WIDTH - len(INDENT) - len("  expected  ")
    at = next((i for i, (one, two) in enumerate(zip(expected, found, strict=False)) if one != two), 0)
    start = max(0, at - room // 3)

    def cut(text: str) -> str:
        begin = start if len(text) > room else 0
        end = begin + room - 2
        return ("…" if begin else "") + text[begin:end] + ("…" if len(text) > end else "")

    return cut(expected), cut(found)


def _line_that_differs(expected: str, found: str) -> tuple[int, str, str]:
    """The first line of a function that differs: its number, and both texts."""
    pairs = zip_longest(expected.strip().split("\n"), found.strip().split("\n"), fillvalue="")
    number, (one, two) = next(((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1]), (1, ("", "")))
    return number, one or "nothing", two or "nothing"


def _unseen(report: Report) -> list[str]:
    return ["NOT COMPARED", "", *(f"  {each}" for each in report.unseen)] if report.unseen else []


def _verdict(report: Report) -> str:
    serious = [each for each in report.differences if each.rank < Rank.WARNING]
    warnings = len(report.differences) - len(serious)
    objects = len({each.item.whole for each in serious})
    first = f"{_count(len(serious), 'difference')} in {_count(objects, 'object')}" if serious else "No difference"
    return first + (f", {_count(warnings, 'warning')}." if warnings else ".")


def _numbers(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"Phase {numbers[0]} is"
    return f"Phases {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
