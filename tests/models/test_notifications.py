"""The functions about notifications answer as their models do, for any notifications and any caller."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.models import notifications as model
from tests.models.lab import EPOCH, MENTION, Caller, Columns, Lab, Ref, Refused, Rows, options, person, same
from tests.models.notifications import Notification, User
from tests.models.values import (
    JSON_VALUES,
    NOBODY,
    TEXTS,
    Picker,
    callers,
    json_values,
    optional_texts,
    people,
    sessions,
    some_ids,
    tables,
    texts,
)

TABLE = "communication.notifications"
COLUMNS = """
    id, user_id, message, notification_type, metadata::text,
    extract(epoch FROM read_at), extract(epoch FROM created_at), extract(epoch FROM updated_at)
"""

# Alike in the first letters, in all but the case, or in all but a blank; longer than 50 characters; and names of users.
KINDS = (
    *(
        "reminder",
        "Reminder",
        "REMINDER",
        "reminder ",
        " reminder",
        "remind",
        "reminders",
        "promotion",
        "system",
        "all",
    ),
    *("", " ", "x" * 50, "x" * 50 + "a", "x" * 50 + "b", "é", "e\u0301", "ß", "customer", "NULL"),
    *("broadcast", "announcement", "global"),
)
kinds = st.one_of(st.sampled_from(KINDS), st.none())

FOR_EVERYBODY = ("system", "all", "broadcast", "announcement", "global", "reminder")
OTHERS: tuple[Ref | None, ...] = (person("other_customer"), person("staff"), None)
MENTIONS = json.dumps(
    dict.fromkeys(("user_id", "recipient_id", "sender_id", "created_by", "owner_id", "sub", "customer_id"), MENTION)
    | {"recipients": [MENTION], "user_ids": [MENTION], "broadcast": True, "public": True}
)


def notification(pick: Picker) -> Notification:
    """A notification: of the customer, or of somebody else and only looking as if it were for the customer too."""
    user: Ref | None = pick("user", [person("customer")], [person("customer")], OTHERS)
    others = user != person("customer")
    return Notification(
        id=pick.id(),
        user_id=user,
        message=pick("message", TEXTS, TEXTS, [None]),
        notification_type=pick("kind of others", FOR_EVERYBODY)
        if others
        else pick("kind", KINDS, KINDS, KINDS, [None]),
        metadata=MENTIONS if others else pick("metadata", JSON_VALUES, [None]),
        read_at=None if pick("read", (True, False)) else pick.moment("read_at"),
        created_at=pick.moment("created_at"),
        updated_at=pick.moment("updated_at"),
    )


notifications = tables(notification)


@st.composite
def questions(draw: DrawFn) -> tuple[User, Caller]:
    """A user, mostly the customer, and who asks."""
    user: User = draw(st.sampled_from([person("customer")] * 5 + [person("other_customer"), NOBODY, None]))
    return user, draw(callers(user if isinstance(user, Ref) else None))


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """No notifications. Each column may be NULL, and the recipient has a profile."""
    lab.empty(TABLE)
    lab.let_anon_in("communication")
    lab.allow_null(TABLE, "user_id", "message", "notification_type", "metadata", "created_at")
    lab.db.execute(f"ALTER TABLE {TABLE} ADD FOREIGN KEY (user_id) REFERENCES identity.profiles (id) NOT VALID")
    return lab


@pytest.fixture
def alphabet(lab: Lab) -> list[str]:
    """The types in the order of the database: its collation decides."""
    query = "SELECT kind FROM unnest(%s::varchar[]) AS kind ORDER BY kind"
    return [kind for (kind,) in lab.db.rows(query, [list(KINDS)])]


def stored(lab: Lab) -> Rows:
    """All rows of the table, as the model has them."""
    found = lab.db.rows(f"SELECT {COLUMNS} FROM {TABLE}")
    return model.as_rows([Notification(*(lab.shown(value) for value in row)) for row in found])


# ------------------------------------------------------------------ reading


@options()
@given(table=notifications, question=questions(), setting=sessions)
def test_get_unread_count(lab: Lab, table: list[Notification], question: tuple[User, Caller], setting: Columns) -> None:
    user, caller = question
    with lab.example(setting, {TABLE: table}):
        answer = lab.ask(caller, "SELECT communication.get_unread_count(%s)", [user])
    assert same(answer, model.get_unread_count(table, user, caller)), answer


@options()
@given(table=notifications, question=questions(), setting=sessions)
def test_get_unread_counts(
    lab: Lab, alphabet: list[str], table: list[Notification], question: tuple[User, Caller], setting: Columns
) -> None:
    user, caller = question
    with lab.example(setting, {TABLE: table}):
        answer = lab.ask(caller, "SELECT * FROM communication.get_unread_counts(%s)", [user])
    assert same(answer, model.get_unread_counts(table, user, caller, alphabet)), answer


@st.composite
def limits(draw: DrawFn, count: int) -> int | None:
    """A limit or an offset, at a border of a table of this many rows."""
    borders = (0, 1, 2, 20, 50, 100, count - 1, count, count + 1, model.LARGEST, -1, -model.LARGEST - 1)
    return draw(st.one_of(st.sampled_from(borders), st.integers(0, 400), st.none()))


@options(100)
@given(table=notifications, question=questions(), setting=sessions, data=st.data())
def test_get_notifications_page(
    lab: Lab, table: list[Notification], question: tuple[User, Caller], setting: Columns, data: st.DataObject
) -> None:
    user, caller = question
    own = sum(n.user_id == user for n in table)
    limit, offset = data.draw(limits(own), "limit"), data.draw(st.one_of(st.just(0), limits(own)), "offset")
    query = """
        SELECT id, user_id, message, notification_type, extract(epoch FROM read_at), extract(epoch FROM created_at)
        FROM communication.get_notifications_page(%s, %s, %s)
    """
    with lab.example(setting, {TABLE: table}):
        answer = lab.ask(caller, query, [user, limit, offset])
    assert same(answer, model.get_notifications_page(table, user, limit, offset, caller)), answer


@options(30)
@given(table=notifications, question=questions())
def test_get_notifications_page_of_the_default_size(
    lab: Lab, table: list[Notification], question: tuple[User, Caller]
) -> None:
    user, caller = question
    query = """
        SELECT id, user_id, message, notification_type, extract(epoch FROM read_at), extract(epoch FROM created_at)
        FROM communication.get_notifications_page(%s)
    """
    with lab.example({}, {TABLE: table}):
        answer = lab.ask(caller, query, [user])
    assert same(answer, model.get_notifications_page(table, user, 20, 0, caller)), answer


# ------------------------------------------------------------------ writing


@options()
@given(table=notifications, question=questions(), setting=sessions, data=st.data())
def test_mark_notifications_read(
    lab: Lab, table: list[Notification], question: tuple[User, Caller], setting: Columns, data: st.DataObject
) -> None:
    user, caller = question
    ids = data.draw(some_ids([n.id for n in table]), "ids")
    with lab.example(setting, {TABLE: table}):
        query = "SELECT communication.mark_notifications_read(%s, %s::uuid[])"
        answer = lab.ask(caller, query, [user, ids], write=True)
        after = stored(lab)
    expected, expected_after = model.mark_notifications_read(table, user, ids, caller, lab.now)
    assert same(answer, expected), answer
    assert after == model.as_rows(expected_after)


recipients: SearchStrategy[User] = st.one_of(people, people, people, st.just(NOBODY), st.none())


@options(80)
@given(
    table=tables(notification, (0, 2, 10)),
    recipient=recipients,
    message=st.one_of(texts, texts, optional_texts),
    kind=st.one_of(st.sampled_from(KINDS), kinds),
    metadata=st.one_of(json_values, st.none()),
    caller=callers(),
    setting=sessions,
)
def test_send_notification(
    lab: Lab,
    table: list[Notification],
    recipient: User,
    message: str | None,
    kind: str | None,
    metadata: str | None,
    caller: Caller,
    setting: Columns,
) -> None:
    with lab.example(setting, {TABLE: table}):
        answer = lab.ask(
            caller,
            "SELECT communication.send_notification(%s, %s, %s, %s)::text",
            [recipient, message, kind, metadata],
            write=True,
        )
        after = stored(lab)
    expected = model.send_notification(recipient, message, kind, metadata, caller, lab.now)
    if isinstance(expected, Refused):
        assert same(answer, expected), answer
        assert after == model.as_rows(table)
        return
    assert not isinstance(answer, Refused), answer
    result = json.loads(answer[0][0])
    new = Notification(**{**vars(expected), "id": UUID(result["id"])})
    check_result(lab, result, new)
    assert after == model.as_rows([*table, new])


def check_result(lab: Lab, result: dict[str, Any], new: Notification) -> None:
    """The result of send_notification describes the new row. Its time has an offset, that of the session."""
    sent = datetime.fromisoformat(result.pop("sent_at"))
    assert sent.tzinfo
    assert Decimal((sent - EPOCH).days * 86400 + (sent - EPOCH).seconds) == new.created_at // 1  # type: ignore[operator]
    assert result == {
        "id": str(new.id),
        "recipient_id": lab.shown(str(lab.stored(new.user_id))),
        "message": new.message,
        "notification_type": new.notification_type,
        "read_at": None,
    }
