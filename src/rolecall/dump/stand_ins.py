"""Stand-ins for what a dump refers to and the server lacks: SQL files beside this module, one for each subject.

A file is for an extension of the same name, or for a part of the platform. ``@extschema@`` in it is the schema.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from rolecall.dump.nodes import Node, made_by, node_of
from rolecall.sql.script import Statement, parse

FOLDER = Path(__file__).with_name("stand_ins")
USUAL_SCHEMA = "extensions"  # of extensions on Supabase
OBJECTS = {"create_stmt", "view_stmt", "create_function_stmt"}


@dataclass(frozen=True)
class StandIn:
    """One of the files. ``name`` is the name of its extension, or a subject."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def relocatable(self) -> bool:
        """Whether its objects can be in any schema."""
        return "@extschema@" in self.text

    def sql(self, schema: str) -> str:
        """Its statements, with ``schema`` as the schema of its objects if it is relocatable."""
        return self.text.replace("@extschema@", '"' + schema.replace('"', '""') + '"')

    @cached_property
    def makes(self) -> frozenset[str]:
        """The tables, types and functions that it makes, as ``schema.name``. A relocatable one has the usual schema."""
        return frozenset(name for node in self._nodes for name in made_by(node) if "." in name) - OPERATORS

    def makes_in(self, schema: str) -> frozenset[str]:
        """Its tables, types and functions, with ``schema`` as their schema if it is relocatable."""
        return frozenset(f"{schema}.{name.split('.')[1]}" if self.relocatable else name for name in self.makes)

    @cached_property
    def _nodes(self) -> list[Node]:
        nodes = (node_of(statement.text) for statement in parse(self.sql(USUAL_SCHEMA)).statements)
        return [node for node in nodes if node]

    def objects_in(self, schema: str) -> frozenset[str]:
        """Its tables, views and functions, as ``schema.name``, with ``schema`` as their schema if it is relocatable."""
        made = (name for node in self._nodes if node.kind in OBJECTS for name in made_by(node))
        return frozenset(f"{schema}.{name.split('.')[1]}" if self.relocatable else name for name in made)

    def mentions_in(self, statements: Iterable[Statement]) -> dict[str, int]:
        """Its objects that statements refer to, as ``schema.name``, with the offset of the first mention."""
        mentions: dict[str, int] = {}
        for statement in statements:  # and not in the whole text, most of which may be blanks in place of rows
            for match in _mentions(self).finditer(statement.text):
                mentions.setdefault(f"{match[1]}.{match[2]}", statement.start + match.start())
        return mentions


OPERATORS = frozenset(f"{USUAL_SCHEMA}.{operator}" for operator in ("<->", "<#>", "<=>"))


@lru_cache
def _mentions(stand_in: StandIn) -> re.Pattern[str]:
    """Its names with a schema. A relocatable one is looked for where extensions usually are."""
    fixed = {name.split(".")[0] for name in stand_in.makes}
    schemas = "|".join(sorted({USUAL_SCHEMA, "public"} if stand_in.relocatable else fixed))
    names = "|".join(sorted(re.escape(name.split(".")[1]) for name in stand_in.makes))
    return re.compile(rf'\b({schemas})"?\."?({names})\b' if schemas else rf"\b()({names})\b")


@lru_cache
def all_stand_ins() -> dict[str, StandIn]:
    """Every stand-in, by name."""
    return {path.stem: StandIn(path) for path in sorted(FOLDER.glob("*.sql"))}


def of_stand_ins(names: Collection[str]) -> frozenset[str]:
    """The tables, views and functions among ``names`` (``schema.name``) that belong to a stand-in.

    A stand-in counts if all of its objects are there: an object of the project may have the name of one of them.
    """
    existing, found = frozenset(names), set[str]()
    for schema in {name.split(".")[0] for name in existing}:
        for stand_in in all_stand_ins().values():
            made = stand_in.objects_in(schema)
            found |= made if made <= existing else set()
    return frozenset(found)


def needed(statements: Sequence[Statement], existing: Collection[str]) -> Iterator[tuple[StandIn, str]]:
    """The stand-ins whose objects a dump refers to, each with its schema (empty if it is fixed).

    ``existing`` are the objects that the database has, and those that the dump makes: they have no stand-in.
    """
    for stand_in in all_stand_ins().values():
        missing = stand_in.mentions_in(statements).keys() - frozenset(existing)
        if stand_in.relocatable:
            yield from ((stand_in, schema) for schema in sorted({name.split(".")[0] for name in missing}))
        elif missing and not stand_in.makes & frozenset(existing):
            yield stand_in, ""
