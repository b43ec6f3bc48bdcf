"""What the operators make of a schema: each finds what it can break, and what it makes is what it says."""

from __future__ import annotations

import re
from dataclasses import replace

import psycopg
import pytest

from rolecall.catalog import definitions, objects
from rolecall.mutants.operators import buckets, constraints, functions, grants, indexes, policies
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.worker import Worker


def made(worker: Worker, sql: str, operator: Operator) -> dict[str, Mutant]:
    """The mutants of what a further migration makes, by their ids without the operator's name."""
    before = objects.objects(worker.connection)
    run(worker, sql)
    manifest = replace(
        worker.manifest, added=[*worker.manifest.added, *objects.added(before, objects.objects(worker.connection))]
    )
    read = definitions.read(worker.connection, manifest, worker.world, ())
    return {each.id.replace(f" | {operator.name}", ""): each for each in operator.mutants(read)}


def apply(worker: Worker, mutant: Mutant) -> None:
    run(worker, mutant.sql)


def run(worker: Worker, sql: str) -> None:
    worker.connection.execute(f"SET LOCAL ROLE toy_migrator; {sql}; RESET ROLE".encode())


def sqlstate(worker: Worker, statement: str) -> str | None:
    """How a statement fails; None if it does not. It is undone."""
    try:
        with worker.connection.transaction(force_rollback=True):
            worker.connection.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate
    return None


# ------------------------------------------------------------------ grants


def test_what_everybody_holds_without_a_word_is_a_grant(toy_worker: Worker) -> None:
    """EXECUTE, which a function that nobody granted or revoked gives to PUBLIC."""
    mutants = made(toy_worker, "", grants.DropGrant())
    apply(toy_worker, mutants["shop.count_notes | no EXECUTE for public"])
    assert sqlstate(toy_worker, "SET LOCAL ROLE toy_member; SELECT shop.count_notes()") == "42501"


def test_a_triggers_function_is_granted_to_nobody(toy_worker: Worker) -> None:
    sql = "CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    assert not [each for each in made(toy_worker, sql, grants.DropGrant()) if each.startswith("shop.stop")]


def test_columns_are_granted_one_by_one_and_all_together(toy_worker: Worker) -> None:
    mutants = made(toy_worker, "GRANT SELECT (id, body) ON shop.notes TO toy_visitor", grants.WidenGrant())
    assert {each: mutant.sql for each, mutant in mutants.items()} == {
        "shop.notes | SELECT on all columns for toy_visitor": 'GRANT SELECT ON TABLE shop.notes TO "toy_visitor"',
        "shop.notes | no SELECT (id) for toy_visitor": 'REVOKE SELECT ("id") ON TABLE shop.notes FROM "toy_visitor"',
        "shop.notes | no SELECT (body) for toy_visitor": (
            'REVOKE SELECT ("body") ON TABLE shop.notes FROM "toy_visitor"'
        ),
    }


def test_columns_are_dropped_as_they_were_granted(toy_worker: Worker) -> None:
    mutants = made(toy_worker, "GRANT SELECT (id, body) ON shop.notes TO toy_visitor", grants.DropGrant())
    apply(toy_worker, mutants["shop.notes | no SELECT (id, body) for toy_visitor"])
    assert sqlstate(toy_worker, "SET LOCAL ROLE toy_visitor; SELECT id FROM shop.notes") == "42501"


# ------------------------------------------------------------------ policies


def test_roles_are_those_that_somebody_signs_in_as(toy_worker: Worker) -> None:
    becomes = {each.split("becomes to ")[1] for each in made(toy_worker, "", policies.AnotherRole())}
    assert becomes == {"toy_member", "toy_visitor", "toy_keeper"}


def test_a_policy_is_added_for_whom_the_others_are(toy_worker: Worker) -> None:
    sql = (
        'CREATE POLICY "more" ON shop.notes FOR SELECT TO toy_keeper USING (true);'
        'CREATE POLICY "less" ON shop.notes AS RESTRICTIVE FOR SELECT TO toy_visitor USING (false)'
    )
    added = {each.split(" for ")[1] for each in made(toy_worker, sql, policies.AddPermissivePolicy())}
    assert added == {"public", "toy_keeper"}


def test_a_policy_without_a_check_gets_one_that_stops_nothing(toy_worker: Worker) -> None:
    mutant = made(toy_worker, "", policies.ConstantPredicate())[
        'shop.notes "own notes are changed" | with WITH CHECK true'
    ]
    assert mutant.sql.endswith("FOR UPDATE TO PUBLIC USING ((author = shop.me())) WITH CHECK (true)")


def test_a_column_is_taken_for_another_one_of_its_own_table(toy_worker: Worker) -> None:
    sql = (
        "CREATE TABLE shop.authors (name text, nick text, age int);"
        'CREATE POLICY "known" ON shop.notes FOR SELECT'
        " USING (EXISTS (SELECT FROM shop.authors a WHERE a.name = notes.author))"
    )
    swapped = [
        each for each in made(toy_worker, sql, policies.EditPredicate()) if re.search(r"known.*becomes \w+$", each)
    ]
    assert [each.split(": ")[1] for each in swapped] == ["a.name becomes nick", "notes.author becomes body"]


# ------------------------------------------------------------------ constraints


def test_a_foreign_key_does_each_of_the_other_things(toy_worker: Worker) -> None:
    sql = (
        "CREATE TABLE shop.pins (note int CONSTRAINT of_note REFERENCES shop.notes"
        " ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE)"
    )
    mutants = made(toy_worker, sql, constraints.ForeignKeyAction())
    assert set(mutants) == {"shop.pins of_note | ON DELETE CASCADE", "shop.pins of_note | ON DELETE NO ACTION"}
    apply(toy_worker, mutants["shop.pins of_note | ON DELETE CASCADE"])
    (definition,) = toy_worker.connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'of_note'"
    ).fetchall()
    assert "ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE" in definition[0]


def test_what_is_put_on_a_table_of_the_baseline_is_broken_too(toy_worker: Worker) -> None:
    run(toy_worker, "CREATE TABLE shop.shelf (height int CONSTRAINT old CHECK (height > 0))")
    check = "ALTER TABLE shop.shelf ADD CONSTRAINT low CHECK (height < 9)"
    index = "CREATE INDEX by_height ON shop.shelf (height)"
    dropped = made(toy_worker, check, constraints.DropConstraint())
    dropped |= made(toy_worker, index, indexes.DropIndex())
    assert [each for each in dropped if each.startswith("shop.shelf")] == [
        "shop.shelf low | dropped",
        "shop.shelf by_height | dropped",
    ]


ROWS = "INSERT INTO shop.notes VALUES (11, 'carol', 'a 1%'), (12, 'carol', 'a 2'), (13, 'dave', 'a 1%');"
UNIQUE = "CREATE UNIQUE INDEX once ON shop.notes (author, body) WHERE id > 10 OR body = '%';"


@pytest.mark.parametrize("made_as", [UNIQUE, "ALTER TABLE shop.notes ADD CONSTRAINT once UNIQUE (author, body);"])
def test_a_unique_index_over_a_column_less_holds_from_now_on(toy_worker: Worker, made_as: str) -> None:
    """Rows that stand there and would be in its way stay, and what they are is taken."""
    mutants = made(toy_worker, ROWS + made_as, indexes.EditIndex())
    apply(toy_worker, mutants["shop.notes once | without column 2"])
    assert toy_worker.connection.execute("SELECT count(*) FROM shop.notes WHERE id > 10").fetchall() == [(3,)]
    new = "INSERT INTO shop.notes VALUES (14, '{}', 'new')"
    assert sqlstate(toy_worker, new.format("carol")) == "23505"
    assert sqlstate(toy_worker, new.format("dave")) == "23505"
    assert sqlstate(toy_worker, new.format("erin")) is None


def test_a_unique_index_without_its_predicate_holds_from_now_on(toy_worker: Worker) -> None:
    unique = "CREATE UNIQUE INDEX once ON shop.notes (author) WHERE body = 'a 2'"
    mutants = made(toy_worker, ROWS + unique, indexes.EditIndex())
    apply(toy_worker, mutants["shop.notes once | without its predicate"])
    assert sqlstate(toy_worker, "INSERT INTO shop.notes VALUES (14, 'carol', 'new')") == "23505"
    assert sqlstate(toy_worker, "INSERT INTO shop.notes VALUES (14, 'erin', 'new')") is None


def test_a_unique_constraint_is_dropped_as_a_constraint_alone(toy_worker: Worker) -> None:
    sql = "ALTER TABLE shop.notes ADD CONSTRAINT once UNIQUE (author, id)"
    assert not made(toy_worker, sql, indexes.DropIndex())


# ------------------------------------------------------------------ functions, buckets


def test_a_body_that_the_catalog_keeps_as_a_tree_is_edited(toy_worker: Worker) -> None:
    sql = (
        "CREATE FUNCTION shop.few(most int DEFAULT 3) RETURNS boolean LANGUAGE sql STABLE SET search_path TO 'shop'"
        " RETURN (SELECT count(*) <= most FROM shop.notes WHERE id > 0)"
    )
    mutants = made(toy_worker, sql, functions.EditBody())
    edited = {each.partition(" | ")[2]: mutant for each, mutant in mutants.items() if each.startswith("shop.few")}
    assert set(edited) >= {"0 becomes 1", "0 becomes -1", "without WHERE notes.id > 0"}
    assert not {each for each in edited if each.startswith(("3", "'shop'"))}
    apply(toy_worker, edited["0 becomes 1"])
    assert toy_worker.connection.execute("SELECT shop.few(1)").fetchall() == [(True,)]


def test_a_search_path_is_lost_and_is_emptied_where_it_names_something(toy_worker: Worker) -> None:
    named, empty = (
        f"CREATE FUNCTION shop.{name}() RETURNS int LANGUAGE sql SET search_path = {path} RETURN 1"
        for name, path in (("named", "pg_catalog, pg_temp"), ("empty", "''"))
    )
    mutants = made(toy_worker, f"{named}; {empty}", functions.Attributes())
    assert [each for each in mutants if "search_path" in each] == [
        "shop.empty | reset search_path",
        "shop.named | reset search_path",
        "shop.named | set search_path = ''",
    ]


BUCKETS = """
RESET ROLE;
CREATE SCHEMA storage;
CREATE TABLE storage.buckets (id text, public boolean, name text, file_size_limit bigint, allowed_mime_types text[]);
INSERT INTO storage.buckets VALUES ('open', true, 'open', NULL, NULL), ('it''s', false, 'x', 9, '{image/png,a/b}');
"""


def test_a_buckets_settings_are_changed_where_it_has_them(toy_worker: Worker) -> None:
    assert list(made(toy_worker, BUCKETS, buckets.EditBucket())) == [
        "bucket it's | public = NOT public",
        "bucket it's | file_size_limit = file_size_limit + 1",
        "bucket it's | file_size_limit = file_size_limit - 1",
        "bucket it's | file_size_limit = NULL",
        "bucket it's | allowed_mime_types = NULL",
        "bucket it's | allowed_mime_types = array_remove(allowed_mime_types, 'image/png')",
        "bucket it's | allowed_mime_types = array_remove(allowed_mime_types, 'a/b')",
        "bucket it's | name = name || 'x'",
        "bucket open | public = NOT public",
        "bucket open | name = name || 'x'",
    ]
