"""Real breaks of a migrated database: `rolecall check` names each with its object, and what was expected and found."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rolecall.drift import text
from rolecall.drift.check import Report
from rolecall.drift.difference import Difference, Rank
from tests.drift.conftest import Migrated

THREADS = "communication.message_threads"
FAVORITES = "engagement.customer_favorites"
SERVICES = "scheduling.appointment_services"
RULES = "catalog.service_booking_rules"
COUNT = "communication.get_unread_count(uuid)"
SEND = "communication.send_notification(uuid,text,character varying,jsonb)"

# Each break: what is done, the object and part that the report names, the property, and both values. A value that ends
# with … is only the start. "" as the property is the whole part.
BREAKS = [
    # -- somebody may do more
    ("row-level security off", f"ALTER TABLE {THREADS} DISABLE ROW LEVEL SECURITY",
     THREADS, "", "row level security", "on", "off"),
    ("a policy for everybody", f"CREATE POLICY p ON {FAVORITES} USING (true)",
     FAVORITES, "policy p", "", None, "permissive FOR ALL TO PUBLIC USING true"),
    ("a policy's condition", f'ALTER POLICY "Users can view their own threads" ON {THREADS} USING (true)',
     THREADS, 'policy "Users can view their own threads"', "using", "(((created_by_id = …", "true"),
    ("a policy's check", f'ALTER POLICY "Users can create threads" ON {THREADS} WITH CHECK (true)',
     THREADS, 'policy "Users can create threads"', "with check", "((created_by_id = …", "true"),
    ("a policy's roles", f'ALTER POLICY "Customers can add favorites" ON {FAVORITES} TO anon',
     FAVORITES, 'policy "Customers can add favorites"', "roles", "authenticated", "anon"),
    ("a restrictive policy dropped", f'DROP POLICY "Anon cannot access favorites" ON {FAVORITES}',
     FAVORITES, 'policy "Anon cannot access favorites"', "", "restrictive FOR ALL TO anon…", None),
    ("a policy of storage.objects changed",
     'ALTER POLICY "Users can delete their own avatars" ON storage.objects USING (true)',
     "storage.objects", 'policy "Users can delete their own avatars"', "using", "((bucket_id = …", "true"),
    ("a further policy on storage.objects",
     "CREATE POLICY everyone ON storage.objects FOR SELECT TO anon USING (true)",
     "storage.objects", "policy everyone", "", None, "permissive FOR SELECT TO anon USING true"),
    ("row-level security off on storage.objects", "ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY",
     "storage.objects", "", "row level security", "on", "off"),
    ("a grant", f"GRANT SELECT ON {THREADS} TO anon",
     THREADS, "privileges of anon", "SELECT", None, "yes"),
    ("a grant to PUBLIC", f"GRANT TRUNCATE ON {RULES} TO PUBLIC",
     RULES, "privileges of PUBLIC", "TRUNCATE", None, "yes"),
    ("a grant on a column", f"GRANT UPDATE (price_at_time) ON {SERVICES} TO anon",
     SERVICES, "privileges of anon", "UPDATE (price_at_time)", None, "yes"),
    ("a grant option", f"GRANT SELECT ON {THREADS} TO authenticated WITH GRANT OPTION",
     THREADS, "privileges of authenticated", "SELECT", "yes", "with grant option"),
    ("EXECUTE to PUBLIC", f"GRANT EXECUTE ON FUNCTION {SEND} TO PUBLIC",
     SEND, "privileges of PUBLIC", "EXECUTE", None, "yes"),
    ("CREATE on a schema", "GRANT CREATE ON SCHEMA communication TO authenticated",
     "communication", "privileges of authenticated", "CREATE", None, "yes"),
    ("USAGE on a schema", "GRANT USAGE ON SCHEMA audit TO anon",
     "audit", "privileges of anon", "USAGE", None, "yes"),
    ("the owner of a schema", "ALTER SCHEMA engagement OWNER TO service_role",
     "engagement", "", "owner", "{owner}", "service_role"),
    ("the owner of a table", f"ALTER TABLE {THREADS} OWNER TO authenticated",
     THREADS, "", "owner", "{owner}", "authenticated"),
    ("the owner of a function", f"ALTER FUNCTION {SEND} OWNER TO service_role",
     SEND, "", "owner", "{owner}", "service_role"),
    ("the owner of a view", "ALTER VIEW audit.audit_logs_view OWNER TO service_role",
     "audit.audit_logs_view", "", "owner", "{owner}", "service_role"),
    ("a view that runs as its owner", "ALTER VIEW audit.audit_logs_view SET (security_invoker = false)",
     "audit.audit_logs_view", "", "security_invoker", "true", "false"),
    ("a function that runs as its owner", "ALTER FUNCTION communication.keep_thread_participants() SECURITY DEFINER",
     "communication.keep_thread_participants()", "", "security", "invoker", "definer"),
    ("a search_path", f"ALTER FUNCTION {SEND} RESET search_path",
     SEND, "", "settings", "search_path=pg_catalog, pg_temp", None),
    ("an overload that runs as its owner",
     "CREATE FUNCTION communication.get_unread_count() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1",
     "communication.get_unread_count()", "", "the name of another function", None, "security definer"),
    ("a rule that eats writes", f"CREATE RULE eat AS ON INSERT TO {FAVORITES} DO INSTEAD NOTHING",
     FAVORITES, "rule eat", "", None, f"ON INSERT TO {FAVORITES} DO INSTEAD NOTHING;"),
    ("a rule on storage.objects", "CREATE RULE eat AS ON DELETE TO storage.objects DO INSTEAD NOTHING",
     "storage.objects", "rule eat", "", None, "ON DELETE TO storage.objects DO INSTEAD NOTHING;"),
    ("a trigger disabled", f"ALTER TABLE {THREADS} DISABLE TRIGGER keep_thread_participants",
     THREADS, "trigger keep_thread_participants", "enabled", "yes", "no"),
    ("all triggers disabled: a foreign key", f"ALTER TABLE {FAVORITES} DISABLE TRIGGER ALL",
     FAVORITES, "constraint customer_favorites_customer_id_fkey", "triggers", "enabled", "disabled"),
    ("triggers of the referenced table disabled", "ALTER TABLE organization.salons DISABLE TRIGGER ALL",
     FAVORITES, "constraint customer_favorites_salon_id_fkey", "triggers", "enabled", "disabled"),
    ("a trigger only on replicas", f"ALTER TABLE {THREADS} ENABLE REPLICA TRIGGER soft_delete_thread",
     THREADS, "trigger soft_delete_thread", "enabled", "yes", "only on a replica"),
    ("an inheriting table", f"CREATE TABLE public.child () INHERITS ({THREADS})",
     THREADS, "child public.child", "", None, "inherits"),
    ("BYPASSRLS", "ALTER ROLE authenticated BYPASSRLS",
     "authenticated", "", "bypasses row level security", "no", "yes"),
    ("SUPERUSER", "ALTER ROLE anon SUPERUSER",
     "anon", "", "superuser", "no", "yes"),
    ("CREATEROLE", "ALTER ROLE authenticated CREATEROLE",
     "authenticated", "", "creates roles", "no", "yes"),
    ("membership in service_role", "GRANT service_role TO authenticated",
     "authenticated", "membership in service_role", "", None, "membership"),
    ("membership in an owner", "GRANT supabase_storage_admin TO anon",
     "anon", "membership in supabase_storage_admin", "", None, "membership"),
    ("membership in a role that reads everything", "GRANT pg_read_all_data TO authenticated",
     "authenticated", "membership in pg_read_all_data", "", None, "membership"),
    ("a setting that switches triggers off", "ALTER ROLE service_role SET session_replication_role = replica",
     "service_role", "setting session_replication_role", "", None, "replica"),
    ("a public bucket", "UPDATE storage.buckets SET public = true WHERE id = 'avatars'",
     "avatars", "", "public", "false", "true"),
    # -- something is missing
    ("a table", f"DROP TABLE {RULES} CASCADE",
     RULES, "", "", "table", None),
    ("a view", "DROP VIEW audit.audit_logs_view",
     "audit.audit_logs_view", "", "", "view", None),
    ("a function", f"DROP FUNCTION {COUNT}",
     COUNT, "", "", "function", None),
    ("a column", f"ALTER TABLE {SERVICES} DROP COLUMN service_name",
     SERVICES, "column service_name", "", "character varying(255)", None),
    ("a constraint", f"ALTER TABLE {THREADS} DROP CONSTRAINT valid_participants",
     THREADS, "constraint valid_participants", "", "CHECK ((created_by_id <> recipient_id))", None),
    ("an index", "DROP INDEX scheduling.idx_appointment_services_staff_id",
     SERVICES, "index idx_appointment_services_staff_id", "", "btree (staff_id)", None),
    ("a permissive policy", f'DROP POLICY "Users can create threads" ON {THREADS}',
     THREADS, 'policy "Users can create threads"', "", "permissive FOR INSERT TO authenticated…", None),
    ("a trigger", f"DROP TRIGGER soft_delete_thread ON {THREADS}",
     THREADS, "trigger soft_delete_thread", "", "CREATE TRIGGER BEFORE DELETE…", None),
    ("a privilege", f"REVOKE UPDATE ON {THREADS} FROM authenticated",
     THREADS, "privileges of authenticated", "UPDATE", "yes", None),
    ("EXECUTE", f"REVOKE EXECUTE ON FUNCTION {COUNT} FROM authenticated",
     COUNT, "privileges of authenticated", "EXECUTE", "yes", None),
    ("USAGE", "REVOKE USAGE ON SCHEMA audit FROM authenticated",
     "audit", "privileges of authenticated", "USAGE", "yes", None),
    ("the bucket", "SET LOCAL storage.allow_delete_query = true; DELETE FROM storage.buckets WHERE id = 'avatars'",
     "avatars", "", "", "bucket", None),
    ("the BYPASSRLS of the service", "ALTER ROLE service_role NOBYPASSRLS",
     "service_role", "", "bypasses row level security", "yes", "no"),
    # -- something has another shape
    ("a type", f"ALTER TABLE {SERVICES} ALTER price_at_time TYPE numeric",
     SERVICES, "column price_at_time", "type", "numeric(10,2)", "numeric"),
    ("NOT NULL", f"ALTER TABLE {THREADS} ALTER recipient_id DROP NOT NULL",
     THREADS, "column recipient_id", "nulls", "refused", "allowed"),
    ("a default", f"ALTER TABLE {THREADS} ALTER is_deleted SET DEFAULT true",
     THREADS, "column is_deleted", "default", "false", "true"),
    ("no default", f"ALTER TABLE {THREADS} ALTER id DROP DEFAULT",
     THREADS, "column id", "default", "gen_random_uuid()", None),
    ("a further column", f"ALTER TABLE {FAVORITES} ADD secret text NOT NULL DEFAULT 'x'",
     FAVORITES, "column secret", "", None, "text NOT NULL DEFAULT 'x'::text"),
    ("a generated column", f"ALTER TABLE {THREADS} DROP description; "
     f"ALTER TABLE {THREADS} ADD description text GENERATED ALWAYS AS ('x') STORED",
     THREADS, "column description", "generated", None, "stored 'x'::text"),
    ("an identity", f"ALTER TABLE {SERVICES} ALTER duration_minutes SET NOT NULL, "
     "ALTER duration_minutes ADD GENERATED ALWAYS AS IDENTITY",
     SERVICES, "column duration_minutes", "identity", None, "always"),
    ("a constraint that old rows need not meet", f"ALTER TABLE {THREADS} DROP CONSTRAINT valid_unread, "
     "ADD CONSTRAINT valid_unread CHECK (unread_count >= 0) NOT VALID",
     THREADS, "constraint valid_unread", "definition", "CHECK ((unread_count >= 0))",
     "CHECK ((unread_count >= 0)) NOT VALID"),
    ("ON DELETE", f"ALTER TABLE {FAVORITES} DROP CONSTRAINT customer_favorites_salon_id_fkey, "
     "ADD CONSTRAINT customer_favorites_salon_id_fkey FOREIGN KEY (salon_id) REFERENCES organization.salons",
     FAVORITES, "constraint customer_favorites_salon_id_fkey", "definition", "FOREIGN KEY (salon_id)…",
     "FOREIGN KEY (salon_id) REFERENCES organization.salons(id)"),
    ("a further constraint", f"ALTER TABLE {FAVORITES} ADD CONSTRAINT c CHECK (rating > 3)",
     FAVORITES, "constraint c", "", None, "CHECK ((rating > 3))"),
    ("a unique index", "DROP INDEX engagement.idx_customer_favorites_unique; CREATE INDEX "
     f"idx_customer_favorites_unique ON {FAVORITES} (customer_id, salon_id) WHERE is_favorite = true",
     FAVORITES, "index idx_customer_favorites_unique", "unique", "yes", "no"),
    ("a further unique index", f"CREATE UNIQUE INDEX one ON {FAVORITES} (customer_id)",
     FAVORITES, "index one", "", None, "btree (customer_id) UNIQUE"),
    ("an index of other columns", "DROP INDEX scheduling.idx_appointment_services_staff_id; CREATE INDEX "
     f"idx_appointment_services_staff_id ON {SERVICES} (staff_id, id)",
     SERVICES, "index idx_appointment_services_staff_id", "definition", "btree (staff_id)", "btree (staff_id, id)"),
    ("an invalid index", "UPDATE pg_index SET indisvalid = false "
     "WHERE indexrelid = 'scheduling.idx_appointment_services_staff_id'::regclass",
     SERVICES, "index idx_appointment_services_staff_id", "valid", "yes", "no"),
    ("a further trigger", f"CREATE TRIGGER t BEFORE INSERT ON {FAVORITES} FOR EACH ROW "
     "EXECUTE FUNCTION communication.soft_delete_thread()",
     FAVORITES, "trigger t", "", None, "CREATE TRIGGER BEFORE INSERT…"),
    ("UNLOGGED", f"ALTER TABLE {RULES} SET UNLOGGED",
     RULES, "", "persistence", "permanent", "unlogged"),
    ("FORCE ROW LEVEL SECURITY", f"ALTER TABLE {THREADS} FORCE ROW LEVEL SECURITY",
     THREADS, "", "forced row level security", "off", "on"),
    ("a body", f"CREATE OR REPLACE FUNCTION {COUNT.replace('uuid', 'p_user_id uuid')} RETURNS bigint "
     "LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN 0; END'",
     COUNT, "", "body", "\n…", "BEGIN RETURN 0; END"),
    ("a volatility", f"ALTER FUNCTION {COUNT} IMMUTABLE",
     COUNT, "", "volatility", "stable", "immutable"),
    ("STRICT", f"ALTER FUNCTION {COUNT} STRICT",
     COUNT, "", "on NULL", "called", "not called"),
    ("a view's query", "DO $$BEGIN EXECUTE 'CREATE OR REPLACE VIEW audit.audit_logs_view "
     "WITH (security_invoker = true) AS ' || replace(pg_get_viewdef('audit.audit_logs_view'::regclass), "
     "'LEFT JOIN', 'JOIN'); END$$",
     "audit.audit_logs_view", "", "query", "…", "…"),
    ("a view in place of a table", f"DROP TABLE {RULES} CASCADE; CREATE VIEW {RULES} AS SELECT 1 AS id",
     RULES, "", "kind", "table", "view"),
    ("a size limit", "UPDATE storage.buckets SET file_size_limit = NULL WHERE id = 'avatars'",
     "avatars", "", "file_size_limit", "5242880", "none"),
]  # fmt: skip

# What does no harm by itself, or is often done on purpose.
DEBATABLE = [
    ("a publication", f"CREATE PUBLICATION p FOR TABLE {THREADS}",
     THREADS, "publication p", "", None, "all"),
    ("a publication of all tables", "CREATE PUBLICATION p FOR ALL TABLES",
     THREADS, "publication p", "", None, "all"),
    ("PARALLEL", f"ALTER FUNCTION {COUNT} PARALLEL SAFE",
     COUNT, "", "parallel", "unsafe", "safe"),
    ("LEAKPROOF", f"ALTER FUNCTION {COUNT} LEAKPROOF",
     COUNT, "", "leakproof", "no", "yes"),
    ("COST", f"ALTER FUNCTION {COUNT} COST 7",
     COUNT, "", "cost", "100", "7"),
    ("a collation", f'ALTER TABLE {THREADS} ALTER description TYPE text COLLATE "C"',
     THREADS, "column description", "collation", None, '"C"'),
    ("default privileges", "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA audit GRANT SELECT ON TABLES TO anon",
     "{owner} for new tables in audit", "privileges of anon", "SELECT", None, "yes"),
    ("MIME types", "UPDATE storage.buckets SET allowed_mime_types = '{text/html}' WHERE id = 'avatars'",
     "avatars", "", "allowed_mime_types", "none", '["text/html"]'),
    ("REPLICA IDENTITY", f"ALTER TABLE {THREADS} REPLICA IDENTITY FULL",
     THREADS, "", "replica identity", "default", "full"),
    ("a storage parameter", f"ALTER TABLE {THREADS} SET (fillfactor = 70)",
     THREADS, "", "storage parameters", None, "fillfactor=70"),
    ("a further index", f"CREATE INDEX more ON {THREADS} (description)",
     THREADS, "index more", "", None, "btree (description)"),
    ("a comment", f"COMMENT ON TABLE {THREADS} IS 'x'",
     THREADS, "", "comment", None, "x"),
    ("an event trigger", "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; "
     "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.e()",
     "e", "", "", None, "event trigger…"),
]  # fmt: skip


Break = tuple[str, str, str, str, str, str | None, str | None]


def cases(breaks: Sequence[Break]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", breaks, ids=[case[0] for case in breaks])


def named(migrated: Migrated, report: Report, case: Break) -> list[Difference]:
    """The differences of the report that name what the case broke, with both values."""
    *names, expected, found = (each and each.replace("{owner}", migrated.made.role) for each in case[2:])
    return [
        each
        for each in report.drift
        if [each.item.object, each.item.part, each.property] == names
        and matches(each.expected, expected)
        and matches(each.found, found)
    ]


def matches(value: str | None, pattern: str | None) -> bool:
    if value is not None and pattern is not None and pattern.endswith("…"):
        return value.startswith(pattern[:-1])
    return value == pattern


@cases(BREAKS)
def test_a_break_is_named(migrated: Migrated, case: Break) -> None:
    report = migrated.check(case[1])
    differences = named(migrated, report, case)
    assert [each.rank < Rank.WARNING for each in differences] == [True], report.drift
    assert report.fails(strict=False)


@cases(DEBATABLE)
def test_what_is_debatable_is_a_warning(migrated: Migrated, case: Break) -> None:
    report = migrated.check(case[1].replace("{owner}", migrated.made.role))
    differences = named(migrated, report, case)
    assert [each.rank for each in differences] == [Rank.WARNING], report.drift
    assert not report.fails(strict=False)
    assert report.fails(strict=True)


def test_a_difference_is_named_once(migrated: Migrated) -> None:
    """The steps need row-level security on storage.objects, and their policies depend on it."""
    report = migrated.check("ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY")
    assert [each.property for each in report.differences] == ["row level security"]


def test_a_migrated_database_has_no_difference(migrated: Migrated) -> None:
    report = migrated.check("SELECT 1")
    assert report.differences == []
    assert report.applied == 4
    assert report.unseen == []
    assert text.render(report, "the title").endswith("No difference.")
