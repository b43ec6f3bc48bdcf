"""Threads: only the two participants read and write them, and nobody does after the deletion."""

from datetime import datetime

import pytest

from rolecall import FindChanges, Session, World, deleted, grid, updated
from tests.functions.calls import set_claims

TABLE = "communication.message_threads"

test_grid = grid(
    TABLE,
    """
                             select   insert   update   delete   forge sender   forge recipient   mark deleted   unmark
    customer to staff
      customer               yes      yes      yes      yes      !              !                 !              !
      staff                  yes      !        yes      yes      !              !                 !              !
      other_customer, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon -        !        -        -        -              -                 -              -
      anon                   !        !        !        !        !              !                 !              !
      service                yes      yes      yes      yes      yes            yes               yes            yes

    owner to customer
      owner                  yes      yes      yes      yes      !              !                 !              !
      customer               yes      !        yes      yes      !              !                 !              !
      other_customer, staff, other_staff, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon -        !        -        -        -              -                 -              -
      anon                   !        !        !        !        !              !                 !              !
      service                yes      yes      yes      yes      yes            yes               yes            yes

    strangers to customer and staff
      other_owner            yes      yes      yes      yes      !              !                 !              !
      other_customer         yes      !        yes      yes      !              !                 !              !
      customer, staff, other_staff, owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon -        !        -        -        -              -                 -              -
      anon                   !        !        !        !        !              !                 !              !
      service                yes      yes      yes      yes      yes            yes               yes            yes

    # Both participants can no longer read, change or restore it. Only the INSERT policy accepts a deleted thread: the
    # SELECT policy refuses it with RETURNING.
    deleted by customer or staff
      customer               -        yes/!    -        -        -              -                 -              -
      staff, other_customer, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon -        !        -        -        -              -                 -              -
      anon                   !        !        !        !        !              !                 !              !
      service                yes      yes      yes      yes      yes            yes               yes            yes

    # is_deleted may be NULL (F43). It counts as deleted.
    neither deleted nor not
      customer               -        yes/!    -        -        -              -                 -              -
      staff, other_customer, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon -        !        -        -        -              -                 -              -
      anon                   !        !        !        !        !              !                 !              !
      service                yes      yes      yes      yes      yes            yes               yes            yes
    """,
    # The texts stay as long as they are.
    update="unread_count = 5000",
    moves={
        "forge sender": "created_by_id = {former_staff}",
        "forge recipient": "recipient_id = {former_staff}",
        "mark deleted": "is_deleted = true",
        "unmark": "is_deleted = NULL",
    },
    decided_by=["created_by_id", "recipient_id", "is_deleted"],
    # The rows of a participant stay, and are marked. The service deletes them.
    changes={"delete": {"is_deleted": True, "updated_at": datetime}},
)

# The token of a server may name a user: a participant, or somebody else.
any_subject = pytest.mark.parametrize(
    "subject",
    [
        pytest.param(None, id="without a subject"),
        pytest.param("customer", id="as a participant"),
        pytest.param("owner", id="as another"),
    ],
)

COUNT = f"SELECT count(*) FROM {TABLE} WHERE id = %s"


def name_subject(db: Session, world: World, subject: str | None) -> None:
    """Give the token of the service a subject."""
    if subject:
        set_claims(db, role="service_role", sub=world.personas[subject].subject)


def thread(world: World, name: str) -> str:
    """The id of a thread of the world."""
    return str(world.row(TABLE, name)["id"])


@pytest.mark.parametrize("participant", ["customer", "staff"])
def test_deleting_hides_the_thread_from_both_and_keeps_the_row(
    db: Session, world: World, changes: FindChanges, participant: str
) -> None:
    thread_id = thread(world, "customer to staff")
    with changes() as changed, db.acting_as(participant):
        db.execute(f"DELETE FROM {TABLE} WHERE id = %s", [thread_id])
    assert changed == [updated(TABLE, thread_id, is_deleted=True, updated_at=db.value("SELECT now()"))]
    for person in ("customer", "staff"):
        with db.acting_as(person):
            assert db.value(COUNT, [thread_id]) == 0


@pytest.mark.parametrize("participant", ["customer", "staff"])
def test_deleting_all_deletes_the_own_ones(db: Session, world: World, changes: FindChanges, participant: str) -> None:
    names = {"customer": ["customer to staff", "owner to customer"], "staff": ["customer to staff"]}[participant]
    with changes() as changed, db.acting_as(participant):
        db.execute(f"DELETE FROM {TABLE}")
    now = db.value("SELECT now()")
    assert changed == [updated(TABLE, thread(world, name), is_deleted=True, updated_at=now) for name in names]


@pytest.mark.parametrize("opener", ["customer", "staff"])
def test_a_deleted_thread_makes_room_for_a_new_one(db: Session, world: World, opener: str) -> None:
    pair = {name: world.personas[name].subject for name in ("customer", "staff")}
    recipient = next(key for name, key in pair.items() if name != opener)
    insert = f"INSERT INTO {TABLE} (created_by_id, recipient_id) VALUES (%s, %s)"
    with db.acting_as(opener):
        with db.raises("23505", constraint="idx_message_threads_unique_active"):
            db.execute(insert, [pair[opener], recipient])
        db.execute(f"DELETE FROM {TABLE} WHERE id = %s", [thread(world, "customer to staff")])
        assert db.execute(insert, [pair[opener], recipient]).rowcount == 1


@any_subject
def test_the_service_deletes_the_row(db: Session, world: World, changes: FindChanges, subject: str | None) -> None:
    thread_id = thread(world, "customer to staff")
    with changes() as changed, db.acting_as("service"):
        name_subject(db, world, subject)
        assert db.execute(f"DELETE FROM {TABLE} WHERE id = %s", [thread_id]).rowcount == 1
    assert changed == [deleted(TABLE, thread_id)]


def test_a_thread_is_deleted_with_its_profile(db: Session, world: World) -> None:
    thread_id = thread(world, "customer to staff")
    db.execute("DELETE FROM identity.profiles WHERE id = %s", [world.personas["staff"].subject])
    assert db.value(COUNT, [thread_id]) == 0


def test_a_thread_is_deleted_with_its_profile_by_the_user(db: Session, world: World) -> None:
    # The cascade runs as the owner of the table, also in a statement of a user to whom the policies apply.
    thread_id, me = thread(world, "customer to staff"), world.personas["staff"].subject
    db.execute("GRANT DELETE ON identity.profiles TO authenticated")
    db.execute("CREATE POLICY mine ON identity.profiles FOR DELETE TO authenticated USING (id = auth.uid())")
    with db.acting_as("staff"):
        assert db.execute("DELETE FROM identity.profiles WHERE id = %s", [me]).rowcount == 1
    assert db.value(COUNT, [thread_id]) == 0


def test_an_update_may_name_the_same_participants(db: Session, world: World, changes: FindChanges) -> None:
    # An upsert of the whole row does that.
    thread_id = thread(world, "customer to staff")
    same = "created_by_id = created_by_id, recipient_id = recipient_id"
    with changes() as changed, db.acting_as("staff"):
        update = f"UPDATE {TABLE} SET {same}, subject = 'changed' WHERE id = %s"
        assert db.execute(update, [thread_id]).rowcount == 1
    assert changed == [updated(TABLE, thread_id, subject="changed")]


@any_subject
def test_the_service_may_exchange_the_participants(
    db: Session, world: World, changes: FindChanges, subject: str | None
) -> None:
    row = world.row(TABLE, "customer to staff")
    with changes() as changed, db.acting_as("service"):
        name_subject(db, world, subject)
        update = f"UPDATE {TABLE} SET created_by_id = recipient_id, recipient_id = created_by_id WHERE id = %s"
        assert db.execute(update, [row["id"]]).rowcount == 1
    assert changed == [updated(TABLE, row["id"], created_by_id=row["recipient_id"], recipient_id=row["created_by_id"])]


@pytest.mark.parametrize("participant", ["customer", "staff"])
def test_the_participants_cannot_be_exchanged(
    db: Session, world: World, changes: FindChanges, participant: str
) -> None:
    refused = db.raises("42501", message="the participants of a thread cannot be changed")
    with changes() as changed, db.acting_as(participant), refused:
        update = f"UPDATE {TABLE} SET created_by_id = recipient_id, recipient_id = created_by_id WHERE id = %s"
        db.execute(update, [thread(world, "customer to staff")])
    assert changed == []


@pytest.mark.parametrize(("participant", "other"), [("customer", "recipient_id"), ("staff", "created_by_id")])
def test_a_participant_cannot_become_null(db: Session, world: World, participant: str, other: str) -> None:
    with db.acting_as(participant), db.raises("42501", message="the participants of a thread cannot be changed"):
        db.execute(f"UPDATE {TABLE} SET {other} = NULL WHERE id = %s", [thread(world, "customer to staff")])


def test_the_policy_refuses_a_thread_with_oneself(db: Session, world: World) -> None:
    me = world.personas["customer"].subject
    with db.acting_as("customer"), db.raises("42501", message="row-level security"):
        db.execute(f"INSERT INTO {TABLE} (created_by_id, recipient_id) VALUES (%s, %s)", [me, me])


def test_without_the_trigger_the_policy_refuses_other_participants(db: Session, world: World) -> None:
    # Without the trigger, which runs first, WITH CHECK must refuse.
    db.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
    strangers = [world.personas[name].subject for name in ("owner", "other_staff")]
    with db.acting_as("customer"), db.raises("42501", message="row-level security"):
        db.execute(f"UPDATE {TABLE} SET created_by_id = %s, recipient_id = %s", strangers)
