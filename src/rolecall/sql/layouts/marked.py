"""Files in which comments mark the part that applies the migration and the part that undoes it: dbmate and goose."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from rolecall.errors import MigrationError
from rolecall.sql import files
from rolecall.sql.layouts.layout import (
    Layout,
    Migration,
    as_phases,
    in_order,
    matching,
    require_text,
    sql_files,
    with_text,
)
from rolecall.sql.phases import Part, Phase, Script, Step, Transaction
from rolecall.sql.text import NEWLINE

NAME = re.compile(r"(?P<title>(?P<version>\d+)_?(?P<name>.*))\.sql")


class _Marked(Layout):
    """Files ``<version>_<name>.sql`` with markers, each on a line of its own."""

    up: ClassVar[str]  # the marker, for messages
    marker: ClassVar[re.Pattern[str]]
    alone: ClassVar[re.Pattern[str]]  # a line that says: without a transaction

    def fits(self, path: Path) -> bool:
        """Whether a file has a marker."""
        return any(
            self.marker.match(line) for each in sql_files(path) for line in NEWLINE.split(files.read(each)) if line
        )

    def phases(self, path: Path) -> tuple[Phase, ...]:
        """The files in the order of their versions."""
        migrations = [self._migration(*each) for each in matching(sql_files(path), NAME, self.example)]
        return as_phases(path, in_order(migrations))

    def _migration(self, path: Path, match: re.Match[str]) -> Migration:
        lines = NEWLINE.split(files.read(path))
        markers = [(number, mark) for number, line in enumerate(lines) if (mark := self.marker.match(line))]
        first = markers[0][0] if markers else len(lines)
        self._check(path, lines, [mark[1].lower() for _, mark in markers], first)

        def transaction(name: str) -> Transaction:
            own = [lines[number] for number, mark in markers if mark[1].lower() == name]
            outside = any(map(self.alone.match, [*own, *lines[:first]]))
            return Transaction.NONE if outside else Transaction.OWN

        up, down = Part("up", self.marker), Part("down", self.marker)
        version = (int(match["version"]),)
        step = Step(path, version, match["name"], match["title"], part=up, transaction=transaction("up"))
        return Migration(require_text(step), with_text(Script(path, part=down, transaction=transaction("down"))))

    def _check(self, path: Path, lines: list[str], names: list[str], first: int) -> None:
        for number, line in enumerate(lines[:first], start=1):
            if names and line.strip() and not line.startswith("--"):
                raise MigrationError(f"{path}:{number}: this line is before {self.up}: move it below.")
        if "up" not in names:
            raise MigrationError(f"{path}: the file has no line {self.up}: write it before the SQL.")
        for name in names:
            if names.count(name) > 1:
                raise MigrationError(f"{path}: the part {name} is there twice: join the two.")


class Dbmate(_Marked):
    """``20241129101500_notes.sql`` with ``-- migrate:up`` and ``-- migrate:down``."""

    name, example, up = "dbmate", "20241129101500_notes.sql with -- migrate:up and -- migrate:down", "-- migrate:up"
    marker = re.compile(r"--\s*migrate:(up|down)(?:\s|$)")
    alone = re.compile(r"--\s*migrate:(?:up|down)\b.*\btransaction:false\b")


class Goose(_Marked):
    """``20241129101500_notes.sql`` with ``-- +goose Up`` and ``-- +goose Down``."""

    name, example, up = "goose", "20241129101500_notes.sql with -- +goose Up and -- +goose Down", "-- +goose Up"
    marker = re.compile(r"--\s*\+goose\s+(up|down)\s*$", re.IGNORECASE)
    alone = re.compile(r"--\s*\+goose\s+no\s+transaction\b", re.IGNORECASE)
