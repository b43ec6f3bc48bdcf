"""The audit trail: every signed-in user reads it and adds entries about their own actions; no client changes it."""

from rolecall import FindChanges, Session, World, grid, inserted

TABLE = "audit.audit_logs"

test_grid = grid(
    TABLE,
    """
                                      select   insert     update   delete   blame another
    # The third word is an upsert: it needs the privilege UPDATE.
    owner's entry
      owner                           yes      yes/yes/!  !        !        !
      customer, other_customer, staff, other_staff, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !          !        !        !
      no_subject                      -        !          !        !        !
      granted_anon                    -        !          -        -        -
      anon                            !        !          !        !        !
      service                         yes      yes/yes/!  !        !        !

    customer's entry
      customer                        yes      yes/yes/!  !        !        !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !          !        !        !
      no_subject                      -        !          !        !        !
      granted_anon                    -        !          -        -        -
      anon                            !        !          !        !        !
      service                         yes      yes/yes/!  !        !        !

    nobody's entry
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !          !        !        !
      no_subject                      -        !          !        !        !
      granted_anon                    -        !          -        -        -
      anon                            !        !          !        !        !
      service                         yes      yes/yes/!  !        !        !
    """,
    update="reason = 'changed'",
    moves={"blame another": "actor_id = {other_customer}"},
    decided_by=["actor_id"],
    changes={},
)


def test_entries_outlive_the_profile_of_their_actor(db: Session, world: World, changes: FindChanges) -> None:
    entry_id, actor = world.row(TABLE, "customer's entry")["id"], world.personas["customer"].subject
    with changes() as changed:
        db.execute("DELETE FROM identity.profiles WHERE id = %s", [actor])
    # What else is deleted with a profile is up to the application.
    of_the_log = [change for change in changed.found or [] if change.name == TABLE]
    assert [(change.kind, str(change.key[0]), dict(change.values)) for change in of_the_log] == [
        ("updated", entry_id, {"actor_id": None})
    ]
    assert changed != []
    with db.acting_as("owner"):
        assert db.value(f"SELECT count(*) FROM {TABLE} WHERE id = %s", [entry_id]) == 1


def test_no_persona_truncates_the_log(db: Session, world: World, changes: FindChanges) -> None:
    with changes() as changed:
        for persona in world.personas:
            with db.acting_as(persona), db.raises("42501", message="permission denied for"):
                db.execute(f"TRUNCATE {TABLE}")
    assert changed == []


def test_only_the_service_adds_an_entry_without_an_actor(db: Session, changes: FindChanges) -> None:
    entry = f"INSERT INTO {TABLE} (entity_type, action, actor_id) VALUES ('salon', 'update', NULL)"
    with changes() as changed:
        with db.acting_as("customer"), db.raises("42501", message="row-level security"):
            db.execute(entry)
        with db.acting_as("service"):
            assert db.execute(entry).rowcount == 1
    now = db.value("SELECT now()")
    assert changed == [inserted(TABLE, id=object, entity_type="salon", action="update", created_at=now, metadata={})]
