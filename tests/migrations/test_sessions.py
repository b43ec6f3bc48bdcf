"""How a script behaves in its session: with and without a transaction, and what it leaves and prints."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.files import statements
from rolecall.sql.migrations import read
from tests.migrations.helpers import DISCARD, everything, step_path

ONE_STATEMENT = "1.0 schema_usage"  # the step that is a transaction of its own


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each step of the migrations under test."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    steps = [str(step) for phase in read(folder) for step in phase.steps]
    if "step" in metafunc.fixturenames:
        metafunc.parametrize("step", steps)


def step_text(scratch: Scratch, step: str) -> str:
    return step_path(scratch, step.split()[0]).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def committed(module_scratch: Callable[..., Scratch]) -> Scratch:
    """A database with all phases, in which steps are run again: this changes nothing."""
    return module_scratch(migrated=True)


def test_a_step_prints_no_notice(down_to: Callable[[int], Scratch], step: str) -> None:
    """On a first run there is much that IF EXISTS does not find."""
    database = down_to(1 if step.startswith("3.") else 0)
    database.connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(database.role or "")))
    notices: list[str | None] = []
    database.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    for _ in ("first run", "second run"):
        database.connection.execute(step_text(database, step).encode())
    assert notices == []


def test_a_step_leaves_no_setting_in_its_session(committed: Scratch, step: str) -> None:
    names = ["enorae.noted", "enorae.query", "search_path", "lock_timeout", "default_transaction_read_only"]
    with committed.run.connect(committed.name) as connection:

        def settings() -> list[str]:
            rows = connection.execute(
                "SELECT COALESCE(current_setting(name, true), '') FROM unnest(%s::text[]) AS name", [names]
            )
            return [value for (value,) in rows]

        before = settings()
        with connection.transaction():
            connection.execute(step_text(committed, step).encode())
        assert settings() == before


def test_a_step_that_can_only_read_is_refused(bare: Scratch) -> None:
    """Outside of a transaction, each statement after the first lines only reads."""
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute("SET LOCAL transaction_read_only = on")
        with pytest.raises(SqlError, match="a step runs in one transaction, and this session is in none"):
            bare.execute(step_path(bare, "2.1.3"))


def test_a_step_outside_of_a_transaction_is_refused(scratch: Callable[..., Scratch]) -> None:
    """As psql without -1 and without ON_ERROR_STOP runs it, which goes on after an error."""
    database = scratch()
    before = database.dump(), everything(database.connection)
    for phase in database.phases.values():
        for step in phase.steps:
            if str(step) == ONE_STATEMENT:
                continue
            errors: list[str | None] = []
            with database.run.connect(database.name) as connection:
                connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(database.role or "")))
                for each in statements(step.path.read_text(encoding="utf-8")):
                    try:
                        connection.execute(each.text.encode())
                    except psycopg.Error as error:
                        errors.append(error.sqlstate)
            assert errors.count("25P01") == 1, step
            assert everything(database.connection) == before[1], step
    assert database.dump() == before[0]


@pytest.mark.parametrize("number", [1, 2, 3, 4], ids="phase {}".format)
def test_a_rollback_outside_of_a_transaction_is_all_or_nothing(scratch: Callable[..., Scratch], number: int) -> None:
    """As psql without -1 and without ON_ERROR_STOP runs it, which goes on after an error."""
    database = scratch(migrated=True)
    database.connection.execute("SET enorae.discard_data = 'on'")
    for later in range(4, number, -1):
        database.rollback(later)
    text = database.phases[number].rollback.path.read_text(encoding="utf-8")
    assert len(list(statements(text))) == 1
    before = database.dump()
    with database.run.connect(database.name) as connection:
        if number in (1, 3):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="would delete rows"):
                connection.execute(text.encode())
            assert database.dump() == before
        connection.execute("SET enorae.discard_data = 'on'")
        connection.execute(text.encode())
    assert database.dump() != before
    with pytest.raises(Exception, match=f"phase {number} differs from what its steps create"):
        database.verify(number)


@pytest.mark.parametrize("number", [1, 2, 3, 4], ids="phase {}".format)
def test_a_rollback_restores_the_settings_of_its_transaction(down_to: Callable[[int], Scratch], number: int) -> None:
    query = "SELECT current_setting('search_path'), current_setting('row_security')"
    database = down_to(number)
    connection = database.connection
    connection.execute(DISCARD)
    connection.execute("SET LOCAL search_path = audit, public; SET LOCAL row_security = on")
    before = connection.execute(query).fetchone()
    connection.execute(database.phases[number].rollback.path.read_bytes())
    assert connection.execute(query).fetchone() == before
