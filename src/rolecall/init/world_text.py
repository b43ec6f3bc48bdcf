"""The text of the conftest.py that is written: the personas and the rows."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rolecall.init.cast import Actor
from rolecall.init.proposed_row import ProposedRow

LONGEST = 110  # characters of a line with a call

CONFTEST = '''\
"""The world: the personas, and a row of each kind that a policy can tell apart. A proposal of rolecall init."""

from rolecall import World


def pytest_rolecall_world(seed: int) -> World:
    world = World()
{body}
    return world
'''


@dataclass
class WorldText:
    """Writes the world. ``aliases`` are the names that grids use, each with a row and its column."""

    actors: Sequence[Actor]
    rows: Mapping[str, Sequence[ProposedRow]]
    aliases: Mapping[str, tuple[ProposedRow, str]]
    notes: Mapping[str, str] = field(default_factory=dict)  # tables without a row, with the error

    def render(self) -> str:
        """The text of conftest.py."""
        self.subjects = {each.subject: each.name for each in reversed(self.actors) if each.has_subject}
        self.names = self._names()
        rows = [proposed for table in self.rows.values() for proposed in table]
        body = [self._row(proposed) for proposed in rows]
        body += [self._alias(name, *alias) for name, alias in self.aliases.items()]
        text = "\n".join(body)
        personas = [self._persona(each, text) for each in self.actors]
        todo = [
            f"# TODO: {table}: {' '.join(error.removeprefix('TODO: ').split())}"[:LONGEST]
            for table, error in self.notes.items()
        ]
        lines = "\n".join(filter(None, ["\n".join(personas), "", text, *todo])).split("\n")
        return CONFTEST.format(body="\n".join(f"    {line}" if line else "" for line in lines))

    def _persona(self, actor: Actor, rows: str) -> str:
        arguments = [repr_of(actor.name), repr_of(actor.role)]
        if actor.has_subject:
            first = self.subjects[actor.subject]
            other = first != actor.name
            arguments.append(f"subject={self._subject(first) if other else repr_of(actor.subject)}")
        if actor.settings:
            arguments.append(f"settings={repr_of(dict(actor.settings))}")
        arguments += _keywords(actor.claims)
        call = _call("world.persona", arguments)
        needed = f"{self._subject(actor.name)}" in rows or any(
            each.subject == actor.subject and each.name != actor.name for each in self.actors if each.has_subject
        )
        is_first = actor.has_subject and self.subjects[actor.subject] == actor.name
        return f"{_variable(actor.name)} = {call}" if needed and is_first else call

    def _subject(self, name: str) -> str:
        return f"{_variable(name)}.subject"

    def _names(self) -> dict[tuple[str, str], str]:
        """A variable for each row that another one refers to."""
        rows = [proposed for table in self.rows.values() for proposed in table]
        wanted = {(each.table, each.row) for proposed in rows for each in proposed.sources.values()}
        wanted |= {(proposed.table, proposed.name) for proposed, _ in self.aliases.values()}
        taken, names = {_variable(each.name) for each in self.actors} | {"world", "seed"}, {}
        for proposed in rows:
            if (proposed.table, proposed.name) in wanted:
                base = name = _variable(proposed.name.replace("'s ", "s "))
                number = 1
                while name in taken:
                    number += 1
                    name = f"{base}_{number}"
                taken.add(name)
                names[proposed.table, proposed.name] = name
        return names

    def _row(self, proposed: ProposedRow) -> str:
        columns = {name: self._value(proposed, name, value) for name, value in proposed.columns.items()}
        arguments = [repr_of(proposed.table), repr_of(proposed.name)]
        plain = {name: value for name, value in columns.items() if _is_argument(name)}
        others = {name: value for name, value in columns.items() if name not in plain}
        arguments += [f"{name}={value}" for name, value in plain.items()]
        if others:
            arguments.append("**{" + ", ".join(f"{repr_of(name)}: {value}" for name, value in others.items()) + "}")
        call = _call("world.existing" if proposed.exists else "world.add", arguments)
        if proposed.maker:
            call = _call("world.add_as", [repr_of(proposed.maker), *arguments])
        used = any(
            (each.table, each.row) == (proposed.table, proposed.name) and self._refers(each, row.columns[column])
            for table in self.rows.values()
            for row in table
            for column, each in row.sources.items()
            if column in row.columns
        ) or any(each is proposed for each, _ in self.aliases.values())
        return f"{self.names[proposed.table, proposed.name]} = {call}" if used else call

    def _refers(self, source: Any, value: Any) -> bool:
        """Whether a value is written as a column of the row that it comes from."""
        row = next(each for each in self.rows[source.table] if each.name == source.row)
        return value not in self._subjects_of_personas and source.column in row.columns

    @property
    def _subjects_of_personas(self) -> list[Any]:
        return [subject for subject in self.subjects if isinstance(subject, str)]

    def _value(self, proposed: ProposedRow, column: str, value: Any) -> str:
        if value in self._subjects_of_personas:
            return self._subject(self.subjects[value])
        source = proposed.sources.get(column)
        if source and self._refers(source, value):
            return f'{self.names[source.table, source.row]}["{source.column}"]'
        return repr_of(value)

    def _alias(self, name: str, proposed: ProposedRow, column: str) -> str:
        has = column in proposed.columns
        value = (
            f"{self.names[proposed.table, proposed.name]}[{repr_of(column)}]"
            if has
            else repr_of(proposed.whole[column])
        )
        return _call("world.alias", [repr_of(name), value])


def _variable(name: str) -> str:
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "row"
    return f"{text}_" if keyword.iskeyword(text) or text[0].isdigit() else text


def _is_argument(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name != "self"


def _keywords(claims: Mapping[str, Any]) -> list[str]:
    plain = [f"{name}={repr_of(value)}" for name, value in claims.items() if _is_argument(name)]
    others = {name: value for name, value in claims.items() if not _is_argument(name)}
    return [*plain, *([f"**{repr_of(others)}"] if others else [])]


def _call(function: str, arguments: Sequence[str]) -> str:
    """A call in one line, or in one line for each argument."""
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= LONGEST:
        return line
    return "\n".join([f"{function}(", *(f"    {each}," for each in arguments), ")"])


def repr_of(value: Any) -> str:
    """A value as Python code, with double quotes as formatters write them."""
    if isinstance(value, str) and '"' not in value and "\\" not in value and value.isprintable():
        return f'"{value}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{repr_of(name)}: {repr_of(each)}" for name, each in value.items()) + "}"
    return repr(value)
