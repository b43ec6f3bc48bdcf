"""decided_by: what decides about access, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rolecall import Grid, World, grid
from rolecall.errors import GridError
from rolecall.grids.decided_by import COLUMNS, DECLARED, KINDS, OTHER_ROWS
from rolecall.worker import Worker

LINE = "update=\"body = 'changed'\","
ME = "shop.me()"


def notes(*decided_by: str) -> Grid:
    """The grid of the toy project."""
    return grid(
        "shop.notes",
        """
                            select   insert   update   delete   hand over
        alice's note
          alice             yes      yes      yes      yes      !
          bob               -        !        -        -        -
          visitor           !        !        !        !        !
          keeper            yes      yes      yes      yes      yes

        bob's note
          bob, keeper       yes      yes      yes      yes      yes
          alice             -        !        -        -        -
          visitor           !        !        !        !        !
        """,
        update="body = 'changed'",
        moves={"hand over": "author = {bob}"},
        decided_by=decided_by,
    )


def failures(worker: Worker, tested: Grid) -> dict[str, str]:
    """The kinds that fail, with what they say, without the place of the grid."""
    results = {kind: worker.check_decided_by(tested, kind).failure for kind in KINDS}
    place = f"test_decided_by.py:{tested.line}: "
    return {kind: failure.removeprefix(place) for kind, failure in results.items() if failure}


# ------------------------------------------------------------------ what a user sees


def test_a_right_policy_passes(toy_worker: Worker) -> None:
    assert failures(toy_worker, notes("author")) == {}


def test_a_failure_says_what_decides_and_what_to_do(toy_worker: Worker) -> None:
    toy_worker.connection.execute(
        f'ALTER POLICY "own notes are read" ON shop.notes USING (body = {ME} OR author = {ME})'
    )
    assert failures(toy_worker, notes("author")) == {
        "columns": "access to shop.notes depends on what decided_by does not name.\n"
        "  access of bob depends on body: with body = bob's id, select of \"alice's note\" is yes instead of -\n"
        "Fix the policy, trigger or function that reads it. If it may decide, add it to decided_by."
    }


def test_an_entry_that_decides_nothing_fails(toy_worker: Worker) -> None:
    assert failures(toy_worker, notes("author", "body")) == {
        "declared": "decided_by names what does not decide about shop.notes.\n"
        "  body: no change of it changes a verdict of the grid\n"
        "If it no longer decides, remove it. If it does, the world lacks a row that shows it: add one to the world, "
        "for which another value of it gives another verdict. A value that a constraint forbids is not tried: if one "
        "fixes all values of a column, leave the column out."
    }


def test_with_no_entry_only_the_persona_decides(toy_worker: Worker) -> None:
    (failure,) = failures(toy_worker, notes()).values()
    assert "depends on author: with author = " in failure
    toy_worker.connection.execute("ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY")
    open_grid = grid(
        "shop.notes",
        """
                                 select   insert   update   delete
        alice's note
          alice, bob, keeper     yes      yes      yes      yes
          visitor                !        !        !        !
        """,
        update="body = 'changed'",
        decided_by=[],
    )
    assert failures(toy_worker, open_grid) == {}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_tests_of_a_grid(toy: pytest.Pytester, processes: str) -> None:
    path = toy.path / "test_notes.py"
    path.write_text(path.read_text().replace(LINE, f'{LINE}\n    decided_by=["author", "body"],'))
    result = toy.runpytest_subprocess("-n", processes, "-v")
    result.assert_outcomes(passed=45, failed=1)
    for kind in KINDS:
        result.stdout.fnmatch_lines(f"*test_notes.py::test_grid[[]decided by: {kind}[]]*")
    result.stdout.fnmatch_lines(
        ["test_notes.py:3: decided_by names what does not decide about shop.notes.", "  body: no change of it *"]
    )
    result.stdout.fnmatch_lines(["  columns not deciding    1 of 1*"])


def test_a_role_that_is_no_superuser_makes_the_same_tests(
    toy: pytest.Pytester, guarded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLECALL_PG_DSN", guarded.url("toy_poor"))
    path = toy.path / "test_notes.py"
    path.write_text(path.read_text().replace(LINE, f'{LINE}\n    decided_by=["author"],'))
    toy.runpytest_subprocess("-k", "decided").assert_outcomes(passed=5, deselected=41)


def test_a_grid_without_it_has_no_such_test(toy: pytest.Pytester) -> None:
    result = toy.runpytest_subprocess("--collect-only", "-q")
    assert "decided by" not in result.stdout.str()


# ------------------------------------------------------------------ entries


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("author", "decided_by='author': write a list of texts"),
        ([1], "decided_by has 1: write "),
        ([" author"], "decided_by has ' author': write "),
        (["author", "author"], "decided_by has 'author' twice: remove one."),
        (["notes.author"], "decided_by has 'notes.author': write "),
        (["shop..author"], "decided_by has 'shop..author': write "),
        (["shop.notes.author"], "that is a column of the grid's own table, so write 'author'."),
        (["cookie:tenant"], "decided_by has 'cookie:tenant': write "),
        (["claim:"], "decided_by has 'claim:': write "),
        (["claim:sub"], "the role and the subject always decide, so remove it."),
        (["rows:notes"], "decided_by has 'rows:notes': write \"rows:schema.table\"."),
    ],
)
def test_an_entry_in_a_wrong_form(entries: Any, message: str) -> None:
    with pytest.raises(GridError) as error:
        grid("shop.notes", notes_text, update="body = 'x'", decided_by=entries)
    file, line, text = str(error.value).split(":", 2)
    assert (Path(file).name, int(line)) == ("test_decided_by.py", error.traceback[0].lineno + 1)
    assert message in text


notes_text = """
    select  insert  update  delete
a note
  alice  yes  yes  yes  yes
"""


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("autor", "shop.notes has no column 'autor'; it has: id, author, body."),
        ("shop.nots.author", "there is no table 'shop.nots'."),
        ("rows:shop.nots", "there is no table 'shop.nots'."),
        ("shop.shelf.title", "leads from shop.notes to shop.shelf, but to no other table. Remove the entry."),
    ],
)
def test_an_entry_that_the_database_does_not_have(toy_worker: Worker, entry: str, message: str) -> None:
    toy_worker.connection.execute("CREATE TABLE shop.shelf (id int PRIMARY KEY, title text)")
    tested = notes("author", entry)
    with pytest.raises(GridError) as error:
        toy_worker.check_decided_by(tested, COLUMNS)
    assert str(error.value).startswith(f"{__file__}:{tested.line}: decided_by has '{entry}': ")
    assert str(error.value).endswith(message)


# ------------------------------------------------------------------ entries of each kind


@pytest.mark.parametrize(
    ("condition", "entry"),
    [
        (
            "current_setting('request.jwt.claims')::json -> 'app_metadata' ->> 'tenant' = 'acme'",
            "claim:app_metadata.tenant",
        ),
        ("current_setting('app.tenant', true) = 'acme'", "setting:app.tenant"),
        ("current_setting('request.headers')::json ->> 'x-tenant' = 'acme'", "header:x-tenant"),
        ("current_setting('request.method', true) = 'HEAD'", "setting:request.method"),
        ("current_setting('request.path', true) = '/notes'", "setting:request.path"),
        ("current_setting('application_name') = 'psql'", "setting:application_name"),
        (
            "nullif(current_setting('request.cookies', true), '')::json ->> 'support' = 'yes'",
            "setting:request.cookies",
        ),
        ("shop.count_all() > 100", "rows:shop.notes"),
        ("shop.count_all() = 1", "rows:shop.notes"),
    ],
)
def test_what_decides_must_be_named(toy_worker: Worker, condition: str, entry: str) -> None:
    toy_worker.connection.execute(
        "CREATE FUNCTION shop.count_all() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' "
        "AS 'SELECT count(*) FROM shop.notes'"
    )
    toy_worker.connection.execute(f"CREATE POLICY more ON shop.notes FOR SELECT USING ({condition})".encode())
    assert list(failures(toy_worker, notes("author"))) == ["other rows" if "rows" in entry else "the request"]
    assert failures(toy_worker, notes("author", entry)) == {}


def test_an_array_that_the_code_compares_with_is_a_value(toy_worker: Worker) -> None:
    toy_worker.connection.execute("ALTER TABLE shop.notes ADD tags text[]")
    toy_worker.connection.execute("CREATE POLICY more ON shop.notes FOR SELECT USING (tags @> '{public}')")
    (failure,) = failures(toy_worker, notes("author")).values()
    assert "with tags = '{public}'" in failure


def test_the_key_of_another_table_may_decide(toy_worker: Worker) -> None:
    """The key of a table of members is who belongs to what."""
    toy_worker.connection.execute(f"""
        CREATE TABLE shop.readers (author text, reader text, PRIMARY KEY (author, reader));
        INSERT INTO shop.readers VALUES ('alice', 'carol'), ('carol', 'alice');
        CREATE FUNCTION shop.reads(author text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
        AS 'SELECT EXISTS (SELECT FROM shop.readers AS r WHERE r.author = $1 AND r.reader = {ME})';
        CREATE POLICY more ON shop.notes FOR SELECT USING (shop.reads(author));
    """)
    (failure,) = failures(toy_worker, notes("author")).values()
    assert "access of bob depends on shop.readers.reader: with reader = bob's id in 'alice, carol', select" in failure
    assert "access of alice depends on shop.readers.author: with author = bob's id in 'carol, alice', select" in failure
    assert failures(toy_worker, notes("author", "shop.readers.author", "shop.readers.reader")) == {}


def test_rows_of_a_table_with_a_key_of_two_columns_are_copied(toy_worker: Worker) -> None:
    toy_worker.connection.execute("""
        CREATE TABLE shop.books (id text PRIMARY KEY);
        CREATE TABLE shop.pages (book text REFERENCES shop.books, number int, PRIMARY KEY (book, number));
        INSERT INTO shop.books VALUES ('a'), ('b');
        INSERT INTO shop.pages VALUES ('a', 1), ('a', 2), ('b', 1);
        CREATE FUNCTION shop.pages() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
        AS 'SELECT count(*) FROM shop.pages';
        CREATE POLICY more ON shop.notes FOR SELECT USING (shop.pages() > 100);
    """)
    found = failures(toy_worker, notes("author"))
    assert list(found) == [OTHER_ROWS]
    assert "copies of each row of shop.pages" in found[OTHER_ROWS]
    assert failures(toy_worker, notes("author", "rows:shop.pages")) == {}


MEMBERS = """
CREATE TABLE shop.users (name text PRIMARY KEY, email text UNIQUE);
CREATE TABLE shop.profiles (name text PRIMARY KEY REFERENCES shop.users);
CREATE TABLE shop.teams (id int PRIMARY KEY);
CREATE TABLE shop.members (
  team int REFERENCES shop.teams, name text REFERENCES shop.profiles, PRIMARY KEY (team, name), role text
);
INSERT INTO shop.users VALUES ('alice', 'alice@example.com'), ('bob', 'bob@example.com');
INSERT INTO shop.profiles VALUES ('alice'), ('bob');
INSERT INTO shop.teams VALUES (1), (2);
INSERT INTO shop.members VALUES (1, 'alice', 'owner'), (2, 'bob', 'owner');
ALTER TABLE shop.notes ADD team int REFERENCES shop.teams DEFAULT 1;
CREATE FUNCTION shop.is_true(team int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT {}';
CREATE POLICY more ON shop.notes FOR SELECT USING (shop.is_true(team));
"""


@pytest.mark.parametrize(
    ("condition", "failing"),
    [
        ("(SELECT count(*) FROM shop.members AS m WHERE m.team = $1) > 4", [OTHER_ROWS]),
        ("(SELECT m.name NOT IN (''alice'', ''bob'') FROM shop.members AS m WHERE m.team = $1 LIMIT 1)", [OTHER_ROWS]),
        ("(SELECT m.team FROM shop.members AS m WHERE m.name = ''alice'' LIMIT 1) <> 1", [OTHER_ROWS]),
        (f"EXISTS (SELECT FROM shop.members AS m WHERE m.team = $1 AND m.name = {ME})", []),
    ],
    ids=["many members", "the first member", "the first team", "a member"],
)
def test_rows_of_a_table_whose_key_refers_to_others_are_copied(
    toy_worker: Worker, condition: str, failing: list[str]
) -> None:
    """A team gets members who are no personas, and each persona gets teams."""
    toy_worker.connection.execute(MEMBERS.format(condition).encode())
    toy_worker.connection.execute("UPDATE shop.notes SET team = CASE author WHEN 'alice' THEN 1 ELSE 2 END")
    decisive = ["author", "team", "shop.members.name", "shop.members.team"]
    found = failures(toy_worker, notes(*decisive))
    found.pop(DECLARED, None)
    assert list(found) == failing
    if failing:
        assert "rows:shop.members" in found[OTHER_ROWS]
        assert OTHER_ROWS not in failures(toy_worker, notes(*decisive, "rows:shop.members"))


@pytest.mark.parametrize(
    ("column", "condition"),
    [
        ("tstzrange", "value @> now()"),
        ("int4range DEFAULT 'empty'", "NOT isempty(value)"),
        ("datemultirange DEFAULT '{}'", "value @> current_date"),
        ("macaddr", "value = '08:00:2b:01:02:03'"),
        ("cidr", "value = '10.0.0.0/8'"),
        ("tsvector", "value @@ 'public'"),
        ("inet", "value << '10.0.0.0/8'"),
        ("cidr", "value >> '10.0.0.1'::inet"),
        ("int[]", "7 = ANY (value)"),
        ("text[]", "value @> ARRAY['red', 'green']"),
        ("jsonb", f"EXISTS (SELECT FROM jsonb_array_elements(value) AS e WHERE e ->> 'id' = {ME})"),
        ("text", f"value LIKE {ME} || '/%'"),
        ("text", f"value = 'user:' || {ME}"),
    ],
)
def test_a_value_of_any_type_may_decide(toy_worker: Worker, column: str, condition: str) -> None:
    toy_worker.connection.execute(f"ALTER TABLE shop.notes ADD value {column}".encode())
    toy_worker.connection.execute(f"CREATE POLICY more ON shop.notes FOR SELECT USING ({condition})".encode())
    (failure,) = failures(toy_worker, notes("author")).values()
    assert "with value = " in failure
    assert failures(toy_worker, notes("author", "value")) == {}


@pytest.mark.parametrize("condition", [f"value ? {ME}", f"value -> 'editor' = {ME}", "value @> 'open=>true'"])
def test_a_pair_of_an_hstore_may_decide(toy_worker: Worker, condition: str) -> None:
    try:
        toy_worker.connection.execute("CREATE EXTENSION hstore")
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(str(error))
    toy_worker.connection.execute("ALTER TABLE shop.notes ADD value hstore")
    toy_worker.connection.execute(f"CREATE POLICY more ON shop.notes FOR SELECT USING ({condition})".encode())
    (failure,) = failures(toy_worker, notes("author")).values()
    assert "with value = " in failure


def test_a_trigger_that_refuses_some_rows(toy_worker: Worker) -> None:
    toy_worker.connection.execute("""
        CREATE FUNCTION shop.keep() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.body = 'final' THEN RAISE EXCEPTION 'it is final' USING ERRCODE = '42501'; END IF;
          RETURN NEW;
        END $$;
        CREATE TRIGGER keep BEFORE UPDATE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.keep();
    """)
    (failure,) = failures(toy_worker, notes("author")).values()
    assert "with body = 'final', update of" in failure
    assert "is ! instead of yes" in failure


def test_it_sees_the_broken_schema_of_a_trial(toy_built: Worker) -> None:
    def breaks(connection: Any) -> None:
        connection.execute(f'ALTER POLICY "own notes are deleted" ON shop.notes USING (body = {ME} OR author = {ME})')

    tested = notes("author")
    assert failures(toy_built, tested) == {}
    with toy_built.trial(breaks):
        assert list(failures(toy_built, tested)) == ["columns"]
    assert failures(toy_built, tested) == {}


def test_it_kills_a_mutant_that_no_cell_notices(toy: pytest.Pytester) -> None:
    step, path = toy.path / "migrations/phase_1_notes/1_1_notes.sql", toy.path / "test_notes.py"
    step.write_text(
        step.read_text().replace("SELECT USING (author = shop.me()", "SELECT USING (author = shop.me() AND body <> 'x'")
    )
    path.write_text(path.read_text().replace(LINE, f'{LINE}\n    decided_by=["author", "body"],'))
    options = ["--rolecall-mutants-of", "notes are read", "--rolecall-mutants-operator", "policy-edit"]
    result = toy.runpytest_subprocess("--rolecall-mutants", *options, "-v")
    result.stdout.fnmatch_lines("*KILLED by test_notes.py::test_grid[[]decided by: declared[]]*")


# ------------------------------------------------------------------ odd tables

ODD = """
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE TYPE shop.pair AS (a int, b text);
CREATE DOMAIN shop.short AS varchar(10) CHECK (value <> 'x');
CREATE DOMAIN shop.shorter AS shop.short;
CREATE TABLE shop.authors (name text PRIMARY KEY, CHECK (name <> ''));
CREATE TABLE shop.notes (
  author text REFERENCES shop.authors, number int, PRIMARY KEY (author, number),
  body text, serial int GENERATED ALWAYS AS IDENTITY, size int GENERATED ALWAYS AS (length(body)) STORED,
  mood shop.mood NOT NULL DEFAULT 'good', pair shop.pair, name shop.shorter NOT NULL DEFAULT '',
  tags text[], ids uuid[], span tstzrange, days daterange[], place point, words tsvector, bits bit(3), raw bytea,
  mac macaddr, net inet, pay money, at time, zone timetz, took interval, facts json, more jsonb, doc xml,
  one "char", fix char(3), ratio real, big numeric,
  pinned int NOT NULL DEFAULT 1 CHECK (pinned = 1),
  reply_author text, reply_number int, FOREIGN KEY (reply_author, reply_number) REFERENCES shop.notes,
  "the day" date DEFAULT '2025-01-01'
) PARTITION BY LIST (author);
CREATE TABLE shop.notes_of_alice PARTITION OF shop.notes FOR VALUES IN ('alice');
CREATE TABLE shop.notes_of_others PARTITION OF shop.notes DEFAULT;
ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
GRANT ALL ON shop.notes, shop.authors TO toy_member;
CREATE POLICY own ON shop.notes USING (author = shop.me() AND (SELECT count(*) FROM shop.authors) >= 0);
"""


def test_odd_columns_are_changed_or_not_allowed(project: Callable[[str, World], Worker]) -> None:
    world = World()
    for name in ("alice", "bob"):
        world.persona(name, "toy_member", subject=name)
        world.add("shop.authors", name, name=name)
    world.add("shop.notes", "alice's", author="alice", number=1, body="hers")
    world.add("shop.notes", "another", author="alice", number=2, body="hers", reply_author="alice", reply_number=1)
    worker = project(ODD, world)
    tested = grid(
        "shop.notes",
        """
                    select   insert   update   delete
        alice's
          alice     yes      yes      yes      yes
          bob       -        !        -        -
        another
          alice     yes      yes      yes      yes
          bob       -        !        -        -
        """,
        update="body = 'changed'",
        key=("author", "number"),
        decided_by=["author"],
    )
    assert failures(worker, tested) == {}
    tally = worker.check_decided_by(tested, COLUMNS).tally
    assert tally.fixed - tally.varied == {"pinned"}
    assert not {"serial", "size"} & tally.varied
    assert tally.refused
