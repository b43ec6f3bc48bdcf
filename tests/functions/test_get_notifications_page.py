"""get_notifications_page: a user's notifications, newest first, in pages; for that user and for the service."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall import Session, World
from tests.functions.calls import NOT_YOUR_ID, about_oneself, about_the_customer, columns, unknown_or_null

pytestmark = pytest.mark.rolecall_from_phase(2)

LARGEST = 2_147_483_647

# The expected number of notifications, read and unread.
CUSTOMERS_PAGE = about_the_customer(3)
OWN_PAGE = about_oneself(some=3, none=0)


def page(db: Session, user: str | None) -> list[tuple[Any, ...]]:
    """A page of the default size."""
    return db.rows("SELECT * FROM communication.get_notifications_page(p_user_id => %s)", [user])


def messages(db: Session, user: str | None, limit: int | None, offset: int | None) -> list[str]:
    """The messages of a page."""
    query = "SELECT message FROM communication.get_notifications_page(p_user_id => %s, p_limit => %s, p_offset => %s)"
    return [message for (message,) in db.rows(query, [user, limit, offset])]


@pytest.fixture
def recipient(db: Session, customer: str) -> str:
    """The id of the customer, who has 25 new notifications: "1" is the newest.

    Five each have the same time. Their order in the table differs.
    """
    db.execute("DELETE FROM communication.notifications WHERE user_id = %s", [customer])
    db.execute(
        """
        INSERT INTO communication.notifications (id, user_id, message, notification_type, read_at, created_at)
        SELECT lpad((100 - n)::text, 32, '0')::uuid, %s, n, 'reminder', CASE n %% 2 WHEN 0 THEN now() END,
               timestamptz '2025-06-01 12:00Z' - (n - 1) / 5 * interval '1 microsecond'
        FROM generate_series(1, 25) AS n
        ORDER BY n * 7 %% 25
        """,
        [customer],
    )
    return customer


def numbers(first: int, last: int) -> list[str]:
    return [str(n) for n in range(first, last + 1)]


@pytest.mark.parametrize("name", CUSTOMERS_PAGE)
def test_the_customers_page_as(db: Session, customer: str, name: str) -> None:
    expected = CUSTOMERS_PAGE[name]
    with db.acting_as(name, on="communication.notifications"):
        if isinstance(expected, int):
            rows = page(db, customer)
            assert [str(row[1]) for row in rows] == [customer] * expected
        else:
            with db.raises("42501", message=expected):
                page(db, customer)


@pytest.mark.parametrize("name", OWN_PAGE)
def test_own_page_as(db: Session, world: World, name: str) -> None:
    with db.reading_as(name):
        rows = page(db, world.personas[name].subject)
    assert [str(row[1]) for row in rows] == [world.personas[name].subject] * OWN_PAGE[name]


@pytest.mark.parametrize("name", OWN_PAGE)
def test_the_service_may_ask_for_any_user(db: Session, world: World, name: str) -> None:
    with db.reading_as("service"):
        assert len(page(db, world.personas[name].subject)) == OWN_PAGE[name]


@unknown_or_null
def test_an_unknown_user_has_no_notifications(db: Session, user: str | None) -> None:
    with db.reading_as("service"):
        assert page(db, user) == []


@pytest.mark.parametrize("name", ["customer", "no_subject"])
@unknown_or_null
def test_an_unknown_user_is_refused(db: Session, name: str, user: str | None) -> None:
    with db.reading_as(name), db.raises("42501", message=NOT_YOUR_ID):
        page(db, user)


def test_a_session_without_claims_is_refused(db: Session, customer: str) -> None:
    """Also the session of a superuser: the settings are empty between two requests."""
    with db.raises("42501", message=NOT_YOUR_ID):
        page(db, customer)


def test_rows_are_shown_as_stored(db: Session, world: World, customer: str) -> None:
    rows = [row for row in world.rows["communication.notifications"].values() if row["user_id"] == customer]
    rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
    with db.reading_as("customer"):
        actual = page(db, customer)
    assert [(str(key), str(user), *rest) for key, user, *rest in actual] == [
        tuple(row[name] for name in ("id", "user_id", "message", "notification_type", "read_at", "created_at"))
        for row in rows
    ]


def test_columns_and_their_types(db: Session, customer: str) -> None:
    with db.reading_as("customer"):
        cursor = db.execute("SELECT * FROM communication.get_notifications_page(%s)", [customer])
        assert columns(cursor) == [
            ("id", "uuid"),
            ("user_id", "uuid"),
            ("message", "text"),
            ("notification_type", "varchar"),
            ("read_at", "timestamptz"),
            ("created_at", "timestamptz"),
        ]


# ------------------------------------------------------------------ pages


def test_the_default_page_has_the_20_newest(db: Session, recipient: str) -> None:
    with db.reading_as("customer"):
        assert [row[2] for row in page(db, recipient)] == numbers(1, 20)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 24, 25, 26])
def test_pages_neither_repeat_nor_skip(db: Session, recipient: str, size: int) -> None:
    """Rows of two pages may have the same time: then the greatest id comes first."""
    with db.reading_as("customer"):
        pages = [messages(db, recipient, size, offset) for offset in range(0, 25, size)]
    assert [message for one in pages for message in one] == numbers(1, 25)
    assert [len(one) for one in pages[:-1]] == [size] * (len(pages) - 1)


def test_pages_stay_the_same_when_rows_move_in_the_table(db: Session, recipient: str) -> None:
    db.execute("UPDATE communication.notifications SET read_at = now() WHERE message IN ('3', '1', '12')")
    with db.reading_as("customer"):
        assert messages(db, recipient, 25, 0) == numbers(1, 25)


def test_pages_are_ordered_by_time_and_not_by_id(db: Session, customer: str) -> None:
    db.execute("DELETE FROM communication.notifications WHERE user_id = %s", [customer])
    db.execute(
        """
        INSERT INTO communication.notifications (id, user_id, message, notification_type, created_at)
        VALUES ('00000000-0000-0000-0000-000000000001', %(customer)s, 'newest', 'reminder', '2025-01-03Z'),
               ('ffffffff-ffff-ffff-ffff-ffffffffffff', %(customer)s, 'oldest', 'reminder', '2025-01-01Z'),
               ('00000000-0000-0000-0000-000000000002', %(customer)s, 'middle', 'reminder', '2025-01-02Z')
        """,
        {"customer": customer},
    )
    with db.reading_as("customer"):
        assert messages(db, customer, 20, 0) == ["newest", "middle", "oldest"]
        assert [messages(db, customer, 1, offset) for offset in range(3)] == [["newest"], ["middle"], ["oldest"]]


@pytest.fixture
def undated_messages(db: Session, recipient: str) -> list[str]:
    """The 25 messages in the order of the pages. 5, 1, 3 and those of other users have no time."""
    db.execute("ALTER TABLE communication.notifications ALTER COLUMN created_at DROP NOT NULL")
    db.execute(
        """
        UPDATE communication.notifications SET created_at = NULL
        WHERE message IN ('5', '1', '3') OR user_id <> %s
        """,
        [recipient],
    )
    return ["2", "4", *numbers(6, 25), "1", "3", "5"]


@pytest.mark.parametrize("size", [1, 2, 5, 22, 23, 24, 25, 26, None])
def test_notifications_without_a_time_come_last(
    db: Session, recipient: str, undated_messages: list[str], size: int | None
) -> None:
    with db.reading_as("customer"):
        pages = [messages(db, recipient, size, offset) for offset in range(0, 25, size or 25)]
    assert [message for one in pages for message in one] == undated_messages


def test_a_page_reads_few_rows(db: Session, customer: str) -> None:
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type, created_at)
        SELECT %s, n, 'reminder', timestamptz '2025-06-01 12:00Z' - n * interval '1 minute'
        FROM generate_series(1, 2000) AS n
        """,
        [customer],
    )
    # By an index, as in a larger table.
    db.execute("CREATE INDEX read_by_page ON communication.notifications (user_id, created_at DESC)")
    db.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
    tuples_read = """
        SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))
        FROM pg_index WHERE indrelid = 'communication.notifications'::regclass
    """
    before = db.value(tuples_read)
    with db.reading_as("customer"):
        assert len(messages(db, customer, 20, 40)) == 20
    assert 60 <= db.value(tuples_read) - before < 120


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        pytest.param(0, 0, [], id="nothing"),
        pytest.param(0, 10, [], id="nothing from the eleventh"),
        pytest.param(1, 0, ["1"], id="one"),
        pytest.param(LARGEST, 0, numbers(1, 25), id="the largest limit: all"),
        pytest.param(None, 0, numbers(1, 25), id="limit NULL: all"),
        pytest.param(20, 20, numbers(21, 25), id="the last page"),
        pytest.param(20, 24, ["25"], id="the last one"),
        pytest.param(20, 25, [], id="just beyond the end"),
        pytest.param(20, LARGEST, [], id="the largest offset"),
        pytest.param(LARGEST, LARGEST, [], id="both as large as can be"),
        pytest.param(3, None, numbers(1, 3), id="offset NULL: from the newest"),
        pytest.param(None, None, numbers(1, 25), id="both NULL: all"),
        pytest.param(None, 22, numbers(23, 25), id="limit NULL: all the rest"),
    ],
)
@pytest.mark.parametrize("name", ["customer", "service"])
def test_limits_and_offsets(
    db: Session, recipient: str, name: str, limit: int | None, offset: int | None, expected: list[str]
) -> None:
    with db.reading_as(name):
        assert messages(db, recipient, limit, offset) == expected


def test_a_page_has_no_maximum_size(db: Session, customer: str) -> None:
    db.execute(
        """
        INSERT INTO communication.notifications (user_id, message, notification_type)
        SELECT %s, 'one of many', 'reminder' FROM generate_series(1, 2000)
        """,
        [customer],
    )
    with db.reading_as("customer"):
        assert len(messages(db, customer, 1999, 0)) == 1999
        assert len(messages(db, customer, None, 0)) == 2003


@pytest.mark.parametrize(
    ("limit", "offset", "error"),
    [
        pytest.param(-1, 0, "p_limit must not be negative, but is -1", id="limit -1"),
        pytest.param(20, -1, "p_offset must not be negative, but is -1", id="offset -1"),
        pytest.param(-LARGEST - 1, 0, "p_limit must not be negative, but is -2147483648", id="the smallest limit"),
        pytest.param(20, -LARGEST - 1, "p_offset must not be negative, but is -2147483648", id="the smallest offset"),
        pytest.param(-1, -1, "p_limit must not be negative, but is -1", id="both: the limit is named"),
        pytest.param(None, -1, "p_offset must not be negative, but is -1", id="limit NULL, offset -1"),
        pytest.param(-1, None, "p_limit must not be negative, but is -1", id="limit -1, offset NULL"),
    ],
)
@pytest.mark.parametrize("name", ["customer", "service"])
def test_a_negative_limit_or_offset_is_an_error(
    db: Session, customer: str, name: str, limit: int | None, offset: int | None, error: str
) -> None:
    with db.reading_as(name), db.raises("22023", message=error):
        messages(db, customer, limit, offset)


def test_the_refusal_comes_before_other_errors(db: Session, customer: str) -> None:
    with db.reading_as("other_customer"), db.raises("42501", message=NOT_YOUR_ID):
        messages(db, customer, -1, -1)
