"""What a test expects to change: rows that are inserted, updated and deleted, and other state.

A value may be a value, a type (any value of it) or a function that says whether a value is right. A text also stands
for a value that PostgreSQL writes so, for example an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["inserted", "updated", "rewritten", "deleted", "set"]


VERBS = {
    "inserted": "a new row",
    "updated": "changed",
    "rewritten": "written again with the same values",
    "deleted": "deleted",
}


@dataclass(frozen=True)
class Change:
    """One change, found or expected.

    ``name`` is the table, or what else was set. ``key`` is the primary key; () without one. ``values`` are the columns
    of a new or a deleted row, and of an update only those that it changed, with their new values. ``before`` has the
    values that an update changed.
    """

    kind: Kind
    name: str
    key: tuple[Any, ...]
    values: Mapping[str, Any]
    before: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, found: Change) -> bool:
        """Whether this expected change is the one that was found."""
        if (self.kind, self.name) != (found.kind, found.name):
            return False
        if self.kind != "inserted" and not self._is_of_row(found):
            return False
        named = self.values.keys()
        if self.kind == "deleted" and self.key:
            required: set[str] = set()
        elif self.kind == "updated":
            required = set(found.values)
            if named != required:
                return False
        else:
            required = {column for column, value in found.values.items() if value is not None}
        missing = object()
        return required <= named and all(
            fits(value, found.values.get(column, missing)) for column, value in self.values.items()
        )

    def _is_of_row(self, found: Change) -> bool:
        return len(self.key) == len(found.key) and all(map(fits, self.key, found.key))

    def __str__(self) -> str:
        if self.kind == "set":
            before = [each.get("value") or "none" for each in (self.before, self.values) if each]
            return f"{self.name}: {' → '.join(map(str, before))}"
        key = ", ".join(map(_text, self.key))
        row = f"{self.name}, row {key}" if key else self.name
        columns = ", ".join(
            f"{column} {_text(self.before[column])} → {_text(value)}"
            if column in self.before
            else f"{column} {'→ ' if self.kind == 'updated' else ''}{_text(value)}"
            for column, value in self.values.items()
            if self.kind == "updated" or (value is not None and (self.kind == "inserted" or not self.key))
        )
        verb = VERBS[self.kind]
        return f"{row}: {verb}: {columns}" if columns else f"{row}: {verb}"


def fits(expected: Any, value: Any) -> bool:
    """Whether a value is as expected: equal, of this type, accepted by this function, or written so."""
    if isinstance(expected, type):
        return isinstance(value, expected)
    if callable(expected):
        return bool(expected(value))
    return bool(expected == value) or (
        isinstance(expected, str) and value is not None and not isinstance(value, str) and str(value) == expected
    )


def inserted(table: str, /, **columns: Any) -> Change:
    """A new row of ``table`` ("schema.name"). Name every column that is not NULL."""
    return Change("inserted", table, (), columns)


def updated(table: str, key: Any, /, **columns: Any) -> Change:
    """The row with this primary key (a tuple, if it has several columns) has new values in exactly these columns."""
    return Change("updated", table, _key(key), columns)


def rewritten(table: str, key: Any, /) -> Change:
    """The row with this primary key was written again, with the same values: its triggers ran, and it was locked."""
    return Change("rewritten", table, _key(key), {})


def deleted(table: str, key: Any = (), /, **columns: Any) -> Change:
    """The row with this primary key is gone. Of a table without one, name every column that was not NULL."""
    return Change("deleted", table, _key(key), columns)


def set_to(name: str, value: Any, /) -> Change:
    """Something else has a new value: "setting app.tenant", "sequence app.numbers", "advisory lock 42". None: gone."""
    return Change("set", name, (), {"value": value})


def _key(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


def _text(value: Any) -> str:
    if value is None:
        return "NULL"
    text = getattr(value, "__name__", "") or (repr(value) if isinstance(value, str | dict | list) else str(value))
    return text if len(text) <= 80 else f"{text[:77]}…"
