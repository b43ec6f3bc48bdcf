from rolecall import grid

test_grid = grid(
    "storage.objects",
    """
                        select   insert   update   delete
    acme's report
      ada               yes      yes      -        -
      ben, gil          yes      !        -        -
      everyone else     -        !        -        -

    a report without a folder
      everyone else     -        !        -        -

    acme's photo
      everyone else     -        !        -        -
    """,
    key=("bucket_id", "name"),
    update="metadata = NULL",
    settings={"storage.allow_delete_query": "true"},  # without it, only the Storage API may delete
)
