import pytest

from rolecall import inserted

PEOPLE = ("ada", "ben", "gil", "eve")


@pytest.mark.parametrize("person", PEOPLE)
def test_who_creates_an_organization_is_its_admin(rolecall_db, rolecall_changes, rolecall_world, person):
    with rolecall_changes() as changed, rolecall_db.acting_as(person):
        new = rolecall_db.value("SELECT public.create_organization('Initech')")
        assert rolecall_db.value("SELECT private.my_role(%s)", [new]) == "admin"
    user = rolecall_world.personas[person].subject
    assert changed == [
        inserted("public.organizations", id=new, name="Initech"),
        inserted("public.memberships", organization_id=new, user_id=user, role="admin"),
    ]


@pytest.mark.parametrize("call", ["public.create_organization('Initech')", "private.my_role(NULL)"])
def test_a_visitor_may_not_call_the_functions(rolecall_db, call):
    with rolecall_db.acting_as("visitor"), rolecall_db.raises("42501"):
        rolecall_db.execute(f"SELECT {call}")


def test_an_organization_needs_a_name(rolecall_db):
    with rolecall_db.acting_as("eve"), rolecall_db.raises("23514", constraint="organizations_have_a_name"):
        rolecall_db.execute("SELECT public.create_organization('')")
