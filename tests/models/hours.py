"""Models of calculate_business_hours and calculate_duration_minutes, phase 2.2. Times are whole microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from tests.models.terms import Answer, Caller, Ref, Refused

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86400 * SECOND
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MAY_NOT_CALL = Refused("42501", "permission denied for function")
LARGEST = 2_147_483_647

# ------------------------------------------------------------------ opening hours


@dataclass(frozen=True)
class Hours:
    """A row of scheduling.operating_hours. Its times are microseconds since midnight; 24:00 is ``DAY``."""

    id: UUID
    salon_id: Ref | None
    day_of_week: int | None
    is_open: bool | None
    is_active: bool | None
    start_time: int | None
    end_time: int | None
    break_start: int | None
    break_end: int | None

    @property
    def times(self) -> tuple[int | None, ...]:
        return self.start_time, self.end_time, self.break_start, self.break_end


def calculate_business_hours(table: Sequence[Hours], salon: Any, day: date | None, caller: Caller) -> Answer:
    """The hours of the day's weekday: an open row first, then the earliest. ``day`` of None is no date, or infinite."""
    if caller.is_anon:
        return MAY_NOT_CALL
    if salon is None or day is None:
        return []
    weekday = day.isoweekday() % 7
    rows = [h for h in table if h.salon_id == salon and h.day_of_week == weekday and h.is_active]
    rows.sort(key=lambda h: (*(h.is_open is not value for value in (True, False)), *map(none_last, h.times)))
    return [(WEEKDAYS[weekday], h.is_open, *h.times, working_minutes(h)) for h in rows[:1]]


def none_last(value: int | None) -> tuple[bool, int]:
    return value is None, value or 0


def working_minutes(hours: Hours) -> int:
    """Whole minutes without the break, never below 0. A day without both times has none."""
    if not hours.is_open or hours.start_time is None or hours.end_time is None:
        return 0
    opened = hours.end_time - hours.start_time
    if hours.end_time <= hours.start_time:  # the next day; two equal times are the whole day
        opened += DAY
    return max((opened - pause(hours)) // MINUTE, 0)


def pause(hours: Hours) -> int:
    """The length of the break. Half a break is none."""
    if hours.break_start is None or hours.break_end is None:
        return 0
    past_midnight = DAY if hours.break_end < hours.break_start else 0
    return hours.break_end - hours.break_start + past_midnight


# ------------------------------------------------------------------ durations


@dataclass(frozen=True)
class Interval:
    """An interval as PostgreSQL stores it: months, days and microseconds, each of them with a sign."""

    months: int
    days: int
    microseconds: int

    @property
    def length(self) -> int:
        """In microseconds. A year is 365.25 days, each month of the rest 30 days, a day 24 hours."""
        years = int(self.months / 12)  # toward 0: -13 months are -1 year and -1 month
        months = self.months - 12 * years
        return years * DAY * 1461 // 4 + (months * 30 + self.days) * DAY + self.microseconds

    def __str__(self) -> str:
        return f"{self.months} months {self.days} days {self.microseconds} microseconds"


@dataclass(frozen=True)
class Service:
    """A row of catalog.services."""

    id: UUID
    salon_id: Ref | None
    name: str
    duration_range: Interval | None
    is_active: bool | None


def calculate_duration_minutes(table: Sequence[Service], ids: Sequence[UUID | None] | None, caller: Caller) -> Answer:
    """The whole minutes of the active services together. One that is listed twice counts once, a negative one as 0."""
    if caller.is_anon:
        return MAY_NOT_CALL
    chosen = [s for s in table if ids is not None and s.id in ids and s.is_active]
    minutes = sum(max(s.duration_range.length, 0) for s in chosen if s.duration_range) // MINUTE
    return [(minutes,)] if minutes <= LARGEST else Refused("22003", "integer out of range")
