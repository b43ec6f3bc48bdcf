"""Booked services: the customer and the salon read them, its staff writes them, and no client deletes them."""

import pytest

from rolecall import FindChanges, Session, World, deleted, grid, updated

TABLE = "scheduling.appointment_services"

test_grid = grid(
    "scheduling.appointment_services",
    """
                                      select   insert   update   delete   move in the salon   move to another salon
    customer at the salon
      customer                        yes      !        -        !        -                   -
      staff, staff_of_both            yes      yes      yes      !        yes                 !
      owner                           yes      !        -        !        -                   -
      other_customer, other_staff, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes

    other customer at the salon
      other_customer                  yes      !        -        !        -                   -
      staff, staff_of_both            yes      yes      yes      !        yes                 !
      owner                           yes      !        -        !        -                   -
      customer, other_staff, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes

    # A staff member of another salon who is a customer of this one.
    staff customer at the salon
      staff_customer                  yes      !        -        !        -                   -
      staff, staff_of_both            yes      yes      yes      !        yes                 !
      owner                           yes      !        -        !        -                   -
      customer, other_customer, other_staff, other_owner,
      former_staff, owner_on_staff    -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes

    customer at the other salon
      customer                        yes      !        -        !        -                   -
      other_staff,
      staff_customer, staff_of_both   yes      yes      yes      !        !                   yes
      other_owner                     yes      !        -        !        -                   -
      other_customer, staff, owner,
      former_staff, owner_on_staff    -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes

    # An owner counts as staff only with a staff profile, as the plan has it.
    customer at the solo salon
      customer                        yes      !        -        !        -                   -
      owner_on_staff                  yes      yes      yes      !        !                   !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, staff_customer    -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes

    # Its appointment has no customer. Its service and its member of the staff are another salon's.
    walk-in at the salon
      staff, staff_of_both            yes      yes      yes      !        yes                 !
      owner                           yes      !        -        !        -                   -
      customer, other_customer, other_staff, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes

    # The second salon of its owner. It has no staff.
    customer at the empty salon
      customer, other_owner           yes      !        -        !        -                   -
      other_customer, staff, other_staff, owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  -        !        -        !        -                   -
      no_subject                      -        !        -        !        -                   -
      granted_anon                    -        !        -        -        -                   -
      anon                            !        !        !        !        !                   !
      service                         yes      yes      yes      yes      yes                 yes
    """,
    update="service_name = 'changed'",
    moves={
        "move in the salon": "appointment_id = {same_salon_appointment}",
        "move to another salon": "appointment_id = {other_salon_appointment}",
    },
    decided_by=[
        "appointment_id",
        "scheduling.appointments.customer_id",
        "scheduling.appointments.salon_id",
        "organization.salons.owner_id",
        "organization.staff_profiles.salon_id",
        "organization.staff_profiles.user_id",
    ],
    changes={},
)


def test_a_former_member_of_the_staff_loses_access_at_once(db: Session, world: World) -> None:
    own_id = world.row("scheduling.appointment_services", "customer at the salon")["id"]
    query = "SELECT count(*) FROM scheduling.appointment_services WHERE id = %s"
    with db.acting_as("staff"):
        assert db.value(query, [own_id]) == 1
    staff = world.row("organization.staff_profiles", "staff")["id"]
    db.execute("DELETE FROM organization.staff_profiles WHERE id = %s", [staff])
    with db.acting_as("staff"):
        assert db.value(query, [own_id]) == 0
        cursor = db.execute("UPDATE scheduling.appointment_services SET service_name = 'mine'")
        assert cursor.rowcount == 0


@pytest.mark.parametrize("target", [{"same_salon_appointment"}, {"other_salon_appointment"}], ids=lambda one: min(one))
def test_the_service_moves_the_row_alone(db: Session, world: World, changes: FindChanges, target: set[str]) -> None:
    own_id, appointment = world.row(TABLE, "customer at the salon")["id"], world.names()[min(target)]
    with changes() as changed, db.acting_as("service"):
        db.execute(f"UPDATE {TABLE} SET appointment_id = %s WHERE id = %s", [appointment, own_id])
    assert changed == [updated(TABLE, own_id, appointment_id=appointment)]


def test_the_service_outlives_the_member_of_the_staff(db: Session, world: World, changes: FindChanges) -> None:
    staff = world.row("organization.staff_profiles", "staff")["id"]
    with changes() as changed:
        db.execute("DELETE FROM organization.staff_profiles WHERE id = %s", [staff])
    assert [change for change in changed.found or [] if change.name == TABLE]
    assert changed == [
        deleted("organization.staff_profiles", staff),
        *(
            updated(TABLE, row["id"], staff_id=None)
            for row in world.rows[TABLE].values()
            if row.get("staff_id") == staff
        ),
        *(
            deleted("scheduling.blocked_times", row["id"])
            for row in world.rows["scheduling.blocked_times"].values()
            if row.get("staff_id") == staff
        ),
    ]


def test_staff_of_two_salons_cannot_move_a_service_between_them(db: Session, world: World) -> None:
    member = world.personas["staff"].subject
    other_salon = world.row("organization.salons", "other_salon")["id"]
    db.execute("INSERT INTO organization.staff_profiles (salon_id, user_id) VALUES (%s, %s)", [other_salon, member])
    own_id = world.row("scheduling.appointment_services", "customer at the salon")["id"]
    other_id = world.row("scheduling.appointments", "customer at the other salon")["id"]
    move = "UPDATE scheduling.appointment_services SET appointment_id = %s WHERE id = %s"
    with db.acting_as("staff"):
        assert db.execute(
            "UPDATE scheduling.appointment_services SET service_name = 'x' WHERE id = %s", [own_id]
        ).rowcount
        with db.raises("42501", message="salon"):
            db.execute(move, [other_id, own_id])


@pytest.mark.parametrize("target", ["gen_random_uuid()", "NULL"], ids=["unknown", "NULL"])
def test_an_unknown_appointment_is_refused(db: Session, world: World, target: str) -> None:
    own_id = world.row("scheduling.appointment_services", "customer at the salon")["id"]
    with db.acting_as("staff"), db.raises("42501", message="cannot move to another salon's appointment"):
        db.execute(f"UPDATE scheduling.appointment_services SET appointment_id = {target} WHERE id = %s", [own_id])


def test_without_the_trigger_the_policy_refuses_the_move(db: Session, world: World) -> None:
    # Without the trigger, which runs first, WITH CHECK must refuse: also if the staff can read the appointment of the
    # other salon.
    db.execute("ALTER TABLE scheduling.appointment_services DISABLE TRIGGER USER")
    db.execute("CREATE POLICY everybody ON scheduling.appointments FOR SELECT USING (true)")
    own_id = world.row("scheduling.appointment_services", "customer at the salon")["id"]
    other_id = world.row("scheduling.appointments", "customer at the other salon")["id"]
    move = "UPDATE scheduling.appointment_services SET appointment_id = %s"
    with db.acting_as("staff"):
        with db.raises("42501", message="row-level security"):
            db.execute(move + " WHERE id = %s", [other_id, own_id])
        with db.raises("42501", message="row-level security"):
            db.execute(move, [other_id])
