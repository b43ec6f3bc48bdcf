from rolecall import grid

test_items = grid(
    "data.items",
    """
                        select   insert   update   delete   move to ben's list
    an item of ada's public list
      ada               yes      yes      yes      yes      !
      ben               yes      !        -        -        -
      visitor           yes      !        !        !        !

    an item of ada's private list
      ada               yes      yes      yes      yes      !
      ben               -        !        -        -        -
      visitor           -        !        !        !        !

    an item of ben's private list
      ada               -        !        -        -        -
      ben               yes      yes      yes      yes      yes
      visitor           -        !        !        !        !
    """,
    update="body = 'changed'",
    moves={"move to ben's list": "list_id = 3"},
)
