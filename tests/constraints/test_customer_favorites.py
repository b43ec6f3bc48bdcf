"""The check and the unique index of engagement.customer_favorites: accepted and refused rows."""

import pytest

from rolecall import Session
from tests.constraints.rows import Parent, Valid

TABLE = "engagement.customer_favorites"


@pytest.mark.parametrize("rating", [1, 5], ids=["one star", "five stars"])
def test_one_to_five_stars_are_accepted(valid: Valid, rating: int) -> None:
    assert valid(rating=rating)["rating"] == rating


@pytest.mark.parametrize("rating", [0, 6, -1], ids=["no star", "six stars", "less than no star"])
def test_fewer_and_more_stars_are_refused(db: Session, valid: Valid, rating: int) -> None:
    with db.raises("23514", constraint="customer_favorites_rating_check"):
        valid(rating=rating)


def test_a_salon_is_a_customers_favourite_once(db: Session, valid: Valid) -> None:
    valid()
    with db.raises("23505", constraint="idx_customer_favorites_unique"):
        valid()


@pytest.mark.parametrize("state", [False, None], ids=["no favourite any more", "neither favourite nor not"])
def test_rows_that_are_no_favourites_may_repeat(valid: Valid, state: bool | None) -> None:
    states = [valid(is_favorite=each)["is_favorite"] for each in (state, state, True)]
    assert states == [state, state, True]


def test_a_former_favourite_does_not_come_back_beside_the_same_one(db: Session, valid: Valid) -> None:
    former, _ = valid(is_favorite=False), valid()
    with db.raises("23505", constraint="idx_customer_favorites_unique"):
        db.execute("UPDATE engagement.customer_favorites SET is_favorite = true WHERE id = %s", [former["id"]])


@pytest.mark.parametrize("column", ["customer_id", "salon_id"])
def test_another_customer_or_salon_is_another_favourite(valid: Valid, parent: Parent, column: str) -> None:
    _, key = parent(column)
    row, other = valid(), valid(**{column: key})
    assert (row["is_favorite"], other["is_favorite"]) == (True, True)
