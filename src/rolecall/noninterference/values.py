"""Values to try in a column: each as the text of an SQL literal, which PostgreSQL reads as the column's type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rolecall.noninterference.schema import Column

Value = str | None

LARGEST = {"int2": "32767", "int4": "2147483647", "int8": "9223372036854775807"}
NUMBERS = ("0", "1", "-1")
TIMES = {
    "timestamptz": ("2000-01-01", "2999-12-31", "now", "infinity", "-infinity"),
    "timestamp": ("2000-01-01", "2999-12-31", "now", "infinity", "-infinity"),
    "date": ("2000-01-01", "2999-12-31", "today", "infinity", "-infinity"),
    "time": ("00:00", "23:59:59.999999", "12:00"),
    "timetz": ("00:00+00", "23:59:59+00", "12:00+14"),
    "interval": ("0", "-1 day", "1 day", "1000 years"),
}
CONSTANT = {
    **TIMES,
    "bool": ("true", "false"),
    "bytea": ("\\x", "\\x00"),
    "cidr": ("0.0.0.0/0", "::/0"),
    "inet": ("0.0.0.0", "127.0.0.1", "::1"),  # noqa: S104 - a value of a column, no address to listen on
}
ARRAYS_OF_NUMBERS = ("_int2", "_int4", "_int8", "_float4", "_float8", "_numeric")
BOUNDS = {"numbers": ("0",), "times": ("2000-01-01", "2999-12-31")}  # of ranges
LONG = 10_000  # characters of a text without a limit
MANY = 3  # values of other rows
# Keys that a policy may look for in a JSON value, besides the strings in its own text.
KEYS = ("role", "user_id", "owner", "owner_id", "tenant", "tenant_id", "org_id", "is_admin")


@dataclass(frozen=True)
class Dictionary:
    """What the values are made of.

    ``subjects`` are those of the personas. ``literals``, ``numbers`` and ``objects`` come from the code of the schema:
    ``objects`` are the keys of JSON values that are objects themselves.
    """

    subjects: Sequence[str]
    literals: Sequence[str]
    numbers: Sequence[str]
    objects: Sequence[str] = ()

    @property
    def keys(self) -> list[str]:
        """The keys of JSON values."""
        return list(dict.fromkeys([*self.literals, *KEYS]))


def values(
    column: Column, current: Value, others: Sequence[Value], dictionary: Dictionary, readable: Sequence[str] = ()
) -> list[Value]:
    """Values for a column that has the value ``current``, which is left out.

    ``others`` are values of other rows. ``readable`` are strings of the code that the column's type can read: for a
    type without values of its own here, such as an address or a path.
    """
    hosts = [text.partition("/")[0] for text in readable if column.type == "inet"]  # a network contains its first host
    found = [*_typed(column, current, dictionary), *readable, *hosts, None, *others[:MANY]]
    return [value for value in dict.fromkeys(found) if value != current]


def keys(current: Value, existing: Sequence[Value]) -> list[Value]:
    """Values for a column with a foreign key: the keys of all rows that it may refer to, and NULL."""
    return [value for value in dict.fromkeys([*existing, None]) if value != current]


def json_values(dictionary: Dictionary) -> Iterator[object]:
    """Values in which all keys have one value: a subject, a string or a number of the code, true, a list, or null.

    Some keys have objects as values; with a list, they have that list once, too. Some values are a list of one object.
    """
    everything = [*dictionary.subjects, *dictionary.literals]
    for value in (*everything, *map(int, dictionary.numbers), True, everything):
        inner = dict.fromkeys(dictionary.keys, value)
        yield inner | dict.fromkeys(dictionary.objects, inner)
    if dictionary.objects:
        yield dict.fromkeys([*dictionary.keys, *dictionary.objects], everything)
    yield everything
    yield from ([dict.fromkeys(dictionary.keys, subject)] for subject in dictionary.subjects)
    yield dict.fromkeys(dictionary.keys)
    yield {}


def _typed(column: Column, current: Value, dictionary: Dictionary) -> Iterator[Value]:
    if column.type in ("json", "jsonb"):
        yield from (json.dumps(value) for value in json_values(dictionary))
    elif column.type == "hstore":
        yield from _pairs(dictionary)
    elif column.category == "A":
        yield from _arrays(column, dictionary)
    elif column.category == "E":
        yield from column.labels
    elif column.category == "N":
        yield from (*dictionary.numbers, *NUMBERS, *_largest(column), *_next_to(current))
    elif column.category == "R":
        yield from _ranges(column)
    elif column.type in CONSTANT:
        yield from CONSTANT[column.type]
    elif column.category == "S":
        yield from (*dictionary.subjects, *dictionary.literals, *_joined(dictionary), *_texts(column, current))
    elif column.type == "uuid":
        yield from dictionary.subjects
        yield "00000000-0000-0000-0000-000000000000"


def _arrays(column: Column, dictionary: Dictionary) -> Iterator[Value]:
    """Arrays without an element, with one, and with all."""
    texts = [text for text in [*dictionary.subjects, *dictionary.literals] if '"' not in text]
    elements = dictionary.numbers if column.type in ARRAYS_OF_NUMBERS else [f'"{text}"' for text in texts]
    yield "{}"
    yield from (text for text in dictionary.literals if text.startswith("{") and text.endswith("}"))
    yield from ("{" + element + "}" for element in elements)
    yield "{" + ",".join(elements) + "}"


def _pairs(dictionary: Dictionary) -> Iterator[Value]:
    """Values of the type hstore, in which all keys have one value. A subject is a key, too."""
    texts = [text for text in [*dictionary.subjects, *dictionary.literals] if '"' not in text and "\\" not in text]
    names = dict.fromkeys([*texts, *KEYS])
    yield ""
    yield from (", ".join(f'"{name}"=>"{text}"' for name in names) for text in [*texts, "true"])


def _joined(dictionary: Dictionary) -> Iterator[Value]:
    """A subject beside a string of the code that has a sign at that end: ``user:`` before it, ``/%`` after it."""
    for text in dictionary.literals:
        for subject in dictionary.subjects:
            if not text[-1].isalnum():
                yield f"{text}{subject}"
            if not text[0].isalnum():
                yield f"{subject}{text}"


def _ranges(column: Column) -> Iterator[Value]:
    """Ranges without a value, with all values, and with those on one side of a bound."""
    bounds = BOUNDS["numbers" if column.type.startswith(("int", "num")) else "times"]
    some = ["(,)", *(text for bound in bounds for text in (f"(,{bound})", f"({bound},)"))]
    is_multirange = column.type.endswith("multirange")
    yield "{}" if is_multirange else "empty"
    yield from ("{" + text + "}" if is_multirange else text for text in some)


def _largest(column: Column) -> Iterator[Value]:
    if column.type == "numeric" and column.modifier > 0:
        precision, scale = (column.modifier - 4) >> 16 & 0xFFFF, (column.modifier - 4) & 0x7FF
        yield f"{'9' * (precision - scale) or '0'}.{'9' * scale}"
    else:
        yield LARGEST.get(column.type, "1e15")


def _next_to(current: Value) -> Iterator[Value]:
    if current and current.lstrip("-").isdigit():
        yield str(int(current) + 1)


def _texts(column: Column, current: Value) -> Iterator[Value]:
    """Texts that are blank or long, and texts like the current one: in another case, a part of it, and more than it."""
    longest = column.modifier - 4 if column.modifier > 4 else LONG
    yield from ("", " ", "x" * longest)
    if current:
        half = current[: max(1, len(current) // 2)]
        yield from (current.upper(), current.lower(), half, f"{current}x"[:longest], f"x{current}"[:longest])
