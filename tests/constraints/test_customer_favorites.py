"""The check and the unique index of engagement.customer_favorites: accepted and refused rows."""

import pytest

from rolecall import Session
from tests.constraints.rows import InsertParent, InsertValid

TABLE = "engagement.customer_favorites"


@pytest.mark.parametrize("rating", [1, 5], ids=["one star", "five stars"])
def test_one_to_five_stars_are_accepted(insert_valid: InsertValid, rating: int) -> None:
    assert insert_valid(rating=rating)["rating"] == rating


@pytest.mark.parametrize("rating", [0, 6, -1], ids=["no star", "six stars", "minus one star"])
def test_fewer_and_more_stars_are_refused(db: Session, insert_valid: InsertValid, rating: int) -> None:
    with db.raises("23514", constraint="customer_favorites_rating_check"):
        insert_valid(rating=rating)


def test_a_salon_is_a_customers_favourite_once(db: Session, insert_valid: InsertValid) -> None:
    insert_valid()
    with db.raises("23505", constraint="idx_customer_favorites_unique"):
        insert_valid()


@pytest.mark.parametrize("state", [False, None], ids=["former favourite", "neither favourite nor not"])
def test_rows_that_are_no_favourites_may_repeat(insert_valid: InsertValid, state: bool | None) -> None:
    states = [insert_valid(is_favorite=each)["is_favorite"] for each in (state, state, True)]
    assert states == [state, state, True]


def test_a_former_favourite_does_not_come_back_beside_the_same_one(db: Session, insert_valid: InsertValid) -> None:
    former, _ = insert_valid(is_favorite=False), insert_valid()
    with db.raises("23505", constraint="idx_customer_favorites_unique"):
        db.execute("UPDATE engagement.customer_favorites SET is_favorite = true WHERE id = %s", [former["id"]])


@pytest.mark.parametrize("column", ["customer_id", "salon_id"])
def test_another_customer_or_salon_is_another_favourite(
    insert_valid: InsertValid, insert_parent: InsertParent, column: str
) -> None:
    _, key = insert_parent(column)
    row, other = insert_valid(), insert_valid(**{column: key})
    assert (row["is_favorite"], other["is_favorite"]) == (True, True)
