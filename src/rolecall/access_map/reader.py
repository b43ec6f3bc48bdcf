"""Read a lock file back as access maps. A file that was edited or merged by hand is an error with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn, cast

from rolecall.access_map.sentences import action, quoted_name, read_limits, read_name, split_names
from rolecall.access_map.text import FORMAT, MAY, MAY_NOT, NOT_TRIED, PHASES, TITLE, TRIED, checksum
from rolecall.errors import RolecallError
from rolecall.report.access import HEAD, Access, AccessMap, AccessMaps, Attempt, Kind, ObjectAccess
from rolecall.sql import files

ADVICE = "run pytest --rolecall-update, which writes it again"
CONFLICT = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")
PERSONA = re.compile(r'persona ("(?:[^"\\]|\\.)*"|\S+) has the role ("(?:[^"\\]|\\.)*"|\S+)')
SECTION = re.compile(
    r"(?:after phase (?P<phase>\d+), )?"
    r"(?:(?P<missing>these do not exist)|(?P<differs>other access to )?(?P<kind>table|view|function) (?P<name>.+?))"
    r"  (?P<checksum>[0-9a-f]{8})"
)
ON = re.compile(r"(?P<commands>.+?)(?: on (?P<row>\"(?:[^\"\\]|\\.)*\"))?")


@dataclass
class Section:
    """The lines of one object: the match of its first line, and the number and the text of each other line."""

    number: int
    first: re.Match[str]
    lines: list[tuple[int, str]] = field(default_factory=list)

    @property
    def phase(self) -> int:
        """The phase that it is about."""
        return int(self.first["phase"] or HEAD)


def read(path: Path) -> AccessMaps:
    """The access maps of a lock file. Raises RolecallError with file and line if it is not as it was written."""
    return parse(files.read(path), str(path))


def parse(text: str, name: str) -> AccessMaps:
    """The access maps of the text of a lock file; ``name`` is the file, for errors. Raises RolecallError."""
    return _Reader(text, name).maps


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def fail(self, number: int, what: str) -> NoReturn:
        raise RolecallError(f"{self.name}:{number}: {what}: {ADVICE}.")

    @cached_property
    def maps(self) -> AccessMaps:
        """The maps by phase."""
        head: dict[str, ObjectAccess] = {}
        sections = self.sections
        for section in sections:
            if section.phase == HEAD:
                item = self._object(section, {})
                head[item.name] = item
        maps = {HEAD: AccessMap(self.personas, head)}
        for number in self.phases:
            earlier = dict(head)
            for section in sections:
                if section.phase == number:
                    self._change(section, earlier, head)
            maps[number] = AccessMap(self.personas, earlier)
        return maps

    @cached_property
    def lines(self) -> list[tuple[int, str]]:
        """The lines with their numbers, without comments and empty ones."""
        lines = [(number, line) for number, line in enumerate(self.text.split("\n"), 1)]
        for number, line in lines:
            if line.startswith(CONFLICT):
                self.fail(number, "a conflict of a merge is not resolved")
        return [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]

    @cached_property
    def personas(self) -> dict[str, str]:
        """The role of each persona."""
        if not self.lines or self.lines[0][1] != FORMAT:
            number = self.lines[0][0] if self.lines else 1
            self.fail(
                number, f"a lock file begins with {FORMAT!r}; another version of rolecall wrote this one, or none"
            )
        matches = [PERSONA.fullmatch(line) for _, line in self.lines]
        return {read_name(match[1]): read_name(match[2]) for match in matches if match}

    @cached_property
    def phases(self) -> list[int]:
        """The earlier phases after which the access was measured."""
        line = self.lines[1][1] if len(self.lines) > 1 else ""
        return [int(number) for number in re.findall(r"\d+", line)] if line.startswith(PHASES) else []

    @cached_property
    def sections(self) -> list[Section]:
        """The sections, whose checksums fit."""
        sections: list[Section] = []
        for number, line in self.lines[2 if self.phases else 1 :]:
            if line.startswith("  ") and sections:
                sections[-1].lines.append((number, line[2:]))
            elif first := SECTION.fullmatch(line):
                sections.append(Section(number, first))
            elif not (PERSONA.fullmatch(line) and self.personas and not sections):
                self.fail(number, f"not a line of a lock file: {line[:80]!r}")
        for section in sections:
            if checksum(line for _, line in section.lines) != section.first["checksum"]:
                self.fail(section.number, f"the lines of {section.first['name'] or 'this section'} were edited")
        return sections

    # -- one section

    def _object(self, section: Section, attempts: Mapping[Attempt, Mapping[str, Access]]) -> ObjectAccess:
        """An object: what a section says, in addition to ``attempts``."""
        kind, name = cast(Kind, section.first["kind"]), section.first["name"]
        found = {attempt: dict(granted) for attempt, granted in attempts.items()}
        for number, line in section.lines:
            if line.startswith(NOT_TRIED):
                for attempt in self._attempts(number, line.removeprefix(NOT_TRIED)):
                    found.pop(attempt, None)
            elif line.startswith(TRIED):
                found.update({attempt: {} for attempt in self._attempts(number, line.removeprefix(TRIED))})
        known = {action(attempt, name): attempt for attempt in found}
        for number, line in section.lines:
            if not line.startswith((TRIED, NOT_TRIED)):
                persona, allowed, attempt, access = self._sentence(number, line, known)
                if allowed:
                    found[attempt][persona] = access
                else:
                    found[attempt].pop(persona, None)
        return ObjectAccess(name, kind, found)

    def _change(self, section: Section, objects: dict[str, ObjectAccess], head: Mapping[str, ObjectAccess]) -> None:
        """Apply a section of an earlier phase to the objects of all phases."""
        if section.first["missing"]:
            for _, line in section.lines:
                objects.pop(line.partition(" ")[2], None)
            return
        name = section.first["name"]
        base = head[name].attempts if section.first["differs"] and name in head else {}
        objects[name] = self._object(section, base)

    def _attempts(self, number: int, text: str) -> Iterator[Attempt]:
        match = ON.fullmatch(text)
        if match is None:
            self.fail(number, f"not a line of a lock file: {text[:80]!r}")
        row = json.loads(match["row"]) if match["row"] else ""
        for command in split_names(match["commands"]):
            yield Attempt(row, read_name(command))

    def _sentence(self, number: int, line: str, known: Mapping[str, Attempt]) -> tuple[str, bool, Attempt, Access]:
        """The persona, whether it may, what, and what limits it."""
        for persona in self.personas:
            for word, allowed in ((MAY_NOT, False), (MAY, True)):
                start = quoted_name(persona) + word
                rest = line.removeprefix(start)
                what = max((each for each in known if rest.startswith(each)), key=len, default=None)
                if line.startswith(start) and what is not None:
                    with suppress(ValueError):
                        return persona, allowed, known[what], read_limits(rest.removeprefix(what))
        return self.fail(number, f"not a line of a lock file: {line[:80]!r}")


def is_lock(text: str) -> bool:
    """Whether a text was written as a lock file."""
    return text.startswith(TITLE.partition("\n")[0])
