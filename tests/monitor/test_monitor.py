"""monitor.sql gives another answer for each state of the database that it is meant to notice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from rolecall.database.scratch import Scratch
from tests.features.programs import psql
from tests.monitor.conftest import Answer, Monitor

THREADS = "communication.message_threads"
FAVORITES = "engagement.customer_favorites"
AUDIT = "audit.audit_logs"
RULES = "catalog.service_booking_rules"
NEW_TABLES = {"scheduling.appointment_services", THREADS, FAVORITES, AUDIT, RULES}
OTHER_TABLES = {"communication.notifications", "storage.objects"}

# Foreign keys and triggers do not matter here.
MANY_THREADS = """
    SET session_replication_role = replica;
    INSERT INTO communication.message_threads (created_by_id, recipient_id)
    SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 5000);
    SET session_replication_role = origin
"""
# Autovacuum would come in between.
BY_HAND = "ALTER TABLE communication.message_threads SET (autovacuum_enabled = false)"


@pytest.fixture
def migrated(scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases and the world's rows. The statistics of a table count what is committed."""
    return scratch(migrated=True)


def execute(scratch: Scratch, *statements: str) -> None:
    """Run statements, and have the server count each at once: otherwise it may count it a second later."""
    for statement in statements:
        scratch.connection.execute(statement.encode())
        scratch.connection.execute("SELECT pg_stat_force_next_flush()")


# ------------------------------------------------------------------ the whole


def test_of_a_new_database_it_says_something_about_everything(migrated: Scratch, monitor: Monitor) -> None:
    found = monitor(migrated.connection)
    topics = {topic for topic, _, _ in found}
    assert topics == {"statistics", "rows", "dead rows", "index use", "slow statements", "policies"}
    for topic, measure in (
        ("rows", "number and growth"),
        ("dead rows", "dead rows"),
        ("index use", "scans of the whole table"),
        ("policies", "evaluated for each row"),
        ("policies", "estimated cost of SELECT *"),
    ):
        assert {name for one, name, other in found if (one, other) == (topic, measure)} == NEW_TABLES | OTHER_TABLES
    assert [key for key, answer in found.items() if answer.advice and key[0] != "slow statements"] == []


def test_psql_shows_the_same_and_nothing_else(migrated: Scratch, monitor: Monitor, monitor_file: Path) -> None:
    done = psql(migrated, "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", str(monitor_file))
    assert (done.returncode, done.stderr) == (0, "")
    assert {tuple(line.split("|")[:3]) for line in done.stdout.splitlines()} == monitor(migrated.connection).keys()


def test_the_session_is_who_it_was_before(migrated: Scratch, monitor_file: Path) -> None:
    """In the SQL editor, the rest of the transaction would otherwise run as ``authenticated``."""
    query = "SELECT current_user, current_setting('role'), current_setting('request.jwt.claims', true)"
    execute(migrated, f'SET ROLE "{migrated.role}"', """SET request.jwt.claims = '{"sub": "x"}'""")
    before = migrated.connection.execute(query).fetchone()
    with migrated.connection.transaction():
        migrated.connection.execute(monitor_file.read_bytes())
        assert migrated.connection.execute(query).fetchone() == before
    execute(migrated, "RESET ROLE")


def test_what_needs_attention_comes_first(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, f"DROP TABLE {RULES}")
    advised = [bool(answer.advice) for answer in monitor(migrated.connection).values()]
    assert True in advised
    assert advised == sorted(advised, reverse=True)


# ------------------------------------------------------------------ rows


def test_since_when_the_server_counts(migrated: Scratch, monitor: Monitor) -> None:
    key = ("statistics", migrated.name, "counted since")
    assert monitor(migrated.connection)[key].value == "the database was created"
    execute(migrated, "SELECT pg_stat_reset()")
    assert monitor(migrated.connection)[key].value != "the database was created"


def test_growth_is_counted(migrated: Scratch, monitor: Monitor) -> None:
    key = ("rows", THREADS, "number and growth")
    before = monitor(migrated.connection)[key].value or ""
    assert before.startswith("0 rows, ")
    execute(migrated, MANY_THREADS, f"UPDATE {THREADS} SET subject = 'x' WHERE ctid = '(0,1)'")
    after = monitor(migrated.connection)[key].value or ""
    assert after.startswith("5000 rows, ")
    assert after.endswith("; inserted 5000, updated 1, deleted 0")
    assert after.split("; ")[0].removeprefix("5000 rows") != before.split("; ")[0].removeprefix("0 rows")


def test_a_table_that_is_missing_names_its_phase(scratch: Callable[..., Scratch], monitor: Monitor) -> None:
    database = scratch()
    wanted = {table: f"apply phase {3 if table == RULES else 1}" for table in NEW_TABLES}
    found = monitor(database.connection)
    assert {name: answer.advice for (topic, name, _), answer in found.items() if topic == "rows" and answer.advice} == (
        wanted
    )
    assert {answer.value for answer in found.values() if answer.advice in wanted.values()} == {
        "the table does not exist"
    }
    database.apply(1)
    assert {answer.advice for key, answer in monitor(database.connection).items() if key[0] == "rows"} == {
        "",
        "apply phase 3",
    }


# ------------------------------------------------------------------ dead rows


def test_many_dead_rows(migrated: Scratch, monitor: Monitor) -> None:
    key = ("dead rows", THREADS, "dead rows")
    execute(migrated, BY_HAND, MANY_THREADS, f"UPDATE {THREADS} SET subject = 'x'")
    answer = monitor(migrated.connection)[key]
    assert (answer.value or "").startswith("5005 beside 5000 rows; vacuumed: never; ")
    assert answer.advice == f"VACUUM (ANALYZE) {THREADS};"
    execute(migrated, answer.advice)
    answer = monitor(migrated.connection)[key]
    assert (answer.value or "").startswith("0 beside 5005 rows; vacuumed: 2")
    assert answer.advice == ""


def test_few_dead_rows_need_nothing(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, BY_HAND, MANY_THREADS, f"VACUUM (ANALYZE) {THREADS}")
    execute(migrated, f"UPDATE {THREADS} SET subject = 'x' WHERE id IN (SELECT id FROM {THREADS} LIMIT 1100)")
    answer = monitor(migrated.connection)["dead rows", THREADS, "dead rows"]
    assert (answer.value or "").startswith("1100 beside 5005 rows; ")
    assert answer.advice == ""


def test_dead_rows_of_a_small_table_need_nothing(migrated: Scratch, monitor: Monitor) -> None:
    # Five rows: 750 dead ones. While another transaction is open, none of them is pruned.
    execute(migrated, BY_HAND, *[f"UPDATE {THREADS} SET subject = 'x'"] * 150)
    answer = monitor(migrated.connection)["dead rows", THREADS, "dead rows"]
    assert re.match(r"\d{1,3} beside ", answer.value or "")
    assert answer.advice == ""


def test_a_large_table_without_statistics(migrated: Scratch, monitor: Monitor) -> None:
    key = ("dead rows", THREADS, "dead rows")
    execute(migrated, BY_HAND, MANY_THREADS)
    answer = monitor(migrated.connection)[key]
    assert (answer.value or "").endswith("analyzed: never")
    assert answer.advice == f"ANALYZE {THREADS};"
    execute(migrated, answer.advice)
    assert monitor(migrated.connection)[key].advice == ""


# ------------------------------------------------------------------ index use


def test_scans_of_a_whole_large_table(migrated: Scratch, monitor: Monitor) -> None:
    key = ("index use", THREADS, "scans of the whole table")
    execute(migrated, MANY_THREADS, *[f"SELECT count(*) FROM {THREADS} WHERE description = 'x'"] * 100)
    assert monitor(migrated.connection)[key] == ("100, of 5005 rows on average", "")
    execute(migrated, f"SELECT count(*) FROM {THREADS} WHERE description = 'x'")
    answer = monitor(migrated.connection)[key]
    assert answer.value == "101, of 5005 rows on average"
    assert answer.advice.startswith("some query finds no index")


def test_scans_of_a_small_table_need_nothing(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, *[f"SELECT count(*) FROM {THREADS}"] * 101)
    answer = monitor(migrated.connection)["index use", THREADS, "scans of the whole table"]
    assert answer == ("101, of 5 rows on average", "")


def test_which_index_of_a_large_table_is_used(migrated: Scratch, monitor: Monitor) -> None:
    key = ("index use", "communication.idx_message_threads_salon", "index scans")
    assert monitor(migrated.connection)[key].advice == ""
    execute(migrated, MANY_THREADS)
    answer = monitor(migrated.connection)[key]
    assert (answer.value or "").startswith("0, ")
    assert answer.advice.startswith("no query has used it")
    execute(migrated, f"ANALYZE {THREADS}", f"SELECT FROM {THREADS} WHERE salon_id = gen_random_uuid()")
    execute(migrated, "SET enable_seqscan = off", f"SELECT FROM {THREADS} WHERE salon_id = '{'0' * 32}'")
    answer = monitor(migrated.connection)[key]
    assert (answer.value or "").startswith("1, ")
    assert answer.advice == ""


def test_a_unique_index_works_without_a_query(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, MANY_THREADS)
    found = monitor(migrated.connection)
    assert found["index use", "communication.idx_message_threads_unique_active", "index scans"].advice == ""


def test_an_index_that_is_not_valid(migrated: Scratch, monitor: Monitor) -> None:
    build = "CREATE UNIQUE INDEX CONCURRENTLY half_built ON audit.audit_logs (action)"
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(migrated, build)
    answer = monitor(migrated.connection)["index use", "audit.half_built", "index scans"]
    assert answer.advice == "it is not valid: REINDEX INDEX audit.half_built;"


# ------------------------------------------------------------------ slow statements

# The embedded server does not have the extension. This has the columns that are read, in the schema of Supabase.
STATISTICS = """
    CREATE SCHEMA IF NOT EXISTS extensions;
    CREATE VIEW extensions.pg_stat_statements AS
      SELECT d.oid AS dbid, s.* FROM pg_database d, ({rows}) AS s (database, query, calls, total_exec_time)
      WHERE d.datname = s.database;
    ALTER EXTENSION plpgsql ADD VIEW extensions.pg_stat_statements
"""
ONE = "VALUES ('{name}', '{query}', {calls}::bigint, {total}::float)"


def statements(migrated: Scratch, monitor: Monitor) -> dict[str, Answer]:
    """The statements of the answers, each with its time and advice."""
    found = monitor(migrated.connection).items()
    return {name: answer for (topic, name, _), answer in found if topic == "slow statements"}


def count_statements(scratch: Scratch, **row: object) -> None:
    values = {"name": scratch.name, "query": "", "calls": 4, "total": 10.0} | row
    execute(scratch, STATISTICS.format(rows=ONE.format(**values)))


def test_without_pg_stat_statements_it_says_so(migrated: Scratch, monitor: Monitor) -> None:
    found = statements(migrated, monitor)
    assert found.keys() == {"pg_stat_statements is not installed"}
    assert "CREATE EXTENSION" in found["pg_stat_statements is not installed"][1]


def test_a_table_of_that_name_is_not_the_extension(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, "CREATE TABLE public.pg_stat_statements (query text)")
    assert statements(migrated, monitor).keys() == {"pg_stat_statements is not installed"}


def test_a_slow_statement(migrated: Scratch, monitor: Monitor) -> None:
    query = "SELECT *\n  FROM communication.message_threads"
    count_statements(migrated, query=query, total=404)
    ((name, (value, advice)),) = statements(migrated, monitor).items()
    assert (name, value) == ("SELECT * FROM communication.message_threads", "101.0 ms on average, 4 calls")
    assert advice.startswith("EXPLAIN")


@pytest.mark.parametrize(
    "query", ["SELECT communication.get_unread_count($1)", 'UPDATE "storage"."objects" SET name = $1'], ids=repr
)
def test_a_fast_statement(migrated: Scratch, monitor: Monitor, query: str) -> None:
    count_statements(migrated, query=query, total=396)
    assert statements(migrated, monitor) == {query: ("99.0 ms on average, 4 calls", "")}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"query": "SELECT * FROM organization.salons"}, id="about another table"),
        pytest.param({"query": "SELECT * FROM audit.audit_logs", "name": "postgres"}, id="of another database"),
        pytest.param({"query": "CREATE INDEX ON audit.audit_logs (id)"}, id="of a migration"),
    ],
)
def test_statements_that_do_not_matter_here(migrated: Scratch, monitor: Monitor, other: dict[str, str]) -> None:
    execute(migrated, "CREATE SCHEMA IF NOT EXISTS extensions")
    count_statements(migrated, **other)
    assert statements(migrated, monitor) == {"none was counted": (None, "")}


def test_statistics_that_cannot_be_read(migrated: Scratch, monitor: Monitor) -> None:
    """As where the library is not preloaded."""
    execute(migrated, STATISTICS.format(rows="SELECT current_database(), 'audit_logs', 1 / 0, 1.0"))
    assert statements(migrated, monitor) == {"pg_stat_statements cannot be read": (None, "division by zero")}


# ------------------------------------------------------------------ policies


@pytest.mark.parametrize(
    ("condition", "for_each_row"),
    [
        ("customer_id = auth.uid()", True),
        ("auth.role() = 'authenticated'", True),
        ("customer_id = current_setting('app.user')::uuid", True),
        ("customer_id = (SELECT auth.uid())", False),
        ("(SELECT auth.jwt() ->> 'role') = 'admin'", False),
        ("customer_id = (SELECT auth.uid()) OR salon_id = auth.uid()", True),
    ],
)
@pytest.mark.parametrize("clause", ["FOR SELECT USING", "FOR INSERT WITH CHECK"])
def test_a_policy_that_is_evaluated_for_each_row(
    migrated: Scratch, monitor: Monitor, clause: str, condition: str, for_each_row: bool
) -> None:
    execute(migrated, f'CREATE POLICY "one more" ON {FAVORITES} {clause} ({condition})')
    answer = monitor(migrated.connection)["policies", FAVORITES, "evaluated for each row"]
    if for_each_row:
        assert answer == ("1 of 6 policies", 'write (SELECT auth.uid()) in "one more"')
    else:
        assert answer == ("0 of 6 policies", "")


COST = ("policies", THREADS, "estimated cost of SELECT *")


def test_a_missing_index_is_seen_in_the_cost_of_the_policies(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, MANY_THREADS, f"ANALYZE {THREADS}")
    with_index = monitor(migrated.connection)[COST]
    assert "signed in (Bitmap Heap Scan), " in (with_index.value or "")
    assert with_index.advice == ""
    for index in ("created_by", "participants", "recipient"):
        execute(migrated, f"DROP INDEX communication.idx_message_threads_{index}")
    without = monitor(migrated.connection)[COST]
    assert "signed in (Seq Scan), " in (without.value or "")
    assert without.advice.startswith("each query reads the whole table for few rows")


def test_who_may_read_all_rows_may_read_the_whole_table(migrated: Scratch, monitor: Monitor) -> None:
    more = f"INSERT INTO {AUDIT} (entity_type, action) SELECT 'salon', 'update' FROM generate_series(1, 5000)"
    execute(migrated, more, f"ANALYZE {AUDIT}")
    answer = monitor(migrated.connection)["policies", AUDIT, "estimated cost of SELECT *"]
    assert "signed in (Seq Scan), " in (answer.value or "")
    assert answer.advice == ""


def test_a_table_that_authenticated_may_not_read(migrated: Scratch, monitor: Monitor) -> None:
    execute(migrated, f"REVOKE SELECT ON {THREADS} FROM authenticated")
    found = monitor(migrated.connection)
    assert found[COST].value == "permission denied for table message_threads"
    assert found[COST].advice.endswith("or authenticated has no grant")
    assert found["policies", FAVORITES, "estimated cost of SELECT *"].advice == ""
