"""The model of message threads and of their soft delete, phase 1.2: what each request does, and to which thread.

Only the participants see a thread, as long as it is not deleted. They may change everything but who takes part and
whether it is deleted. DELETE of a participant marks the thread; that of the service deletes the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

from tests.models.terms import Answer, Caller, Ref, Refused

ALREADY_ACTIVE = Refused("23505")
NOT_ALLOWED = Refused("42501", "row-level security")
KEEP_PARTICIPANTS = Refused("42501", "the participants of a thread cannot be changed")
NOT_FOR_ANON = Refused("42501", "permission denied for table message_threads")

Change = Mapping[str, object]  # values by column


@dataclass(frozen=True)
class Thread:
    """A row of communication.message_threads. Times are in seconds since 1970; JSON is text."""

    id: UUID
    created_by_id: Ref
    recipient_id: Ref
    created_at: Decimal | None
    subject: str | None = None
    description: str | None = None
    is_archived: bool | None = False
    is_deleted: bool | None = False
    last_message_at: Decimal | None = None
    unread_count: int | None = 0
    updated_at: Decimal | None = None
    metadata: str | None = "{}"
    salon_id: Ref | None = None
    appointment_id: Ref | None = None

    @property
    def pair(self) -> frozenset[Ref]:
        return frozenset((self.created_by_id, self.recipient_id))

    @property
    def is_active(self) -> bool:
        return self.is_deleted is False

    def seen_by(self, caller: Caller) -> bool:
        return caller.is_service or (self.is_active and caller.uid in self.pair)

    @property
    def broken_check(self) -> Refused | None:
        """The CHECK that the row violates. One that is NULL holds."""
        late = None not in (self.last_message_at, self.created_at) and self.last_message_at < self.created_at  # type: ignore[operator]
        negative = self.unread_count is not None and self.unread_count < 0
        return Refused("23514") if len(self.pair) == 1 or late or negative else None


@dataclass
class Threads:
    """All threads by id, and what requests do to them. Each request returns what the caller gets."""

    now: Decimal
    rows: dict[UUID, Thread] = field(default_factory=dict)

    def read(self, caller: Caller) -> Answer:
        """The ids of the threads that the caller sees, in order."""
        if caller.is_anon:
            return NOT_FOR_ANON
        return [(key,) for key in sorted(self.rows) if self.rows[key].seen_by(caller)]

    def open(self, caller: Caller, thread: Thread) -> Answer:
        """A new thread, which a user opens only as the sender; two people have one active thread at most."""
        if caller.is_anon:
            return NOT_FOR_ANON
        if not caller.is_service and (caller.uid != thread.created_by_id or len(thread.pair) == 1):
            return NOT_ALLOWED
        return self._store(thread)

    def change(self, caller: Caller, key: UUID, change: Change) -> Answer:
        """An update of one thread. It finds no thread that the caller does not see."""
        if caller.is_anon:
            return NOT_FOR_ANON
        before = self.rows.get(key)
        if not before or not before.seen_by(caller):
            return [(0,)]
        after = replace(before, **change)  # type: ignore[arg-type]
        if not caller.is_service:
            if (after.created_by_id, after.recipient_id) != (before.created_by_id, before.recipient_id):
                return KEEP_PARTICIPANTS
            if not after.is_active:
                return NOT_ALLOWED
        return self._store(after)

    def delete(self, caller: Caller, key: UUID) -> Answer:
        """A participant marks the thread, and the answer counts no row. The service deletes it."""
        if caller.is_anon:
            return NOT_FOR_ANON
        if caller.is_service:
            return [(1 if self.rows.pop(key, None) else 0,)]
        thread = self.rows.get(key)
        if thread and thread.seen_by(caller):
            self.rows[key] = replace(thread, is_deleted=True, updated_at=self.now)
        return [(0,)]

    def _store(self, thread: Thread) -> Answer:
        if thread.broken_check:
            return thread.broken_check
        others = (other for other in self.rows.values() if other.id != thread.id and other.is_active)
        if thread.is_active and any(other.pair == thread.pair for other in others):
            return ALREADY_ACTIVE
        self.rows[thread.id] = thread
        return [(1,)]
