"""Checks and lengths of scheduling.appointment_services: accepted and refused values."""

from decimal import Decimal

import pytest

from rolecall import Session
from tests.constraints.rows import Valid

TABLE = "scheduling.appointment_services"


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        pytest.param("duration_minutes", 1, 1, id="one minute"),
        pytest.param("price_at_time", 0, Decimal("0.00"), id="for nothing"),
        pytest.param("price_at_time", Decimal("-0.004"), Decimal("0.00"), id="less than nothing rounded to nothing"),
        pytest.param("price_at_time", Decimal("99999999.994"), Decimal("99999999.99"), id="the highest price"),
        pytest.param("service_name", "é" * 255, "é" * 255, id="a name of 255 characters in 510 bytes"),
    ],
)
def test_a_value_at_the_limit_is_accepted(valid: Valid, column: str, value: object, stored: object) -> None:
    assert valid(**{column: value})[column] == stored


@pytest.mark.parametrize(
    ("constraint", "column", "value"),
    [
        pytest.param("valid_duration", "duration_minutes", 0, id="no time at all"),
        pytest.param("valid_duration", "duration_minutes", -1, id="less than no time"),
        pytest.param("valid_price", "price_at_time", Decimal("-0.01"), id="a cent less than nothing"),
    ],
)
def test_a_value_beyond_the_limit_is_refused(
    db: Session, valid: Valid, constraint: str, column: str, value: object
) -> None:
    with db.raises("23514", constraint=constraint):
        valid(**{column: value})


def test_a_name_of_256_characters_is_too_long(db: Session, valid: Valid) -> None:
    with db.raises("22001", message="character varying(255)"):
        valid(service_name="é" * 256)


def test_a_price_that_rounds_to_nine_digits_is_too_high(db: Session, valid: Valid) -> None:
    with db.raises("22003", message="numeric field overflow"):
        valid(price_at_time=Decimal("99999999.995"))
