"""A schema with names that need quotes has the same mutants as one with plain names, and as many are valid."""

from __future__ import annotations

from collections import Counter

import psycopg
import pytest

from rolecall.mutants import OPERATORS
from rolecall.mutants.operators.operator import Mutant
from rolecall.worker import Worker
from tests.rolecall.mutants.operators.conftest import MutantsOf

SCHEMA = """
CREATE TYPE shop."{kind}" AS ENUM ('draft', 'sent');
CREATE TABLE shop."{author}" ("{id}" int PRIMARY KEY, "{name}" varchar(9) NOT NULL UNIQUE);
CREATE TABLE shop."{order}" (
  "{id}" int PRIMARY KEY, "{by}" int REFERENCES shop."{author}" ON DELETE CASCADE, "{state}" shop."{kind}" DEFAULT 'draft',
  "{name}" text CHECK (length("{name}") < 9)
);
ALTER TABLE shop."{order}" ENABLE ROW LEVEL SECURITY;
CREATE INDEX "{index}" ON shop."{order}" ("{by}", "{state}") WHERE "{by}" IS NOT NULL;
CREATE UNIQUE INDEX "{unique}" ON shop."{order}" ("{name}", "{by}") WHERE "{by}" > 0;
CREATE FUNCTION shop."{mine}"("{id}" int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE "{state}" shop."{kind}" := 'draft';
BEGIN RETURN EXISTS (SELECT FROM shop."{author}" AS a WHERE a."{id}" = "{mine}"."{id}" AND a."{name}" = shop.me()); END $$;
CREATE POLICY "{policy}" ON shop."{order}" TO toy_member USING (shop."{mine}"("{by}") AND "{state}" = 'draft');
CREATE VIEW shop."{view}" WITH (security_invoker = true) AS SELECT "{id}", "{by}", "{name}" FROM shop."{order}" WHERE "{by}" > 0;
CREATE PROCEDURE shop."{rename}"("{id}" int) LANGUAGE plpgsql SET search_path = shop AS $$
BEGIN UPDATE "{author}" AS a SET "{name}" = 'x' WHERE a."{id}" = "{rename}"."{id}"; END $$;
CREATE AGGREGATE shop."{sum}"(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION shop."{stamp}"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."{name}" := lower(NEW."{name}"); RETURN NEW; END $$;
CREATE TRIGGER "{trigger}" BEFORE INSERT ON shop."{order}" FOR EACH ROW EXECUTE FUNCTION shop."{stamp}"();
GRANT SELECT, INSERT, UPDATE ("{name}", "{state}"), DELETE ON shop."{order}" TO toy_member;
GRANT SELECT ON shop."{view}" TO toy_member
"""  # noqa: E501 - SQL
NAMES = ["kind", "author", "id", "name", "order", "by", "state", "index", "unique", "mine", "policy", "view"]
NAMES += ["rename", "stamp", "sum", "trigger"]


def invalid(worker: Worker, mutant: Mutant) -> str:
    """The error of a mutant's statements, or an empty text."""
    try:
        with worker.connection.transaction(force_rollback=True):
            worker.connection.execute(f"SET LOCAL ROLE toy_migrator; {mutant.sql}".encode())
    except psycopg.Error as error:
        return error.sqlstate or ""
    return ""


def found(toy_worker: Worker, mutants_of: MutantsOf, names: dict[str, str]) -> Counter[tuple[str, str]]:
    """How many mutants of the schema each operator has, by their errors."""
    counts = Counter[tuple[str, str]]()
    for operator in OPERATORS:
        with toy_worker.connection.transaction(force_rollback=True):
            mutants = mutants_of(SCHEMA.format(**names), operator)
            counts.update((operator.name, invalid(toy_worker, mutant)) for mutant in mutants.values())
    return counts


@pytest.mark.parametrize("pattern", ["The {} {}", '"{}"{}', "{}.{}"], ids=["space", "quote", "dot"])
def test_the_mutants_are_those_of_a_schema_with_plain_names(
    toy_worker: Worker, mutants_of: MutantsOf, pattern: str
) -> None:
    plain = {name: f"{name}_x" for name in NAMES}
    quoted = {name: pattern.format(name.title(), "X").replace('"', '""') for name in NAMES}
    assert found(toy_worker, mutants_of, quoted) == found(toy_worker, mutants_of, plain)
