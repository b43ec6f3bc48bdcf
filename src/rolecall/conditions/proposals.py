"""A row for which a condition would decide: a row of the world with another value in one column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from psycopg import Connection

from rolecall.access.world import UNLOADABLE, Row, World, insert
from rolecall.conditions.conditions import Variant
from rolecall.conditions.subjects import Subject
from rolecall.conditions.trial import Trial

MAX_SECONDS = 20.0  # for all proposals of a test, or of a process that runs mutants
MAX_CANDIDATES = 400  # of one table
FIRST_KEY = 1_000_000  # of candidates, if keys are numbers: the world's are smaller
# The columns of a table that an INSERT may name: whether it is of the primary key, and of type boolean.
COLUMNS = """
SELECT attname, EXISTS (SELECT FROM pg_index WHERE indisprimary AND indrelid = attrelid AND attnum = ANY (indkey)),
       atttypid = 'boolean'::regtype
FROM pg_attribute
WHERE attrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))
  AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a'
ORDER BY attnum
"""


class Candidate(NamedTuple):
    """A row of the world, by name, with changed columns."""

    table: str
    name: str
    changes: Row

    def code(self, world: World) -> str:
        """The call that adds it to the world."""
        changes = ", ".join(f'"{column}": {expression(value, world)}' for column, value in self.changes.items())
        row = f'world.row("{self.table}", "{self.name}")'
        return f'world.add("{self.table}", "…", **{{**{row}, {changes}}})'


class Proposals:
    """Searches for rows, on the connection of a trial. Everything is rolled back."""

    def __init__(
        self, connection: Connection[Any], trial: Trial, world: World, *, seconds: float = MAX_SECONDS
    ) -> None:
        self.connection, self.trial, self.world = connection, trial, world
        self._end = monotonic() + seconds

    def row_for(self, subject: Subject, variant: Variant) -> str | None:
        """The code of a row with which a condition decides; None if none is found in time."""
        for table in sorted(subject.tables, key=lambda table: (not subject.name.startswith(table), table)):
            candidates = list(self._candidates(table))[:MAX_CANDIDATES]
            while candidates and monotonic() < self._end and self._decides(subject, variant, candidates):
                if len(candidates) == 1:
                    return candidates[0].code(self.world)
                half = candidates[: len(candidates) // 2]
                is_in_half = self._decides(subject, variant, half)
                candidates = half if is_in_half else candidates[len(half) :]
        return None

    def _decides(self, subject: Subject, variant: Variant, candidates: Sequence[Candidate]) -> bool:
        """Whether a condition decides in a world with all candidates that the database accepts."""
        with self.connection.transaction(force_rollback=True):
            for candidate in candidates:
                row = {**self.world.row(candidate.table, candidate.name), **candidate.changes}
                try:
                    with self.connection.transaction():
                        self.connection.execute(insert(candidate.table, row, overriding=True))
                except UNLOADABLE:
                    continue
            return self.trial.decides(subject, variant, self.trial.original(subject))

    def _candidates(self, table: str) -> Iterator[Candidate]:
        """Each row of a table with another value in one column, and a new key."""
        rows = {
            name: row for name, row in self.world.rows.get(table, {}).items() if (table, name) not in self.world.missing
        }
        columns = self.connection.execute(COLUMNS, table.split(".", 1)).fetchall()
        keys = {name for name, is_key, _ in columns if is_key}
        number = 0
        for column, is_boolean in [(name, is_boolean) for name, is_key, is_boolean in columns if not is_key]:
            for value in [True, False, None] if is_boolean else self._values(column):
                for name, row in rows.items():
                    if column not in row or value != row[column]:
                        number += 1
                        new = {key: _new_key(row[key], number) for key in row if key in keys}
                        yield Candidate(table, name, {**new, column: value})

    def _values(self, column: str) -> list[Any]:
        """NULL, the values of all columns of the name, and those of the keys that it may refer to."""
        named = f".{column.removesuffix('_id')}s"
        values: list[Any] = [None]
        for other, _, row in self.world:
            values += [row[column]] if column in row else []
            values += [row["id"]] if other.endswith(named) and "id" in row else []
        if any(map(_is_uuid, values)):
            values += [persona.claims["sub"] for persona in self.world.personas.values() if "sub" in persona.claims]
        return list({repr(value): value for value in values}.values())


def _new_key(value: Any, number: int) -> Any:
    """The key of a candidate, of the type of another key: the same in every run."""
    if _is_uuid(value):
        return str(uuid5(NAMESPACE_OID, str(number)))
    return FIRST_KEY + number if isinstance(value, int) else f"{value} {number}"


def _is_uuid(value: Any) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def expression(value: Any, world: World) -> str:
    """A value as Python code: the subject of a persona, the id of a row, or a literal."""
    if _is_uuid(value):
        for name, persona in world.personas.items():
            if persona.claims.get("sub") == value:
                return f'world.personas["{name}"].subject'
        for table, name, row in world:
            if row.get("id") == value:
                return f'world.row("{table}", "{name}")["id"]'
    return repr(value)
