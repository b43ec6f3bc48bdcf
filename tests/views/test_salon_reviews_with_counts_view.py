"""salon_reviews_with_counts_view: reviews with statistics of their salon, over the reviews that the reader may read.

The expected numbers are counted by hand.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rolecall import Session, World

pytestmark = pytest.mark.rolecall_from_phase(3)

REVIEWS = "engagement.salon_reviews"
SALONS = "organization.salons"
PROFILES = "identity.profiles"

ALL = {
    *("customer on the salon", "other_customer on the salon", "customer on the other_salon"),
    *("staff_customer on the empty_salon", "owner_on_staff on the empty_salon", "owner on the empty_salon"),
}

# Every signed-in user reads all reviews. So does anon, from the table, but not from the view.
VISIBLE: dict[str, set[str]] = {
    "customer": ALL,
    "other_customer": ALL,
    "staff": ALL,
    "other_staff": ALL,
    "owner": ALL,
    "other_owner": ALL,
    "former_staff": ALL,
    "owner_on_staff": ALL,
    "staff_customer": ALL,
    "staff_of_both": ALL,
    "no_subject": ALL,
    "granted_anon": ALL,
    "service": ALL,
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA engagement TO anon;
    GRANT ALL ON engagement.salon_reviews_with_counts_view, engagement.salon_reviews TO anon
"""

STATISTICS = """
    SELECT total_reviews, average_rating,
           five_star_count, four_star_count, three_star_count, two_star_count, one_star_count
    FROM engagement.salon_reviews_with_counts_view
    WHERE salon_id = %s
"""

# The statistics of the world's reviews: five and two stars for the salon, four for the other salon, none for the third;
# three and one for the fourth, and one without a rating.
WORLD = {
    "salon": (2, Decimal("3.50"), 1, 0, 0, 1, 0),
    "other_salon": (1, Decimal("4.00"), 0, 1, 0, 0, 0),
    "empty_salon": (3, Decimal("2.00"), 0, 0, 1, 0, 1),
}


def review(db: Session, world: World, salon: str, *ratings: int | None) -> None:
    """Insert a review of a salon for each rating, as the superuser."""
    db.execute(
        """
        INSERT INTO engagement.salon_reviews (salon_id, customer_id, rating, status)
        SELECT %s, %s, rating, 'published' FROM unnest(%s::integer[]) AS rating
        """,
        [world.row(SALONS, salon)["id"], world.row(PROFILES, "customer")["id"], list(ratings)],
    )


def statistics(db: Session, world: World, persona: str, salon: str) -> list[tuple[Any, ...]]:
    """The statistics that a persona reads in each row of a salon."""
    with db.reading_as(persona):
        return db.rows(STATISTICS, [world.row(SALONS, salon)["id"]])


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()
    assert world.rows[REVIEWS].keys() == ALL


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_table_shows(persona: str, db: Session, world: World) -> None:
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows("SELECT id::text FROM engagement.salon_reviews_with_counts_view ORDER BY 1")
        table_rows = db.rows("SELECT id::text FROM engagement.salon_reviews ORDER BY 1")
    assert view_rows == table_rows == sorted((world.row(REVIEWS, name)["id"],) for name in VISIBLE[persona])
    for salon, numbers in WORLD.items():
        assert statistics(db, world, persona, salon) == [numbers] * numbers[0]


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA engagement TO anon")  # then it is the view that refuses
    with (
        db.reading_as("anon"),
        db.raises("42501", message="permission denied for view salon_reviews_with_counts_view"),
    ):
        db.rows("SELECT id FROM engagement.salon_reviews_with_counts_view")


@pytest.mark.parametrize("persona", ["customer", "other_owner", "service"])
def test_every_column_is_the_stored_value(persona: str, db: Session, world: World) -> None:
    key = UUID("00000000-0000-4000-8000-000000000042")
    salon, customer = world.row(SALONS, "solo_salon")["id"], world.row(PROFILES, "customer")["id"]
    created, updated = (datetime(2024, 3, day, 9, 30, tzinfo=UTC) for day in (1, 2))
    db.execute(
        """
        INSERT INTO engagement.salon_reviews
          (id, salon_id, customer_id, rating, content, status, created_at, updated_at)
        VALUES (%s, %s, %s, 3, 'It was all right', 'pending', %s, %s)
        """,
        [key, salon, customer, created, updated],
    )
    with db.reading_as(persona):
        row = db.row("SELECT * FROM engagement.salon_reviews_with_counts_view WHERE id = %s", [key])
    assert row == (
        *(key, UUID(salon), UUID(customer), 3, "It was all right", "pending", created, updated),
        *(1, Decimal("3.00"), 0, 0, 1, 0, 0),
    )


@pytest.mark.parametrize(
    ("ratings", "numbers"),
    [
        # Nine reviews, eight of them rated: 26 / 8.
        pytest.param((5, 1, 3, None, 4, 3, 5, 2, 3), (9, Decimal("3.25"), 2, 1, 3, 1, 1), id="all sorts"),
        pytest.param((5,), (1, Decimal("5.00"), 1, 0, 0, 0, 0), id="five stars"),
        pytest.param((4,), (1, Decimal("4.00"), 0, 1, 0, 0, 0), id="four stars"),
        pytest.param((3,), (1, Decimal("3.00"), 0, 0, 1, 0, 0), id="three stars"),
        pytest.param((2,), (1, Decimal("2.00"), 0, 0, 0, 1, 0), id="two stars"),
        pytest.param((1,), (1, Decimal("1.00"), 0, 0, 0, 0, 1), id="one star"),
        pytest.param((5, 4, 4), (3, Decimal("4.33"), 1, 2, 0, 0, 0), id="rounded down"),
        pytest.param((5, 5, 4), (3, Decimal("4.67"), 2, 1, 0, 0, 0), id="rounded up"),
        # 21 / 8 is 2.625: the half is rounded up.
        pytest.param((5, 5, 5, 2, 1, 1, 1, 1), (8, Decimal("2.63"), 3, 0, 0, 1, 4), id="rounded at the half"),
        pytest.param((None, 4), (2, Decimal("4.00"), 0, 1, 0, 0, 0), id="one not rated"),
        pytest.param((None, None), (2, None, 0, 0, 0, 0, 0), id="none rated"),
    ],
)
def test_the_statistics_of_a_salon(
    ratings: tuple[int | None, ...], numbers: tuple[Any, ...], db: Session, world: World
) -> None:
    review(db, world, "solo_salon", *ratings)
    for persona in ("customer", "service"):
        assert statistics(db, world, persona, "solo_salon") == [numbers] * len(ratings)


def test_each_salon_has_its_own_statistics(db: Session, world: World) -> None:
    review(db, world, "salon", 5, 5, None)
    review(db, world, "solo_salon", 1, 2)
    expected = {
        "salon": (5, Decimal("4.25"), 3, 0, 0, 1, 0),  # 5 + 2 + 5 + 5 = 17 over four, and one not rated
        "other_salon": WORLD["other_salon"],
        "solo_salon": (2, Decimal("1.50"), 0, 0, 0, 1, 1),
    }
    for salon, numbers in expected.items():
        assert statistics(db, world, "staff", salon) == [numbers] * numbers[0]


def test_a_filter_on_reviews_does_not_change_the_statistics(db: Session, world: World) -> None:
    with db.reading_as("customer"):
        total = db.value(
            "SELECT total_reviews FROM engagement.salon_reviews_with_counts_view WHERE id = %s",
            [world.row(REVIEWS, "customer on the salon")["id"]],
        )
    assert total == 2


def test_hidden_reviews_do_not_count(db: Session, world: World) -> None:
    db.execute(
        """
        CREATE POLICY "Only good reviews" ON engagement.salon_reviews AS RESTRICTIVE
          FOR SELECT TO authenticated USING (rating > 2)
        """
    )
    assert statistics(db, world, "owner", "salon") == [(1, Decimal("5.00"), 1, 0, 0, 0, 0)]
    assert statistics(db, world, "service", "salon") == [WORLD["salon"]] * 2
