"""A persona's custom settings: every way of acting has them, and no other persona sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from psycopg import errors

from rolecall import Session, World, grid
from rolecall.errors import RolecallError
from rolecall.grids.decided_by import KINDS
from rolecall.grids.grid import Grid
from rolecall.noninterference.changes import RequestChange, changed
from rolecall.oracle.requests import Oracle
from rolecall.report.terminal import cell_failure
from rolecall.worker import Worker

# The schema of an application on plain PostgreSQL, which sets the tenant for each request.
SQL = """
CREATE TABLE shop.orders (id int PRIMARY KEY, tenant int NOT NULL, item text);
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own orders" ON shop.orders USING (tenant = current_setting('app.tenant_id')::int);
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders TO toy_member;
CREATE FUNCTION shop.setting(kind text) RETURNS text LANGUAGE sql STABLE
  RETURN current_setting('app.' || kind, true);
CREATE TABLE shop.notices (id int PRIMARY KEY);
ALTER TABLE shop.notices ENABLE ROW LEVEL SECURITY;
CREATE POLICY "never set" ON shop.notices USING (shop.setting('hidden') IS NULL);
GRANT SELECT ON shop.notices TO toy_member;
"""
TENANT = "SELECT current_setting('app.tenant_id', true)"
HIDDEN = "SELECT shop.setting('hidden')"  # the schema builds the name: nothing finds it in the text


def tenants() -> World:
    world = World()
    world.persona("ann", "toy_member", settings={"app.tenant_id": 1, "app.hidden": "a"})
    world.persona("ben", "toy_member", settings={"App.Tenant_ID": "2"})
    world.persona("nobody", "toy_member")
    for tenant in (1, 2):
        world.add("shop.orders", f"order of {tenant}", id=tenant, tenant=tenant, item="x")
    world.add("shop.notices", "the notice", id=1)
    return world


@pytest.fixture
def worker(project: Callable[[str, World], Worker]) -> Worker:
    return project(SQL, tenants())


@pytest.fixture
def session(worker: Worker) -> Iterator[Session]:
    with worker.session() as session:
        yield session


GRID = """
                select   insert   update   delete
    order of 1
      ann       yes      yes      yes      yes
      ben       -        !        -        -
    order of 2
      ann       -        !        -        -
      ben       yes      yes      yes      yes
"""


NOTICES = """
                select   insert   update   delete
    the notice
      nobody    -        !        !        !
"""


def orders(text: str = GRID, decided_by: tuple[str, ...] = ()) -> Grid:
    return grid("shop.orders", text, update="item = 'y'", decided_by=decided_by)


# ------------------------------------------------------------------ each way of acting


def test_a_grid_has_them(worker: Worker) -> None:
    table = orders()
    assert worker.outcomes.try_grid(table) == {}


def test_acting_as_and_reading_as_have_them(session: Session) -> None:
    for name, tenant in (("ann", 1), ("ben", 2), ("ann", 1)):
        with session.acting_as(name):
            assert session.rows("SELECT tenant FROM shop.orders") == [(tenant,)]
        with session.reading_as(name):
            assert session.rows("SELECT tenant FROM shop.orders") == [(tenant,)]


def test_committed_requests_have_them(worker: Worker) -> None:
    """They also agree about the setting that nobody has: it is '', and not NULL."""
    oracle = Oracle(worker.run, worker.name, worker.world.settings)
    try:
        for table in (orders(), grid("shop.notices", NOTICES, update="id = 1")):
            assert worker.outcomes.try_grid(table) == {}
            results = [result for cell in table.cells for result in worker.outcomes.try_cell(table, cell)]
            assert oracle.differences(results) == []
    finally:
        oracle.close()


def test_they_say_who_a_persona_is(worker: Worker) -> None:
    """As the subject of a token: decided_by changes all else of the request, and need not name them."""
    table = orders(decided_by=("tenant",))
    assert {kind: worker.check_decided_by(table, kind).failure for kind in KINDS} == dict.fromkeys(KINDS, "")


def test_a_failure_shows_them(worker: Worker) -> None:
    table = orders(GRID.replace("ben       -  ", "ben       yes"))
    (cell,) = worker.outcomes.try_grid(table)
    failure = worker.check(table, cell)
    assert failure
    assert failure.settings == {"app.tenant_id": "2"}
    assert '  settings    {"app.tenant_id": "2"}' in cell_failure(failure).splitlines()


def test_a_changed_request_has_them() -> None:
    """A change of decided_by: without the tenant, each of its requests would only be an error."""
    world = changed(tenants(), "shop.orders", [RequestChange("claim:email", "claim", "email", "a@b.example")])
    assert world.personas["ann"].custom == {"app.tenant_id": "1", "app.hidden": "a"}
    assert ("app.tenant_id", "1") in world.personas["ann"].settings("GET")


# ------------------------------------------------------------------ between personas


def test_the_next_persona_does_not_see_them(session: Session) -> None:
    for first in ("ann", "ben"):
        with session.acting_as(first):
            assert session.value(TENANT) != ""
        assert session.value(TENANT) == ""
        with session.acting_as("nobody"):
            assert session.value(TENANT) == ""


def test_a_persona_in_the_block_of_another_does_not_see_them(session: Session) -> None:
    with session.acting_as("ann"):
        with session.acting_as("nobody"):
            assert (session.value(TENANT), session.value(HIDDEN)) == ("", "")
        with session.acting_as("ben"):
            assert (session.value(TENANT), session.value(HIDDEN)) == ("2", "")
        assert (session.value(TENANT), session.value(HIDDEN)) == ("1", "a")
    assert (session.value(TENANT), session.value(HIDDEN)) == ("", "")


def test_they_are_reset_after_a_refusal(session: Session) -> None:
    with session.raises("22012"), session.acting_as("ann"):
        session.value("SELECT 1 / 0")
    assert session.value(TENANT) == ""
    with session.acting_as("ann"):
        with session.raises("22012"), session.acting_as("ben"):
            session.value("SELECT 1 / 0")
        assert session.value(TENANT) == "1"


def test_a_persona_without_a_tenant_gets_the_same_alone_and_after_others(worker: Worker) -> None:
    """A setting that was never set is NULL, and one that was set before is ''. Here it is always ''."""
    for before in (False, True):
        if before:
            worker.outcomes.try_grid(orders())
        with worker.session() as session, session.acting_as("nobody"):
            assert (session.value(TENANT), session.value(HIDDEN)) == ("", "")
            with pytest.raises(errors.InvalidTextRepresentation), session.connection.transaction():
                session.rows("SELECT * FROM shop.orders")


def test_the_value_of_the_database_returns(worker: Worker) -> None:
    name = worker.connection.info.dbname
    worker.connection.execute(f'ALTER DATABASE "{name}" SET app.tenant_id = 7'.encode())
    with worker.run.connect(name) as connection, connection.transaction(force_rollback=True):
        session = Session(connection, worker.world.personas)
        for persona, expected in (("nobody", "7"), ("ann", "1"), ("nobody", "7")):
            with session.acting_as(persona):
                assert session.value(TENANT) == expected
            assert session.value(TENANT) == "7"


# ------------------------------------------------------------------ what a setting may be


def test_values_are_text() -> None:
    key = UUID("11111111-1111-4111-8111-111111111111")
    persona = World().persona("ann", "member", settings={"a.b": key, "a.c.d": True, "a.e": -1, "a.f": ""})
    assert persona.custom == {"a.b": str(key), "a.c.d": "true", "a.e": "-1", "a.f": ""}
    assert "settings" not in persona.claims


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tenant": 1}, "the setting 'tenant': write the name of a custom setting, such as 'app.tenant_id'."),
        ({"app.": 1}, "the setting 'app.': write the name"),
        ({"app.a-b": 1}, "the setting 'app.a-b': write the name"),
        ({"app.ä": 1}, "the setting 'app.ä': write the name"),
        ({7: 1}, "the setting 7: write the name"),
        ({"request.jwt.claims": "{}"}, "each request has its own. Give the claims of the token to world.persona()."),
        ({"app.a": None}, "its value is None: give a string, a number, a bool or a UUID."),
        ({"app.a": {"b": 1}}, "its value is {'b': 1}: give a string"),
        ({"app.a": "x\0"}, "its value has a NUL character"),
        ({"app.a": 1, "APP.A": 2}, "has the setting 'APP.A' twice."),
    ],
)
def test_an_error_names_the_persona_and_the_setting(settings: dict[str, object], message: str) -> None:
    with pytest.raises(RolecallError) as excinfo:
        World().persona("ann", "member", settings=settings)
    assert str(excinfo.value).startswith("the persona 'ann' has the setting ")
    assert message in str(excinfo.value)


# ------------------------------------------------------------------ as a user has it


def test_a_project_whose_personas_have_settings(toy: pytest.Pytester) -> None:
    step = Path(toy.path) / "migrations/phase_1_notes/1_1_notes.sql"
    step.write_text(step.read_text().replace("author = shop.me()", "author = current_setting('app.user', true)"))
    conftest = Path(toy.path) / "conftest.py"
    text = conftest.read_text()
    assert "subject=name" in text
    conftest.write_text(text.replace("subject=name", 'settings={"app.user": name}'))
    tests = Path(toy.path) / "test_notes.py"
    tests.write_text(tests.read_text().replace("{bob}", "'bob'"))
    result = toy.runpytest_subprocess("-n", "0", "test_notes.py", "--rolecall-oracle")
    result.assert_outcomes(passed=40)
