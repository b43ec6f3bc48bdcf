"""Checks, lengths and the unique index of catalog.service_booking_rules: accepted and refused rows."""

from decimal import Decimal

import pytest

from rolecall import Session
from tests.constraints.rows import InsertParent, InsertValid

TABLE = "catalog.service_booking_rules"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        pytest.param("min_notice_minutes", 0, 0, id="no notice"),
        pytest.param("max_advance_days", 1, 1, id="a day ahead"),
        pytest.param("max_concurrent_bookings", 1, 1, id="one at a time"),
        pytest.param("deposit_amount", Decimal("0.01"), Decimal("0.01"), id="a deposit of a cent"),
        pytest.param("deposit_amount", Decimal("0.005"), Decimal("0.01"), id="a deposit that rounds to a cent"),
        pytest.param("deposit_amount", Decimal("99999999.994"), Decimal("99999999.99"), id="the highest deposit"),
    ],
)
def test_a_value_at_the_limit_is_accepted(
    insert_valid: InsertValid, column: str, value: object, expected: object
) -> None:
    assert insert_valid(**{column: value})[column] == expected


@pytest.mark.parametrize(
    ("constraint", "column", "value"),
    [
        pytest.param("valid_minutes", "min_notice_minutes", -1, id="negative notice"),
        pytest.param("valid_days", "max_advance_days", 0, id="zero days ahead"),
        pytest.param("valid_days", "max_advance_days", -1, id="negative days"),
        pytest.param("valid_concurrent", "max_concurrent_bookings", 0, id="zero at a time"),
        pytest.param("valid_concurrent", "max_concurrent_bookings", -1, id="minus one at a time"),
        pytest.param("valid_deposit", "deposit_amount", 0, id="a deposit of zero"),
        pytest.param("valid_deposit", "deposit_amount", Decimal("0.004"), id="a deposit that rounds to zero"),
        pytest.param("valid_deposit", "deposit_amount", Decimal("-0.01"), id="a negative deposit"),
    ],
)
def test_a_value_beyond_the_limit_is_refused(
    db: Session, insert_valid: InsertValid, constraint: str, column: str, value: object
) -> None:
    with db.raises("23514", constraint=constraint):
        insert_valid(**{column: value})


def test_zero_concurrent_bookings_are_refused_also_beside_null(db: Session, insert_valid: InsertValid) -> None:
    with db.raises("23514", constraint="valid_concurrent"):
        insert_valid(max_concurrent_bookings=0, max_advance_days=None, min_notice_minutes=None)


def test_a_deposit_that_rounds_to_nine_digits_is_too_high(db: Session, insert_valid: InsertValid) -> None:
    with db.raises("22003", message="numeric field overflow"):
        insert_valid(deposit_amount=Decimal("99999999.995"))


def test_a_deposit_may_be_required_without_an_amount(insert_valid: InsertValid) -> None:
    # The plan's columns allow it; docs/findings.md, F42, recommends a CHECK.
    row = insert_valid(requires_deposit=True)
    assert (row["requires_deposit"], row["deposit_amount"]) == (True, None)


def test_a_service_has_one_rule_in_a_salon(db: Session, insert_valid: InsertValid) -> None:
    insert_valid()
    with db.raises("23505", constraint="idx_service_booking_rules_unique"):
        insert_valid()


@pytest.mark.parametrize("column", ["service_id", "salon_id"])
def test_another_service_or_salon_has_a_rule_of_its_own(
    insert_valid: InsertValid, insert_parent: InsertParent, column: str
) -> None:
    _, key = insert_parent(column)
    row, other = insert_valid(), insert_valid(**{column: key})
    assert (str(other[column]), other["id"] != row["id"]) == (key, True)
