"""No operator makes a mutant that changes nothing: no test could kill it."""

from __future__ import annotations

import pytest

from rolecall.mutants.operators import grants, policies, tables, views
from rolecall.mutants.operators.operator import Operator
from rolecall.worker import Worker
from tests.rolecall.mutants.operators.conftest import MutantsOf

SCHEMA = """
CREATE TABLE shop.plain (id int PRIMARY KEY);
CREATE TABLE shop.forced (id int PRIMARY KEY);
ALTER TABLE shop.forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, REPLICA IDENTITY FULL;
CREATE UNLOGGED TABLE shop.scratch (id int PRIMARY KEY);
CREATE VIEW shop.every AS SELECT * FROM shop.notes;
GRANT SELECT ON shop.every TO toy_member WITH GRANT OPTION;
GRANT SELECT ON shop.plain TO toy_member
"""
MUTANTS: list[tuple[Operator, str, bool]] = [
    (policies.DisableSecurity(), "shop.notes | row-level security off", True),
    (policies.DisableSecurity(), "shop.plain | row-level security off", False),
    (tables.TableAttributes(), "shop.notes | FORCE ROW LEVEL SECURITY", True),
    (tables.TableAttributes(), "shop.plain | FORCE ROW LEVEL SECURITY", False),
    (tables.TableAttributes(), "shop.forced | FORCE ROW LEVEL SECURITY", False),
    (tables.TableAttributes(), "shop.forced | NO FORCE ROW LEVEL SECURITY", True),
    (tables.TableAttributes(), "shop.notes | NO FORCE ROW LEVEL SECURITY", False),
    (tables.TableAttributes(), "shop.forced | REPLICA IDENTITY FULL", False),
    (tables.TableAttributes(), "shop.forced | REPLICA IDENTITY NOTHING", True),
    (tables.TableAttributes(), "shop.plain | SET UNLOGGED", True),
    (tables.TableAttributes(), "shop.scratch | SET UNLOGGED", False),
    (views.InvokerOff(), "shop.titles | runs as its owner", True),
    (views.InvokerOff(), "shop.every | runs as its owner", False),
    (grants.GrantOption(), "shop.plain | SELECT for toy_member with grant option", True),
    (grants.GrantOption(), "shop.every | SELECT for toy_member with grant option", False),
    (grants.AddGrant(), "shop.plain | SELECT for toy_visitor", True),
    (grants.AddGrant(), "shop.plain | SELECT for toy_member", False),
]


@pytest.mark.parametrize(("operator", "name", "exists"), MUTANTS, ids=[name for _, name, _ in MUTANTS])
def test_a_mutant_changes_something(mutants_of: MutantsOf, operator: Operator, name: str, exists: bool) -> None:
    assert (name in mutants_of(SCHEMA, operator)) is exists


@pytest.mark.parametrize("member_of", ["toy_member", "toy_migrator"])
def test_a_role_has_the_privileges_of_the_roles_that_it_is_a_member_of(
    toy_worker: Worker, mutants_of: MutantsOf, member_of: str
) -> None:
    """Also those of the owner: a further grant changes nothing."""
    name = "shop.plain | SELECT for toy_visitor"
    toy_worker.connection.execute(f"GRANT {member_of} TO toy_visitor".encode())
    assert name not in mutants_of(SCHEMA, grants.AddGrant())
