"""What the models speak of: rows of the world, callers, answers, and JSON texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

Rows = list[tuple[Any, ...]]
Columns = Mapping[str, Any]

# What a reader sees in tables and views: texts by column, as the session writes them. NULL is None.
Row = Mapping[str, str | None]
Table = Iterator[Row]
Tables = Mapping[str, list[Row]]


class Ref(NamedTuple):
    """A row of the world. In the database, it is the id of the row."""

    table: str
    name: str


def person(name: str) -> Ref:
    """The profile of a persona."""
    return Ref("identity.profiles", name)


CUSTOMER = person("customer")
MENTION = "@customer"
"""In a text, it is the id of the customer: a row of somebody else may mention it, and must not be the customer's."""


@dataclass(frozen=True)
class Refused:
    """An answer that is an error. A model gives the SQLSTATE, and a part of the message if it is the function's own."""

    sqlstate: str
    message: str = ""


Answer = Rows | Refused


def same(answer: Answer, expected: Answer) -> bool:
    """Whether the database answered as the model does: equal rows in the same order, or the same refusal."""
    if isinstance(answer, Refused) and isinstance(expected, Refused):
        return answer.sqlstate == expected.sqlstate and expected.message in answer.message
    return answer == expected


@dataclass(frozen=True)
class Caller:
    """Who asks: a persona, and what the request claims besides: in the token, in a header, in a setting.

    ``subject`` replaces the subject of the token.
    """

    persona: str
    claims: Columns = field(default_factory=dict)
    headers: Columns = field(default_factory=dict)
    subject: Ref | None = None

    @property
    def uid(self) -> Ref | None:
        """The user whom the token names."""
        if self.subject:
            return self.subject
        return None if self.persona in ("no_subject", "anon", "service") else person(self.persona)

    @property
    def is_service(self) -> bool:
        return self.persona == "service"

    @property
    def is_anon(self) -> bool:
        return self.persona == "anon"


def one_form(text: str | None) -> str | None:
    """A JSON text in a form of its own, so that two texts of equal values are equal. None stays None."""
    if text is None:
        return None

    def number(digits: str) -> str:
        value = Decimal(digits)
        return f"number {abs(value) if value == 0 else value:f}"

    return json.dumps(json.loads(text, parse_int=number, parse_float=number), sort_keys=True)
