"""Avatars: everyone signed in looks at them, each keeps one's own folder."""

from rolecall import Session, World, grid

TABLE = "storage.objects"

test_grid = grid(
    TABLE,
    """
                                      select   insert   update   delete   rename   move to another   move bucket
    customer's avatar
      customer                        yes      yes      yes      yes      yes      !                 !
      other_customer, staff, other_staff, owner, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    customer's avatar deeper down
      customer                        yes      yes      yes      yes      yes      !                 !
      other_customer, staff, other_staff, owner, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    other customer's avatar
      other_customer                  yes      yes      yes      yes      !        yes               !
      customer, staff, other_staff, owner, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    avatar in no folder
      customer, other_customer, staff, other_staff, owner, other_owner,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # A folder of that name says nothing in another bucket.
    customer's file in another bucket
      customer, other_customer, staff, other_staff, owner, other_owner,
      former_staff, owner_on_staff, staff_customer,
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # The column may be NULL, which must not be as good as a yes.
    customer's file in no bucket
      customer, other_customer, staff, other_staff, owner, other_owner,
      former_staff, owner_on_staff, staff_customer,
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes
    """,
    update="metadata = '{{}}'",
    moves={
        "rename": "name = {customer_folder}",
        "move to another": "name = {other_customer_folder}",
        "move bucket": "bucket_id = 'documents'",
    },
    # As the Storage API does; without it, a trigger refuses every direct DELETE before a policy is asked.
    settings={"storage.allow_delete_query": "true"},
)


def test_an_overwrite_really_works(db: Session, world: World) -> None:
    # What the Storage API sends for an upload with upsert.
    avatar = world.row(TABLE, "customer's avatar")
    overwrite = f"""
        INSERT INTO {TABLE} (bucket_id, name, metadata) VALUES ('avatars', %s, '{{"size": 2}}')
        ON CONFLICT (bucket_id, name) DO UPDATE SET metadata = EXCLUDED.metadata RETURNING id
    """
    with db.acting_as("customer"):
        assert str(db.value(overwrite, [avatar["name"]])) == avatar["id"]
    assert db.value(f"SELECT metadata FROM {TABLE} WHERE id = %s", [avatar["id"]]) == {"size": 2}
    with db.acting_as("other_customer"), db.raises("42501", message="row-level security"):
        db.execute(overwrite, [avatar["name"]])


def test_without_the_storage_api_s_setting_nobody_deletes(db: Session, world: World) -> None:
    for persona in world.personas:
        with db.acting_as(persona), db.raises("42501", message="torage"):
            db.execute(f"DELETE FROM {TABLE}")


def test_the_bucket_is_private_and_takes_5_mb(db: Session) -> None:
    settings = db.row("SELECT id, name, public, file_size_limit FROM storage.buckets WHERE id = 'avatars'")
    assert settings == ("avatars", "avatars", False, 5 * 1024 * 1024)
