"""Models of the functions about notifications, phase 2.1: plain Python, to be read beside the comments of the SQL.

A caller may ask about itself. The role of the session decides who is the service, which may ask about every user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.models.terms import Answer, Caller, Ref, Refused, Rows, one_form

LARGEST = 2_147_483_647
MAY_NOT_CALL = Refused("42501", "permission denied for function")
NOT_YOUR_ID = Refused("42501", "p_user_id must be your own id")


@dataclass(frozen=True)
class Notification:
    """A row of communication.notifications. Times are in seconds since 1970; JSON is text."""

    id: UUID
    user_id: Ref | None
    message: str | None
    notification_type: str | None
    metadata: str | None
    read_at: Decimal | None
    created_at: Decimal | None
    updated_at: Decimal | None


Table = Sequence[Notification]
User = Ref | UUID | None  # a UUID is the id of no row


def refusal(user: User, caller: Caller) -> Refused | None:
    """Why the caller may not ask about the user."""
    if caller.is_anon:
        return MAY_NOT_CALL
    if caller.is_service:
        return None
    return None if user is not None and user == caller.uid else NOT_YOUR_ID


def unread(table: Table, user: User) -> list[Notification]:
    return [n for n in table if user is not None and n.user_id == user and n.read_at is None]


# ------------------------------------------------------------------ the functions


def get_unread_count(table: Table, user: User, caller: Caller) -> Answer:
    return refusal(user, caller) or [(len(unread(table, user)),)]


def get_unread_counts(table: Table, user: User, caller: Caller, alphabet: Sequence[str]) -> Answer:
    """``alphabet`` has the types in the order of the database. No type comes last."""
    counts = Counter(n.notification_type for n in unread(table, user))
    order = [*alphabet, None]
    return refusal(user, caller) or sorted(counts.items(), key=lambda item: order.index(item[0]))


def get_notifications_page(table: Table, user: User, limit: int | None, offset: int | None, caller: Caller) -> Answer:
    """Newest first, those without a time last; of the same time, the greatest id first."""
    if refused := refusal(user, caller):
        return refused
    for name, value in (("p_limit", limit), ("p_offset", offset)):
        if value is not None and value < 0:
            return Refused("22023", f"{name} must not be negative, but is {value}")
    own = [n for n in table if user is not None and n.user_id == user]
    own.sort(key=lambda n: (n.created_at is not None, n.created_at or 0, n.id), reverse=True)
    first = offset or 0
    page = own[first:] if limit is None else own[first : first + limit]
    return [(n.id, n.user_id, n.message, n.notification_type, n.read_at, n.created_at) for n in page]


def mark_notifications_read(
    table: Table, user: User, ids: Sequence[Any] | None, caller: Caller, now: Decimal
) -> tuple[Answer, Table]:
    """The number of rows that are read now, and the table after it. ``ids`` of None are all."""
    if refused := refusal(user, caller):
        return refused, table
    marked = {n.id for n in unread(table, user) if ids is None or n.id in ids}
    return [(len(marked),)], [replace(n, read_at=now, updated_at=now) if n.id in marked else n for n in table]


def send_notification(
    recipient: User, message: str | None, kind: str | None, metadata: str | None, caller: Caller, now: Decimal
) -> Refused | Notification:
    """The new row. Its id is not known yet."""
    prefix = "Failed to send notification: "
    if caller.is_anon:
        return MAY_NOT_CALL
    if recipient is None:
        return Refused("P0001", prefix + "recipient_id is required")
    if not message:
        return Refused("P0001", prefix + "message is required")
    if kind is None:
        return Refused("P0001", prefix + "notification_type is required")
    if not isinstance(recipient, Ref):
        return Refused("23503", prefix)
    return Notification(UUID(int=0), recipient, message, kind, "{}" if metadata is None else metadata, None, now, None)


def as_rows(table: Table) -> Rows:
    """The rows of the table, in the order of their ids, to compare two tables."""
    return [tuple(vars(replace(n, metadata=one_form(n.metadata))).values()) for n in sorted(table, key=lambda n: n.id)]
