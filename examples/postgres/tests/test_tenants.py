import pytest

from rolecall import grid

test_tenants = grid(
    "billing.tenants",
    """
                        select   insert   update   delete
    acme
      acme, auditor     yes      !        !        !
      globex,
      no_tenant         -        !        !        !

    globex
      acme, no_tenant   -        !        !        !
      globex, auditor   yes      !        !        !
    """,
    update="name = 'changed'",
)


@pytest.mark.parametrize(("persona", "number"), [("acme", 1), ("globex", 2), ("no_tenant", None), ("auditor", None)])
def test_the_tenant_of_a_request(rolecall_db, persona, number):
    with rolecall_db.acting_as(persona):
        assert rolecall_db.value("SELECT billing.tenant()") == number
