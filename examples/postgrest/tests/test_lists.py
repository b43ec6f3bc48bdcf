from rolecall import grid

test_lists = grid(
    "data.lists",
    """
                        select   insert   update   delete   give to ben   publish
    ada's public list
      ada               yes      yes      yes      yes      !             yes
      ben               yes      !        -        -        -             -
      visitor           yes      !        !        !        !             !

    ada's private list
      ada               yes      yes      yes      yes      !             yes
      ben               -        !        -        -        -             -
      visitor           -        !        !        !        !             !

    ben's private list
      ada               -        !        -        -        -             -
      ben               yes      yes      yes      yes      yes           !
      visitor           -        !        !        !        !             !
    """,
    update="title = 'changed'",
    moves={"give to ben": "owner = {ben}", "publish": "is_public = true"},
)
