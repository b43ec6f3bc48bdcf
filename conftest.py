"""The world of Enorae: the personas, and rows of two salons, a small third one and one without staff.

Faker makes names, texts and times from ``--rolecall-world-seed``. The relations between rows are fixed.

The rows contradict themselves on purpose: a booked service is another salon's, and somebody without access changed it
last. If all columns of a row agreed, no test would notice a policy that asks the wrong one. In each table one row is
bare: it has NULL wherever the table allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from rolecall import World
from tests.cached_faker import CachedFaker

PROFILES = "identity.profiles"
SALONS = "organization.salons"
STAFF = "organization.staff_profiles"
SERVICES = "catalog.services"
APPOINTMENTS = "scheduling.appointments"
HOURS = "scheduling.operating_hours"
BLOCKED = "scheduling.blocked_times"
NOTIFICATIONS = "communication.notifications"
REVIEWS = "engagement.salon_reviews"
APPOINTMENT_SERVICES = "scheduling.appointment_services"
THREADS = "communication.message_threads"
FAVORITES = "engagement.customer_favorites"
AUDIT = "audit.audit_logs"
RULES = "catalog.service_booking_rules"
OBJECTS = "storage.objects"

YEAR = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)
FUTURE = datetime(2125, 1, 1, 12, tzinfo=UTC)
LONG = "longer than any limit that somebody could put on a text by mistake, " * 5
SYSTEM = {"source": "system", "role": "service_role", "public": True}  # in columns that no policy must read

# The users with a profile. The special cases: a former staff member, an owner who is also on the staff, a staff
# member of one salon who is a customer of another, and a member of the staff of two salons. other_owner has two salons.
PEOPLE = (
    *("customer", "other_customer", "staff", "other_staff", "owner", "other_owner"),
    *("former_staff", "owner_on_staff", "staff_customer", "staff_of_both"),
)

# What users may write into their own tokens.
CLAIMED_ROLES = ("admin", "owner", "staff", "service_role", "customer")

SYSTEM_THREAD: dict[str, Any] = {"subject": "system", "description": "system", "metadata": SYSTEM}
SYSTEM_THREAD |= dict.fromkeys(("created_at", "last_message_at", "updated_at"), FUTURE)

# What profiles have besides a tag. Minutes beyond the range of an integer count as not set.
PREFERENCES: dict[str, dict[str, Any]] = {
    "customer": {
        "status": "paused",
        "preferences": {
            "notifications": {"email": False, "push": "no", "sms": "yes"},
            "booking": {"auto_confirm": True, "reminder_minutes": 30},
            "marketing": {"newsletter": True, "promotions": "on"},
            "privacy": {"profile_public": True, "show_reviews": "off"},
        },
    },
    "owner": {"preferences": {"booking": {"reminder_minutes": 2**31}}},
    "other_owner": {"preferences": {"booking": {"reminder_minutes": -(2**31) - 1}}},
}


def pytest_rolecall_world(seed: int, config: pytest.Config) -> World:
    """All personas and rows. The same seed gives the same world."""
    return world_of(seed, getattr(config, "cache", None))


def world_of(seed: int, cache: pytest.Cache | None = None) -> World:
    """The world of a seed. ``cache`` has the values that Faker makes for it, or gets them."""
    faker = CachedFaker(seed, Path(__file__), cache)
    world = Enorae(faker.make).world
    faker.store()
    return world


class Enorae:
    """Adds the rows of the world, table by table."""

    def __init__(self, fake: Callable[..., Any]) -> None:
        self.world = World()
        self.fake = fake  # makes a value: it takes the name of a provider of Faker, and its arguments
        self.people = {name: fake("uuid4") for name in PEOPLE}
        self.personas()
        self.profiles()
        self.salons()
        self.appointments()
        self.notifications()
        self.appointment_services()
        self.message_threads()
        self.customer_favorites()
        self.audit_logs()
        self.service_booking_rules()
        self.avatars()

    def add(self, table: str, name: str, /, **columns: Any) -> str:
        """Add a row, with a new id unless ``columns`` has one; returns the id."""
        key: str = columns.setdefault("id", self.fake("uuid4"))
        self.world.add(table, name, **columns)
        return key

    def moment(self) -> datetime:
        """A time in ``YEAR``. A time near now would differ between two processes."""
        return YEAR[0] + timedelta(seconds=self.fake("random_int", 0, 364 * 24 * 3600))

    def personas(self) -> None:
        people = list(self.people.items())
        for number, (name, key) in enumerate(people):
            _, another = people[number - 1]
            claimed = {"role": CLAIMED_ROLES[number % len(CLAIMED_ROLES)], "is_admin": True, "user_id": another}
            self.world.persona(name, "authenticated", subject=key, user_metadata=claimed)
        self.world.persona("no_subject", "authenticated")
        self.world.persona("anon", "anon")
        # anon with a mistaken grant on the table: the policies alone must refuse it.
        mistake = "GRANT USAGE ON SCHEMA {schema} TO anon; GRANT ALL ON {table} TO anon"
        self.world.persona("granted_anon", "anon", setup=mistake)
        self.world.persona("service", "service_role")

    def profiles(self) -> None:
        for name, key in self.people.items():
            self.add(
                PROFILES,
                name,
                id=key,
                username=self.fake("unique.user_name"),
                email=self.fake("unique.email"),
                full_name=self.fake("name"),
                avatar_url=self.fake("image_url"),
                metadata={"tags": [self.fake("word")], **PREFERENCES.get(name, {})},
                created_at=self.moment(),
            )

    def salons(self) -> None:
        owners: dict[str, str | None] = {"salon": "owner", "other_salon": "other_owner", "solo_salon": "owner_on_staff"}
        owners |= {"empty_salon": "other_owner", "ownerless_salon": None}
        self.salon = {name: self.salon_of(owner, name) for name, owner in owners.items()}
        employers = {
            "staff": "salon",
            "other_staff": "other_salon",
            "staff_customer": "other_salon",
            "owner_on_staff": "solo_salon",
        }
        self.staff = {
            person: self.add(STAFF, person, salon_id=self.salon[salon], user_id=self.people[person])
            for person, salon in employers.items()
        }
        for name, salon, person in (
            ("staff_of_both", "salon", "staff_of_both"),
            ("staff_of_both at the other salon", "other_salon", "staff_of_both"),
            ("staff without an account", "salon", None),
            ("staff_customer without a salon", None, "staff_customer"),
        ):
            columns = {"salon_id": self.salon[salon] if salon else None}
            self.staff[name] = self.add(STAFF, name, **columns, user_id=self.people[person] if person else None)
        self.service = {name: self.service_of(name) for name in self.salon if name != "ownerless_salon"}
        for name, is_active in (("discontinued", False), ("neither active nor not", None)):
            self.add(
                SERVICES,
                f"salon's service, {name}",
                salon_id=self.salon["salon"],
                name=name,
                duration_range=timedelta(hours=3),
                is_active=is_active,
            )
        self.special_hours()

    def special_hours(self) -> None:
        """The other days of the empty salon, one for each case of the opening hours."""
        usual = {"start_time": time(9), "end_time": time(18), "break_start": time(12), "break_end": time(13)}
        for day, what, columns in (
            (2, "closed", {"is_open": False}),
            (3, "past midnight", {"start_time": time(20), "end_time": time(4)}),
            (4, "with a break at midnight", {"end_time": time(4), "break_start": time(23), "break_end": time(1)}),
            (5, "no longer valid", {"is_active": False}),
            (6, "neither open nor not", {"is_open": None}),
            (0, "neither valid nor not", {"is_active": None}),
        ):
            row = {"salon_id": self.salon["empty_salon"], "day_of_week": day, "is_open": True, **usual, **columns}
            self.add(HOURS, f"empty_salon on a day {what}", **row)

    def salon_of(self, owner: str | None, name: str) -> str:
        key = self.add(
            SALONS,
            name,
            owner_id=self.people[owner] if owner else None,
            name=self.fake("company"),
            slug=self.fake("unique.slug"),
            description=self.fake("catch_phrase"),
            image_url=self.fake("image_url"),
        )
        self.world.alias(name, key)
        self.add(
            HOURS,
            f"{name} on Mondays",
            salon_id=key,
            day_of_week=1,
            is_open=True,
            start_time=time(9),
            end_time=time(18),
            break_start=time(12),
            break_end=time(13),
        )
        return key

    def service_of(self, salon: str) -> str:
        key = self.add(
            SERVICES,
            f"{salon}'s haircut",
            salon_id=self.salon[salon],
            name=f"Haircut {self.fake('first_name')}",
            duration_range=timedelta(minutes=45),
            is_active=True,
        )
        return str(self.world.alias(f"{salon}_service", key))

    def appointments(self) -> None:
        appointments = {
            "customer at the salon": ("customer", "salon"),
            "customer at the salon again": ("customer", "salon"),
            "other customer at the salon": ("other_customer", "salon"),
            "staff customer at the salon": ("staff_customer", "salon"),
            "customer at the other salon": ("customer", "other_salon"),
            "customer at the solo salon": ("customer", "solo_salon"),
            "customer at the empty salon": ("customer", "empty_salon"),
            "walk-in at the salon": (None, "salon"),
        }
        self.appointment = {
            name: self.add(
                APPOINTMENTS,
                name,
                customer_id=self.people[customer] if customer else None,
                salon_id=self.salon[salon],
                scheduled_date=self.moment().date(),
            )
            for name, (customer, salon) in appointments.items()
        }
        self.world.alias("same_salon_appointment", self.appointment["customer at the salon again"])
        self.world.alias("other_salon_appointment", self.appointment["customer at the other salon"])
        for name, member, appointment, deleted in (
            ("staff's pause", "staff", "customer at the salon", False),
            ("staff's cancelled pause", "staff", "customer at the salon", True),
            ("staff's pause, neither cancelled nor not", "staff", "customer at the salon", None),
            ("staff's pause without an appointment", "staff", None, False),
            ("a pause without an account", "staff without an account", "customer at the salon", False),
            ("nobody's pause", None, "customer at the salon", False),
        ):
            self.add(
                BLOCKED,
                name,
                staff_id=self.staff[member] if member else None,
                appointment_id=self.appointment[appointment] if appointment else None,
                reason=self.fake("sentence"),
                blocked_from=self.moment(),
                blocked_until=YEAR[1],
                is_deleted=deleted,
            )

    def notifications(self) -> None:
        for person in ("customer", "other_customer", "staff", "owner", "staff_of_both"):
            for number, kind in enumerate(("reminder", "reminder", "promotion")):
                is_special = person == "staff_of_both"  # without a time, in the future, and long
                moment = self.moment()
                self.add(
                    NOTIFICATIONS,
                    f"{person}'s {kind} {number}",
                    user_id=self.people[person],
                    message=LONG if is_special else self.fake("sentence"),
                    notification_type=kind,
                    read_at=self.moment() if number == 1 else None,
                    created_at=(None, moment, FUTURE)[number] if is_special else moment,
                )
        columns = {"user_id": None, "message": self.fake("sentence"), "created_at": self.moment()}
        self.add(NOTIFICATIONS, "nobody's reminder", notification_type="reminder", **columns)
        for customer, salon, rating in (
            ("customer", "salon", 5),
            ("other_customer", "salon", 2),
            ("customer", "other_salon", 4),
            ("staff_customer", "empty_salon", 3),
            ("owner_on_staff", "empty_salon", 1),
            ("owner", "empty_salon", None),
        ):
            self.add(
                REVIEWS,
                f"{customer} on the {salon}",
                customer_id=self.people[customer],
                salon_id=self.salon[salon],
                rating=rating,
                content=self.fake("paragraph"),
                status="pending" if customer == "owner_on_staff" else "published",
                created_at=self.moment(),
            )

    def appointment_services(self) -> None:
        # The service and the member of the staff, of another salon in the first two rows; and who added and changed it.
        for appointment, service, member, author, editor in (
            ("customer at the salon", "other_salon", "other_staff", "former_staff", "other_owner"),
            ("walk-in at the salon", "solo_salon", "owner_on_staff", "customer", "other_customer"),
            ("other customer at the salon", "salon", "staff", "former_staff", "staff_customer"),
            ("staff customer at the salon", "salon", "staff", "former_staff", "customer"),
            ("customer at the other salon", "other_salon", "other_staff", "staff", "owner"),
            ("customer at the solo salon", "solo_salon", "owner_on_staff", "owner_on_staff", "former_staff"),
        ):
            self.add(
                APPOINTMENT_SERVICES,
                appointment,
                appointment_id=self.appointment[appointment],
                service_id=self.service[service],
                staff_id=self.staff[member],
                service_name={"solo_salon": LONG[:255], "other_salon": "system"}.get(service, self.fake("word")),
                duration_minutes=self.fake("random_int", 15, 120),
                price_at_time=0 if author == "customer" else self.fake("random_int", 20, 200),
                created_at=FUTURE if author == "customer" else self.moment(),
                created_by_id=self.people[author],
                updated_at=FUTURE if author == "customer" else self.moment(),
                updated_by_id=self.people[editor],
            )
        bare = "customer at the empty salon"
        columns = {"appointment_id": self.appointment[bare], "service_id": self.service["salon"], "created_at": None}
        self.add(APPOINTMENT_SERVICES, bare, **columns)

    def message_threads(self) -> None:
        # The appointment is not one of the participants', and the salon is not theirs.
        elsewhere = {
            "salon_id": self.salon["solo_salon"],
            "appointment_id": self.appointment["staff customer at the salon"],
        }
        usual = {"subject": "a short subject", "description": LONG, "is_deleted": False, "created_at": YEAR[0]}
        texts = {
            "subject": LONG,
            "unread_count": 3,
            "is_archived": True,
            "last_message_at": YEAR[1],
            "updated_at": YEAR[1],
        }
        bare = dict.fromkeys(("salon_id", "appointment_id", "subject", "description", "is_archived", "unread_count"))
        bare |= dict.fromkeys(("last_message_at", "created_at", "updated_at", "metadata"))
        for name, sender, recipient, columns in (
            ("customer to staff", "customer", "staff", texts),
            ("owner to customer", "owner", "customer", bare),
            ("strangers to customer and staff", "other_owner", "other_customer", SYSTEM_THREAD),
            ("deleted by customer or staff", "customer", "staff", {"is_deleted": True}),
            ("neither deleted nor not", "customer", "other_customer", {"is_deleted": None}),
        ):
            people = {"created_by_id": self.people[sender], "recipient_id": self.people[recipient]}
            self.add(THREADS, name, **people | elsewhere | usual | columns)

    def customer_favorites(self) -> None:
        for name, customer, salon, is_favorite in (
            ("customer's favourite", "customer", "salon", True),
            ("other customer's favourite", "other_customer", "salon", True),
            ("customer's former favourite", "customer", "other_salon", False),
        ):
            self.add(
                FAVORITES,
                name,
                customer_id=self.people[customer],
                salon_id=self.salon[salon],
                notes=LONG if is_favorite else "not as good as it was",
                rating=self.fake("random_int", 1, 5),
                is_favorite=is_favorite,
                created_at=FUTURE if customer == "other_customer" else self.moment(),
                created_by_id=self.people["staff"],
                updated_at=FUTURE if customer == "other_customer" else self.moment(),
                updated_by_id=self.people["former_staff"],
            )
        bare = {"customer_id": self.people["customer"], "salon_id": self.salon["solo_salon"]}
        self.add(FAVORITES, "neither favourite nor not", **bare, is_favorite=None, created_at=None)

    def audit_logs(self) -> None:
        # Each is about somebody else than its actor.
        for name, actor, subject, columns in (
            ("owner's entry", "owner", "other_customer", {"source_system": LONG[:100], "created_at": FUTURE}),
            ("nobody's entry", None, "owner", {"entity_type": LONG[:100], "action": LONG[:100], "metadata": SYSTEM}),
        ):
            usual = {"entity_type": "user", "action": "update", "source_system": "system", "created_at": self.moment()}
            texts = dict.fromkeys(("reason", "change_summary", "user_agent"), LONG if actor else "system")
            self.add(
                AUDIT,
                name,
                entity_id=self.people[subject],
                actor_id=self.people[actor] if actor else None,
                old_values={"name": self.fake("company"), "user_id": self.people[subject]},
                new_values={"name": self.fake("company"), "user_id": self.people[subject]},
                ip_address=self.fake("ipv4"),
                **texts | usual | columns,
            )
        bare = {"entity_type": "salon", "action": "update", "created_at": None, "metadata": None}
        self.add(AUDIT, "customer's entry", actor_id=self.people["customer"], **bare)

    def service_booking_rules(self) -> None:
        # The first two are about a service of each other's salon.
        for salon, service in (("salon", "other_salon"), ("other_salon", "salon"), ("empty_salon", "empty_salon")):
            self.add(
                RULES,
                f"the {salon.replace('_', ' ')}'s rule",
                service_id=self.service[service],
                salon_id=self.salon[salon],
                min_notice_minutes=0 if salon == "salon" else self.fake("random_int", 1, 600),
                max_advance_days=self.fake("random_int", 1, 365),
                max_concurrent_bookings=self.fake("random_int", 1, 9),
                bookable_by_staff_only=salon == "salon",
                auto_confirm=salon == "other_salon",
                requires_deposit=salon == "empty_salon",
                deposit_amount=self.fake("random_int", 1, 90),
                created_at=FUTURE if salon == "empty_salon" else self.moment(),
                updated_at=FUTURE if salon == "empty_salon" else self.moment(),
            )
        bare = dict.fromkeys(("min_notice_minutes", "max_advance_days", "requires_deposit", "created_at"))
        bare |= dict.fromkeys(("bookable_by_staff_only", "auto_confirm"))
        key, service = self.salon["solo_salon"], self.service["solo_salon"]
        self.add(RULES, "the solo salon's rule", salon_id=key, service_id=service, **bare)

    def avatars(self) -> None:
        for other_bucket in ("documents", "avatars-2", "AVATARS"):
            self.world.add("storage.buckets", other_bucket, id=other_bucket, name=other_bucket, public=False)
        own, other = self.people["customer"], self.people["other_customer"]
        # The bucket, the folders, and who uploaded it: that gives no rights.
        for name, bucket, folder, uploader in (
            ("customer's avatar", "avatars", f"{own}/", "staff"),
            ("customer's avatar deeper down", "avatars", f"{own}/2025/{other}/", "owner"),
            ("other customer's avatar", "avatars", f"{other}/", "customer"),
            ("other customer's avatar deeper down", "avatars", f"{other}/{own}/", "customer"),
            ("avatar in a folder named alike", "avatars", f"{own}-x/", "customer"),
            ("avatar in a folder in upper case", "avatars", f"{own.upper()}/", "customer"),
            ("avatar in a folder without a name", "avatars", f"/{own}/", "customer"),
            ("avatar in a folder after a space", "avatars", f" {own}/", "customer"),
            ("avatar in no folder", "avatars", own, "customer"),
            ("customer's file in no bucket", None, f"{own}/", "customer"),
            ("customer's file in another bucket", "documents", f"{own}/", "customer"),
            ("customer's file in a bucket named alike", "avatars-2", f"{own}/", "customer"),
            ("customer's file in a bucket in upper case", "AVATARS", f"{own}/", "customer"),
        ):
            path = folder + self.fake("unique.file_name", extension="png")
            owner = self.people[uploader]
            metadata = {"mimetype": "image/png"}
            columns = {"owner": owner, "owner_id": owner, "user_metadata": SYSTEM | {"owner": owner}}
            self.add(OBJECTS, name, bucket_id=bucket, name=path, metadata=metadata, **columns)
        self.add(OBJECTS, "avatar with the name of a folder", bucket_id="avatars", name=own, metadata={})
        self.add(
            OBJECTS, "customer's file that is no picture", bucket_id="avatars", name=f"{own}/notes.txt", metadata={}
        )
        self.add(OBJECTS, "file named system in another bucket", bucket_id="documents", name="system", metadata={})
        self.world.alias("customer_folder", f"{own}/moved.png")
        self.world.alias("other_customer_folder", f"{other}/moved.png")
