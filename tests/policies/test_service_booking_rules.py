"""Booking rules: the staff and the owner of the salon read them, only the owner writes them."""

from rolecall import grid

test_grid = grid(
    "catalog.service_booking_rules",
    """
                                      select   insert   update   delete   move to another salon
    the salon's rule
      owner                           yes      yes      yes      yes      !
      staff, staff_of_both            yes      !        -        -        -
      customer, other_customer, other_staff, other_owner,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon        -        !        -        -        -
      anon                            !        !        !        !        !
      service                         yes      yes      yes      yes      yes

    the other salon's rule
      other_owner                     yes      yes      yes      yes      yes
      other_staff,
      staff_customer, staff_of_both   yes      !        -        -        -
      customer, other_customer, staff, owner,
      former_staff, owner_on_staff,
      no_subject, granted_anon        -        !        -        -        -
      anon                            !        !        !        !        !
      service                         yes      yes      yes      yes      yes

    # The owner of this salon is also on its staff.
    the solo salon's rule
      owner_on_staff                  yes      yes      yes      yes      !
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, staff_customer,
      no_subject, granted_anon        -        !        -        -        -
      anon                            !        !        !        !        !
      service                         yes      yes      yes      yes      yes

    # The second salon of its owner. It has no staff.
    the empty salon's rule
      other_owner                     yes      yes      yes      yes      yes
      customer, other_customer, staff, other_staff, owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, granted_anon        -        !        -        -        -
      anon                            !        !        !        !        !
      service                         yes      yes      yes      yes      yes
    """,
    update="max_advance_days = 7",
    moves={"move to another salon": "salon_id = {other_salon}"},
    from_phase=3,
    decided_by=[
        "salon_id",
        "organization.salons.owner_id",
        "organization.staff_profiles.salon_id",
        "organization.staff_profiles.user_id",
    ],
    changes={},
)
