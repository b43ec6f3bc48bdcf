"""A row of the world that cannot be loaded: the tests that need it fail and name it, and all others run."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from rolecall import World
from rolecall.access.loading import load
from rolecall.errors import RolecallError
from rolecall.worker import Worker

TOO_LONG = (
    "the world's row \"bob's note\" of shop.notes cannot be loaded: "
    'new row for relation "notes" violates check constraint "short_body" '
    "DETAIL: Failing row contains (2, bob, much too long)."
)


@pytest.fixture
def broken(toy: pytest.Pytester) -> pytest.Pytester:
    """The project, in which bob's note is too long."""
    path = toy.path / "conftest.py"
    path.write_text(path.read_text().replace('body="his"', 'body="much too long"'))
    return toy


# ------------------------------------------------------------------ what a user sees


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("option", ["", "--rolecall-coverage"])
def test_the_cells_of_the_row_fail_and_name_it(broken: pytest.Pytester, processes: str, option: str) -> None:
    options = ["--rolecall-digest-from", "0", *filter(None, [option])]
    result = broken.runpytest_inprocess("-n", processes, "test_notes.py", *options)
    result.assert_outcomes(passed=20, failed=20, errors=1)
    lines = result.stdout.str().splitlines()
    assert lines.count(TOO_LONG) == 20
    assert lines.count(f"  ERROR: {TOO_LONG}") == 1


def test_a_run_without_a_test_of_the_row_fails_too(broken: pytest.Pytester) -> None:
    result = broken.runpytest_inprocess("test_notes.py", "-k", "alice and not bob")
    result.assert_outcomes(passed=15, errors=1, deselected=25)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"  ERROR: {TOO_LONG}", "ERROR rolecall::world - the world's row *"])


def test_a_test_that_asks_for_the_row_fails(broken: pytest.Pytester) -> None:
    broken.makepyfile(
        test_it="""
        def test_bob(db, rolecall_world):
            assert rolecall_world.row("shop.notes", "bob's note")

        def test_alice(db, rolecall_world):
            assert rolecall_world.row("shop.notes", "alice's note")["author"] == "alice"
            assert db.value("SELECT count(*) FROM shop.notes") == 1
        """
    )
    result = broken.runpytest_inprocess("test_it.py")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines([f"E *{TOO_LONG}"])


def test_another_cell_that_fails_says_which_rows_are_missing(broken: pytest.Pytester) -> None:
    path = broken.path / "test_notes.py"
    path.write_text(path.read_text().replace("alice             yes      yes", "alice             -        yes"))
    result = broken.runpytest_inprocess("test_notes.py::test_grid[alice's note-select-alice]")
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["alice: select on *", f"  and         {TOO_LONG}"])


def test_a_table_that_does_not_exist(toy: pytest.Pytester) -> None:
    path = toy.path / "conftest.py"
    path.write_text(
        path.read_text().replace("    return world\n", "    world.add('shop.pins', 'a pin', id=1)\n    return world\n")
    )
    result = toy.runpytest_inprocess("test_notes.py")
    result.assert_outcomes(passed=40, errors=1)
    result.stdout.fnmatch_lines(
        ["  ERROR: the world's row 'a pin' of shop.pins cannot be loaded: relation \"shop.pins\" does not exist"]
    )


# ------------------------------------------------------------------ which rows are missing


@pytest.fixture
def connection(toy_worker: Worker) -> Connection[Any]:
    """A connection to a database without rows, with a table that refers to the notes."""
    toy_worker.connection.execute(
        """
        DELETE FROM shop.notes;
        CREATE TABLE shop.pins (id int PRIMARY KEY, note int, place int, other int,
          CONSTRAINT pin_of_a_note FOREIGN KEY (note) REFERENCES shop.notes (id),
          CONSTRAINT pin_of_a_pin FOREIGN KEY (other) REFERENCES shop.pins DEFERRABLE INITIALLY DEFERRED);
        """
    )
    return toy_worker.connection


def add_notes(world: World) -> None:
    world.add("shop.notes", "good", id=1, author="alice")
    world.add("shop.notes", "bad", id=2, author="alice", body="much too long")
    world.add("shop.notes", "another", id=3, author="bob")


def loaded(connection: Connection[Any], table: str) -> list[int]:
    return [key for (key,) in connection.execute(f"SELECT id FROM {table} ORDER BY id".encode())]


def test_all_other_rows_are_loaded(connection: Connection[Any]) -> None:
    world = World()
    add_notes(world)
    assert list(load(connection, world)) == [("shop.notes", "bad")]
    assert loaded(connection, "shop.notes") == [1, 3]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        pytest.param({"colour": 1}, 'column "colour" of relation "notes" does not exist', id="missing column"),
        pytest.param({"author": None}, "null value in column", id="NULL"),
        pytest.param({"author": object()}, "cannot adapt type 'object'", id="no SQL literal"),
        pytest.param({"author": "a\0"}, "NUL", id="NUL byte"),
        pytest.param({"id": 1}, "duplicate key value", id="unique index"),
    ],
)
def test_the_reason_is_that_of_the_database(connection: Connection[Any], columns: dict[str, Any], reason: str) -> None:
    world = World()
    world.add("shop.notes", "good", id=1, author="alice")
    world.add("shop.notes", "bad", **{"id": 2, "author": "bob"} | columns)
    missing = load(connection, world)
    assert list(missing) == [("shop.notes", "bad")]
    assert reason in missing["shop.notes", "bad"]


def test_a_trigger_that_refuses(connection: Connection[Any]) -> None:
    connection.execute(
        """
        CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.id = 3 THEN RAISE 'no third note'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.refuse();
        """
    )
    world = World()
    add_notes(world)
    missing = load(connection, world)
    assert list(missing) == [("shop.notes", "bad"), ("shop.notes", "another")]
    assert missing["shop.notes", "another"] == "no third note"


def test_a_row_that_refers_to_a_missing_one_is_missing_too(connection: Connection[Any]) -> None:
    world = World()
    add_notes(world)
    world.add("shop.pins", "of the good note", id=1, note=1)
    world.add("shop.pins", "of the bad note", id=2, note=2)
    world.add("shop.pins", "of no note", id=3, note=77)
    missing = load(connection, world)
    assert list(missing)[1:] == [("shop.pins", "of the bad note"), ("shop.pins", "of no note")]
    assert missing["shop.pins", "of the bad note"] == "it refers to 'bad' of shop.notes, which cannot be loaded"
    assert "pin_of_a_note" in missing["shop.pins", "of no note"]
    assert loaded(connection, "shop.pins") == [1]


def test_a_deferred_constraint_refuses_the_rows_of_its_table(connection: Connection[Any]) -> None:
    world = World()
    add_notes(world)
    world.add("shop.pins", "one", id=1, other=2)
    world.add("shop.pins", "two", id=2, other=77)
    missing = load(connection, world)
    assert list(missing) == [("shop.notes", "bad"), ("shop.pins", "one"), ("shop.pins", "two")]
    assert "deferred constraint" in missing["shop.pins", "two"]
    assert loaded(connection, "shop.notes") == [1, 3]


# ------------------------------------------------------------------ rows that a superuser does not insert

FOR_THE_CALLER = """
ALTER TABLE shop.notes ALTER author SET DEFAULT shop.me();
CREATE FUNCTION shop.pin() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN INSERT INTO shop.pins VALUES (NEW.id + 100, NEW.id); RETURN NULL; END $$;
CREATE TRIGGER pin AFTER INSERT ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.pin();
"""


@pytest.fixture
def world() -> World:
    """A world of two personas."""
    world = World()
    world.persona("alice", "toy_member", subject="alice", settings={"app.tenant": 1})
    world.persona("visitor", "toy_visitor")
    return world


@pytest.mark.parametrize("bad", [False, True], ids=["all at once", "one by one"])
def test_a_row_that_a_persona_inserts(connection: Connection[Any], world: World, bad: bool) -> None:
    connection.execute(FOR_THE_CALLER)
    world.add_as("alice", "shop.notes", "hers", id=1)
    if bad:
        world.add_as("visitor", "shop.notes", "the visitor's", id=2)
    world.add("shop.notes", "of the superuser", id=3, author="bob")
    missing = {("shop.notes", "the visitor's"): "permission denied for table notes"} if bad else {}
    assert load(connection, world) == missing
    rows = connection.execute("SELECT id, author FROM shop.notes ORDER BY id").fetchall()
    assert rows == [(1, "alice"), (3, "bob")]
    query = "SELECT current_user = session_user, current_setting('app.tenant'), current_setting('request.jwt.claims')"
    assert connection.execute(query).fetchall() == [(True, "", "")]


def test_a_row_that_a_trigger_makes(connection: Connection[Any], world: World) -> None:
    connection.execute(FOR_THE_CALLER)
    world.add("shop.notes", "hers", id=1, author="alice")
    world.existing("shop.pins", "her pin", id=101, note=1, place=None)
    assert load(connection, world) == {}
    assert loaded(connection, "shop.pins") == [101]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"id": 5}, 'it does not exist where "id" = 5: world.existing() is for a row that something else has made'),
        ({"place": None}, '2 rows exist where "place" IS NULL: world.existing() is for a row that something else'),
        ({"colour": 1}, 'column "colour" does not exist'),
    ],
)
def test_a_row_that_nothing_has_made(
    connection: Connection[Any], world: World, columns: dict[str, Any], reason: str
) -> None:
    world.add("shop.pins", "one", id=1)
    world.add("shop.pins", "two", id=2)
    world.existing("shop.pins", "another", **columns)
    world.add("shop.pins", "last", id=3)
    assert [text[: len(reason)] for text in load(connection, world).values()] == [reason]
    assert loaded(connection, "shop.pins") == [1, 2, 3]


def test_only_a_persona_of_the_world_inserts(world: World) -> None:
    with pytest.raises(RolecallError, match="unknown persona 'bob': the world has alice, visitor"):
        world.add_as("bob", "shop.notes", "his", id=1)


def test_rows_that_refer_to_each_other_are_loaded(connection: Connection[Any]) -> None:
    world = World()
    add_notes(world)
    world.add("shop.pins", "one", id=1, other=2)
    world.add("shop.pins", "two", id=2, other=1)
    assert list(load(connection, world)) == [("shop.notes", "bad")]
    assert loaded(connection, "shop.pins") == [1, 2]


def test_a_deferred_constraint_that_names_no_table_of_the_world(connection: Connection[Any]) -> None:
    connection.execute(
        """
        CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON shop.notes DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION shop.refuse();
        """
    )
    world = World()
    add_notes(world)
    with pytest.raises(RolecallError, match="the world cannot be loaded: not today"):
        load(connection, world)


@pytest.mark.parametrize(
    ("column", "numbers", "new"),
    [
        pytest.param("int GENERATED ALWAYS AS IDENTITY", [7, 9], 10, id="an identity column"),
        pytest.param("serial", [1], 2, id="the first number of a serial column"),
        pytest.param("int GENERATED BY DEFAULT AS IDENTITY (START 50)", [7], 50, id="a sequence that is beyond"),
        pytest.param("int GENERATED ALWAYS AS IDENTITY (INCREMENT -1)", [-7, -3], -8, id="a sequence that descends"),
        pytest.param("smallint GENERATED ALWAYS AS IDENTITY (MAXVALUE 5)", [7], 1, id="beyond the end"),
        pytest.param("serial", [], 1, id="no row"),
    ],
)
def test_a_sequence_goes_on_after_the_rows(
    connection: Connection[Any], column: str, numbers: list[int], new: int
) -> None:
    connection.execute(f'CREATE TABLE shop."Orders" ("Id" {column}, note text)'.encode())
    world = World()
    world.rows["shop.Orders"] = {}
    for number in numbers:
        world.add("shop.Orders", f"order {number}", Id=number)
    assert load(connection, world) == {}
    row = connection.execute('INSERT INTO shop."Orders" (note) VALUES (\'new\') RETURNING "Id"').fetchone()
    assert row == (new,)


OWNED = """
CREATE DOMAIN shop.number AS bigint;
CREATE SEQUENCE shop.numbers;
CREATE TABLE shop.bills (number {column});
ALTER SEQUENCE shop.numbers OWNED BY shop.bills.number;
"""
NEXT = "nextval('shop.numbers')"


@pytest.mark.parametrize(
    ("column", "number", "last"),
    [
        pytest.param(f"shop.number DEFAULT {NEXT}", 7, 7, id="of a domain"),
        pytest.param(f"text DEFAULT 'B-' || {NEXT}", "B-7", 1, id="of a text, of which it makes a part"),
    ],
)
def test_a_sequence_of_another_type(connection: Connection[Any], column: str, number: int | str, last: int) -> None:
    connection.execute(OWNED.format(column=column).encode())
    world = World()
    world.add("shop.bills", "the bill", number=number)
    assert load(connection, world) == {}
    assert connection.execute("SELECT last_value FROM shop.numbers").fetchone() == (last,)


@pytest.mark.parametrize(
    ("grant", "last"),
    [
        ("SELECT ON shop.bills", 1),
        ("SELECT, UPDATE ON SEQUENCE shop.numbers", 1),
        ("SELECT ON shop.bills TO toy_member; GRANT SELECT, USAGE ON SEQUENCE shop.numbers", 1),
        ("SELECT ON shop.bills TO toy_member; GRANT UPDATE ON SEQUENCE shop.numbers", 1),
        ("SELECT ON shop.bills TO toy_member; GRANT SELECT, UPDATE ON SEQUENCE shop.numbers", 7),
    ],
)
def test_a_sequence_that_the_role_may_not_read_or_set_stays(connection: Connection[Any], grant: str, last: int) -> None:
    connection.execute(OWNED.format(column=f"int DEFAULT {NEXT}").encode())
    connection.execute(f"GRANT INSERT ON shop.bills TO toy_member; GRANT {grant} TO toy_member".encode())
    world = World()
    world.add("shop.bills", "the bill", number=7)
    connection.execute("SET LOCAL ROLE toy_member")
    assert load(connection, world) == {}
    connection.execute("RESET ROLE")
    assert connection.execute("SELECT last_value FROM shop.numbers").fetchone() == (last,)


# ------------------------------------------------------------------ materialized views

VIEWS = """
CREATE MATERIALIZED VIEW shop.bodies AS SELECT body FROM shop.notes;
CREATE MATERIALIZED VIEW shop.not_filled AS SELECT body FROM shop.bodies WITH NO DATA;
CREATE MATERIALIZED VIEW shop.broken AS SELECT 1 / (3 - length(body)) AS x FROM shop.notes WITH NO DATA;
"""


def test_materialized_views_show_the_rows(connection: Connection[Any]) -> None:
    connection.execute(VIEWS)
    world = World()
    world.add("shop.notes", "carol's note", id=3, author="carol", body="new")
    load(connection, world)
    for view in ("shop.bodies", "shop.not_filled"):
        assert ("new",) in connection.execute(f"SELECT body FROM {view}".encode()).fetchall()
    populated = "SELECT relispopulated FROM pg_class WHERE oid = 'shop.broken'::regclass"
    assert connection.execute(populated).fetchone() == (False,)
