"""No view has a maximum of rows: each shows ten thousand more as it shows one."""

from __future__ import annotations

import pytest
from psycopg import sql

from rolecall import Session

# The table whose rows a view shows.
TABLES = {
    "audit.audit_logs_view": "audit.audit_logs",
    "communication.view_notifications": "communication.notifications",
    "engagement.customer_favorites_view": "engagement.customer_favorites",
    "engagement.salon_reviews_with_counts_view": "engagement.salon_reviews",
    "identity.view_profile_metadata": "identity.profiles",
    "identity.view_user_preferences": "identity.profiles",
    "scheduling.view_blocked_times_with_relations": "scheduling.blocked_times",
}
MORE = 10_000
# A copy of a row has the same values in columns that must be unique.
UNIQUE = """
SELECT CASE WHEN conname IS NULL THEN 'DROP INDEX ' || indexrelid::regclass
  ELSE concat_ws(' ', 'ALTER TABLE', indrelid::regclass, 'DROP CONSTRAINT', quote_ident(conname)) END
FROM pg_index LEFT JOIN pg_constraint ON conindid = indexrelid AND contype = 'u'
WHERE indrelid = %s::regclass AND indisunique AND NOT indisprimary
"""


def copy_a_visible_row(db: Session, view: str, table: str) -> None:
    """Insert many copies of a row that the view shows."""
    for (drop,) in db.rows(UNIQUE, [table]):
        db.execute(drop)
    columns = db.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' AND attname <> 'id'",
        [table],
    )
    key = db.row(f"SELECT * FROM {view} LIMIT 1")[0]
    copied = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
    insert = "INSERT INTO {0} (id, {1}) SELECT gen_random_uuid(), {1} FROM {0}, generate_series(1, {2}) WHERE id = {3}"
    parts = (sql.Identifier(*table.split(".")), copied, sql.Literal(MORE), sql.Literal(key))
    assert db.execute(sql.SQL(insert).format(*parts)).rowcount == MORE


@pytest.mark.parametrize("view", TABLES)
def test_a_view_has_no_maximum_of_rows(view: str, db: Session) -> None:
    db.execute("SET LOCAL session_replication_role = replica")
    count = f"SELECT count(*) FROM {view}"
    with db.acting_as("service"):
        before = db.value(count)
    copy_a_visible_row(db, view, TABLES[view])
    with db.acting_as("service"):
        assert db.value(count) == before + MORE
