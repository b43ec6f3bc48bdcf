"""Which mutants are out of reach: no client can notice them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolecall.catalog import definitions, objects
from rolecall.mutants.operators.policies import DisableSecurity
from rolecall.mutants.reach import out_of_reach
from rolecall.worker import Worker

HIDDEN = """
CREATE SCHEMA hidden;
CREATE TABLE hidden.notes (id int PRIMARY KEY);
ALTER TABLE hidden.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON hidden.notes USING (id = 1);
"""
SCHEMAS = {
    "no role may enter": ("GRANT SELECT ON hidden.notes TO toy_member", "no role may enter the schema hidden"),
    "no role has both": (
        "GRANT SELECT ON hidden.notes TO toy_member; GRANT USAGE ON SCHEMA hidden TO toy_visitor",
        "no role that may enter the schema hidden holds a privilege on hidden.notes",
    ),
    "a role has both": ("GRANT USAGE ON SCHEMA hidden TO PUBLIC; GRANT SELECT (id) ON hidden.notes TO toy_member", ""),
    "a role inherits one": (
        "GRANT SELECT ON hidden.notes TO toy_member; GRANT USAGE ON SCHEMA hidden TO toy_visitor;"
        "GRANT toy_member TO toy_visitor",
        "",
    ),
    "a view with the rights of its reader": (
        "GRANT SELECT ON hidden.notes TO toy_member;"
        "CREATE VIEW shop.all_notes WITH (security_invoker = on) AS SELECT * FROM hidden.notes;"
        "GRANT SELECT ON shop.all_notes TO toy_member",
        "",
    ),
    "a policy of another table": (
        "GRANT SELECT ON hidden.notes TO toy_member;"
        "CREATE POLICY more ON shop.notes FOR SELECT USING (id IN (SELECT id FROM hidden.notes))",
        "",
    ),
    "a function with the rights of its caller": (
        "GRANT SELECT ON hidden.notes TO toy_member;"
        "CREATE FUNCTION shop.ids() RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT id FROM hidden.notes; END",
        "",
    ),
    "a function with the rights of its owner": (
        "GRANT SELECT ON hidden.notes TO toy_member;"
        "CREATE FUNCTION shop.ids() RETURNS SETOF int LANGUAGE sql SECURITY DEFINER"
        " BEGIN ATOMIC SELECT id FROM hidden.notes; END",
        "no role may enter the schema hidden",
    ),
    "a view with the rights of its owner": (
        "GRANT SELECT ON hidden.notes TO toy_member;"
        "CREATE VIEW shop.all_notes AS SELECT * FROM hidden.notes; GRANT SELECT ON shop.all_notes TO toy_member",
        "no role may enter the schema hidden",
    ),
}


@pytest.mark.parametrize(("sql", "reason"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_table_is_out_of_reach_if_nobody_can_use_it(toy_worker: Worker, sql: str, reason: str) -> None:
    connection = toy_worker.connection
    before = objects.objects(connection)
    connection.execute(f"{HIDDEN} {sql}".encode())
    added = objects.added(before, objects.objects(connection))
    schema = definitions.read(connection, replace(toy_worker.manifest, added=added), toy_worker.world, ())
    (mutant,) = DisableSecurity().mutants(schema)
    assert out_of_reach(DisableSecurity(), mutant, schema) == reason
