"""What decides about the access to the rows of a grid's table: the entries of ``decided_by``, read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

Kind = Literal["column", "column of another table", "claim", "setting", "header", "rows"]

PREFIXES: dict[str, Kind] = {"claim": "claim", "setting": "setting", "header": "header", "rows": "rows"}
FORMS = (
    '"column", "schema.table.column", "claim:app_metadata.tenant", "setting:app.tenant", "header:x-tenant" or '
    '"rows:schema.table"'
)
# The tests of a grid with ``decided_by``, by what each of them changes.
COLUMNS, REFERENCED_ROWS, REQUEST, OTHER_ROWS, DECLARED = KINDS = (
    "columns",
    "referenced rows",
    "the request",
    "other rows",
    "declared",
)


@dataclass(frozen=True)
class Entry:
    """One entry, as it is written and as its parts: ``table`` is "schema.name", empty for a column of the grid."""

    text: str
    kind: Kind
    name: str = ""
    table: str = ""


@dataclass(frozen=True)
class DecidedBy:
    """All entries, in their order."""

    entries: tuple[Entry, ...]

    def names(self, kind: Kind) -> set[str]:
        """The names of the entries of a kind: of columns, claims, settings (in lower case) or headers."""
        return {entry.name for entry in self.entries if entry.kind == kind}

    def columns_of(self, table: str) -> set[str]:
        """The columns of another table that are entries."""
        return {
            entry.name for entry in self.entries if entry.kind == "column of another table" and entry.table == table
        }

    def counts_rows_of(self, table: str) -> bool:
        """Whether the number of rows of a table is an entry."""
        return any(entry.kind == "rows" and entry.table == table for entry in self.entries)


def read(entries: object, table: str, fail: Callable[[str], NoReturn]) -> DecidedBy:
    """Read the entries of a grid of ``table``. ``fail`` is called with what is wrong and what to do."""
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        fail(f'decided_by={entries!r}: write a list of texts, e.g. ["customer_id"].')
    read_entries: list[Entry] = []
    for each in entries:
        entry = _entry(each, table, fail)
        if entry in read_entries or entry.text in {other.text for other in read_entries}:
            fail(f"decided_by has {each!r} twice: remove one.")
        read_entries.append(entry)
    return DecidedBy(tuple(read_entries))


def _entry(text: object, table: str, fail: Callable[[str], NoReturn]) -> Entry:
    if not isinstance(text, str) or not text.strip() or text != text.strip():
        fail(f"decided_by has {text!r}: write {FORMS}.")
    prefix, colon, name = text.partition(":")
    if colon:
        return _prefixed(text, prefix, name, fail)
    parts = text.split(".")
    if len(parts) == 1:
        return Entry(text, "column", text)
    if len(parts) != 3 or not all(parts):
        fail(f"decided_by has {text!r}: write {FORMS}.")
    if text.rpartition(".")[0] == table:
        fail(f"decided_by has {text!r}: that is a column of the grid's own table, so write {parts[2]!r}.")
    return Entry(text, "column of another table", parts[2], f"{parts[0]}.{parts[1]}")


def _prefixed(text: str, prefix: str, name: str, fail: Callable[[str], NoReturn]) -> Entry:
    kind = PREFIXES.get(prefix)
    if kind is None or not all(name.split(".")) or name != name.strip():
        fail(f"decided_by has {text!r}: write {FORMS}.")
    if kind == "rows":
        if name.count(".") != 1:
            fail(f'decided_by has {text!r}: write "rows:schema.table".')
        return Entry(text, kind, table=name)
    if kind == "claim" and name in ("sub", "role"):
        fail(f"decided_by has {text!r}: the role and the subject always decide, so remove it.")
    return Entry(text, kind, name.lower() if kind != "claim" else name)
