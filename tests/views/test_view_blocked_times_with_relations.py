"""view_blocked_times_with_relations: blocked times with staff member and appointment. Values that the reader
may not read are NULL."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from rolecall import Session, World

BLOCKED = "scheduling.blocked_times"
STAFF = "organization.staff_profiles"
APPOINTMENTS = "scheduling.appointments"
PROFILES = "identity.profiles"

# A pause may have no appointment, no member of the staff, or one without an account.
OF_THE_SALON = {"staff's pause", "staff's pause without an appointment", "a pause without an account"}

VISIBLE: dict[str, set[str]] = {
    "customer": set(),
    "other_customer": set(),
    "staff": OF_THE_SALON,
    "other_staff": {"other staff's pause"},
    "owner": OF_THE_SALON,
    "other_owner": {"other staff's pause"},
    "former_staff": set(),
    "owner_on_staff": {"solo owner's pause"},
    "staff_customer": {"other staff's pause"},
    "staff_of_both": OF_THE_SALON | {"other staff's pause"},
    "no_subject": set(),
    "granted_anon": set(),
    "service": OF_THE_SALON | {"other staff's pause", "solo owner's pause", "nobody's pause"},
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA scheduling, organization, identity TO anon;
    GRANT ALL ON scheduling.view_blocked_times_with_relations, scheduling.blocked_times, scheduling.appointments,
      organization.staff_profiles, identity.profiles TO anon
"""

RELATIONS = """
    SELECT staff_user_id::text, staff_username, staff_email,
           appointment_salon_id::text, appointment_customer_id::text, appointment_date
    FROM scheduling.view_blocked_times_with_relations
    WHERE id = %s
"""


def block(db: Session, world: World, member: str, appointment: str | None = None, deleted: bool | None = False) -> str:
    """Insert a blocked time of a staff member, as the superuser; returns its id."""
    return str(
        db.value(
            """
            INSERT INTO scheduling.blocked_times (staff_id, appointment_id, is_deleted)
            VALUES (%s, %s, %s)
            RETURNING id
            """,
            [
                world.row(STAFF, member)["id"],
                world.row(APPOINTMENTS, appointment)["id"] if appointment else None,
                deleted,
            ],
        )
    )


def staff_columns(world: World, person: str) -> tuple[Any, ...]:
    """The columns of a staff member, as a reader of the profile sees them."""
    profile = world.row(PROFILES, person)
    return profile["id"], profile["username"], profile["email"]


def staff_columns_without_name(world: World, person: str) -> tuple[Any, ...]:
    """The columns of a staff member, as other readers see them."""
    return world.row(PROFILES, person)["id"], None, None


def appointment_columns(world: World, name: str) -> tuple[Any, ...]:
    """The columns of an appointment."""
    appointment = world.row(APPOINTMENTS, name)
    return appointment["salon_id"], appointment["customer_id"], appointment["scheduled_date"]


NULLS = (None, None, None)


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_table_shows(persona: str, db: Session, world: World) -> None:
    keys = {
        **{name: row["id"] for name, row in world.rows[BLOCKED].items()},
        "other staff's pause": block(db, world, "other_staff"),
        "solo owner's pause": block(db, world, "owner_on_staff"),
    }
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows("SELECT id::text FROM scheduling.view_blocked_times_with_relations ORDER BY 1")
        table_rows = db.rows("SELECT id::text FROM scheduling.blocked_times WHERE is_deleted = false ORDER BY 1")
    assert view_rows == table_rows == sorted((keys[name],) for name in VISIBLE[persona])


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA scheduling TO anon")  # then it is the view that refuses
    with (
        db.reading_as("anon"),
        db.raises("42501", message="permission denied for view view_blocked_times_with_relations"),
    ):
        db.rows("SELECT id FROM scheduling.view_blocked_times_with_relations")


@pytest.mark.parametrize("persona", ["other_staff", "service"])
@pytest.mark.parametrize(
    ("deleted", "is_shown"),
    [
        pytest.param(False, True, id="not deleted"),
        pytest.param(True, False, id="deleted"),
        pytest.param(None, False, id="neither deleted nor not"),
    ],
)
def test_only_rows_with_is_deleted_false_are_shown(
    persona: str, deleted: bool | None, is_shown: bool, db: Session, world: World
) -> None:
    key = block(db, world, "other_staff", deleted=deleted)
    with db.reading_as(persona):
        table_rows = db.rows("SELECT is_deleted FROM scheduling.blocked_times WHERE id = %s", [key])
        view_rows = db.rows("SELECT is_deleted FROM scheduling.view_blocked_times_with_relations WHERE id = %s", [key])
    assert table_rows == [(deleted,)]
    assert view_rows == ([(False,)] if is_shown else [])


def test_every_column_is_the_stored_value(db: Session, world: World) -> None:
    key, staff = UUID("00000000-0000-4000-8000-000000000042"), world.row(STAFF, "staff")["id"]
    appointment = world.row(APPOINTMENTS, "customer at the salon again")["id"]
    start, end, created, updated = (datetime(2024, 3, day, 9, 30, tzinfo=UTC) for day in (3, 4, 1, 2))
    db.execute(
        """
        INSERT INTO scheduling.blocked_times
          (id, staff_id, appointment_id, reason, blocked_from, blocked_until, is_deleted, created_at, updated_at)
        VALUES (%s, %s, %s, 'Cleaning up', %s, %s, false, %s, %s)
        """,
        [key, staff, appointment, start, end, created, updated],
    )
    with db.reading_as("staff"):
        row = db.row("SELECT * FROM scheduling.view_blocked_times_with_relations WHERE id = %s", [key])
    user, username, email = staff_columns(world, "staff")
    salon, customer, date = appointment_columns(world, "customer at the salon again")
    assert row == (
        *(key, UUID(staff), UUID(appointment), "Cleaning up", start, end, False, created, updated),
        *(UUID(user), username, email),
        *(UUID(salon), UUID(customer), date),
    )


@pytest.mark.parametrize("persona", ["staff", "owner", "service"])
def test_only_the_staff_member_and_the_service_see_the_name(persona: str, db: Session, world: World) -> None:
    with db.reading_as(persona):
        row = db.row(RELATIONS, [world.row(BLOCKED, "staff's pause")["id"]])
    columns = staff_columns_without_name(world, "staff") if persona == "owner" else staff_columns(world, "staff")
    assert row == (*columns, *appointment_columns(world, "customer at the salon"))


@pytest.mark.parametrize("persona", ["other_staff", "other_owner", "staff_customer", "service"])
def test_colleagues_see_the_appointment_and_no_name(persona: str, db: Session, world: World) -> None:
    key = block(db, world, "other_staff", "customer at the other salon")
    with db.reading_as(persona):
        row = db.row(RELATIONS, [key])
    columns = staff_columns if persona in {"other_staff", "service"} else staff_columns_without_name
    assert row == (*columns(world, "other_staff"), *appointment_columns(world, "customer at the other salon"))


@pytest.mark.parametrize("persona", ["staff", "owner", "service"])
def test_an_appointment_at_another_salon_is_null(persona: str, db: Session, world: World) -> None:
    key = block(db, world, "staff", "customer at the other salon")
    with db.reading_as(persona):
        row = db.row(RELATIONS, [key])
        appointment = db.value(
            "SELECT appointment_id::text FROM scheduling.view_blocked_times_with_relations WHERE id = %s", [key]
        )
    assert appointment == world.row(APPOINTMENTS, "customer at the other salon")["id"]
    assert (
        row
        == {
            "staff": (*staff_columns(world, "staff"), *NULLS),
            "owner": (*staff_columns_without_name(world, "staff"), *NULLS),
            "service": (*staff_columns(world, "staff"), *appointment_columns(world, "customer at the other salon")),
        }[persona]
    )


@pytest.mark.parametrize("persona", ["staff", "service"])
def test_a_blocked_time_needs_no_appointment(persona: str, db: Session, world: World) -> None:
    key = block(db, world, "staff")
    with db.reading_as(persona):
        assert db.row(RELATIONS, [key]) == (*staff_columns(world, "staff"), *NULLS)


@pytest.mark.parametrize("persona", ["customer", "other_customer"])
def test_a_visible_blocked_time_does_not_show_hidden_relations(persona: str, db: Session, world: World) -> None:
    db.execute('CREATE POLICY "All read all" ON scheduling.blocked_times FOR SELECT TO authenticated USING (true)')
    with db.reading_as(persona):
        row = db.row(RELATIONS, [world.row(BLOCKED, "staff's pause")["id"]])
    appointment = appointment_columns(world, "customer at the salon") if persona == "customer" else NULLS
    assert row == (*staff_columns_without_name(world, "staff"), *appointment)


def test_a_hidden_staff_profile_is_null(db: Session, world: World) -> None:
    db.execute(
        """
        CREATE POLICY "All read all" ON scheduling.blocked_times FOR SELECT TO authenticated USING (true);
        CREATE POLICY "Nobody reads" ON organization.staff_profiles AS RESTRICTIVE FOR SELECT USING (false)
        """
    )
    with db.reading_as("customer"):
        row = db.row(RELATIONS, [world.row(BLOCKED, "staff's pause")["id"]])
    assert row == (*NULLS, *appointment_columns(world, "customer at the salon"))
