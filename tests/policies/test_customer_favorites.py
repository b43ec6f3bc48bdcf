"""Favourites: only their customer reads, adds, changes and deletes them."""

from rolecall import grid

test_grid = grid(
    "engagement.customer_favorites",
    """
                                    select   insert   update   delete   give to another
    customer's favourite
      customer                      yes      yes      yes      yes      !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon      -        !        -        -        -
      anon                          !        !        !        !        !
      service                       yes      yes      yes      yes      yes

    other customer's favourite
      customer                      -        !        -        -        -
      other_customer                yes      yes      yes      yes      yes
      staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon      -        !        -        -        -
      anon                          !        !        !        !        !
      service                       yes      yes      yes      yes      yes

    # A former favourite still belongs to the customer.
    customer's former favourite
      customer                      yes      yes      yes      yes      !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon      -        !        -        -        -
      anon                          !        !        !        !        !
      service                       yes      yes      yes      yes      yes

    # is_favorite may be NULL. It still belongs to the customer.
    neither favourite nor not
      customer                      yes      yes      yes      yes      !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon      -        !        -        -        -
      anon                          !        !        !        !        !
      service                       yes      yes      yes      yes      yes
    """,
    update="notes = 'changed'",
    moves={"give to another": "customer_id = {other_customer}, is_favorite = false"},
    decided_by=["customer_id"],
    changes={},
)
