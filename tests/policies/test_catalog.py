"""The tables have the policies, privileges and triggers of the plan, and no others."""

from __future__ import annotations

import pytest

from rolecall import Session

pytestmark = pytest.mark.rolecall_pin

SIGNED_IN, ANON = ["authenticated"], ["anon"]
PERMISSIVE, RESTRICTIVE = "PERMISSIVE", "RESTRICTIVE"

POLICIES = {
    "scheduling.appointment_services": {
        "Users view appointment services for their appointments": (PERMISSIVE, "SELECT", SIGNED_IN),
        "Staff can insert appointment services": (PERMISSIVE, "INSERT", SIGNED_IN),
        "Staff can update appointment services": (PERMISSIVE, "UPDATE", SIGNED_IN),
        "Anon cannot access appointment services": (RESTRICTIVE, "ALL", ANON),
    },
    "communication.message_threads": {
        "Users can view their own threads": (PERMISSIVE, "SELECT", SIGNED_IN),
        "Users can create threads": (PERMISSIVE, "INSERT", SIGNED_IN),
        "Users can update their threads": (PERMISSIVE, "UPDATE", SIGNED_IN),
        "Users can soft-delete their threads": (PERMISSIVE, "DELETE", SIGNED_IN),
        "Anon cannot access threads": (RESTRICTIVE, "ALL", ANON),
    },
    "engagement.customer_favorites": {
        "Customers can view their own favorites": (PERMISSIVE, "SELECT", SIGNED_IN),
        "Customers can add favorites": (PERMISSIVE, "INSERT", SIGNED_IN),
        "Customers can update their own favorites": (PERMISSIVE, "UPDATE", SIGNED_IN),
        "Customers can remove their own favorites": (PERMISSIVE, "DELETE", SIGNED_IN),
        "Anon cannot access favorites": (RESTRICTIVE, "ALL", ANON),
    },
    "audit.audit_logs": {
        "Authenticated users can view audit logs": (PERMISSIVE, "SELECT", SIGNED_IN),
        "System can insert audit logs": (PERMISSIVE, "INSERT", SIGNED_IN),
        "Anon cannot access audit logs": (RESTRICTIVE, "ALL", ANON),
    },
    "catalog.service_booking_rules": {
        "Salon staff can view their booking rules": (PERMISSIVE, "SELECT", SIGNED_IN),
        "Salon owners can manage their booking rules": (PERMISSIVE, "INSERT", SIGNED_IN),
        "Salon owners can update their booking rules": (PERMISSIVE, "UPDATE", SIGNED_IN),
        "Salon owners can delete their booking rules": (PERMISSIVE, "DELETE", SIGNED_IN),
        "Anon cannot access booking rules": (RESTRICTIVE, "ALL", ANON),
    },
}
AVATARS = {
    "Authenticated users can view avatars": (PERMISSIVE, "SELECT", SIGNED_IN),
    "Users can upload their own avatars": (PERMISSIVE, "INSERT", SIGNED_IN),
    "Users can update their own avatars": (PERMISSIVE, "UPDATE", SIGNED_IN),
    "Users can delete their own avatars": (PERMISSIVE, "DELETE", SIGNED_IN),
}

WRITABLE = {
    f"{privilege} to {role}"
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")
    for role in ("authenticated", "service_role")
}
GRANTS = {
    **dict.fromkeys(POLICIES, WRITABLE),
    "scheduling.appointment_services": WRITABLE - {"DELETE to authenticated"},
    "audit.audit_logs": {entry for entry in WRITABLE if entry.startswith(("SELECT", "INSERT"))},
}


def policies(db: Session, table: str) -> dict[str, tuple[str, str, list[str]]]:
    """The policies of a table by name: kind, command, roles."""
    rows = db.rows(
        "SELECT policyname, permissive, cmd, roles::text[] FROM pg_policies WHERE schemaname || '.' || tablename = %s",
        [table],
    )
    return {name: (kind, command, roles) for name, kind, command, roles in rows}


@pytest.mark.parametrize("table", POLICIES)
def test_the_policies_are_those_of_the_plan(db: Session, table: str) -> None:
    assert policies(db, table) == POLICIES[table]


def test_the_policies_of_the_avatars_are_those_of_the_plan(db: Session) -> None:
    # An application may have other policies on storage.objects.
    existing = policies(db, "storage.objects")
    assert {name: existing.get(name) for name in AVATARS} == AVATARS


@pytest.mark.parametrize("table", GRANTS)
def test_the_privileges_are_those_of_the_plan(db: Session, table: str) -> None:
    grants = db.rows(
        """
        SELECT privilege_type || ' to ' || coalesce(rolname, 'PUBLIC')
          || CASE WHEN is_grantable THEN ' with grant option' ELSE '' END
        FROM pg_class c CROSS JOIN aclexplode(relacl) a LEFT JOIN pg_roles r ON r.oid = grantee
        WHERE c.oid = %s::regclass AND grantee <> relowner
        """,
        [table],
    )
    assert {entry for (entry,) in grants} == GRANTS[table]
    assert not db.rows("SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attacl IS NOT NULL", [table])


def test_trigger_functions_have_a_safe_search_path_and_few_rights(db: Session) -> None:
    functions = db.rows(
        """
        SELECT tgname, tgrelid::regclass::text, proconfig, prosecdef
        FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid
        WHERE tgrelid = ANY (%s::regclass[]) AND NOT tgisinternal
        ORDER BY 1
        """,
        [list(POLICIES)],
    )
    path = ["search_path=pg_catalog, pg_temp"]
    assert functions == [
        ("keep_appointment_service_in_its_salon", "scheduling.appointment_services", path, True),
        ("keep_thread_participants", "communication.message_threads", path, False),
        ("soft_delete_thread", "communication.message_threads", path, True),
    ]
