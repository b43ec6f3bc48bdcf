"""Checks, lengths and the unique index of catalog.service_booking_rules: accepted and refused rows."""

from decimal import Decimal

import pytest

from rolecall import Session
from tests.constraints.rows import Parent, Valid

TABLE = "catalog.service_booking_rules"


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        pytest.param("min_notice_minutes", 0, 0, id="no notice"),
        pytest.param("max_advance_days", 1, 1, id="a day ahead"),
        pytest.param("max_concurrent_bookings", 1, 1, id="one at a time"),
        pytest.param("deposit_amount", Decimal("0.01"), Decimal("0.01"), id="a deposit of a cent"),
        pytest.param("deposit_amount", Decimal("0.005"), Decimal("0.01"), id="a deposit rounded to a cent"),
        pytest.param("deposit_amount", Decimal("99999999.994"), Decimal("99999999.99"), id="the highest deposit"),
    ],
)
def test_a_value_at_the_limit_is_accepted(valid: Valid, column: str, value: object, stored: object) -> None:
    assert valid(**{column: value})[column] == stored


@pytest.mark.parametrize(
    ("constraint", "column", "value"),
    [
        pytest.param("valid_minutes", "min_notice_minutes", -1, id="notice afterwards"),
        pytest.param("valid_days", "max_advance_days", 0, id="not a day ahead"),
        pytest.param("valid_days", "max_advance_days", -1, id="days gone by"),
        pytest.param("valid_concurrent", "max_concurrent_bookings", 0, id="none at a time"),
        pytest.param("valid_concurrent", "max_concurrent_bookings", -1, id="fewer than none at a time"),
        pytest.param("valid_deposit", "deposit_amount", 0, id="a deposit of nothing"),
        pytest.param("valid_deposit", "deposit_amount", Decimal("0.004"), id="a deposit rounded to nothing"),
        pytest.param("valid_deposit", "deposit_amount", Decimal("-0.01"), id="a deposit paid out"),
    ],
)
def test_a_value_beyond_the_limit_is_refused(
    db: Session, valid: Valid, constraint: str, column: str, value: object
) -> None:
    with db.raises("23514", constraint=constraint):
        valid(**{column: value})


def test_zero_concurrent_bookings_are_refused_also_beside_null(db: Session, valid: Valid) -> None:
    with db.raises("23514", constraint="valid_concurrent"):
        valid(max_concurrent_bookings=0, max_advance_days=None, min_notice_minutes=None)


def test_a_deposit_that_rounds_to_nine_digits_is_too_high(db: Session, valid: Valid) -> None:
    with db.raises("22003", message="numeric field overflow"):
        valid(deposit_amount=Decimal("99999999.995"))


def test_a_deposit_may_be_required_without_an_amount(valid: Valid) -> None:
    # The plan's columns allow it; docs/findings.md, F42, recommends a CHECK.
    row = valid(requires_deposit=True)
    assert (row["requires_deposit"], row["deposit_amount"]) == (True, None)


def test_a_service_has_one_rule_in_a_salon(db: Session, valid: Valid) -> None:
    valid()
    with db.raises("23505", constraint="idx_service_booking_rules_unique"):
        valid()


@pytest.mark.parametrize("column", ["service_id", "salon_id"])
def test_another_service_or_salon_has_a_rule_of_its_own(valid: Valid, parent: Parent, column: str) -> None:
    _, key = parent(column)
    row, other = valid(), valid(**{column: key})
    assert (str(other[column]), other["id"] != row["id"]) == (key, True)
