"""customer_favorites_view: the customer's own current favourites, with their salons."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from rolecall import Session, World

pytestmark = pytest.mark.rolecall_from_phase(1)

FAVORITES = "engagement.customer_favorites"
SALONS = "organization.salons"
PROFILES = "identity.profiles"

VISIBLE: dict[str, set[str]] = {
    "customer": {"customer's favourite"},
    "other_customer": {"other customer's favourite"},
    "staff": set(),
    "other_staff": set(),
    "owner": set(),
    "other_owner": set(),
    "former_staff": set(),
    "owner_on_staff": set(),
    "staff_customer": set(),
    "staff_of_both": set(),
    "no_subject": set(),
    "granted_anon": set(),
    "service": {"customer's favourite", "other customer's favourite"},
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA engagement, organization TO anon;
    GRANT ALL ON engagement.customer_favorites_view, engagement.customer_favorites, organization.salons TO anon
"""


def salon_columns(world: World, name: str) -> tuple[Any, ...]:
    """The columns of a salon that the view shows."""
    salon = world.row(SALONS, name)
    return salon["name"], salon["slug"], salon["description"], salon["image_url"]


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_table_shows(persona: str, db: Session, world: World) -> None:
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows("SELECT id::text FROM engagement.customer_favorites_view ORDER BY 1")
        table_rows = db.rows("SELECT id::text FROM engagement.customer_favorites WHERE is_favorite = true ORDER BY 1")
    assert view_rows == table_rows == sorted((world.row(FAVORITES, name)["id"],) for name in VISIBLE[persona])


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA engagement TO anon")  # then it is the view that refuses
    with db.reading_as("anon"), db.raises("42501", message="permission denied for view customer_favorites_view"):
        db.rows("SELECT id FROM engagement.customer_favorites_view")


@pytest.mark.parametrize("persona", ["staff_customer", "service"])
@pytest.mark.parametrize(
    ("favorite", "is_shown"),
    [
        pytest.param(True, True, id="favourite"),
        pytest.param(False, False, id="former favourite"),
        pytest.param(None, False, id="neither favourite nor not"),
    ],
)
def test_only_rows_with_is_favorite_true_are_shown(
    persona: str, favorite: bool | None, is_shown: bool, db: Session, world: World
) -> None:
    key = db.value(
        """
        INSERT INTO engagement.customer_favorites (customer_id, salon_id, is_favorite)
        VALUES (%s, %s, %s)
        RETURNING id
        """,
        [world.row(PROFILES, "staff_customer")["id"], world.row(SALONS, "salon")["id"], favorite],
    )
    with db.reading_as(persona):
        table_rows = db.rows("SELECT is_favorite FROM engagement.customer_favorites WHERE id = %s", [key])
        view_rows = db.rows("SELECT id FROM engagement.customer_favorites_view WHERE id = %s", [key])
    assert table_rows == [(favorite,)]
    assert view_rows == ([(key,)] if is_shown else [])


@pytest.mark.parametrize("persona", ["customer", "service"])
def test_every_column_is_the_stored_value(persona: str, db: Session, world: World) -> None:
    key = UUID("00000000-0000-4000-8000-000000000042")
    customer, salon = world.row(PROFILES, "customer")["id"], world.row(SALONS, "solo_salon")["id"]
    created, updated = (datetime(2024, 3, day, 9, 30, tzinfo=UTC) for day in (1, 2))
    db.execute(
        """
        INSERT INTO engagement.customer_favorites (id, customer_id, salon_id, notes, rating, created_at, updated_at)
        VALUES (%s, %s, %s, 'Ask for the seat by the window', 3, %s, %s)
        """,
        [key, customer, salon, created, updated],
    )
    with db.reading_as(persona):
        row = db.row("SELECT * FROM engagement.customer_favorites_view WHERE id = %s", [key])
    assert row == (
        *(key, UUID(customer), UUID(salon), "Ask for the seat by the window", 3),
        *salon_columns(world, "solo_salon"),
        *(created, updated),
    )


def test_note_and_rating_may_be_missing(db: Session, world: World) -> None:
    key = db.value(
        "INSERT INTO engagement.customer_favorites (customer_id, salon_id) VALUES (%s, %s) RETURNING id",
        [world.row(PROFILES, "customer")["id"], world.row(SALONS, "solo_salon")["id"]],
    )
    with db.reading_as("customer"):
        row = db.row(
            "SELECT notes, rating, salon_name, updated_at FROM engagement.customer_favorites_view WHERE id = %s", [key]
        )
    assert row == (None, None, world.row(SALONS, "solo_salon")["name"], None)


@pytest.mark.parametrize("persona", ["customer", "service"])
def test_a_hidden_salon_is_null(persona: str, db: Session, world: World) -> None:
    db.execute('CREATE POLICY "Nobody reads" ON organization.salons AS RESTRICTIVE FOR SELECT USING (false)')
    favourite = world.row(FAVORITES, "customer's favourite")
    with db.reading_as(persona):
        row = db.row(
            """
            SELECT salon_id::text, notes, salon_name, salon_slug, description, image_url
            FROM engagement.customer_favorites_view
            WHERE id = %s
            """,
            [favourite["id"]],
        )
    salon = salon_columns(world, "salon") if persona == "service" else (None, None, None, None)
    assert row == (favourite["salon_id"], favourite["notes"], *salon)
