"""The functions about notifications answer as their models do, for any notifications and any caller."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import DrawFn

from tests.models import notifications as model
from tests.models.lab import EPOCH, Lab, options
from tests.models.notifications import Notification, User
from tests.models.terms import MENTION, Caller, Columns, Ref, Refused, Rows, person, same
from tests.models.values import (
    DAY,
    INFINITY,
    JSON_VALUES,
    NOBODY,
    NOW,
    PEOPLE,
    TEXTS,
    Many,
    Picker,
    callers,
    pickers,
    sessions,
    some_ids,
    tables,
)
from tests.models.words import json_of, words_of

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


class Case(NamedTuple):
    """The notifications, a user, and who asks about that user, in which session."""

    table: list[Notification]
    user: User = person("customer")
    caller: Caller = Caller("customer")
    setting: Columns = MappingProxyType({})


@st.composite
def cases(draw: DrawFn) -> Case:
    """A user, mostly the customer, and who asks."""
    user: User = draw(st.sampled_from([person("customer")] * 5 + [person("other_customer"), NOBODY, None]))
    caller = draw(callers(user if isinstance(user, Ref) else None))
    return Case(draw(notifications), user, caller, draw(sessions))


def sent(number: int, **columns: Any) -> Notification:
    """A notification of the customer with this id, for an explicit example."""
    plain = Notification(UUID(int=number), person("customer"), "Hello", "reminder", None, None, NOW, None)
    return replace(plain, **columns)


def with_words(words: Sequence[str]) -> list[Notification]:
    """Unread notifications of the customer that have these words in a column: in the type, the message or the JSON."""
    rows: list[dict[str, Any]] = [{"notification_type": word} for word in words]
    rows += [{"message": word} for word in words]
    rows += [{"notification_type": word, "message": word} for word in words]
    rows += [{"metadata": text} for text in json_of(words)]
    return Many(sent(number, **columns) for number, columns in enumerate(rows))


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
    """The types in the order of the database."""
    return in_order(lab, KINDS)


def in_order(lab: Lab, kinds: Sequence[str]) -> list[str]:
    """These types in the order of the database: its collation decides."""
    query = "SELECT DISTINCT kind FROM unnest(%s::varchar[]) AS kind ORDER BY kind"
    return [kind for (kind,) in lab.db.rows(query, [list(kinds)])]


def stored(lab: Lab) -> Rows:
    """All rows of the table, as the model has them."""
    found = lab.db.rows(f"SELECT {COLUMNS} FROM {TABLE}")
    return model.as_rows([Notification(*(lab.shown(value) for value in row)) for row in found])


# ------------------------------------------------------------------ reading


@options()
@given(case=cases())
@example(Case([sent(1, user_id=None)]))  # OR n.user_id IS NULL
@example(Case([sent(1, created_at=NOW + DAY)]))  # only until now()
@example(Case([sent(number) for number in range(150)]))  # 99 at most
def test_get_unread_count(lab: Lab, case: Case) -> None:
    check_count(lab, case)


def check_count(lab: Lab, case: Case) -> None:
    with lab.example(case.setting, {TABLE: case.table}):
        answer = lab.ask(case.caller, "SELECT communication.get_unread_count(%s)", [case.user])
    assert same(answer, model.get_unread_count(case.table, case.user, case.caller)), answer


@options()
@given(case=cases())
@example(Case([sent(1), sent(2, notification_type="Reminder")]))  # GROUP BY lower(…)
@example(Case([sent(1, notification_type=""), sent(2, notification_type=None)]))  # COALESCE(…, '')
@example(Case([sent(1, notification_type="x" * 50 + "a"), sent(2, notification_type="x" * 50 + "b")]))  # varchar(50)
@example(Case([sent(number, notification_type=kind) for number, kind in enumerate(KINDS)]))  # LIMIT 20
def test_get_unread_counts(lab: Lab, alphabet: list[str], case: Case) -> None:
    check_counts(lab, case, alphabet)


def check_counts(lab: Lab, case: Case, alphabet: Sequence[str]) -> None:
    with lab.example(case.setting, {TABLE: case.table}):
        answer = lab.ask(case.caller, "SELECT * FROM communication.get_unread_counts(%s)", [case.user])
    assert same(answer, model.get_unread_counts(case.table, case.user, case.caller, alphabet)), answer


PAGE = """
    SELECT id, user_id, message, notification_type, extract(epoch FROM read_at), extract(epoch FROM created_at)
    FROM communication.get_notifications_page(%s, %s, %s)
"""


@st.composite
def limits(draw: DrawFn, count: int) -> int | None:
    """A limit or an offset: in a table of this many rows, at its border, or far beyond."""
    inside = [draw(st.integers(0, count)) for _ in range(6)]
    borders = (0, 0, 1, 2, 20, 50, 100, count - 1, count, count + 1, model.LARGEST, -1, -model.LARGEST - 1, None, None)
    return draw(st.sampled_from((*inside, *borders)))


@st.composite
def pages(draw: DrawFn) -> tuple[Case, int | None, int | None]:
    """A case, a limit and an offset."""
    case = draw(cases())
    own = sum(n.user_id == case.user for n in case.table)
    return case, draw(limits(own)), draw(limits(own))


SAME_DAY = [sent(1, created_at=NOW + 2), sent(2, created_at=NOW + 1), sent(3, created_at=NOW)]


@options(100)
@given(page=pages())
@example((Case(SAME_DAY), 2, 0))  # ORDER BY date_trunc('day', …)
@example((Case(SAME_DAY), 1, 1))  # LIMIT p_limit without the offset in the inner query
@example((Case(SAME_DAY), 0, None))  # LIMIT nullif(p_limit, 0)
@example((Case([sent(1), sent(2), sent(3)]), 2, 1))  # equal times without an order by id
@example((Case([sent(number) for number in range(150)]), 150, 0))  # LIMIT least(p_limit, 100)
@example((Case([sent(1, created_at=None), sent(2)]), 1, 0))  # NULLS FIRST
@example((Case([sent(1)]), model.LARGEST, 1))  # p_limit + p_offset as integers
@example((Case([sent(1)]), 1, -1))  # p_offset < -1
def test_get_notifications_page(lab: Lab, page: tuple[Case, int | None, int | None]) -> None:
    check_page(lab, *page)


def check_page(lab: Lab, case: Case, limit: int | None, offset: int | None) -> None:
    table, user, caller, setting = case
    with lab.example(setting, {TABLE: table}):
        answer = lab.ask(caller, PAGE, [user, limit, offset])
    assert same(answer, model.get_notifications_page(table, user, limit, offset, caller)), answer


@options(30)
@given(case=cases())
@example(Case([sent(number) for number in range(30)]))  # DEFAULT 10
def test_get_notifications_page_of_the_default_size(lab: Lab, case: Case) -> None:
    query = PAGE.replace("(%s, %s, %s)", "(%s)")
    with lab.example(case.setting, {TABLE: case.table}):
        answer = lab.ask(case.caller, query, [case.user])
    assert same(answer, model.get_notifications_page(case.table, case.user, 20, 0, case.caller)), answer


READERS = ("get_unread_count", "get_unread_counts", "get_notifications_page")


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_with_the_words_of_its_code(lab: Lab, reader: str) -> None:
    words = words_of(lab, f"communication.{reader}")
    case = Case(with_words(words))
    if reader == "get_unread_count":
        check_count(lab, case)
    elif reader == "get_unread_counts":
        check_counts(lab, case, in_order(lab, ["reminder", *words]))
    else:
        check_page(lab, case, model.LARGEST, 0)


# ------------------------------------------------------------------ writing


@st.composite
def marks(draw: DrawFn) -> tuple[Case, list[UUID | None] | None]:
    """A case, and the ids of notifications to be marked."""
    case = draw(cases())
    return case, draw(some_ids([n.id for n in case.table]))


@options(120)
@given(mark=marks())
@example((Case([sent(1, message=" Hello ")]), None))  # also SET message = btrim(message)
@example((Case([sent(1)]), []))  # no ids mean all
@example((Case([sent(1)]), [None]))  # OR array_position(p_notification_ids, NULL) IS NOT NULL
@example((Case([sent(1, read_at=INFINITY)]), None))  # OR n.read_at = 'infinity'
@example((Case([sent(number) for number in range(150)]), [UUID(int=number) for number in range(150)]))  # [1:100]
def test_mark_notifications_read(lab: Lab, mark: tuple[Case, list[UUID | None] | None]) -> None:
    check_mark(lab, *mark)


@pytest.mark.parametrize("listed", [False, True], ids=["all", "listed"])
def test_mark_notifications_read_with_the_words_of_its_code(lab: Lab, listed: bool) -> None:
    table = with_words(words_of(lab, "communication.mark_notifications_read"))
    check_mark(lab, Case(table), [n.id for n in table] if listed else None)


def check_mark(lab: Lab, case: Case, ids: list[UUID | None] | None) -> None:
    """Mark notifications, and compare the number and all rows with the model."""
    table, user, caller, setting = case
    with lab.example(setting, {TABLE: table}):
        query = "SELECT communication.mark_notifications_read(%s, %s::uuid[])"
        answer = lab.ask(caller, query, [user, ids], write=True)
        after = stored(lab)
    expected, expected_after = model.mark_notifications_read(table, user, ids, caller, lab.now)
    assert same(answer, expected), answer
    assert after == model.as_rows(expected_after)


RECIPIENTS: tuple[User, ...] = (*[person("customer")] * 6, *map(person, PEOPLE), NOBODY, None)


class Sent(NamedTuple):
    """The arguments of send_notification."""

    recipient: User = person("other_customer")
    message: str | None = "Hello"
    kind: str | None = "reminder"
    metadata: str | None = None


messages = st.builds(
    Sent,
    st.sampled_from(RECIPIENTS),
    st.sampled_from((*TEXTS, *TEXTS, "", None)),
    st.sampled_from((*KINDS, *KINDS, None)),
    st.sampled_from((*JSON_VALUES, None, None)),
)


@options(120)
@given(new=messages, table=tables(notification, (0, 2, 10, 30)), caller=callers(person("customer")), setting=sessions)
@example(Sent(message=" "), [], Caller("customer"), {})  # refused: btrim(p_message) = ''
@example(Sent(message=" \n"), [], Caller("customer"), {})  # refused: p_message !~ '\\S'
@example(Sent(message="x" * 1000 + "a"), [], Caller("customer"), {})  # left(p_message, 1000)
@example(Sent(kind="x" * 51), [], Caller("customer"), {})  # varchar(50)
@example(Sent(kind="reminder "), [], Caller("customer"), {})  # btrim(p_notification_type)
@example(Sent(metadata="null"), [], Caller("service"), {})  # COALESCE(nullif(p_metadata, 'null'), '{}')
@example(Sent(metadata='{"a": null}'), [], Caller("service"), {})  # jsonb_strip_nulls(p_metadata)
@example(Sent(recipient=person("customer")), [sent(1)], Caller("customer"), {})  # an equal one is deleted before
@example(Sent(recipient=NOBODY), [], Caller("customer"), {})  # WHEN foreign_key_violation THEN RETURN NULL
@example(Sent(), [], Caller("staff"), {"TimeZone": "Asia/Kolkata"})  # created_at AT TIME ZONE 'UTC'
def test_send_notification(lab: Lab, new: Sent, table: list[Notification], caller: Caller, setting: Columns) -> None:
    check_send(lab, new, table, caller, setting)


def test_send_notification_with_the_words_of_its_code(lab: Lab) -> None:
    words = words_of(lab, "communication.send_notification")
    sendings = [Sent(message=word, kind=kind) for word in words for kind in (word, "reminder")]
    sendings += [Sent(kind=word) for word in words] + [Sent(metadata=text) for text in json_of(words)]
    for new in sendings:
        check_send(lab, new, [], Caller("customer"), {})


def check_send(lab: Lab, new: Sent, table: list[Notification], caller: Caller, setting: Columns) -> None:
    """Send a notification, and compare the result and all rows with the model."""
    query = "SELECT communication.send_notification(%s, %s, %s, %s)::text"
    with lab.example(setting, {TABLE: table}):
        answer = lab.ask(caller, query, [*new], write=True)
        after = stored(lab)
    expected = model.send_notification(*new, caller, lab.now)
    if isinstance(expected, Refused):
        assert same(answer, expected), answer
        assert after == model.as_rows(table)
        return
    assert not isinstance(answer, Refused), answer
    assert answer[0][0] is not None
    result = json.loads(answer[0][0])
    row = replace(expected, id=new_id(result))
    check_result(lab, result, row)
    assert after == model.as_rows([*table, row])


def new_id(result: dict[str, Any]) -> UUID:
    """The id of the new row, from the result of send_notification."""
    assert "id" in result, f"no id in {result}"
    return UUID(result["id"])


def check_result(lab: Lab, result: dict[str, Any], new: Notification) -> None:
    """The result of send_notification describes the new row. Its time has an offset, that of the session."""
    assert "sent_at" in result, f"no sent_at in {result}"
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


# ------------------------------------------------------------------ one request after the other

users = st.sampled_from((person("customer"), person("customer"), person("other_customer"), person("staff"), NOBODY))
who = callers(person("customer"))


class Requests(RuleBasedStateMachine):
    """Users send, read and count notifications; the service also changes and deletes them."""

    lab: Lab

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.table: list[Notification] = []

    @initialize(setting=sessions, pick=pickers)
    def start(self, setting: Columns, pick: Picker) -> None:
        self.table = [notification(pick) for _ in range(pick.random.choice((0, 1, 5, 20)))]
        self.pick = pick
        self.stack.enter_context(self.lab.example(setting, {TABLE: self.table}))

    def teardown(self) -> None:
        self.stack.close()

    def known(self, number: int) -> UUID:
        keys = [*(n.id for n in self.table), NOBODY]
        return keys[number % len(keys)]

    @rule(caller=who, recipient=users, message=st.sampled_from(TEXTS), kind=st.sampled_from((*KINDS, None)))
    def send(self, caller: Caller, recipient: User, message: str, kind: str | None) -> None:
        metadata = self.pick("sent metadata", JSON_VALUES, [None])
        query = "SELECT communication.send_notification(%s, %s, %s, %s)::text"
        answer = self.lab.ask(caller, query, [recipient, message, kind, metadata], write=True)
        expected = model.send_notification(recipient, message, kind, metadata, caller, self.lab.now)
        if isinstance(expected, Refused):
            assert same(answer, expected), answer
            return
        assert not isinstance(answer, Refused), answer
        assert answer[0][0] is not None
        self.table.append(replace(expected, id=new_id(json.loads(answer[0][0]))))

    @rule(caller=who, user=users, numbers=st.one_of(st.none(), st.lists(st.integers(0, 30), max_size=4)))
    def mark_read(self, caller: Caller, user: User, numbers: list[int] | None) -> None:
        ids = None if numbers is None else [self.known(number) for number in numbers]
        query = "SELECT communication.mark_notifications_read(%s, %s::uuid[])"
        answer = self.lab.ask(caller, query, [user, ids], write=True)
        expected, after = model.mark_notifications_read(self.table, user, ids, caller, self.lab.now)
        assert same(answer, expected), answer
        self.table = list(after)

    @rule(caller=who, user=users)
    def count(self, caller: Caller, user: User) -> None:
        answer = self.lab.ask(caller, "SELECT communication.get_unread_count(%s)", [user])
        assert same(answer, model.get_unread_count(self.table, user, caller)), answer

    @rule(caller=who, user=users, limit=st.sampled_from((None, 0, 1, 3, 20)), offset=st.sampled_from((None, 0, 1, 5)))
    def page(self, caller: Caller, user: User, limit: int | None, offset: int | None) -> None:
        answer = self.lab.ask(caller, PAGE, [user, limit, offset])
        assert same(answer, model.get_notifications_page(self.table, user, limit, offset, caller)), answer

    @rule(caller=who, user=users)
    def the_counts_of_all_types_are_the_count(self, caller: Caller, user: User) -> None:
        query = "SELECT sum(unread_count)::bigint FROM communication.get_unread_counts(%s)"
        answer = self.lab.ask(caller, query, [user])
        assert same(answer, self.total(caller, user)), answer

    def total(self, caller: Caller, user: User) -> Rows | Refused:
        answer = model.get_unread_count(self.table, user, caller)
        return answer if isinstance(answer, Refused) else [(answer[0][0] or None,)]

    @rule(number=st.integers(0, 30))
    def the_service_deletes(self, number: int) -> None:
        key = self.known(number)
        answer = self.lab.ask(Caller("service"), f"DELETE FROM {TABLE} WHERE id = %s", [key], write=True)
        before, self.table = self.table, [n for n in self.table if n.id != key]
        assert answer == [(len(before) - len(self.table),)]

    @rule(number=st.integers(0, 30), user=st.sampled_from((person("customer"), person("staff"))))
    def the_service_makes_it_unread_and_passes_it_on(self, number: int, user: Ref) -> None:
        key, update = self.known(number), f"UPDATE {TABLE} SET read_at = NULL, user_id = %s WHERE id = %s"
        self.lab.ask(Caller("service"), update, [user, key], write=True)
        self.table = [replace(n, read_at=None, user_id=user) if n.id == key else n for n in self.table]

    @invariant()
    def every_column_is_as_in_the_model(self) -> None:
        assert stored(self.lab) == model.as_rows(self.table)


def test_requests_one_after_the_other(lab: Lab) -> None:
    """send_notification, mark_notifications_read, get_unread_count, get_unread_counts, get_notifications_page."""
    machine = type("Requests", (Requests,), {"lab": lab})
    run_state_machine_as_test(machine, settings=options(25, stateful_step_count=20))
