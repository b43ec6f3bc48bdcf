"""What row-level security does not protect, where roles are members of each other."""

from __future__ import annotations

import pytest

from rolecall.catalog import unprotected
from rolecall.worker import Worker

OF_THE_KEEPER = """
GRANT toy_keeper TO toy_member;
CREATE VIEW shop.every AS SELECT * FROM shop.notes;
ALTER VIEW shop.every OWNER TO toy_keeper;
CREATE FUNCTION shop.bodies() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT body FROM shop.notes';
ALTER FUNCTION shop.bodies OWNER TO toy_keeper;
REVOKE EXECUTE ON FUNCTION shop.bodies FROM PUBLIC;
"""


@pytest.mark.parametrize(("attribute", "is_open"), [("BYPASSRLS", True), ("NOBYPASSRLS", False)])
def test_a_member_does_not_inherit_that_no_policy_binds_the_owner(
    toy_worker: Worker, attribute: str, is_open: bool
) -> None:
    """Through a view of its own, a role may do what it may do anyway: but not if the owner bypasses the policies."""
    toy_worker.connection.execute(f"ALTER ROLE toy_keeper {attribute}; {OF_THE_KEEPER}".encode())
    found = unprotected.read(toy_worker.connection, by_default=False)
    assert ("toy_member" in found.relations.get("shop.every", ())) is is_open
    assert ("toy_member" in found.functions.get("shop.bodies", ())) is is_open
