from rolecall import grid

test_grid = grid(
    "public.memberships",
    """
                        select   insert   update   delete   become admin   move to globex
    ada in acme
      ada               yes      !        yes      yes      yes            !
      ben, gil          yes      !        -        -        -              -
      eve               -        !        -        -        -              -
      visitor           !        !        !        !        !              !

    ben in acme
      ada               yes      yes      yes      yes      yes            !
      ben               yes      !        -        yes      -              -
      gil               yes      !        -        -        -              -
      eve               -        !        -        -        -              -
      visitor           !        !        !        !        !              !

    gil in acme
      ada               yes      yes      yes      yes      yes            !
      ben               yes      !        -        -        -              -
      gil               yes      !        -        yes      -              -
      eve               -        !        -        -        -              -
      visitor           !        !        !        !        !              !

    gil in globex
      ada, ben, eve     -        !        -        -        -              -
      gil               yes      !        yes      yes      yes            yes
      visitor           !        !        !        !        !              !
    """,
    key=("organization_id", "user_id"),
    update="role = 'member'",
    moves={"become admin": "role = 'admin'", "move to globex": "organization_id = {globex}"},
)
