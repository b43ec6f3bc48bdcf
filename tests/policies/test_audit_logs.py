"""The audit trail: every signed-in user reads it and adds entries about their own actions; no client changes it."""

from rolecall import Session, World, grid

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


def test_entries_outlive_the_profile_of_their_actor(db: Session, world: World) -> None:
    entry_id, actor = world.row(TABLE, "customer's entry")["id"], world.personas["customer"].subject
    count = db.value(f"SELECT count(*) FROM {TABLE}")
    db.execute("DELETE FROM identity.profiles WHERE id = %s", [actor])
    assert db.value(f"SELECT actor_id FROM {TABLE} WHERE id = %s", [entry_id]) is None
    assert db.value(f"SELECT count(*) FROM {TABLE}") == count
    with db.acting_as("owner"):
        assert db.value(f"SELECT count(*) FROM {TABLE} WHERE id = %s", [entry_id]) == 1


def test_no_persona_truncates_the_log(db: Session, world: World) -> None:
    for persona in world.personas:
        with db.acting_as(persona), db.raises("42501", message="permission denied for"):
            db.execute(f"TRUNCATE {TABLE}")


def test_only_the_service_adds_an_entry_without_an_actor(db: Session) -> None:
    entry = f"INSERT INTO {TABLE} (entity_type, action, actor_id) VALUES ('salon', 'update', NULL)"
    with db.acting_as("customer"), db.raises("42501", message="row-level security"):
        db.execute(entry)
    with db.acting_as("service"):
        assert db.execute(entry).rowcount == 1
