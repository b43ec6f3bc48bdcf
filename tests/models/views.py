"""Models of the views that join: what a reader sees in them follows from what the reader sees in the tables.

A row stays if the reader does not see what it refers to: those columns are then NULL.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from tests.models.terms import Refused, Row, Table, Tables


def audit_logs_view(tables: Tables) -> Table:
    """Every entry, with its actor."""
    profiles = by_id(tables["identity.profiles"])
    for entry in tables["audit.audit_logs"]:
        actor = profiles.get(entry["actor_id"], {})
        yield {
            **part(entry, "id entity_type entity_id action actor_id created_at old_values new_values reason"),
            **part(actor, "actor_username=username actor_email=email"),
        }


def customer_favorites_view(tables: Tables) -> Table:
    """The favourites that are still ones, with their salons."""
    salons = by_id(tables["organization.salons"])
    for favorite in tables["engagement.customer_favorites"]:
        if favorite["is_favorite"] == "true":
            yield {
                **part(favorite, "id customer_id salon_id notes rating"),
                **part(salons.get(favorite["salon_id"], {}), "salon_name=name salon_slug=slug description image_url"),
                **part(favorite, "created_at updated_at"),
            }


def view_blocked_times_with_relations(tables: Tables) -> Table:
    """The blocked times that are not deleted, with the staff member, that person's profile, and the appointment."""
    staff, profiles = by_id(tables["organization.staff_profiles"]), by_id(tables["identity.profiles"])
    appointments = by_id(tables["scheduling.appointments"])
    for blocked in tables["scheduling.blocked_times"]:
        if blocked["is_deleted"] == "false":
            member = staff.get(blocked["staff_id"], {})
            names = "id staff_id appointment_id reason blocked_from blocked_until is_deleted created_at updated_at"
            yield {
                **part(blocked, names),
                **part(member, "staff_user_id=user_id"),
                **part(profiles.get(member.get("user_id"), {}), "staff_username=username staff_email=email"),
                **part(
                    appointments.get(blocked["appointment_id"], {}),
                    "appointment_salon_id=salon_id appointment_customer_id=customer_id appointment_date=scheduled_date",
                ),
            }


def view_notifications(tables: Tables) -> Table:
    """Every notification, with its recipient."""
    profiles = by_id(tables["identity.profiles"])
    for notification in tables["communication.notifications"]:
        recipient = profiles.get(notification["user_id"], {})
        yield {
            **part(notification, "id recipient_id=user_id message notification_type"),
            **part(notification, "metadata read_at created_at updated_at"),
            **part(recipient, "recipient_username=username recipient_email=email recipient_avatar=avatar_url"),
        }


def by_id(rows: Iterable[Row]) -> dict[str | None, Row]:
    return {row["id"]: row for row in rows}


def part(row: Row, names: str) -> Row:
    """Columns of a row, some of them under a ``new=old`` name. Each is NULL in a row that does not exist."""
    pairs = (name.partition("=") for name in names.split())
    return {new: row.get(old or new) for new, _, old in pairs}


# ------------------------------------------------------------------ reviews

STARS = {"five": 5, "four": 4, "three": 3, "two": 2, "one": 1}
TOO_HIGH = Refused("22003", "numeric field overflow")


def salon_reviews_with_counts_view(tables: Tables) -> list[Row] | Refused:
    """Every review, with the numbers of all reviews of its salon that the reader reads (F77, F78)."""
    reviews = tables["engagement.salon_reviews"]
    ratings: dict[str | None, list[int | None]] = {}
    for review in reviews:
        ratings.setdefault(review["salon_id"], []).append(None if review["rating"] is None else int(review["rating"]))
    numbers = {salon: statistics(of_salon) for salon, of_salon in ratings.items()}
    if any(abs(Decimal(row["average_rating"] or 0)) >= 10 for row in numbers.values()):
        return TOO_HIGH
    names = "id salon_id customer_id rating content status created_at updated_at"
    return [{**part(review, names), **numbers[review["salon_id"]]} for review in reviews]


def statistics(ratings: Iterable[int | None]) -> Row:
    """The numbers of one salon. A review without a rating counts, but not for the average."""
    ratings = list(ratings)
    rated = [rating for rating in ratings if rating is not None]
    average = None
    if rated:
        average = (Decimal(sum(rated)) / len(rated)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return {
        "total_reviews": str(len(ratings)),
        "average_rating": None if average is None else str(average),
        **{f"{name}_star_count": str(ratings.count(stars)) for name, stars in STARS.items()},
    }
