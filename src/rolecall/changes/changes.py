"""The changes of a block: what differs between the snapshots before and after it, and whether a test states it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from psycopg import Connection
from psycopg.pq import TransactionStatus

from rolecall.changes.expected import Change
from rolecall.changes.snapshot import Snapshot, Table, take
from rolecall.errors import RolecallError

# From this many notifications on, the server keeps a table of them, which can be seen: so a block that sends one more
# makes the table appear. They are rolled back with the transaction, and nobody listens to the channel.
FILL = "SELECT pg_notify('rolecall', number::text) FROM generate_series(1, 16) AS number"


class Changes:
    """What a block changed. Compare it with a list of expected changes, in any order.

    It has no changes to compare before the end of its block: then it raises RolecallError.
    """

    __hash__ = None  # type: ignore[assignment]  # it is compared by what it has

    def __init__(self) -> None:
        self.found: list[Change] | None = None
        self.stated = False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        self.stated = True
        return self.differences(other) == ([], [])

    def __bool__(self) -> bool:
        raise RolecallError("compare the changes with a list: `assert changed == []` says that there are none.")

    def differences(self, expected: Sequence[Change]) -> tuple[list[Change], list[Change]]:
        """The changes that are not expected, and the expected ones that are missing."""
        if self.found is None:
            raise RolecallError("the changes are known at the end of the block: compare them after it.")
        if strangers := [each for each in expected if not isinstance(each, Change)]:
            raise RolecallError(f"{strangers[0]!r} is no change: write inserted(…), updated(…), deleted(…), set_to(…).")
        pairs = _matched(expected, self.found)
        return (
            [change for number, change in enumerate(self.found) if number not in pairs.values()],
            [change for number, change in enumerate(expected) if number not in pairs],
        )

    def explain(self, expected: Sequence[Change]) -> list[str]:
        """The differences in words, one line each."""
        unexpected, missing = self.differences(expected)
        lines = []
        for changes, what in (
            (unexpected, "that the test does not expect"),
            (missing, "missing that the test expects"),
        ):
            if changes:
                lines += [
                    f"{len(changes)} change{'s' * (len(changes) > 1)} {what}:",
                    *(f"  {each}" for each in changes),
                ]
        return lines

    def __repr__(self) -> str:
        return "the changes" if self.found is None else f"[{'; '.join(map(str, self.found))}]"


# The type of the fixture `rolecall_changes`.
FindChanges = Callable[..., AbstractContextManager[Changes]]


@contextmanager
def changes_of(
    connection: Connection[Any], settings: Iterable[str] = (), before: Snapshot | None = None
) -> Iterator[Changes]:
    """Find the changes of the block. If the block raises an error, there are none to compare.

    ``settings`` are names of custom settings that no function of the schema mentions. ``before`` is a snapshot of the
    present state, if there is one already.
    """
    changes, settings = Changes(), list(settings)
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        connection.execute(FILL)
    before = before or take(connection, settings)
    yield changes
    changes.found = list(between(before, take(connection, settings, before)))


def between(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """The changes between two snapshots."""
    grown = set()
    for name in before.tables | after.tables:
        for change in _between_tables(before.tables.get(name), after.tables.get(name)):
            if change.kind == "inserted":
                grown.add(name)
            yield change
    for name in before.state | after.state:
        was, value = before.state.get(name), after.state.get(name)
        # A new row takes a number of the sequence of its column.
        if was != value and not (after.owners.get(name) in grown and _advanced(was, value)):
            yield Change("set", name, (), {"value": value}, {"value": was})


def _advanced(was: str | None, value: str | None) -> bool:
    first, last = ((text or "").removeprefix("before ") for text in (was, value))
    return first.isdigit() and last.isdigit() and int(last) >= int(first)


def _between_tables(before: Table | None, after: Table | None) -> Iterator[Change]:
    """The changes of one table. The rows of a dropped table are not listed: that the table is gone says it."""
    if after is None or before is after:
        return
    if not after.key or before is None or before.key != after.key:
        yield from _without_key(before, after)
        return
    old, new = before.by_key, after.by_key
    same_columns = before.columns == after.columns
    for key in old | new:
        if same_columns and old.get(key) == new.get(key):
            if before.places[key] != after.places[key]:
                columns = after.loaded(new[key])
                yield Change("rewritten", after.name, tuple(columns[each] for each in after.key), {})
            continue
        was = before.loaded(old[key]) if key in old else None
        row = after.loaded(new[key]) if key in new else None
        values = tuple((row or was or {})[column] for column in after.key)
        if was is None or row is None:
            kind = "deleted" if row is None else "inserted"
            yield Change(kind, after.name, values, row or was or {})  # type: ignore[arg-type]
            continue
        names = [name for name in row | was if _raw(before, old[key], name) != _raw(after, new[key], name)]
        if names:
            new_values, old_values = ({name: each.get(name) for name in names} for each in (row, was))
            yield Change("updated", after.name, values, new_values, old_values)


def _raw(table: Table, row: tuple[bytes | None, ...], name: str) -> bytes | None:
    """The text of a column; None if the table does not have it."""
    return row[table.columns.index(name)] if name in table.columns else None


def _without_key(before: Table | None, after: Table) -> Iterator[Change]:
    """The changes of a table without a primary key: whole rows, which may be equal."""
    old, new = Counter(before.rows if before else []), Counter(after.rows)
    for row in (old - new).elements():
        yield Change("deleted", after.name, (), (before or after).loaded(row))
    for row in (new - old).elements():
        yield Change("inserted", after.name, (), after.loaded(row))


def _matched(expected: Sequence[Change], found: Sequence[Change]) -> dict[int, int]:
    """As many pairs as possible: for the number of an expected change, the number of the one that was found."""
    owner: dict[int, int] = {}  # an expected change by the found one

    def place(number: int, tried: set[int]) -> bool:
        for other, change in enumerate(found):
            if other not in tried and expected[number].fits(change):
                tried.add(other)
                if other not in owner or place(owner[other], tried):
                    owner[other] = number
                    return True
        return False

    for number in range(len(expected)):
        place(number, set())
    return {number: other for other, number in owner.items()}
