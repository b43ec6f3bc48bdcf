"""The common queries of the application, each also with a filter by hand that replaces the policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# In the queries {me} is the persona, {row} the id of one of its rows, {salon} a salon.


@dataclass(frozen=True)
class Query:
    """A query of a persona: as the signed-in persona sends it, and filtered by hand without policies.

    ``row`` finds the id for {row}. ``plan`` says whether the policies of the plan apply to it.
    """

    name: str
    persona: str
    signed_in: str
    by_hand: str
    row: str = "SELECT {me}"
    plan: bool = True

    def __str__(self) -> str:
        return f"{self.name}, {self.persona}"


@dataclass(frozen=True)
class Table:
    """A table, and for each persona the filter that an application's developer would write for it."""

    name: str
    own: dict[str, str]
    change: str = ""  # what an update sets
    changed_by: tuple[str, ...] = ()

    def queries(self) -> Iterator[Query]:
        """A page of own rows, their number, one of them by id, and an update of it."""
        short = self.name.split(".")[1]
        for persona, own in self.own.items():
            newest = "ORDER BY created_at DESC LIMIT 20"
            row = f"SELECT id FROM {self.name} AS t WHERE {own} ORDER BY created_at LIMIT 1"
            table = f"FROM {self.name}"
            yield Query(
                f"{short}: newest 20",
                persona,
                f"SELECT * {table} {newest}",
                f"SELECT * {table} AS t WHERE {own} {newest}",
            )
            yield Query(
                f"{short}: count",
                persona,
                f"SELECT count(*) {table}",
                f"SELECT count(*) {table} AS t WHERE {own}",
            )
            yield Query(
                f"{short}: one by id",
                persona,
                f"SELECT * {table} WHERE id = {{row}}",
                f"SELECT * {table} AS t WHERE id = {{row}} AND {own}",
                row,
            )
            if persona in self.changed_by:
                yield Query(
                    f"{short}: update by id",
                    persona,
                    f"UPDATE {self.name} SET {self.change} WHERE id = {{row}}",
                    f"UPDATE {self.name} AS t SET {self.change} WHERE id = {{row}} AND {own}",
                    row,
                )


def appointments(*arms: str) -> str:
    """The condition that an appointment service belongs to one of these appointments."""
    return f"appointment_id IN ({' UNION '.join(arms)})"


BOOKED = "SELECT a.id FROM scheduling.appointments a WHERE a.customer_id = {me}"
SERVED = (
    "SELECT a.id FROM scheduling.appointments a "
    "JOIN organization.staff_profiles sp ON sp.salon_id = a.salon_id WHERE sp.user_id = {me}"
)
OWNED = (
    "SELECT a.id FROM scheduling.appointments a JOIN organization.salons s ON s.id = a.salon_id WHERE s.owner_id = {me}"
)
PARTICIPANT = "(created_by_id = {me} OR recipient_id = {me}) AND is_deleted = false"
EMPLOYER = "salon_id IN (SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = {me})"
PROPERTY = "salon_id IN (SELECT s.id FROM organization.salons s WHERE s.owner_id = {me})"

TABLES = (
    Table(
        "scheduling.appointment_services",
        {
            "customer": appointments(BOOKED),
            "staff": appointments(SERVED),
            "owner": appointments(OWNED),
            "staff_customer": appointments(BOOKED, SERVED),
            "newcomer": appointments(BOOKED),
        },
        "price_at_time = 41, updated_at = now()",
        ("staff",),
    ),
    Table(
        "communication.message_threads",
        dict.fromkeys(("customer", "staff", "newcomer"), PARTICIPANT),
        "is_archived = true, updated_at = now()",
        ("customer", "staff"),
    ),
    Table(
        "engagement.customer_favorites",
        dict.fromkeys(("customer", "newcomer"), "customer_id = {me}"),
        "rating = 4, updated_at = now()",
        ("customer",),
    ),
    Table("audit.audit_logs", {"customer": "true"}),
    Table(
        "catalog.service_booking_rules",
        {"staff": EMPLOYER, "owner": PROPERTY, "newcomer": EMPLOYER},
        "min_notice_minutes = 30, updated_at = now()",
        ("owner",),
    ),
)


def same(name: str, persona: str, statement: str, own: str = "true", *, row: str = "", plan: bool = True) -> Query:
    """A query whose two forms differ only in the condition {own}."""
    signed_in = statement.replace("{own}", "true")
    return Query(name, persona, signed_in, statement.replace("{own}", own), row or "SELECT {me}", plan)


# Queries besides pages of a table.
MORE = (
    same(
        "appointment_services: of one appointment",
        "customer",
        "SELECT * FROM scheduling.appointment_services WHERE appointment_id = {row} AND {own}",
        appointments(BOOKED),
        row=f"{BOOKED} ORDER BY a.created_at LIMIT 1",
    ),
    same(
        "appointment_services: of one appointment",
        "staff",
        "SELECT * FROM scheduling.appointment_services WHERE appointment_id = {row} AND {own}",
        appointments(SERVED),
        row=f"{SERVED} ORDER BY a.created_at LIMIT 1",
    ),
    same(
        "message_threads: last written in",
        "customer",
        "SELECT * FROM communication.message_threads WHERE {own} ORDER BY last_message_at DESC NULLS LAST LIMIT 20",
        PARTICIPANT,
    ),
    same(
        "message_threads: about a salon",
        "staff",
        "SELECT * FROM communication.message_threads WHERE salon_id = {salon} AND {own} "
        "ORDER BY created_at DESC LIMIT 20",
        PARTICIPANT,
    ),
    same(
        "audit_logs: of one record",
        "owner",
        "SELECT * FROM audit.audit_logs WHERE entity_type = 'salon' AND entity_id = {salon} AND {own} "
        "ORDER BY created_at DESC LIMIT 20",
    ),
    same(
        "audit_logs: own entries",
        "staff",
        "SELECT * FROM audit.audit_logs WHERE actor_id = {me} AND {own} ORDER BY created_at DESC LIMIT 20",
    ),
    same(
        "service_booking_rules: of one service",
        "owner",
        "SELECT * FROM catalog.service_booking_rules WHERE service_id = {row} AND {own}",
        PROPERTY,
        row="SELECT id FROM catalog.services WHERE salon_id = {salon} ORDER BY id LIMIT 1",
    ),
    same(
        "avatars: one by id",
        "customer",
        "SELECT * FROM storage.objects WHERE id = {row} AND {own}",
        "bucket_id = 'avatars'",
        row="SELECT id FROM storage.objects WHERE bucket_id = 'avatars' AND starts_with(name, {me}::text) LIMIT 1",
    ),
    same(
        "avatars: update by id",
        "customer",
        "UPDATE storage.objects SET updated_at = now() WHERE id = {row} AND {own}",
        "bucket_id = 'avatars' AND starts_with(name, {me}::text)",
        row="SELECT id FROM storage.objects WHERE bucket_id = 'avatars' AND starts_with(name, {me}::text) LIMIT 1",
    ),
    same(
        "avatars: newest 20 of a folder",
        "customer",
        "SELECT * FROM storage.objects WHERE bucket_id = 'avatars' AND name >= {me}::text || '/' "
        "AND name < {me}::text || '0' AND {own} ORDER BY created_at DESC LIMIT 20",
    ),
    same(
        "avatars: newest 20 of a folder, by LIKE",
        "customer",
        "SELECT * FROM storage.objects WHERE bucket_id = 'avatars' AND name LIKE {me}::text || '/%' AND {own} "
        "ORDER BY created_at DESC LIMIT 20",
    ),
    same("avatars: count", "customer", "SELECT count(*) FROM storage.objects WHERE {own}", "bucket_id = 'avatars'"),
)

COLLEAGUES = (
    "staff_id IN (SELECT c.id FROM organization.staff_profiles c "
    "JOIN organization.staff_profiles sp ON sp.salon_id = c.salon_id WHERE sp.user_id = {me})"
)

VIEWS = (
    same(
        "customer_favorites_view: newest 20",
        "customer",
        "SELECT * FROM engagement.customer_favorites_view WHERE {own} ORDER BY created_at DESC LIMIT 20",
        "customer_id = {me}",
    ),
    same("audit_logs_view: newest 20", "owner", "SELECT * FROM audit.audit_logs_view WHERE {own} LIMIT 20"),
    same(
        "audit_logs_view: of one record",
        "owner",
        "SELECT * FROM audit.audit_logs_view WHERE entity_type = 'salon' AND entity_id = {salon} AND {own} LIMIT 20",
    ),
    same(
        "audit_logs_view: one by id",
        "owner",
        "SELECT * FROM audit.audit_logs_view WHERE id = {row} AND {own}",
        row="SELECT id FROM audit.audit_logs WHERE entity_id = {salon} LIMIT 1",
    ),
    same("audit_logs_view: count", "owner", "SELECT count(*) FROM audit.audit_logs_view WHERE {own}"),
    same(
        "view_blocked_times_with_relations: next 20",
        "staff",
        "SELECT * FROM scheduling.view_blocked_times_with_relations WHERE {own} ORDER BY blocked_from DESC LIMIT 20",
        COLLEAGUES,
        plan=False,
    ),
    same(
        "view_blocked_times_with_relations: own",
        "staff",
        "SELECT * FROM scheduling.view_blocked_times_with_relations WHERE staff_user_id = {me} AND {own}",
        plan=False,
    ),
    same(
        "view_notifications: newest 20",
        "customer",
        "SELECT * FROM communication.view_notifications WHERE {own} ORDER BY created_at DESC LIMIT 20",
        "recipient_id = {me}",
        plan=False,
    ),
    same(
        "view_notifications: count of unread",
        "owner",
        "SELECT count(*) FROM communication.view_notifications WHERE read_at IS NULL AND {own}",
        "recipient_id = {me}",
        plan=False,
    ),
    same(
        "view_profile_metadata: own row",
        "customer",
        "SELECT * FROM identity.view_profile_metadata WHERE {own}",
        "id = {me}",
        plan=False,
    ),
    same(
        "view_user_preferences: own row",
        "customer",
        "SELECT * FROM identity.view_user_preferences WHERE {own}",
        "user_id = {me}",
        plan=False,
    ),
)

# By hand, the query counts only the salons of the requested reviews.
STATISTICS = """
SELECT sr.*, statistics.*
FROM engagement.salon_reviews sr
CROSS JOIN LATERAL (
  SELECT count(*), avg(of_salon.rating)::numeric(3, 2),
    count(*) FILTER (WHERE of_salon.rating = 5), count(*) FILTER (WHERE of_salon.rating = 4),
    count(*) FILTER (WHERE of_salon.rating = 3), count(*) FILTER (WHERE of_salon.rating = 2),
    count(*) FILTER (WHERE of_salon.rating = 1)
  FROM engagement.salon_reviews of_salon
  WHERE of_salon.salon_id = sr.salon_id
) AS statistics
WHERE """
REVIEWS = "SELECT * FROM engagement.salon_reviews_with_counts_view WHERE "


def reviews(name: str, condition: str, by_hand: str, row: str = "SELECT {me}") -> Query:
    """A query of the view of reviews."""
    what = f"salon_reviews_with_counts_view: {name}"
    return Query(what, "customer", REVIEWS + condition, by_hand + condition, row, plan=False)


A_REVIEW = "SELECT id FROM engagement.salon_reviews WHERE salon_id = {salon} LIMIT 1"
RATED = (
    reviews("newest 20 of a salon", "salon_id = {salon} ORDER BY created_at DESC LIMIT 20", REVIEWS),
    reviews("own reviews", "customer_id = {me} ORDER BY created_at DESC LIMIT 20", STATISTICS),
    reviews("one by id", "id = {row}", STATISTICS, A_REVIEW),
    reviews("one by id and salon", "id = {row} AND salon_id = {salon}", STATISTICS, A_REVIEW),
)


def marked(condition: str) -> str:
    """Mark the user's unread notifications as read, and count them."""
    return (
        "WITH marked AS (UPDATE communication.notifications SET read_at = now(), updated_at = now() "
        f"WHERE user_id = {{me}} AND read_at IS NULL AND {condition} RETURNING 1) SELECT count(*) FROM marked"
    )


def calls(persona: str) -> Iterator[Query]:
    """The functions for notifications, each with the query in its body."""
    table = "communication.notifications"
    unread = f"SELECT id FROM {table} WHERE user_id = {{me}} AND read_at IS NULL LIMIT 1"
    for name, call, by_hand in (
        (
            "get_unread_count",
            "SELECT communication.get_unread_count({me})",
            f"SELECT count(*) FROM {table} WHERE user_id = {{me}} AND read_at IS NULL",
        ),
        (
            "get_unread_counts",
            "SELECT * FROM communication.get_unread_counts({me})",
            f"SELECT notification_type, count(*) FROM {table} WHERE user_id = {{me}} AND read_at IS NULL "
            "GROUP BY 1 ORDER BY 1",
        ),
        (
            "get_notifications_page",
            "SELECT * FROM communication.get_notifications_page({me})",
            f"SELECT id, user_id, message, notification_type, read_at, created_at FROM {table} WHERE user_id = {{me}} "
            "ORDER BY created_at DESC, id DESC LIMIT 20",
        ),
        (
            "mark_notifications_read: one",
            "SELECT communication.mark_notifications_read({me}, ARRAY[{row}])",
            marked("id = {row}"),
        ),
        (
            "mark_notifications_read: all",
            "SELECT communication.mark_notifications_read({me})",
            marked("true"),
        ),
    ):
        yield Query(name, persona, call, by_hand, unread, plan=False)


def common() -> list[Query]:
    """All common queries."""
    paged = [query for table in TABLES for query in table.queries()]
    return [*paged, *MORE, *VIEWS, *RATED, *calls("customer"), *calls("owner")]
