from rolecall import grid

test_grid = grid(
    "public.organizations",
    """
                        select   insert   update   delete
    acme
      ada               yes      !        yes      !
      ben, gil          yes      !        -        !
      eve               -        !        -        !
      visitor           !        !        !        !

    globex
      ada, ben, eve     -        !        -        !
      gil               yes      !        yes      !
      visitor           !        !        !        !
    """,
    update="name = 'changed'",
)
