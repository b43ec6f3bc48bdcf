"""Mistakes in the SQL of this repository: decided_by finds them, whatever the rows of the world show."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from rolecall import Session, World
from rolecall.grids.decided_by import KINDS
from rolecall.noninterference import kinds
from tests.policies import (
    test_appointment_services,
    test_audit_logs,
    test_avatars,
    test_customer_favorites,
    test_message_threads,
    test_service_booking_rules,
)

GRIDS = {
    each.test_grid.table: each.test_grid
    for each in (
        test_appointment_services,
        test_audit_logs,
        test_avatars,
        test_customer_favorites,
        test_message_threads,
        test_service_booking_rules,
    )
}
ME = "(SELECT auth.uid())"
READS = {
    "scheduling.appointment_services": "Users view appointment services for their appointments",
    "communication.message_threads": "Users can view their own threads",
    "engagement.customer_favorites": "Customers can view their own favorites",
    "audit.audit_logs": "Authenticated users can view audit logs",
    "storage.objects": "Authenticated users can view avatars",
    "catalog.service_booking_rules": "Salon staff can view their booking rules",
}
FAVORITES, SERVICES, THREADS = (
    "engagement.customer_favorites",
    "scheduling.appointment_services",
    "communication.message_threads",
)
RULES, AUDIT, OBJECTS = "catalog.service_booking_rules", "audit.audit_logs", "storage.objects"
COLUMNS, ROWS, REQUEST, OTHERS = KINDS[:4]


class Mistake(NamedTuple):
    """More text behind the predicate of a policy, the kind that finds it, and a part of what it says.

    Without the name of a policy, it is the SELECT policy of the table.
    """

    table: str
    more: str
    kind: str
    finding: str
    policy: str = ""
    clause: str = "USING"


MISTAKES = {
    "or its author": Mistake(
        FAVORITES, f"OR created_by_id = {ME}", COLUMNS, "depends on created_by_id: with created_by_id = "
    ),
    "or its last author": Mistake(
        THREADS, f"OR updated_at IS NULL AND metadata ->> 'owner' = {ME}::text", COLUMNS, 'metadata = \'{"owner": "'
    ),
    "or a fixed text": Mistake(SERVICES, "OR service_name = 'system'", COLUMNS, "service_name = 'system'"),
    "and a low price": Mistake(
        SERVICES, "AND (price_at_time IS NULL OR price_at_time < 1000)", COLUMNS, "price_at_time = '99999999.99'"
    ),
    "and a young row": Mistake(
        FAVORITES, "AND (created_at IS NULL OR created_at > now() - interval '1 year')", COLUMNS, "created_at = '"
    ),
    "and a past time": Mistake(AUDIT, "AND (created_at IS NULL OR created_at <= now())", COLUMNS, "created_at = '"),
    "and a short text": Mistake(
        THREADS, "AND (subject IS NULL OR char_length(subject) < 200)", COLUMNS, "(500 characters)"
    ),
    "and no metadata": Mistake(OBJECTS, "AND (metadata IS NULL OR NOT metadata ? 'private')", COLUMNS, '"private"'),
    "and lower case": Mistake(AUDIT, "AND action = lower(action)", COLUMNS, "with action = "),
    "or the staff's name on it": Mistake(
        SERVICES,
        "OR EXISTS (SELECT FROM organization.staff_profiles s WHERE s.id = staff_id AND s.created_at < '2001-01-01')",
        ROWS,
        "organization.staff_profiles.created_at",
    ),
    "or the salon of the service": Mistake(
        SERVICES,
        "OR EXISTS (SELECT FROM catalog.services s JOIN organization.staff_profiles p USING (salon_id)"
        f" WHERE s.id = service_id AND p.user_id = {ME})",
        COLUMNS,
        "depends on service_id: with service_id = ",
    ),
    "or the salon of the service, from afar": Mistake(
        SERVICES,
        "OR EXISTS (SELECT FROM catalog.services s JOIN organization.staff_profiles p USING (salon_id)"
        f" WHERE s.id = service_id AND p.user_id = {ME})",
        ROWS,
        "catalog.services.salon_id",
    ),
    "or a claim that users set": Mistake(
        FAVORITES,
        "OR auth.jwt() -> 'user_metadata' ->> 'role' = 'admin'",
        REQUEST,
        "claim:user_metadata.role = 'admin'",
    ),
    "or a claim that is true": Mistake(
        RULES, "OR (auth.jwt() ->> 'is_support')::boolean", REQUEST, "claim:is_support = "
    ),
    "or how the caller signed in": Mistake(
        FAVORITES, "OR auth.jwt() -> 'amr' -> 0 ->> 'method' = 'magiclink'", REQUEST, "claim:amr = "
    ),
    "or an element of an array": Mistake(
        AUDIT,
        "OR EXISTS (SELECT FROM jsonb_array_elements(auth.jwt() -> 'app_metadata' -> 'teams') AS team"
        " WHERE team ->> 'name' = 'support')",
        REQUEST,
        "claim:app_metadata.teams = ",
    ),
    "or an array that contains an object": Mistake(
        FAVORITES, """OR auth.jwt() -> 'amr' @> '[{"method": "totp"}]'""", REQUEST, "claim:amr = "
    ),
    "or a number in the token": Mistake(FAVORITES, "OR (auth.jwt() ->> 'level')::int >= 9", REQUEST, "claim:level = 9"),
    "or a list in the token": Mistake(
        FAVORITES,
        "OR customer_id::text IN (SELECT jsonb_array_elements_text(auth.jwt() -> 'delegates'))",
        REQUEST,
        "claim:delegates = ",
    ),
    "or a number in metadata": Mistake(
        THREADS, "OR (metadata ->> 'visibility')::int > 2", COLUMNS, 'metadata = \'{"visibility": '
    ),
    "or a list in metadata": Mistake(
        THREADS, f"OR metadata -> 'viewers' ? {ME}::text", COLUMNS, 'metadata = \'{"viewers": ['
    ),
    "or the method of the request": Mistake(
        FAVORITES, "OR current_setting('request.method', true) = 'HEAD'", REQUEST, "another setting:request.method"
    ),
    "or a cookie": Mistake(
        OBJECTS,
        "OR nullif(current_setting('request.cookies', true), '')::json ->> 'support' = 'yes'",
        REQUEST,
        "setting:request.cookies = ",
    ),
    "or a header of an older PostgREST": Mistake(
        OBJECTS,
        "OR current_setting('request.header.origin', true) = 'inside'",
        REQUEST,
        "setting:request.header.origin",
    ),
    "or a setting": Mistake(
        THREADS, "OR current_setting('app.support', true) = 'on'", REQUEST, "setting:app.support = 'on'"
    ),
    "or a header": Mistake(
        OBJECTS,
        "OR current_setting('request.headers', true)::json ->> 'x-support' = 'yes'",
        REQUEST,
        "header:x-support = 'yes'",
    ),
    "or an object of the token": Mistake(
        FAVORITES, "OR auth.jwt() -> 'profile' ->> 'kind' = 'root'", REQUEST, "claim:profile.kind = 'root'"
    ),
    "or an object in an object of the token": Mistake(
        RULES,
        "OR auth.jwt() -> 'user_metadata' -> 'salon' ->> 'id' = salon_id::text",
        REQUEST,
        "claim:user_metadata.salon.id = the id of ",
    ),
    "or a path in the token": Mistake(
        AUDIT, "OR auth.jwt() #>> '{profile,kind}' = 'root'", REQUEST, "claim:profile.kind = 'root'"
    ),
    "or a path of the request": Mistake(
        RULES, "OR current_setting('request.path', true) LIKE '/rpc/%'", REQUEST, "setting:request.path = '/rpc/%'"
    ),
    "only the first appointment of a salon": Mistake(
        SERVICES,
        "AND appointment_id IN (SELECT DISTINCT ON (a.salon_id, a.customer_id) a.id FROM scheduling.appointments a"
        " ORDER BY a.salon_id, a.customer_id, a.created_at)",
        OTHERS,
        "copies of each row of scheduling.appointments",
    ),
    "or the name of the application": Mistake(
        AUDIT, "OR current_setting('application_name') = 'psql'", REQUEST, "setting:application_name = 'psql'"
    ),
    "only the last hundred": Mistake(
        AUDIT, "AND id IN (SELECT l.id FROM audit.last_entries() l)", OTHERS, "copies of each row of audit.audit_logs"
    ),
    "only the first salon": Mistake(
        RULES,
        f"AND salon_id IN (SELECT p.salon_id FROM organization.staff_profiles p WHERE p.user_id = {ME} LIMIT 1)",
        OTHERS,
        "copies of each row of organization.staff_profiles",
    ),
    "one salon is expected": Mistake(
        RULES,
        f"AND salon_id = (SELECT p.salon_id FROM organization.staff_profiles p WHERE p.user_id = {ME})",
        OTHERS,
        "more than one row returned",
    ),
    "there are other rows": Mistake(
        RULES, "AND catalog.rules() > 1", OTHERS, "as the only row of catalog.service_booking_rules"
    ),
    "write: or its author": Mistake(
        FAVORITES,
        f"OR created_by_id = {ME}",
        COLUMNS,
        "update of",
        "Customers can update their own favorites",
    ),
    "write: or its author, for the new row": Mistake(
        FAVORITES,
        f"OR created_by_id = {ME}",
        COLUMNS,
        "give to another of",
        "Customers can update their own favorites",
        "WITH CHECK",
    ),
    "write: or the source": Mistake(
        AUDIT,
        "OR source_system = 'application'",
        COLUMNS,
        "with source_system = 'application', insert of",
        "System can insert audit logs",
        "WITH CHECK",
    ),
    "write: or the owner of the file": Mistake(
        OBJECTS,
        f"OR owner_id = {ME}::text",
        COLUMNS,
        "delete of",
        "Users can delete their own avatars",
    ),
    "write: and no deposit": Mistake(
        RULES,
        "AND deposit_amount IS NULL",
        COLUMNS,
        "deposit_amount = ",
        "Salon owners can delete their booking rules",
    ),
    "write: and an active service": Mistake(
        RULES,
        "AND EXISTS (SELECT FROM catalog.services v WHERE v.id = service_id AND v.is_active)",
        ROWS,
        "catalog.services.is_active",
        "Salon owners can update their booking rules",
    ),
    "or its service is the caller": Mistake(RULES, f"OR service_id = {ME}", COLUMNS, "depends on service_id: with "),
    "or the salon of its service is the caller": Mistake(
        RULES,
        f"OR EXISTS (SELECT FROM catalog.services v WHERE v.id = service_id AND v.salon_id = {ME})",
        ROWS,
        "depends on catalog.services.salon_id: with ",
    ),
    "write: or its salon is the caller": Mistake(
        FAVORITES,
        f"OR salon_id = {ME}",
        COLUMNS,
        "depends on salon_id: with ",
        "Customers can update their own favorites",
    ),
    "write: or the staff member": Mistake(
        SERVICES,
        f"OR staff_id IN (SELECT p.id FROM organization.staff_profiles p WHERE p.user_id = {ME})",
        COLUMNS,
        "depends on staff_id: ",
        "Staff can update appointment services",
    ),
}
HELPERS = """
CREATE FUNCTION audit.last_entries() RETURNS SETOF audit.audit_logs LANGUAGE sql STABLE SECURITY DEFINER
AS 'SELECT * FROM audit.audit_logs ORDER BY created_at DESC LIMIT 100';
CREATE FUNCTION catalog.rules() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
AS 'SELECT count(*) FROM catalog.service_booking_rules';
"""


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_it_is_found(rolecall_db: Session, rolecall_world: World, mistake: Mistake) -> None:
    name = mistake.policy or READS[mistake.table]
    rolecall_db.execute(HELPERS)
    column = "qual" if mistake.clause == "USING" else "with_check"
    right = rolecall_db.value(f"SELECT {column} FROM pg_policies WHERE policyname = %s", [name])
    rolecall_db.execute(f'ALTER POLICY "{name}" ON {mistake.table} {mistake.clause} (({right}) {mistake.more})')
    project_grid = GRIDS[mistake.table].expanded(rolecall_world)
    result = kinds.check(rolecall_db.connection, project_grid, rolecall_world, mistake.kind, most=1)
    assert mistake.finding in result.failure, result.failure or f"nothing found: {result.tally}"
