"""Who may do what, in the database: whatever the application asks for."""

import pytest

from rolecall import grid

test_users = grid(
    "public.users",
    """
                        select   insert   update   delete
    ada
      nobody            -        !        !        !
      everyone else     yes      !        !        !

    ben
      nobody            -        !        !        !
      everyone else     yes      !        !        !

    eve
      nobody            -        !        !        !
      everyone else     yes      !        !        !
    """,
    update="name = 'changed'",
)

test_documents = grid(
    "public.documents",
    """
                        select   insert   update   delete   give to ben
    ada's plan
      ada               yes      yes      yes      yes      !
      ben               yes      !        -        -        -
      eve, nobody       -        !        -        -        -

    ada's diary
      ada               yes      yes      yes      yes      !
      ben, eve, nobody  -        !        -        -        -

    ben's plan
      ada, eve, nobody  -        !        -        -        -
      ben               yes      yes      yes      yes      yes
    """,
    update="title = 'changed'",
    moves={"give to ben": "owner_id = {ben_id}"},
)

test_shares = grid(
    "public.shares",
    """
                        select   insert      update   delete
    # The third verdict of an insert is that of an upsert: nobody may update.
    ada's plan with ben
      ada               yes      yes/yes/!   !        yes
      ben               yes      !           !        -
      eve, nobody       -        !           !        -
    """,
    key=("document_id", "user_id"),
    update="user_id = {eve_id}",
)


@pytest.mark.parametrize(("person", "number"), [("ada", 1), ("ben", 2), ("eve", 3), ("nobody", None)])
def test_the_functions_of_the_policies(rolecall_db, person, number):
    with rolecall_db.acting_as(person):
        assert rolecall_db.value("SELECT public.current_user_id()") == number
        assert rolecall_db.value("SELECT public.is_mine(101)") == (person == "ada")
