"""Each feature as the requests that the application sends, after each phase that the plan promises it for.

The promises are those of the plan's table "Features Unblocked". Who may do what with which row is in tests/policies;
here each request sees what the earlier ones committed.
"""

from __future__ import annotations

from datetime import date

from tests.features.application import DENIED, Application, refused
from tests.features.conftest import Start, after

APPOINTMENTS = "scheduling.appointments"
BOOKED = "scheduling.appointment_services"
THREADS = "communication.message_threads"
FAVORITES = "engagement.customer_favorites"
OBJECTS = "storage.objects"
RULES = "catalog.service_booking_rules"

MONDAY = date(2025, 6, 2)

# ------------------------------------------------------------------ booking


@after(1, 2, 3, 4)
def test_booking(app: Application) -> None:
    """A customer books, the staff adds and changes the services, and everybody else sees nothing of it."""
    salon, service = app.named("salon"), app.named("salon_service")
    assert app.get("anon", "SELECT id FROM catalog.services WHERE salon_id = %s", [salon]) != []
    appointment = app.post(
        "customer", APPOINTMENTS, salon_id=salon, customer_id=app.id_of("customer"), scheduled_date=MONDAY
    )["id"]
    row = {"appointment_id": str(appointment), "service_id": service, "duration_minutes": 45, "price_at_time": 60}

    with refused(DENIED, "row-level security"):  # F85: the staff books
        app.post("customer", BOOKED, **row)
    booked = app.post("staff", BOOKED, **row, service_name="Haircut", created_by_id=app.id_of("staff"))["id"]
    assert [row["duration_minutes"] for row in app.patch("staff", BOOKED, booked, duration_minutes=60)] == [60]
    with refused("23514", "valid_price"):
        app.patch("staff", BOOKED, booked, price_at_time=-1)

    mine = f"SELECT service_name, duration_minutes FROM {BOOKED} WHERE appointment_id = '{appointment}'"
    haircut = [{"service_name": "Haircut", "duration_minutes": 60}]
    assert {who: app.get(who, mine) for who in ("customer", "owner", "service")} == dict.fromkeys(
        ("customer", "owner", "service"), haircut
    )
    assert {who: app.get(who, mine) for who in ("other_customer", "other_staff")} == {
        "other_customer": [],
        "other_staff": [],
    }
    with refused(DENIED):
        app.get("anon", mine)


@after(1)
def test_a_cancelled_appointment_takes_its_services_along(app: Application) -> None:
    appointment = app.post(
        "customer", APPOINTMENTS, salon_id=app.named("salon"), customer_id=app.id_of("customer"), scheduled_date=MONDAY
    )["id"]
    app.post("staff", BOOKED, appointment_id=str(appointment), service_id=app.named("salon_service"))
    assert len(app.delete("service", APPOINTMENTS, appointment)) == 1
    assert app.get("service", f"SELECT id FROM {BOOKED}") == []


@after(2, 3, 4)
def test_booking_computes_hours_and_durations(app: Application) -> None:
    hours = app.rpc("customer", "scheduling.calculate_business_hours", p_salon_id=app.named("salon"), p_date=MONDAY)
    assert [(row["day_name"], row["is_open"], row["total_working_minutes"]) for row in hours] == [("Monday", True, 480)]
    services = [app.named("salon_service"), app.named("other_salon_service")]
    assert app.rpc("customer", "catalog.calculate_duration_minutes", p_service_ids=services) == 90


# ------------------------------------------------------------------ messaging


@after(1, 2, 3, 4)
def test_messaging(app: Application) -> None:
    """A customer writes to the staff, who answer; one of them deletes the thread, and a new one can begin."""
    customer, staff = app.id_of("customer"), app.id_of("staff")
    thread = app.post("customer", THREADS, created_by_id=customer, recipient_id=staff, subject="Colour?")["id"]
    inbox = f"SELECT id, subject, unread_count FROM {THREADS} ORDER BY last_message_at DESC NULLS LAST"
    assert app.get("staff", inbox) == [{"id": thread, "subject": "Colour?", "unread_count": 0}]
    assert app.get("other_staff", inbox) == []

    with refused("23505", "idx_message_threads_unique_active"):  # one thread for each pair
        app.post("staff", THREADS, created_by_id=staff, recipient_id=customer)
    with refused(DENIED):  # in another user's name
        app.post("other_customer", THREADS, created_by_id=customer, recipient_id=app.id_of("owner"))

    now = app.get("staff", "SELECT clock_timestamp() AS now")[0]["now"]
    assert len(app.patch("staff", THREADS, thread, last_message_at=now, unread_count=1)) == 1
    assert app.get("customer", inbox)[0]["unread_count"] == 1
    assert len(app.patch("customer", THREADS, thread, unread_count=0, is_archived=True)) == 1
    assert app.patch("other_customer", THREADS, thread, unread_count=9) == []

    assert app.delete("customer", THREADS, thread) == []  # F64: the row is kept, so the command counts none
    assert (app.get("customer", inbox), app.get("staff", inbox)) == ([], [])
    assert app.get("service", f"SELECT is_deleted FROM {THREADS}") == [{"is_deleted": True}]
    again = app.post("staff", THREADS, created_by_id=staff, recipient_id=customer, subject="Colour!")["id"]
    assert [row["id"] for row in app.get("customer", inbox)] == [again]


# ------------------------------------------------------------------ favourites


@after(1, 2, 3, 4)
def test_favourites(app: Application) -> None:
    """A customer marks a salon, writes a note, takes the mark away, and marks it again."""
    customer, salon = app.id_of("customer"), app.named("salon")
    favorite = app.post("customer", FAVORITES, customer_id=customer, salon_id=salon)["id"]
    listed = "SELECT id, salon_name, notes FROM engagement.customer_favorites_view"
    name = app.get("customer", "SELECT name FROM organization.salons WHERE id = %s", [salon])[0]["name"]
    assert app.get("customer", listed) == [{"id": favorite, "salon_name": name, "notes": None}]
    assert app.get("other_customer", listed) == []
    with refused("23505", "idx_customer_favorites_unique"):
        app.post("customer", FAVORITES, customer_id=customer, salon_id=salon)

    assert len(app.patch("customer", FAVORITES, favorite, notes="Ask for Ana", rating=5)) == 1
    assert app.get("customer", listed)[0]["notes"] == "Ask for Ana"
    with refused("23514", "rating"):
        app.patch("customer", FAVORITES, favorite, rating=6)

    app.patch("customer", FAVORITES, favorite, is_favorite=False)
    assert app.get("customer", listed) == []
    again = app.post("customer", FAVORITES, customer_id=customer, salon_id=salon)["id"]
    assert [row["id"] for row in app.get("customer", listed)] == [again]
    assert app.delete("other_customer", FAVORITES, again) == []
    assert [row["id"] for row in app.delete("customer", FAVORITES, again)] == [again]
    assert app.get("customer", listed) == []


# ------------------------------------------------------------------ audit


@after(1, 2, 3, 4)
def test_audit(app: Application) -> None:
    """An owner's action is logged in the owner's name, can be read, and can be changed by no request."""
    salon = app.named("salon")
    app.patch("owner", "organization.salons", salon, name="Salon Two")
    entry = app.rpc(
        "owner",
        "audit.log_action",
        p_entity_type="salon",
        p_entity_id=salon,
        p_action="update",
        p_old_values={"name": "Salon One"},
        p_new_values={"name": "Salon Two"},
        p_reason="New sign",
    )
    trail = (
        f"SELECT id, actor_id::text, action, reason, new_values FROM audit.audit_logs_view WHERE entity_id = '{salon}'"
    )
    line = {
        "id": entry,
        "actor_id": app.id_of("owner"),
        "action": "update",
        "reason": "New sign",
        "new_values": {"name": "Salon Two"},
    }
    assert (app.get("owner", trail), app.get("staff", trail)) == ([line], [line])
    with refused(DENIED):
        app.get("anon", trail)

    forged = {"entity_type": "salon", "action": "delete", "actor_id": app.id_of("owner")}
    with refused(DENIED, "row-level security"):
        app.post("staff", "audit.audit_logs", **forged)
    for persona in ("owner", "service"):
        with refused(DENIED):
            app.patch(persona, "audit.audit_logs", entry, reason="x")
        with refused(DENIED):
            app.delete(persona, "audit.audit_logs", entry)
    with refused(DENIED):
        app.rpc("no_subject", "audit.log_action", p_entity_type="salon", p_entity_id=salon, p_action="update")
    assert app.get("owner", trail) == [line]


# ------------------------------------------------------------------ notifications


@after(2, 3, 4)
def test_notifications(app: Application) -> None:
    """The owner notifies a customer, who sees the number, reads the page, and marks one, then all."""
    customer = app.id_of("customer")
    app.rpc("customer", "communication.mark_notifications_read", p_user_id=customer)
    sent = [
        app.rpc(
            "owner",
            "communication.send_notification",
            p_recipient_id=customer,
            p_message=message,
            p_notification_type=kind,
        )
        for message, kind in (
            ("See you on Monday", "reminder"),
            ("Bring a friend", "promotion"),
            ("Ten %", "promotion"),
        )
    ]
    assert set(sent[0]) == {"id", "recipient_id", "message", "notification_type", "read_at", "sent_at"}
    assert (sent[0]["recipient_id"], sent[0]["read_at"]) == (customer, None)

    def unread() -> tuple[int, dict[str, int]]:
        counts = app.rpc("customer", "communication.get_unread_counts", p_user_id=customer)
        by_type = {row["notification_type"]: row["unread_count"] for row in counts}
        return app.rpc("customer", "communication.get_unread_count", p_user_id=customer), by_type

    assert unread() == (3, {"reminder": 1, "promotion": 2})
    page = app.rpc("customer", "communication.get_notifications_page", p_user_id=customer, p_limit=2)
    assert [str(row["id"]) for row in page] == [sent[2]["id"], sent[1]["id"]]
    page = app.rpc("customer", "communication.get_notifications_page", p_user_id=customer, p_limit=2, p_offset=2)
    assert str(page[0]["id"]) == sent[0]["id"]

    mark = "communication.mark_notifications_read"
    assert app.rpc("customer", mark, p_user_id=customer, p_notification_ids=[sent[1]["id"]]) == 1
    assert unread() == (2, {"reminder": 1, "promotion": 1})
    assert app.rpc("customer", mark, p_user_id=customer) == 2
    assert unread() == (0, {})
    assert app.rpc("customer", mark, p_user_id=customer) == 0

    with refused(DENIED):
        app.rpc("other_customer", "communication.get_notifications_page", p_user_id=customer)
    with refused("23503", "Failed to send notification"):
        app.rpc(
            "owner",
            "communication.send_notification",
            p_recipient_id="0" * 32,
            p_message="x",
            p_notification_type="reminder",
        )


def test_after_phase_1_notifications_are_partial(start: Start) -> None:
    """The table can be read, as before the plan. The functions come with phase 2, and no other phase is needed."""
    app = start(1)
    customer = app.id_of("customer")
    assert app.get("customer", "SELECT id FROM communication.notifications") != []
    with refused("42883", "communication.get_unread_count"):
        app.rpc("customer", "communication.get_unread_count", p_user_id=customer)
    app.scratch.apply(2)
    assert app.rpc("customer", "communication.get_unread_count", p_user_id=customer) == 2


# ------------------------------------------------------------------ avatars

# What the Storage API says when it deletes: without it, storage refuses any DELETE.
STORAGE = {"storage.allow_delete_query": "true"}


@after(1, 2, 3, 4)
def test_avatars(app: Application) -> None:
    """A customer uploads a picture, overwrites it, shows it in the profile, and deletes it."""
    customer = app.id_of("customer")
    path = f"{customer}/face.png"
    upload = f"""
        INSERT INTO storage.objects (bucket_id, name, owner, owner_id, metadata)
        VALUES ('avatars', '{path}', '{customer}', '{customer}', %s)
        ON CONFLICT (bucket_id, name) DO UPDATE SET metadata = excluded.metadata, updated_at = now()
        RETURNING id
    """
    (first,) = app.request("customer", "POST", upload, ['{"size": 100}'])
    (second,) = app.request("customer", "POST", upload, ['{"size": 200}'])
    assert first == second
    assert len(app.patch("customer", "identity.profiles", customer, avatar_url=path)) == 1

    shown = f"SELECT metadata FROM {OBJECTS} WHERE bucket_id = 'avatars' AND name = '{path}'"
    assert app.get("other_customer", shown) == [{"metadata": {"size": 200}}]
    assert app.get("anon", shown) == []
    with refused(DENIED, "row-level security"):
        app.request("other_customer", "POST", upload, ['{"size": 300}'])
    assert app.delete("other_customer", OBJECTS, first["id"], **STORAGE) == []
    assert len(app.delete("customer", OBJECTS, first["id"], **STORAGE)) == 1
    assert app.get("customer", shown) == []


# ------------------------------------------------------------------ booking rules and reporting


@after(3, 4)
def test_booking_rules(app: Application) -> None:
    salon, service = app.named("salon"), app.named("salon_service")
    rule = {"service_id": service, "salon_id": salon, "min_notice_minutes": 60}
    with refused(DENIED, "row-level security"):
        app.post("staff", RULES, **rule)
    key = app.post("owner", RULES, **rule)["id"]
    with refused("23505", "idx_service_booking_rules_unique"):
        app.post("owner", RULES, **rule)
    assert len(app.patch("owner", RULES, key, min_notice_minutes=120)) == 1
    read = f"SELECT min_notice_minutes FROM {RULES}"
    assert app.get("staff", read) == [{"min_notice_minutes": 120}]
    assert (app.get("customer", read), app.get("other_owner", read)) == ([], [])
    assert len(app.delete("owner", RULES, key)) == 1


@after(3, 4)
def test_reporting(app: Application) -> None:
    salon = app.named("other_salon")
    report = f"""
        SELECT DISTINCT total_reviews, average_rating::float FROM engagement.salon_reviews_with_counts_view
        WHERE salon_id = '{salon}'
    """
    assert app.get("other_owner", report) == [{"total_reviews": 1, "average_rating": 4.0}]
    review = {"salon_id": salon, "customer_id": app.id_of("other_customer"), "rating": 1, "status": "published"}
    app.post("other_customer", "engagement.salon_reviews", **review)
    assert app.get("other_owner", report) == [{"total_reviews": 2, "average_rating": 2.5}]
