"""Message threads do what their model does, request after request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields, replace
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.models.lab import Lab, options
from tests.models.terms import Answer, Caller, Columns, Ref, one_form, person, same
from tests.models.threads import Change, Thread, Threads
from tests.models.values import JSON_VALUES, NOBODY, NOW, STEPS, TEXTS, Picker, clamped, lie, pickers, sessions

TABLE = "communication.message_threads"
NAMES = [each.name for each in fields(Thread)]
MOMENTS = ("created_at", "last_message_at", "updated_at")
JSON = "metadata"
READ = ", ".join(
    f"extract(epoch FROM {name})" if name in MOMENTS else f"{name}::text" if name == JSON else name for name in NAMES
)

people = st.sampled_from(("customer", "staff", "owner")).map(person)
callers = st.sampled_from(("customer", "customer", "staff", "staff", "owner", "no_subject", "anon", "service")).flatmap(
    lambda name: st.sampled_from(
        (Caller(name), Caller(name, lie(person("customer"), "service_role").claims, {"x-user-id": person("customer")}))
        if name not in ("anon", "no_subject")
        else (Caller(name),)
    )
)
# The token of a server may name a user: it stays the service.
callers = callers.flatmap(
    lambda caller: (
        st.sampled_from((caller, replace(caller, subject=person("customer")))) if caller.is_service else st.just(caller)
    )
)
moments = st.sampled_from((NOW - 86400, NOW, NOW + Decimal("0.000001"), NOW + 86400, Decimal("Infinity"), None))
flags = st.sampled_from((False, False, True, None))
changes: st.SearchStrategy[Change] = st.fixed_dictionaries(
    {},
    optional={
        "subject": st.sampled_from([text for text in TEXTS if len(text) <= 500]),
        "description": st.sampled_from((*TEXTS, None)),
        "is_archived": flags,
        "unread_count": st.sampled_from((0, 1, -1, 2_147_483_647, None)),
        "last_message_at": moments,
        "metadata": st.sampled_from((*JSON_VALUES, None)),
    },
)


PAIRS = tuple(permutations(map(person, ("customer", "staff", "owner")), 2))
SUBJECTS = [text for text in TEXTS if len(text) <= 500]


def some_threads(pick: Picker) -> list[Thread]:
    """An active thread of most pairs, and deleted ones."""
    active = [pair for pair in PAIRS if pair[0] < pair[1] and pick.random.random() < 0.8]
    others = pick.random.sample(PAIRS, 3)
    return [thread(pick, pair, False) for pair in active] + [
        thread(pick, pair, pick("is_deleted", [True, None])) for pair in others
    ]


def thread(pick: Picker, pair: tuple[Ref, Ref], deleted: bool | None) -> Thread:
    created_at, (sender, recipient) = pick.moment("created_at"), pick.random.sample(pair, 2)
    return Thread(
        id=pick.id(),
        created_by_id=sender,
        recipient_id=recipient,
        created_at=created_at,
        subject=pick("subject", SUBJECTS, [None]),
        description=pick("description", TEXTS, [None]),
        is_archived=pick("is_archived", (False, True, None)),
        is_deleted=deleted,
        last_message_at=pick.random.choice([created_at, None]),
        unread_count=pick("unread_count", (0, 1, 7, None)),
        updated_at=pick.moment("updated_at"),
        metadata=pick("metadata", JSON_VALUES, [None]),
    )


class Requests(RuleBasedStateMachine):
    """Requests of the participants, of others and of the service."""

    lab: Lab

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()

    @initialize(setting=sessions, pick=pickers)
    def start(self, setting: Columns, pick: Any) -> None:
        rows = some_threads(pick)
        self.stack.enter_context(self.lab.example(setting, {TABLE: rows}))
        self.pick, self.threads = pick, Threads(self.lab.now, {row.id: row for row in rows})

    def teardown(self) -> None:
        self.stack.close()

    def known(self, number: int) -> UUID:
        """One of the threads, or the id of none."""
        keys = [*self.threads.rows, NOBODY]
        return keys[number % len(keys)]

    def ask(self, caller: Caller, query: str, params: Any, expected: Callable[[], Answer]) -> None:
        answer = self.lab.ask(caller, query, params, write=True)
        assert same(answer, expected()), answer

    @rule(caller=callers, sender=people, recipient=people, change=changes, deleted=flags, created_at=moments)
    def open(
        self, caller: Caller, sender: Any, recipient: Any, change: Change, deleted: bool | None, created_at: Any
    ) -> None:
        """A thread, mostly of the caller."""
        if caller.uid and sender != recipient and caller.uid != recipient:
            sender = caller.uid
        columns = {**change, "is_deleted": deleted, "created_at": created_at}
        thread = Thread(id=self.pick.id(), created_by_id=sender, recipient_id=recipient, **columns)
        sent = {"id": thread.id, "created_by_id": sender, "recipient_id": recipient, **columns}
        places = ", ".join(["%s"] * len(sent))
        insert = f"INSERT INTO {TABLE} ({', '.join(sent)}) VALUES ({places})"
        self.ask(caller, insert, list(sent.values()), lambda: self.threads.open(caller, thread))

    @rule(caller=callers, sender=people, recipient=people)
    def open_with_defaults(self, caller: Caller, sender: Any, recipient: Any) -> None:
        thread = Thread(self.pick.id(), caller.uid or sender, recipient, self.lab.now)
        insert = f"INSERT INTO {TABLE} (id, created_by_id, recipient_id) VALUES (%s, %s, %s)"
        params = [thread.id, thread.created_by_id, recipient]
        self.ask(caller, insert, params, lambda: self.threads.open(caller, thread))

    @rule(caller=callers, number=st.integers(0, 9), change=changes.filter(bool))
    def edit(self, caller: Caller, number: int, change: Change) -> None:
        self.update(caller, self.known(number), change)

    @rule(caller=callers, number=st.integers(0, 9), step=st.sampled_from((*STEPS, Decimal(0))))
    def write_a_message(self, caller: Caller, number: int, step: Decimal) -> None:
        """The last message is at the time of the thread, a little before or a little after it."""
        thread = self.threads.rows.get(self.known(number))
        if thread and thread.created_at and thread.created_at.is_finite():
            self.update(caller, thread.id, {"last_message_at": clamped(thread.created_at + step)})

    @rule(caller=callers, number=st.integers(0, 9), deleted=flags)
    def delete_or_restore_by_update(self, caller: Caller, number: int, deleted: bool | None) -> None:
        self.update(caller, self.known(number), {"is_deleted": deleted})

    @rule(caller=callers, number=st.integers(0, 9), sender=people, recipient=people)
    def change_participants(self, caller: Caller, number: int, sender: Any, recipient: Any) -> None:
        self.update(caller, self.known(number), {"created_by_id": sender, "recipient_id": recipient})

    @rule(caller=callers, number=st.integers(0, 9))
    def swap_participants(self, caller: Caller, number: int) -> None:
        if thread := self.threads.rows.get(self.known(number)):
            change = {"created_by_id": thread.recipient_id, "recipient_id": thread.created_by_id}
            self.update(caller, thread.id, change)

    def update(self, caller: Caller, key: UUID, change: Change) -> None:
        sets = ", ".join(f"{name} = %s" for name in change)
        query, params = f"UPDATE {TABLE} SET {sets} WHERE id = %s", [*change.values(), key]
        self.ask(caller, query, params, lambda: self.threads.change(caller, key, change))

    @rule(caller=callers, number=st.integers(0, 9))
    def delete(self, caller: Caller, number: int) -> None:
        key = self.known(number)
        self.ask(caller, f"DELETE FROM {TABLE} WHERE id = %s", [key], lambda: self.threads.delete(caller, key))

    @rule(caller=callers)
    def read(self, caller: Caller) -> None:
        answer = self.lab.ask(caller, f"SELECT id FROM {TABLE} ORDER BY id")
        assert same(answer, self.threads.read(caller)), answer

    @invariant()
    def every_column_is_as_in_the_model(self) -> None:
        rows = self.lab.db.rows(f"SELECT {READ} FROM {TABLE}")
        stored = [Thread(*(self.lab.shown(value) for value in row)) for row in rows]
        assert in_order(stored) == in_order(self.threads.rows.values())


def in_order(threads: Any) -> list[dict[str, Any]]:
    rows = [{**vars(thread), JSON: one_form(thread.metadata)} for thread in threads]
    return sorted(rows, key=lambda row: row["id"].int)


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.empty(TABLE)
    lab.let_anon_in("communication")
    return lab


def test_requests_one_after_the_other(lab: Lab) -> None:
    """message_threads, soft_delete_thread and keep_thread_participants, as their model."""
    machine = type("Requests", (Requests,), {"lab": lab})
    run_state_machine_as_test(machine, settings=options(40, stateful_step_count=25))
