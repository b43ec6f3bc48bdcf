"""The operators: each finds everything that it can break, and its mutants do what their ids say."""

from __future__ import annotations

import re
from dataclasses import replace

import psycopg
import pytest

from rolecall.catalog import definitions, objects
from rolecall.mutants.operators import buckets, constraints, functions, grants, indexes, policies
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.worker import Worker


def mutants_of(worker: Worker, sql: str, operator: Operator) -> dict[str, Mutant]:
    """The mutants after another migration, by their ids without the operator's name."""
    before = objects.objects(worker.connection)
    run(worker, sql)
    manifest = replace(
        worker.manifest, added=[*worker.manifest.added, *objects.added(before, objects.objects(worker.connection))]
    )
    schema = definitions.read(worker.connection, manifest, worker.world, ())
    return {mutant.id.replace(f" | {operator.name}", ""): mutant for mutant in operator.mutants(schema)}


def apply(worker: Worker, mutant: Mutant) -> None:
    run(worker, mutant.sql)


def run(worker: Worker, sql: str) -> None:
    worker.connection.execute(f"SET LOCAL ROLE toy_migrator; {sql}; RESET ROLE".encode())


def sqlstate(worker: Worker, statement: str) -> str | None:
    """The error of a statement, or None. The statement is rolled back."""
    try:
        with worker.connection.transaction(force_rollback=True):
            worker.connection.execute(statement.encode())
    except psycopg.Error as error:
        return error.sqlstate
    return None


# ------------------------------------------------------------------ grants


def test_default_privileges_of_public_count_as_grants(toy_worker: Worker) -> None:
    """A function without any GRANT or REVOKE gives EXECUTE to PUBLIC."""
    mutants = mutants_of(toy_worker, "", grants.DropGrant())
    apply(toy_worker, mutants["shop.count_notes | no EXECUTE for public"])
    assert sqlstate(toy_worker, "SET LOCAL ROLE toy_member; SELECT shop.count_notes()") == "42501"


def test_a_trigger_function_has_no_grants(toy_worker: Worker) -> None:
    sql = "CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    assert not [each for each in mutants_of(toy_worker, sql, grants.DropGrant()) if each.startswith("shop.stop")]


PROCEDURE = """
CREATE PROCEDURE shop.clear(n int) LANGUAGE plpgsql SECURITY DEFINER SET search_path = shop AS $$
BEGIN IF n > 1 THEN DELETE FROM shop.notes WHERE id < n; END IF; END $$;
GRANT EXECUTE ON PROCEDURE shop.clear(int) TO toy_member
"""
OF_ROUTINES = (
    *(grants.AddGrant(), grants.DropGrant(), grants.GrantOption(), functions.Attributes(), functions.EditBody()),
    *(functions.FunctionSettings(), functions.EditResult(), functions.SwallowErrors()),
)


def test_the_mutants_of_a_procedure_are_valid(toy_worker: Worker) -> None:
    errors, count = {}, 0
    for operator in OF_ROUTINES:
        with toy_worker.connection.transaction(force_rollback=True):
            for name, mutant in mutants_of(toy_worker, PROCEDURE, operator).items():
                if name.startswith("shop.clear "):
                    count += 1
                    errors[operator.name, name] = sqlstate(toy_worker, f"SET ROLE toy_migrator; {mutant.sql}")
    assert count > 10
    assert {key: error for key, error in errors.items() if error} == {}


def test_grants_on_columns_are_widened_and_reduced(toy_worker: Worker) -> None:
    mutants = mutants_of(toy_worker, "GRANT SELECT (id, body) ON shop.notes TO toy_visitor", grants.WidenGrant())
    assert {each: mutant.sql for each, mutant in mutants.items()} == {
        "shop.notes | SELECT on all columns for toy_visitor": 'GRANT SELECT ON TABLE "shop"."notes" TO "toy_visitor"',
        "shop.notes | no SELECT (id) for toy_visitor": (
            'REVOKE SELECT ("id") ON TABLE "shop"."notes" FROM "toy_visitor"'
        ),
        "shop.notes | no SELECT (body) for toy_visitor": (
            'REVOKE SELECT ("body") ON TABLE "shop"."notes" FROM "toy_visitor"'
        ),
    }


def test_a_grant_on_columns_is_revoked_as_a_whole(toy_worker: Worker) -> None:
    mutants = mutants_of(toy_worker, "GRANT SELECT (id, body) ON shop.notes TO toy_visitor", grants.DropGrant())
    apply(toy_worker, mutants["shop.notes | no SELECT (id, body) for toy_visitor"])
    assert sqlstate(toy_worker, "SET LOCAL ROLE toy_visitor; SELECT id FROM shop.notes") == "42501"


# ------------------------------------------------------------------ policies


def test_policies_get_the_roles_of_the_personas(toy_worker: Worker) -> None:
    becomes = {each.split("becomes to ")[1] for each in mutants_of(toy_worker, "", policies.AnotherRole())}
    assert becomes == {"toy_member", "toy_visitor", "toy_keeper"}


def test_a_policy_is_added_for_the_roles_of_the_others(toy_worker: Worker) -> None:
    sql = (
        'CREATE POLICY "more" ON shop.notes FOR SELECT TO toy_keeper USING (true);'
        'CREATE POLICY "less" ON shop.notes AS RESTRICTIVE FOR SELECT TO toy_visitor USING (false)'
    )
    added = {each.split(" for ")[1] for each in mutants_of(toy_worker, sql, policies.AddPermissivePolicy())}
    assert added == {"public", "toy_keeper"}


def test_a_policy_without_with_check_gets_with_check_true(toy_worker: Worker) -> None:
    mutant = mutants_of(toy_worker, "", policies.ConstantPredicate())[
        'shop.notes "own notes are changed" | with WITH CHECK true'
    ]
    assert mutant.sql.endswith("FOR UPDATE TO PUBLIC USING ((author = shop.me())) WITH CHECK (true)")


def test_a_column_is_replaced_with_others_of_its_own_table(toy_worker: Worker) -> None:
    sql = (
        "CREATE TABLE shop.authors (name text, nick text, age int);"
        'CREATE POLICY "known" ON shop.notes FOR SELECT'
        " USING (EXISTS (SELECT FROM shop.authors a WHERE a.name = notes.author))"
    )
    swapped = [
        each
        for each in mutants_of(toy_worker, sql, policies.EditPredicate())
        if re.search(r"known.*becomes \w+$", each)
    ]
    assert [each.split(": ")[1] for each in swapped] == ["a.name becomes nick", "notes.author becomes body"]


# ------------------------------------------------------------------ constraints


def test_a_foreign_key_gets_each_other_action(toy_worker: Worker) -> None:
    sql = (
        "CREATE TABLE shop.pins (note int CONSTRAINT of_note REFERENCES shop.notes"
        " ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE)"
    )
    mutants = mutants_of(toy_worker, sql, constraints.ForeignKeyAction())
    actions = ("DELETE CASCADE", "DELETE NO ACTION", "UPDATE SET NULL", "UPDATE NO ACTION")
    assert set(mutants) == {f"shop.pins of_note | ON {action}" for action in actions}
    apply(toy_worker, mutants["shop.pins of_note | ON DELETE CASCADE"])
    (definition,) = toy_worker.connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'of_note'"
    ).fetchall()
    assert "ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE" in definition[0]


@pytest.mark.parametrize(("body", "valid"), [("'short'", True), ("NULL", True), ("repeat('x', 29)", False)])
def test_a_changed_check_is_valid_unless_a_row_violates_it(toy_worker: Worker, body: str, valid: bool) -> None:
    """Otherwise a test of the catalog notices the mutant, whatever the change."""
    sql = (
        "CREATE TABLE shop.pins (body text CONSTRAINT brief CHECK (length(body) < 30));"
        f"INSERT INTO shop.pins VALUES ({body})"
    )
    mutants = mutants_of(toy_worker, sql, constraints.EditCheck())
    apply(toy_worker, mutants["shop.pins brief | 30 becomes 29"])
    query = "SELECT convalidated FROM pg_constraint WHERE conname = 'brief'"
    assert toy_worker.connection.execute(query).fetchone() == (valid,)


def test_new_objects_on_a_table_of_the_baseline_have_mutants(toy_worker: Worker) -> None:
    run(toy_worker, "CREATE TABLE shop.shelf (height int CONSTRAINT old CHECK (height > 0))")
    check = "ALTER TABLE shop.shelf ADD CONSTRAINT low CHECK (height < 9)"
    index = "CREATE INDEX by_height ON shop.shelf (height)"
    dropped = mutants_of(toy_worker, check, constraints.DropConstraint())
    dropped |= mutants_of(toy_worker, index, indexes.DropIndex())
    assert [each for each in dropped if each.startswith("shop.shelf")] == [
        "shop.shelf low | dropped",
        "shop.shelf by_height | dropped",
    ]


ROWS = "INSERT INTO shop.notes VALUES (11, 'carol', 'a 1%'), (12, 'carol', 'a 2'), (13, 'dave', 'a 1%');"
UNIQUE = "CREATE UNIQUE INDEX once ON shop.notes (author, body) WHERE id > 10 OR body = '%';"


@pytest.mark.parametrize("statement", [UNIQUE, "ALTER TABLE shop.notes ADD CONSTRAINT once UNIQUE (author, body);"])
def test_a_unique_index_with_one_column_less_applies_to_new_rows(toy_worker: Worker, statement: str) -> None:
    """Existing duplicates stay, and a new row must not equal any of them."""
    mutants = mutants_of(toy_worker, ROWS + statement, indexes.EditIndex())
    apply(toy_worker, mutants["shop.notes once | without column 2"])
    assert toy_worker.connection.execute("SELECT count(*) FROM shop.notes WHERE id > 10").fetchall() == [(3,)]
    new = "INSERT INTO shop.notes VALUES (14, '{}', 'new')"
    assert sqlstate(toy_worker, new.format("carol")) == "23505"
    assert sqlstate(toy_worker, new.format("dave")) == "23505"
    assert sqlstate(toy_worker, new.format("erin")) is None


def test_a_unique_index_without_its_predicate_applies_to_new_rows(toy_worker: Worker) -> None:
    unique = "CREATE UNIQUE INDEX once ON shop.notes (author) WHERE body = 'a 2'"
    mutants = mutants_of(toy_worker, ROWS + unique, indexes.EditIndex())
    apply(toy_worker, mutants["shop.notes once | without its predicate"])
    assert sqlstate(toy_worker, "INSERT INTO shop.notes VALUES (14, 'carol', 'new')") == "23505"
    assert sqlstate(toy_worker, "INSERT INTO shop.notes VALUES (14, 'erin', 'new')") is None


def test_a_unique_constraint_is_not_dropped_as_an_index_too(toy_worker: Worker) -> None:
    sql = "ALTER TABLE shop.notes ADD CONSTRAINT once UNIQUE (author, id)"
    assert not mutants_of(toy_worker, sql, indexes.DropIndex())


# ------------------------------------------------------------------ functions, buckets


def test_a_body_without_source_text_in_the_catalog_is_edited(toy_worker: Worker) -> None:
    sql = (
        "CREATE FUNCTION shop.few(most int DEFAULT 3) RETURNS boolean LANGUAGE sql STABLE SET search_path TO 'shop'"
        " RETURN (SELECT count(*) <= most FROM shop.notes WHERE id > 0)"
    )
    mutants = mutants_of(toy_worker, sql, functions.EditBody())
    edited = {each.partition(" | ")[2]: mutant for each, mutant in mutants.items() if each.startswith("shop.few")}
    assert set(edited) >= {"0 becomes 1", "0 becomes -1", "without WHERE notes.id > 0"}
    assert not {each for each in edited if each.startswith(("3", "'shop'"))}
    apply(toy_worker, edited["0 becomes 1"])
    assert toy_worker.connection.execute("SELECT shop.few(1)").fetchall() == [(True,)]


def test_a_search_path_is_reset_and_emptied(toy_worker: Worker) -> None:
    named, empty = (
        f"CREATE FUNCTION shop.{name}() RETURNS int LANGUAGE sql SET search_path = {path} RETURN 1"
        for name, path in (("named", "pg_catalog, pg_temp"), ("empty", "''"))
    )
    mutants = mutants_of(toy_worker, f"{named}; {empty}", functions.Attributes())
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


def test_the_settings_of_a_bucket_are_changed(toy_worker: Worker) -> None:
    assert list(mutants_of(toy_worker, BUCKETS, buckets.EditBucket())) == [
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
