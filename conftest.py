"""The world of Enorae: the personas, and rows of two salons and a small third one.

Faker makes names, texts and times from ``--rolecall-world-seed``. The relations between rows are fixed.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from faker import Faker

from rolecall import World

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

PROVIDERS = ("company", "date_time", "file", "internet", "lorem", "misc", "person")

# The users with a profile. The special cases: a former staff member, an owner who is also on the staff, and a staff
# member of one salon who is a customer of another.
PEOPLE = (
    *("customer", "other_customer", "staff", "other_staff", "owner", "other_owner"),
    *("former_staff", "owner_on_staff", "staff_customer"),
)


def pytest_rolecall_world(seed: int) -> World:
    """All personas and rows. The same seed gives the same world."""
    return Enorae(seed).world


class Enorae:
    """Adds the rows of the world, table by table."""

    def __init__(self, seed: int) -> None:
        self.world = World()
        # Only these providers: the import of all of them would make the start of every run slower.
        self.fake = Faker(providers=[f"faker.providers.{name}" for name in PROVIDERS])
        self.fake.seed_instance(seed)
        self.people = {name: self.fake.uuid4() for name in PEOPLE}
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
        key: str = columns.setdefault("id", self.fake.uuid4())
        self.world.add(table, name, **columns)
        return key

    def moment(self) -> datetime:
        """A time in ``YEAR``. A time near now would differ between two processes."""
        return self.fake.date_time_between_dates(*YEAR, tzinfo=UTC)

    def personas(self) -> None:
        for name, key in self.people.items():
            self.world.persona(name, "authenticated", subject=key)
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
                username=self.fake.unique.user_name(),
                email=self.fake.unique.email(),
                full_name=self.fake.name(),
                avatar_url=self.fake.image_url(),
                metadata={"tags": [self.fake.word()]},
                created_at=self.moment(),
            )

    def salons(self) -> None:
        owners = {"salon": "owner", "other_salon": "other_owner", "solo_salon": "owner_on_staff"}
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
        self.service = {name: self.service_of(name) for name in self.salon}

    def salon_of(self, owner: str, name: str) -> str:
        key = self.add(
            SALONS,
            name,
            owner_id=self.people[owner],
            name=self.fake.company(),
            slug=self.fake.unique.slug(),
            description=self.fake.catch_phrase(),
            image_url=self.fake.image_url(),
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
            name=f"Haircut {self.fake.first_name()}",
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
        }
        self.appointment = {
            name: self.add(
                APPOINTMENTS,
                name,
                customer_id=self.people[customer],
                salon_id=self.salon[salon],
                scheduled_date=self.fake.date_between_dates(*map(datetime.date, YEAR)),
            )
            for name, (customer, salon) in appointments.items()
        }
        self.world.alias("same_salon_appointment", self.appointment["customer at the salon again"])
        self.world.alias("other_salon_appointment", self.appointment["customer at the other salon"])
        for name, deleted in (("staff's pause", False), ("staff's cancelled pause", True)):
            self.add(
                BLOCKED,
                name,
                staff_id=self.staff["staff"],
                appointment_id=self.appointment["customer at the salon"],
                reason=self.fake.sentence(),
                blocked_from=self.moment(),
                blocked_until=YEAR[1],
                is_deleted=deleted,
            )

    def notifications(self) -> None:
        for person in ("customer", "other_customer", "staff", "owner"):
            for number, kind in enumerate(("reminder", "reminder", "promotion")):
                self.add(
                    NOTIFICATIONS,
                    f"{person}'s {kind} {number}",
                    user_id=self.people[person],
                    message=self.fake.sentence(),
                    notification_type=kind,
                    read_at=self.moment() if number == 1 else None,
                    created_at=self.moment(),
                )
        for customer, salon, rating in (
            ("customer", "salon", 5),
            ("other_customer", "salon", 2),
            ("customer", "other_salon", 4),
        ):
            self.add(
                REVIEWS,
                f"{customer} on the {salon}",
                customer_id=self.people[customer],
                salon_id=self.salon[salon],
                rating=rating,
                content=self.fake.paragraph(),
                status="published",
                created_at=self.moment(),
            )

    def appointment_services(self) -> None:
        for appointment, salon, member in (
            ("customer at the salon", "salon", "staff"),
            ("other customer at the salon", "salon", "staff"),
            ("staff customer at the salon", "salon", "staff"),
            ("customer at the other salon", "other_salon", "other_staff"),
            ("customer at the solo salon", "solo_salon", "owner_on_staff"),
        ):
            self.add(
                APPOINTMENT_SERVICES,
                appointment,
                appointment_id=self.appointment[appointment],
                service_id=self.service[salon],
                staff_id=self.staff[member],
                service_name=self.fake.word(),
                duration_minutes=self.fake.random_int(15, 120),
                price_at_time=self.fake.random_int(20, 200),
                # Its author is no longer on the staff of the salon.
                created_by_id=self.people["former_staff" if salon == "salon" else member],
            )

    def message_threads(self) -> None:
        for name, sender, recipient, deleted in (
            ("customer to staff", "customer", "staff", False),
            ("owner to customer", "owner", "customer", False),
            ("strangers to customer and staff", "other_owner", "other_customer", False),
            ("deleted by customer or staff", "customer", "staff", True),
            ("neither deleted nor not", "customer", "other_customer", None),
        ):
            self.add(
                THREADS,
                name,
                created_by_id=self.people[sender],
                recipient_id=self.people[recipient],
                subject=self.fake.sentence(),
                description=self.fake.paragraph(),
                is_deleted=deleted,
            )

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
                notes=self.fake.sentence(),
                rating=self.fake.random_int(1, 5),
                is_favorite=is_favorite,
            )

    def audit_logs(self) -> None:
        for name, actor in (("owner's entry", "owner"), ("customer's entry", "customer"), ("nobody's entry", None)):
            self.add(
                AUDIT,
                name,
                entity_type="salon",
                entity_id=self.salon["salon"],
                action="update",
                actor_id=self.people[actor] if actor else None,
                old_values={"name": self.fake.company()},
                new_values={"name": self.fake.company()},
                reason=self.fake.sentence(),
                ip_address=self.fake.ipv4(),
                created_at=self.moment(),
            )

    def service_booking_rules(self) -> None:
        for salon, service in self.service.items():
            self.add(
                RULES,
                f"the {salon.replace('_', ' ')}'s rule",
                service_id=service,
                salon_id=self.salon[salon],
                min_notice_minutes=self.fake.random_int(0, 600),
                max_advance_days=self.fake.random_int(1, 365),
            )

    def avatars(self) -> None:
        self.world.add("storage.buckets", "documents", id="documents", name="documents", public=False)
        own, other = self.people["customer"], self.people["other_customer"]
        for name, bucket, path in (
            ("customer's avatar", "avatars", f"{own}/{self.fake.unique.file_name(extension='png')}"),
            ("customer's avatar deeper down", "avatars", f"{own}/2025/{self.fake.unique.file_name(extension='png')}"),
            ("other customer's avatar", "avatars", f"{other}/{self.fake.unique.file_name(extension='png')}"),
            ("customer's file in no bucket", None, f"{own}/{self.fake.unique.file_name(extension='png')}"),
            ("avatar in no folder", "avatars", self.fake.unique.file_name(extension="png")),
            ("customer's file in another bucket", "documents", f"{own}/{self.fake.unique.file_name(extension='pdf')}"),
        ):
            self.add(OBJECTS, name, bucket_id=bucket, name=path, metadata={"mimetype": "image/png"})
        self.world.alias("customer_folder", f"{own}/moved.png")
        self.world.alias("other_customer_folder", f"{other}/moved.png")
