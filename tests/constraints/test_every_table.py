"""Columns, defaults and indexes of the five tables, and what a client writes into them.

The file of each table tests its checks, its lengths and its unique indexes.
"""

from typing import Any

import pytest
from psycopg.sql import SQL, Identifier

from rolecall import FindChanges, Session, World, inserted
from rolecall.access.world import insert
from rolecall.catalog.manifest import Manifest
from tests.constraints.rows import Columns, InsertValid

# The columns of the plan, in its order: name, type, NOT NULL.
COLUMNS = {
    "scheduling.appointment_services": """
        id               uuid                      NOT NULL
        appointment_id   uuid                      NOT NULL
        service_id       uuid                      NOT NULL
        staff_id         uuid
        service_name     character varying(255)
        duration_minutes integer
        price_at_time    numeric(10,2)
        created_at       timestamp with time zone
        created_by_id    uuid
        updated_at       timestamp with time zone
        updated_by_id    uuid
    """,
    "communication.message_threads": """
        id               uuid                      NOT NULL
        created_by_id    uuid                      NOT NULL
        recipient_id     uuid                      NOT NULL
        subject          character varying(500)
        description      text
        salon_id         uuid
        appointment_id   uuid
        is_archived      boolean
        is_deleted       boolean
        last_message_at  timestamp with time zone
        unread_count     integer
        created_at       timestamp with time zone
        updated_at       timestamp with time zone
        metadata         jsonb
    """,
    "engagement.customer_favorites": """
        id               uuid                      NOT NULL
        customer_id      uuid                      NOT NULL
        salon_id         uuid                      NOT NULL
        notes            text
        rating           integer
        is_favorite      boolean
        created_at       timestamp with time zone
        created_by_id    uuid
        updated_at       timestamp with time zone
        updated_by_id    uuid
    """,
    # The plan's SQL has actor_id NOT NULL: its ON DELETE SET NULL could never work.
    "audit.audit_logs": """
        id               uuid                      NOT NULL
        entity_type      character varying(100)    NOT NULL
        entity_id        uuid
        action           character varying(100)    NOT NULL
        actor_id         uuid
        created_at       timestamp with time zone
        old_values       jsonb
        new_values       jsonb
        change_summary   text
        reason           text
        source_system    character varying(100)
        ip_address       inet
        user_agent       text
        metadata         jsonb
    """,
    "catalog.service_booking_rules": """
        id                      uuid                      NOT NULL
        service_id              uuid                      NOT NULL
        salon_id                uuid                      NOT NULL
        min_notice_minutes      integer
        max_advance_days        integer
        requires_deposit        boolean
        deposit_amount          numeric(10,2)
        max_concurrent_bookings integer
        bookable_by_staff_only  boolean
        auto_confirm            boolean
        created_at              timestamp with time zone
        updated_at              timestamp with time zone
    """,
}

# The defaults of the columns, without id (a random uuid) and created_at (now).
DEFAULTS: dict[str, dict[str, Any]] = {
    "scheduling.appointment_services": {},
    "communication.message_threads": {"is_archived": False, "is_deleted": False, "unread_count": 0, "metadata": {}},
    "engagement.customer_favorites": {"is_favorite": True},
    "audit.audit_logs": {"metadata": {}},
    "catalog.service_booking_rules": {
        "min_notice_minutes": 0,
        "max_advance_days": 90,
        "requires_deposit": False,
        "bookable_by_staff_only": False,
        "auto_confirm": True,
    },
}

# The indexes without the primary key. UNIQUE marks a unique index.
INDEXES = {
    "scheduling.appointment_services": {
        "idx_appointment_services_appointment_id": "(appointment_id)",
        "idx_appointment_services_service_id": "(service_id)",
        "idx_appointment_services_staff_id": "(staff_id)",
        "idx_appointment_services_created_at": "(created_at DESC)",
    },
    "communication.message_threads": {
        "idx_message_threads_created_by": "(created_by_id)",
        "idx_message_threads_recipient": "(recipient_id)",
        "idx_message_threads_created_at": "(created_at DESC)",
        "idx_message_threads_last_message_at": "(last_message_at DESC NULLS LAST)",
        "idx_message_threads_salon": "(salon_id)",
        "idx_message_threads_appointment": "(appointment_id)",
        "idx_message_threads_participants": "(created_by_id, recipient_id)",
        "idx_message_threads_unique_active": "UNIQUE (LEAST(created_by_id, recipient_id), "
        "GREATEST(created_by_id, recipient_id)) WHERE (is_deleted = false)",
    },
    "engagement.customer_favorites": {
        "idx_customer_favorites_unique": "UNIQUE (customer_id, salon_id) WHERE (is_favorite = true)",
        "idx_customer_favorites_customer": "(customer_id)",
        "idx_customer_favorites_salon": "(salon_id)",
        "idx_customer_favorites_created_at": "(created_at DESC)",
    },
    "audit.audit_logs": {
        "idx_audit_logs_entity": "(entity_type, entity_id)",
        "idx_audit_logs_actor": "(actor_id)",
        "idx_audit_logs_created_at": "(created_at DESC)",
        "idx_audit_logs_action": "(action)",
        # Without the plan's predicate: it depends on the current time, which PostgreSQL refuses.
        "idx_audit_logs_recent": "(entity_type, created_at DESC)",
    },
    "catalog.service_booking_rules": {
        "idx_service_booking_rules_unique": "UNIQUE (service_id, salon_id)",
        "idx_service_booking_rules_salon": "(salon_id)",
        "idx_service_booking_rules_service": "(service_id)",
    },
}

# Checks that repeat NOT NULL for these columns.
REPEATED_NOT_NULL = {
    "scheduling.appointment_services": ("valid_appointment_service", ["appointment_id", "service_id"]),
    "engagement.customer_favorites": ("valid_customer_salon", ["customer_id", "salon_id"]),
}

every_table = pytest.mark.parametrize("table", COLUMNS)


def lines(table: str) -> list[str]:
    """The columns of a table, each as "name type" or "name type NOT NULL"."""
    return [" ".join(line.split()) for line in COLUMNS[table].strip().splitlines()]


def columns(*, nullable: bool) -> list[Any]:
    """Each column of each table that may be NULL, or each that may not: test parameters "table" and "column"."""
    return [
        pytest.param(table, line.split()[0], id=f"{table}.{line.split()[0]}")
        for table in COLUMNS
        for line in lines(table)
        if nullable is not line.endswith("NOT NULL")
    ]


# The first number that is too large for a type.
TOO_LARGE = {"integer": 2**31, "numeric(10,2)": 10**8}


def numbers() -> list[Any]:
    """Each column with a number: test parameters "table", "column" and "too_large"."""
    return [
        pytest.param(table, line.split()[0], TOO_LARGE[line.split()[1]], id=f"{table}.{line.split()[0]}")
        for table in COLUMNS
        for line in lines(table)
        if line.split()[1] in TOO_LARGE
    ]


@pytest.mark.rolecall_pin
def test_every_table_is_listed(manifest: Manifest) -> None:
    assert {item.full_name for item in manifest.of_kind("table")} == COLUMNS.keys()


# ------------------------------------------------------------------ columns


@pytest.mark.rolecall_pin
@every_table
def test_the_columns_are_those_of_the_plan(db: Session, table: str) -> None:
    actual = db.rows(
        """
        SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END)
        FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        [table],
    )
    assert [line for (line,) in actual] == lines(table)


@every_table
def test_a_column_without_a_value_gets_its_default_or_null(
    db: Session, table: str, required: Columns, insert_valid: InsertValid
) -> None:
    with db.connection.transaction(force_rollback=True):  # the unique indexes allow one such row at a time
        another = insert_valid()
    row = insert_valid()
    assert row["id"].version == 4
    assert row["id"] != another["id"]
    assert {column: value for column, value in row.items() if value is not None} == {
        **{column: row[column] for column in required},
        **DEFAULTS[table],
        "id": row["id"],
        "created_at": db.value("SELECT now()"),
    }


@pytest.mark.parametrize(("table", "column"), columns(nullable=False))
def test_null_is_refused(db: Session, column: str, insert_valid: InsertValid) -> None:
    with db.raises("23502", column=column):
        insert_valid(**{column: None})


@pytest.mark.parametrize(("table", "column"), columns(nullable=True))
def test_null_is_accepted(column: str, insert_valid: InsertValid) -> None:
    assert insert_valid(**{column: None})[column] is None


@pytest.mark.parametrize(("table", "column", "too_large"), numbers())
def test_a_number_that_is_too_large_is_refused(
    db: Session, column: str, too_large: int, insert_valid: InsertValid
) -> None:
    with db.raises("22003"):
        insert_valid(**{column: too_large})


@pytest.mark.parametrize(
    ("table", "constraint", "column"),
    [
        pytest.param(table, constraint, column, id=f"{table}.{column}")
        for table, (constraint, columns) in REPEATED_NOT_NULL.items()
        for column in columns
    ],
)
def test_the_check_repeats_not_null(
    db: Session, table: str, constraint: str, column: str, insert_valid: InsertValid
) -> None:
    # PostgreSQL tests NOT NULL first: the check can refuse a row only without it.
    db.execute(SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(Identifier(*table.split(".")), Identifier(column)))
    with db.raises("23514", constraint=constraint):
        insert_valid(**{column: None})


# ------------------------------------------------------------------ every value of its type

DATES = (
    "2025-01-01 00:00:00.123456Z",
    "4714-11-24 00:00Z BC",
    "294276-12-31 23:59:59.999999Z",
    "-infinity",
    "infinity",
)
TEXTS = (
    "2fa",
    "0",
    "x",
    "X",
    " x ",
    "é",
    "e\u0301",
    "日本語",
    "🎉",
    "\u200b",
    "'",
    "--",
    "%",
    "\\",
    "a\nb",
    "null",
    "x" * 100,
)
JSON = (
    "[1]",
    '"x"',
    "null",
    "1",
    "true",
    "{}",
    "[]",
    '{"a": {"a": null}}',
    '{"": ""}',
    "[{}, [[]]]",
    '"\\n🎉"',
    "1e400",
)
# Values that no CHECK of the plan refuses, most of them at the limit of their type.
VALUES = {
    "boolean": ("true", "false"),
    "inet": ("127.0.0.1", "255.255.255.255", "10.0.0.0/8", "::1", "fe80::/10"),
    "integer": ("2147483647", "32768", "731", "1"),
    "jsonb": JSON,
    "numeric(10,2)": ("99999999.99", "0.01"),
    "text": (*TEXTS, "", " ", "x" * 100_000),
    "timestamp with time zone": DATES,
    # Of varchar, the longest is added.
    "character varying": TEXTS,
}
# Columns with a CHECK that refuses the largest number, or needs another column.
FEWER = {"engagement.customer_favorites.rating": ("1", "2", "3", "4", "5")}
WITH = {"communication.message_threads.last_message_at": {"created_at": None}}


def values_of(kind: str) -> tuple[str, ...]:
    """Values of a type, as texts."""
    name, _, length = kind.removesuffix(")").partition("(")
    return (*VALUES[name], "🎉" * int(length)) if name == "character varying" else VALUES[kind]


def typed_columns() -> list[Any]:
    """Each column without a foreign key: test parameters "table", "column" and "kind"."""
    split = [(table, *line.removesuffix(" NOT NULL").split(" ", 1)) for table in COLUMNS for line in lines(table)]
    return [pytest.param(*each, id=".".join(each[:2])) for each in split if each[2] != "uuid"]


@pytest.mark.parametrize(("table", "column", "kind"), typed_columns())
def test_a_value_comes_back_exactly(db: Session, table: str, required: Columns, column: str, kind: str) -> None:
    """A column takes each value of its type that the plan does not refuse, and does not change it."""
    more = WITH.get(f"{table}.{column}", {})
    for value in FEWER.get(f"{table}.{column}", values_of(kind)):
        new = SQL("WITH new AS ({} RETURNING *)").format(insert(table, required | more | {column: value}))
        query = SQL("{} SELECT {}::text, {}::{}::text FROM new").format(new, Identifier(column), value, SQL(kind))
        with db.connection.transaction(force_rollback=True):
            rows = db.rows(query)
        assert [stored for stored, _ in rows] == [expected for _, expected in rows], value
        assert len(rows) == 1


# A copy of a row has the same values in columns that must be unique.
UNIQUE = "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = %s::regclass AND indisunique AND NOT indisprimary"


@every_table
def test_a_table_has_no_maximum_of_rows(db: Session, table: str, insert_valid: InsertValid) -> None:
    """Neither for a customer, a salon, a service nor for two people: the rows are alike in all columns but the id."""
    row = insert_valid()
    for (index,) in db.rows(UNIQUE, [table]):
        db.execute(f"DROP INDEX {index}")
    copied = ", ".join(name for name in row if name != "id")
    copy = f"INSERT INTO {table} ({copied}) SELECT {copied} FROM {table}, generate_series(1, 1000) WHERE id = %s"
    assert db.execute(copy, [row["id"]]).rowcount == 1000
    db.execute("SET CONSTRAINTS ALL IMMEDIATE")


# ------------------------------------------------------------------ indexes


@pytest.mark.rolecall_pin
@every_table
def test_the_indexes_are_those_of_the_plan_and_valid(db: Session, table: str) -> None:
    actual = db.rows(
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = %s::regclass", [table]
    )
    expected = {f"{table.split('.')[1]}_pkey": "UNIQUE (id)", **INDEXES[table]}
    assert dict(actual) == {definition(table, name, text): True for name, text in expected.items()}


def definition(table: str, index: str, text: str) -> str:
    """A line of INDEXES as pg_get_indexdef writes it."""
    kind = "UNIQUE INDEX" if text.startswith("UNIQUE ") else "INDEX"
    return f"CREATE {kind} {index} ON {table} USING btree {text.removeprefix('UNIQUE ')}"


@every_table
def test_an_id_is_unique(db: Session, table: str, insert_valid: InsertValid, world: World) -> None:
    existing = next(iter(world.rows[table].values()))
    with db.raises("23505", constraint=f"{table.split('.')[1]}_pkey"):
        insert_valid(id=existing["id"])


# ------------------------------------------------------------------ a new row


@every_table
def test_a_new_row_changes_nothing_else(changes: FindChanges, table: str, insert_valid: InsertValid) -> None:
    with changes() as changed:
        row = insert_valid()
    assert changed == [inserted(table, **row)]


# ------------------------------------------------------------------ all constraints


@pytest.mark.rolecall_pin
@every_table
def test_every_constraint_is_checked_at_once_for_all_rows(db: Session, table: str) -> None:
    different = """
        SELECT conname FROM pg_constraint
        WHERE conrelid = %s::regclass AND (NOT convalidated OR condeferrable OR (contype = 'c' AND connoinherit))
    """
    assert db.rows(different, [table]) == []


# ------------------------------------------------------------------ storage


@every_table
def test_a_permanent_table_may_refer_to_it(db: Session, table: str) -> None:
    """PostgreSQL refuses this for an UNLOGGED table, which is empty after a crash."""
    db.execute(f"CREATE SCHEMA own CREATE TABLE child (id uuid REFERENCES {table})")
    with db.raises("23503", constraint="child_id_fkey"):
        db.execute("INSERT INTO own.child VALUES (gen_random_uuid())")


@every_table
def test_a_publication_of_the_ids_can_tell_the_rows_apart(db: Session, table: str, insert_valid: InsertValid) -> None:
    """The replica identity is the primary key: Supabase's Realtime publishes each change with the id of its row."""
    row = insert_valid()
    db.execute(f"CREATE PUBLICATION ids FOR TABLE {table} (id)")
    assert db.execute(f"UPDATE {table} SET created_at = now() WHERE id = %s", [row["id"]]).rowcount == 1


@every_table
def test_a_row_is_inserted_in_a_with_query(db: Session, table: str, required: Columns) -> None:
    """As PostgREST sends it. PostgreSQL refuses this for a table with a rule."""
    statement = SQL("WITH source AS ({} RETURNING id) SELECT count(*) FROM source").format(insert(table, required))
    with db.acting_as("service"):
        assert db.value(statement) == 1


@pytest.mark.parametrize("command", ["UPDATE {} SET id = id", "DELETE FROM {}"], ids=["update", "delete"])
@every_table
def test_a_row_is_changed_in_a_with_query(db: Session, table: str, command: str, insert_valid: InsertValid) -> None:
    """As PostgREST sends it. PostgreSQL refuses this for a table with a rule, also for one that does nothing."""
    key = insert_valid()["id"]
    write = SQL(f"{command} WHERE id = {{}} RETURNING id").format(Identifier(*table.split(".")), key)
    assert db.value(SQL("WITH source AS ({}) SELECT count(*) FROM source").format(write)) == 1
