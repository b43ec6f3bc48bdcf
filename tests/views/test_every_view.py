"""All seven views: columns, privileges, security_invoker, and no writes through them."""

import re

import pytest
from psycopg import sql

from rolecall import FindChanges, Session, World
from rolecall.catalog.manifest import Manifest

# The columns of the plan, in its order: name, type. schema.table.column stands for the type of that column: the
# application chooses it.
COLUMNS = {
    "audit.audit_logs_view": """
        id                           uuid
        entity_type                  character varying(100)
        entity_id                    uuid
        action                       character varying(100)
        actor_id                     uuid
        created_at                   timestamp with time zone
        old_values                   jsonb
        new_values                   jsonb
        reason                       text
        actor_username               identity.profiles.username
        actor_email                  identity.profiles.email
    """,
    "communication.view_notifications": """
        id                           communication.notifications.id
        recipient_id                 communication.notifications.user_id
        message                      communication.notifications.message
        notification_type            communication.notifications.notification_type
        metadata                     communication.notifications.metadata
        read_at                      communication.notifications.read_at
        created_at                   communication.notifications.created_at
        updated_at                   communication.notifications.updated_at
        recipient_username           identity.profiles.username
        recipient_email              identity.profiles.email
        recipient_avatar             identity.profiles.avatar_url
    """,
    "engagement.customer_favorites_view": """
        id                           uuid
        customer_id                  uuid
        salon_id                     uuid
        notes                        text
        rating                       integer
        salon_name                   organization.salons.name
        salon_slug                   organization.salons.slug
        description                  organization.salons.description
        image_url                    organization.salons.image_url
        created_at                   timestamp with time zone
        updated_at                   timestamp with time zone
    """,
    "engagement.salon_reviews_with_counts_view": """
        id                           engagement.salon_reviews.id
        salon_id                     engagement.salon_reviews.salon_id
        customer_id                  engagement.salon_reviews.customer_id
        rating                       engagement.salon_reviews.rating
        content                      engagement.salon_reviews.content
        status                       engagement.salon_reviews.status
        created_at                   engagement.salon_reviews.created_at
        updated_at                   engagement.salon_reviews.updated_at
        total_reviews                bigint
        average_rating               numeric(3,2)
        five_star_count              bigint
        four_star_count              bigint
        three_star_count             bigint
        two_star_count               bigint
        one_star_count               bigint
    """,
    "identity.view_profile_metadata": """
        id                           identity.profiles.id
        username                     identity.profiles.username
        email                        identity.profiles.email
        full_name                    identity.profiles.full_name
        avatar_url                   identity.profiles.avatar_url
        created_at                   identity.profiles.created_at
        updated_at                   identity.profiles.updated_at
        preferences                  jsonb
        tags                         jsonb
        interests                    jsonb
        social_links                 jsonb
        account_status               text
    """,
    "identity.view_user_preferences": """
        user_id                      identity.profiles.id
        username                     identity.profiles.username
        email_notifications_enabled  boolean
        push_notifications_enabled   boolean
        sms_notifications_enabled    boolean
        booking_auto_confirm         boolean
        booking_reminder_minutes     integer
        marketing_newsletter_enabled boolean
        marketing_promotions_enabled boolean
        profile_public               boolean
        show_reviews                 boolean
        preferences_updated_at       identity.profiles.updated_at
    """,
    "scheduling.view_blocked_times_with_relations": """
        id                           scheduling.blocked_times.id
        staff_id                     scheduling.blocked_times.staff_id
        appointment_id               scheduling.blocked_times.appointment_id
        reason                       scheduling.blocked_times.reason
        blocked_from                 scheduling.blocked_times.blocked_from
        blocked_until                scheduling.blocked_times.blocked_until
        is_deleted                   scheduling.blocked_times.is_deleted
        created_at                   scheduling.blocked_times.created_at
        updated_at                   scheduling.blocked_times.updated_at
        staff_user_id                organization.staff_profiles.user_id
        staff_username               identity.profiles.username
        staff_email                  identity.profiles.email
        appointment_salon_id         scheduling.appointments.salon_id
        appointment_customer_id      scheduling.appointments.customer_id
        appointment_date             scheduling.appointments.scheduled_date
    """,
}

PERSONAS = (
    *("customer", "other_customer", "staff", "other_staff", "owner", "other_owner", "former_staff"),
    *("owner_on_staff", "staff_customer", "staff_of_both", "no_subject", "anon", "granted_anon", "service"),
)

# Six views join or count: PostgreSQL cannot write through them. Writes through the seventh are refused only because
# no role has the privilege.
ONE_TABLE = "identity.view_profile_metadata"

every_view = pytest.mark.parametrize("view", COLUMNS)


def type_of(db: Session, column: str) -> str:
    """The type in a line of COLUMNS."""
    if not re.fullmatch(r"\w+\.\w+\.\w+", column):
        return column
    table, name = column.rsplit(".", 1)
    return str(
        db.value(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
            [table, name],
        )
    )


def test_every_view_and_persona_is_listed(manifest: Manifest, world: World) -> None:
    assert [item.full_name for item in manifest.of_kind("view")] == list(COLUMNS)
    assert set(PERSONAS) == world.personas.keys()


@pytest.mark.rolecall_pin
@every_view
def test_the_columns_are_those_of_the_plan(view: str, db: Session) -> None:
    actual = db.rows(
        """
        SELECT attname, format_type(atttypid, atttypmod)
        FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        [view],
    )
    expected = [line.split(maxsplit=1) for line in COLUMNS[view].strip().splitlines()]
    assert actual == [(name, type_of(db, column)) for name, column in expected]


@pytest.mark.rolecall_pin
@every_view
def test_the_view_is_security_invoker(view: str, db: Session) -> None:
    options = "ARRAY(SELECT option_name::text FROM pg_options_to_table(reloptions) WHERE option_value::boolean)"
    row = db.row(f"SELECT relkind, {options} FROM pg_class WHERE oid = %s::regclass", [view])
    assert row == ("v", ["security_invoker"])


@pytest.mark.rolecall_pin
@every_view
def test_select_is_granted_to_users_and_the_service(view: str, db: Session) -> None:
    grants = db.rows(
        """
        SELECT COALESCE(grantee.rolname, 'PUBLIC'), acl.privilege_type, acl.is_grantable, acl.attname
        FROM pg_class c
        CROSS JOIN LATERAL (
          SELECT NULL AS attname, whole.* FROM aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) AS whole
          UNION ALL
          SELECT a.attname, one.* FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) AS one WHERE a.attrelid = c.oid
        ) AS acl
        LEFT JOIN pg_roles grantee ON grantee.oid = acl.grantee
        WHERE c.oid = %s::regclass AND acl.grantee <> c.relowner
        ORDER BY 1, 2
        """,
        [view],
    )
    assert grants == [("authenticated", "SELECT", False, None), ("service_role", "SELECT", False, None)]


@every_view
@pytest.mark.parametrize("persona", ["customer", "owner", "service"])
def test_reading_it_changes_nothing(persona: str, view: str, db: Session, changes: FindChanges) -> None:
    with changes() as changed, db.acting_as(persona):
        db.execute(f"SELECT * FROM {view}")
    assert changed == []


@every_view
@pytest.mark.parametrize("persona", PERSONAS)
def test_no_persona_writes_through_the_view(persona: str, view: str, db: Session) -> None:
    schema, name = view.split(".")
    relation, column = sql.Identifier(schema, name), sql.Identifier(COLUMNS[view].split()[0])
    # Then it is the view that refuses, not the schema.
    db.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO anon").format(sql.Identifier(schema)))
    sqlstate, message = ("42501", f"permission denied for view {name}") if view == ONE_TABLE else ("55000", f'"{name}"')
    for statement in ("INSERT INTO {0} DEFAULT VALUES", "UPDATE {0} SET {1} = {1}", "DELETE FROM {0}"):
        with db.acting_as(persona), db.raises(sqlstate, message=message):
            db.execute(sql.SQL(statement).format(relation, column))
