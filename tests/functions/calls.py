"""Shared by the tests of several functions: who may call a function, the expected answer of each persona, and the
result of a call."""

import json
from typing import Any, TypeVar

import pytest
from psycopg import Cursor

from rolecall import Session

T = TypeVar("T")

NOT_ALLOWED = "permission denied"
NOT_YOUR_ID = "p_user_id must be your own id"
UNKNOWN = "00000000-0000-0000-0000-000000000000"

unknown_or_null = pytest.mark.parametrize(
    "user", [pytest.param(UNKNOWN, id="an unknown id"), pytest.param(None, id="NULL")]
)

# Signed-in users and the service may call a function. Anon may not, even after a mistaken grant on the table.
MAY_CALL = {
    "customer": True,
    "other_customer": True,
    "staff": True,
    "other_staff": True,
    "owner": True,
    "other_owner": True,
    "former_staff": True,
    "owner_on_staff": True,
    "staff_customer": True,
    "staff_of_both": True,
    "no_subject": True,
    "anon": False,
    "granted_anon": False,
    "service": True,
}

# Every user with a subject, and whether the world has notifications for them.
HAS_NOTIFICATIONS = {
    "customer": True,
    "other_customer": True,
    "staff": True,
    "other_staff": False,
    "owner": True,
    "other_owner": False,
    "former_staff": False,
    "owner_on_staff": False,
    "staff_customer": False,
    "staff_of_both": True,
}


def about_the_customer(answer: T, refusal: str = NOT_YOUR_ID) -> dict[str, T | str]:
    """The expected result of each persona for a call about the customer.

    The customer and the service get the answer, the others an error with this message.
    """
    return {
        name: answer if name in ("customer", "service") else refusal if may else NOT_ALLOWED
        for name, may in MAY_CALL.items()
    }


def about_oneself(some: T, none: T) -> dict[str, T]:
    """The expected result of each persona with a subject for a call about itself.

    It is ``some`` for personas with notifications, ``none`` for the others.
    """
    return {name: some if has else none for name, has in HAS_NOTIFICATIONS.items()}


def set_claims(db: Session, **claims: Any) -> None:
    """Replace the claims of the signed-in persona, until it signs out."""
    db.execute("SELECT set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])


def columns(cursor: Cursor[Any]) -> list[tuple[str, str]]:
    """The columns of a result: names and types."""
    return [(column.name, column.type_display) for column in cursor.description or ()]
