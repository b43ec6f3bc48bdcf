"""Checks and lengths of scheduling.appointment_services: accepted and refused values."""

from decimal import Decimal

import pytest

from rolecall import Session
from tests.constraints.rows import InsertValid

TABLE = "scheduling.appointment_services"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        pytest.param("duration_minutes", 1, 1, id="one minute"),
        pytest.param("price_at_time", 0, Decimal("0.00"), id="a price of zero"),
        pytest.param("price_at_time", Decimal("-0.004"), Decimal("0.00"), id="a negative price that rounds to zero"),
        pytest.param("price_at_time", Decimal("99999999.994"), Decimal("99999999.99"), id="the highest price"),
        pytest.param("service_name", "é" * 255, "é" * 255, id="a name of 255 characters in 510 bytes"),
    ],
)
def test_a_value_at_the_limit_is_accepted(
    insert_valid: InsertValid, column: str, value: object, expected: object
) -> None:
    assert insert_valid(**{column: value})[column] == expected


@pytest.mark.parametrize(
    ("constraint", "column", "value"),
    [
        pytest.param("valid_duration", "duration_minutes", 0, id="zero minutes"),
        pytest.param("valid_duration", "duration_minutes", -1, id="negative minutes"),
        pytest.param("valid_price", "price_at_time", Decimal("-0.01"), id="minus one cent"),
    ],
)
def test_a_value_beyond_the_limit_is_refused(
    db: Session, insert_valid: InsertValid, constraint: str, column: str, value: object
) -> None:
    with db.raises("23514", constraint=constraint):
        insert_valid(**{column: value})


def test_a_name_of_256_characters_is_too_long(db: Session, insert_valid: InsertValid) -> None:
    with db.raises("22001", message="character varying(255)"):
        insert_valid(service_name="é" * 256)


def test_a_price_that_rounds_to_nine_digits_is_too_high(db: Session, insert_valid: InsertValid) -> None:
    with db.raises("22003", message="numeric field overflow"):
        insert_valid(price_at_time=Decimal("99999999.995"))
