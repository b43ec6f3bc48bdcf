"""Clients that read and write while a migration runs, and what they saw: how long each request took, and its error."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from rolecall import World
from rolecall.database.scratch import Scratch
from tests.attacks.sessions import connect

# What a request gets before its object exists, and after it is gone: no table or function of that name, no bucket, no
# grant on the schema, no policy for the upload.
MISSING = {"42P01", "42883", "23503"}
NO_GRANT = "permission denied for schema audit"
NO_POLICY = 'new row violates row-level security policy for table "objects"'


class Answer(NamedTuple):
    """One request: when it began and ended (by time.monotonic), and its SQLSTATE and message, "" if it worked."""

    request: str
    began: float
    ended: float
    sqlstate: str
    message: str

    @property
    def failed(self) -> bool:
        """Whether it failed in another way than that its object does not exist."""
        return self.sqlstate not in ("", *MISSING) and self.message not in (NO_GRANT, NO_POLICY)

    @property
    def seconds(self) -> float:
        return self.ended - self.began


# A request waits for a lock as long as a script does, and a busy machine may take long for the rest.
TIMEOUTS = "SET lock_timeout = '5s'; SET statement_timeout = '1min'"

# For each client: a persona and its requests, each a transaction. They use the existing tables and the new ones in
# different orders. {…} are names of the world.
CUSTOMER = (
    "UPDATE identity.profiles SET updated_at = now() WHERE id = {customer}",
    "SELECT FROM scheduling.appointments; SELECT FROM scheduling.appointment_services; SELECT FROM catalog.services",
    "INSERT INTO scheduling.appointments (customer_id, salon_id) VALUES ({customer}, {salon})",
    "INSERT INTO engagement.customer_favorites (customer_id, salon_id, is_favorite) "
    "VALUES ({customer}, {salon}, false)",
    "SELECT FROM engagement.customer_favorites_view; SELECT FROM identity.view_user_preferences",
    "SELECT communication.get_unread_count({customer}); SELECT FROM communication.view_notifications",
    "SELECT audit.log_action('salon', {salon}, 'viewed')",
    "SELECT FROM storage.objects; "
    "INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', {customer} || '/' || gen_random_uuid())",
)
STAFF = (
    "SELECT FROM organization.staff_profiles; SELECT FROM organization.salons; SELECT FROM identity.profiles",
    "INSERT INTO scheduling.appointment_services (appointment_id, service_id) VALUES ({same_salon_appointment}, "
    "{salon_service}); SELECT FROM identity.profiles",
    "SELECT FROM identity.profiles; SELECT FROM communication.message_threads; SELECT FROM organization.salons",
    "SELECT FROM scheduling.view_blocked_times_with_relations; SELECT FROM scheduling.appointments",
    "SELECT scheduling.calculate_business_hours({salon}, '2026-01-05')",
)
OWNER = (
    "UPDATE catalog.services SET updated_at = now() WHERE id = {salon_service}; SELECT FROM scheduling.appointments",
    "UPDATE organization.salons SET updated_at = now() WHERE id = {salon}; SELECT FROM identity.profiles",
    "UPDATE catalog.service_booking_rules SET updated_at = now(); SELECT FROM organization.salons",
    "SELECT FROM engagement.salon_reviews_with_counts_view; SELECT FROM catalog.services",
    "SELECT catalog.calculate_duration_minutes(ARRAY[{salon_service}]::uuid[])",
)
SERVICE = (
    "SELECT FROM storage.objects; SELECT FROM identity.profiles; UPDATE catalog.services SET updated_at = now() "
    "WHERE id = {other_salon_service}; UPDATE organization.salons SET updated_at = now() WHERE id = {other_salon}",
    "UPDATE organization.salons SET updated_at = now() WHERE id = {solo_salon}; SELECT FROM audit.audit_logs_view",
    "UPDATE communication.notifications SET updated_at = now() WHERE user_id = {staff}; SELECT FROM identity.profiles",
    "SELECT FROM audit.audit_logs; SELECT FROM identity.view_profile_metadata",
)
ANON = (
    "SELECT FROM organization.salons; SELECT FROM catalog.services",
    "SELECT FROM engagement.salon_reviews; SELECT FROM scheduling.operating_hours",
)
CLIENTS = {"customer": CUSTOMER, "staff": STAFF, "owner": OWNER, "service": SERVICE, "anon": ANON}


class Client(threading.Thread):
    """Sends the requests of a persona in random order, until it is told to stop."""

    def __init__(self, scratch: Scratch, world: World, persona: str, seed: int) -> None:
        super().__init__(name=persona, daemon=True)
        self.scratch, self.persona = scratch, world.personas[persona]
        names = {name: f"'{value}'" for name, value in world.names().items()}
        self.requests = [request.format(**names) for request in CLIENTS[persona]]
        self.random = random.Random(seed)  # noqa: S311 - the order of the requests is no secret
        self.answers: list[Answer] = []
        self.stop = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with connect(self.scratch.run, self.scratch.name) as connection:
                connection.execute(TIMEOUTS)
                while not self.stop.is_set():
                    for request in self.random.sample(self.requests, len(self.requests)):
                        self.answers.append(self.send(connection, request))
        except BaseException as error:
            self.error = error

    def send(self, connection: Connection[Any], request: str) -> Answer:
        """One request, as PostgREST sends it: a transaction, with the role and the claims of the token."""
        began, sqlstate, message = time.monotonic(), "", ""
        try:
            with connection.transaction():
                for setting in self.persona.settings("POST"):
                    connection.execute("SELECT set_config(%s, %s, true)", setting)
                for statement in request.split("; "):
                    connection.execute(statement.encode())
        except psycopg.Error as error:
            sqlstate, message = error.sqlstate or "?", error.diag.message_primary or str(error)
        return Answer(request, began, time.monotonic(), sqlstate, message)


@contextmanager
def clients(scratch: Scratch, world: World, seed: int) -> Iterator[list[Client]]:
    """All clients, at work for the block."""
    running = [Client(scratch, world, persona, seed + number) for number, persona in enumerate(CLIENTS)]
    for client in running:
        client.start()
    try:
        yield running
    finally:
        for client in running:
            client.stop.set()
        for client in running:
            client.join(timeout=20)
    for client in running:
        if client.error:
            raise client.error
