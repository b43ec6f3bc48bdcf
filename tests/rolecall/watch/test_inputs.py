"""Which statements have changed, what they are about, and whether they may change roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.watch.inputs import Inputs, Text, changed_objects, changes_roles

TABLE = "CREATE TABLE app.notes (id int); "
POLICY = "CREATE POLICY own ON app.notes USING (true);"


def step(text: str, name: str = "1.sql") -> Text:
    return Text(Path(name), "how", text)


def steps(*texts: Text) -> Inputs:
    return Inputs((), texts, ())


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        (TABLE, TABLE + POLICY, {"app.notes"}),
        (TABLE + POLICY, TABLE, {"app.notes"}),
        (TABLE + POLICY, TABLE + POLICY.replace("true", "false"), {"app.notes"}),
        (TABLE + POLICY, f"-- a comment\n{TABLE}\n\n  {POLICY.replace(' USING', '  /* twice */ USING')}", set()),
        (TABLE, TABLE + "ALTER TABLE app.notes ADD body text", {"app.notes"}),
        (TABLE, TABLE + "GRANT SELECT ON app.notes TO bob; DROP VIEW app.titles", {"app.notes", "app.titles"}),
        (TABLE, TABLE + "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql RETURN 1", {"app.f"}),
        (TABLE, TABLE + "CREATE TRIGGER t BEFORE UPDATE ON app.notes EXECUTE FUNCTION app.f()", {"app.notes"}),
        (TABLE, TABLE + "GRANT USAGE ON SCHEMA app TO bob", None),
        (
            TABLE,
            TABLE + "CREATE TABLE notes (id int); GRANT EXECUTE ON FUNCTION f() TO bob",
            {"public.notes", "public.f"},
        ),
        ("SET search_path = app;", "SET search_path = app; CREATE TABLE notes (id int)", None),
        ("SET search_path = app;", "SET search_path = app; DROP TABLE app.notes", {"app.notes"}),
        ("", "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = '' RETURN 1", {"public.f"}),
        (TABLE, TABLE + "DO $$ BEGIN PERFORM 1; END $$", None),
        (TABLE, TABLE + "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob", None),
        (TABLE, TABLE + "SELECT 1", None),
        (TABLE, TABLE + "CREATE TABEL app.x (id int)", None),
    ],
)
def test_changed_objects(old: str, new: str, names: set[str] | None) -> None:
    assert changed_objects(steps(step(old)), steps(step(new))) == names


def test_all_statements_of_a_new_or_a_removed_file_have_changed() -> None:
    one, two = steps(step(TABLE)), steps(step(TABLE), step("DROP TABLE app.others", "2.sql"))
    assert changed_objects(one, two) == changed_objects(two, one) == {"app.others"}
    assert changed_objects(one, steps(step(TABLE, "3.sql"))) == {"app.notes"}


def test_equal_steps() -> None:
    first, second = step(TABLE), step(POLICY, "2.sql")
    assert steps(first, second).equal_steps(steps(first, second)) == 2
    assert steps(first, second).equal_steps(steps(first)) == 1
    assert steps(first, second).equal_steps(steps(first, second._replace(how="other"))) == 1
    assert steps(first).equal_steps(steps(second)) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TABLE + POLICY, False),
        ("-- create role bob\n" + TABLE, False),
        ("GRANT SELECT ON app.notes TO bob; REVOKE ALL ON SCHEMA app FROM bob", False),
        ("SET ROLE bob; SELECT current_user", False),
        ("CREATE ROLE bob", True),
        ("alter  user bob LOGIN", True),
        ("DO $$ BEGIN EXECUTE 'DROP ROLE bob'; END $$", True),
        (TABLE + "GRANT alice TO bob", True),
        ("REASSIGN OWNED BY bob TO alice", True),
    ],
)
def test_changes_roles(text: str, expected: bool) -> None:
    assert changes_roles([step(text)]) is expected
