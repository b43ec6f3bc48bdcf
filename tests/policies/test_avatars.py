"""Avatars: every signed-in user reads all of them, and writes only in their own folder."""

import pytest

from rolecall import FindChanges, Session, World, grid, updated

TABLE = "storage.objects"

test_grid = grid(
    TABLE,
    """
                                      select   insert   update   delete   rename   move to another   move bucket
    customer's avatar
      customer                        yes      yes      yes      yes      yes      !                 !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    customer's avatar deeper down
      customer                        yes      yes      yes      yes      yes      !                 !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    other customer's avatar
      other_customer                  yes      yes      yes      yes      !        yes               !
      customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # Its first folder has no name: the second one is the customer's.
    avatar in a folder without a name
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    avatar in no folder
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # Its name is the customer's id, but it is in no folder.
    avatar with the name of a folder
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # In another bucket a folder with the name of the user gives no rights.
    customer's file in another bucket
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # bucket_id may be NULL: a policy must not allow that.
    customer's file in no bucket
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # A folder with the name of another user, below the first folder, gives no rights.
    other customer's avatar deeper down
      other_customer                  yes      yes      yes      yes      !        yes               !
      customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # The first folder must be exactly the id of the user: this one begins with it.
    avatar in a folder named alike
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    avatar in a folder in upper case
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # Only the exact id counts, without a blank around it.
    avatar in a folder after a space
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # The folder decides, not the kind of file.
    customer's file that is no picture
      customer                        yes      yes      yes      yes      yes      !                 !
      other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff,
      staff_customer                  yes      !        -        -        -        -                 -
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # The bucket must be exactly avatars: this one begins with it.
    customer's file in a bucket named alike
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    customer's file in a bucket in upper case
      customer, other_customer, staff, other_staff, owner, other_owner, staff_of_both,
      former_staff, owner_on_staff, staff_customer,
      no_subject, anon, granted_anon  -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes

    # No name of a file opens another bucket.
    file named system in another bucket
      everyone else                   -        !        -        -        -        -                 -
      service                         yes      yes      yes      yes      yes      yes               yes
    """,
    update="metadata = '{{}}'",
    moves={
        "rename": "name = {customer_folder}",
        "move to another": "name = {other_customer_folder}",
        "move bucket": "bucket_id = 'documents'",
    },
    # The Storage API makes this setting. Without it a trigger refuses each DELETE before any policy.
    settings={"storage.allow_delete_query": "true"},
    decided_by=["bucket_id", "name", "setting:storage.allow_delete_query"],
    changes={},
)


def test_an_upload_replaces_the_avatar(db: Session, world: World, changes: FindChanges) -> None:
    # The statement of the Storage API for an upload with upsert.
    avatar = world.row(TABLE, "customer's avatar")
    overwrite = f"""
        INSERT INTO {TABLE} (bucket_id, name, metadata) VALUES ('avatars', %s, '{{"size": 2}}')
        ON CONFLICT (bucket_id, name) DO UPDATE SET metadata = EXCLUDED.metadata RETURNING id
    """
    with changes() as changed, db.acting_as("customer"):
        assert str(db.value(overwrite, [avatar["name"]])) == avatar["id"]
    assert changed == [updated(TABLE, avatar["id"], metadata={"size": 2})]
    with changes() as refused, db.acting_as("other_customer"), db.raises("42501", message="row-level security"):
        db.execute(overwrite, [avatar["name"]])
    assert refused == []


BUCKETS = {"a bucket named alike": "avatars-2", "a bucket in upper case": "AVATARS"}
FOLDERS = {
    "a folder named alike": "{own}-x/",
    "a folder in upper case": "{upper}/",
    "a folder without a name": "/{own}/",
    "another folder": "moved/{own}/",
    "no folder": "{own}",
    "a folder after a space": " {own}/",
    "a folder before a space": "{own} /",
    "a folder after a tab": "\t{own}/",
    "a folder after a space without a width": "\u200b{own}/",
    "a folder before a line break": "{own}\n/",
    "a folder in quotes": '"{own}"/',
    "a folder without its hyphens": "{digits}/",
    "a folder in braces": "{{{own}}}/",
    "a folder after a dot": "./{own}/",
    "a folder with a backslash": "{own}\\",
}
elsewhere = pytest.mark.parametrize(
    ("bucket", "folder"),
    [
        *(pytest.param(bucket, "{own}/", id=what) for what, bucket in BUCKETS.items()),
        *(pytest.param("avatars", folder, id=what) for what, folder in FOLDERS.items()),
    ],
)


def path_in(world: World, folder: str) -> str:
    """The name of a new file of the customer in a folder."""
    own = world.personas["customer"].subject
    return folder.format(own=own, upper=own.upper(), digits=own.replace("-", "")) + "new.png"


@elsewhere
def test_an_avatar_is_uploaded_in_its_folder_alone(db: Session, world: World, bucket: str, folder: str) -> None:
    with db.acting_as("customer"), db.raises("42501", message="row-level security"):
        db.execute(f"INSERT INTO {TABLE} (bucket_id, name) VALUES (%s, %s)", [bucket, path_in(world, folder)])


@elsewhere
def test_an_avatar_stays_in_its_folder(db: Session, world: World, bucket: str, folder: str) -> None:
    """Without a WHERE: PostgreSQL then applies no policy for SELECT to the new row."""
    move = f"UPDATE {TABLE} SET bucket_id = %s, name = %s || gen_random_uuid()"
    with db.acting_as("customer"), db.raises("42501", message="row-level security"):
        db.execute(move, [bucket, path_in(world, folder)])


@pytest.mark.parametrize("name", ["me.txt", "me", ".png", "me.PNG", "a b.webp", "🎉.jpeg", "me.png.exe", "x/y/z.gif"])
def test_the_name_of_a_file_does_not_decide(db: Session, world: World, changes: FindChanges, name: str) -> None:
    path = f"{world.personas['customer'].subject}/{name}"
    insert = f"INSERT INTO {TABLE} (bucket_id, name) VALUES ('avatars', %s) RETURNING id"
    with db.acting_as("customer"):
        key = db.value(insert, [path])
        with changes() as changed:
            assert db.execute(f"UPDATE {TABLE} SET name = name || '.old' WHERE id = %s", [key]).rowcount == 1
    assert changed == [updated(TABLE, key, name=f"{path}.old")]


def test_a_delete_needs_the_setting_of_the_storage_api(db: Session, world: World) -> None:
    for persona in world.personas:
        with db.acting_as(persona), db.raises("42501", message="torage"):
            db.execute(f"DELETE FROM {TABLE}")


@pytest.mark.rolecall_pin
def test_the_bucket_is_private_and_takes_5_mb(db: Session) -> None:
    settings = db.row("SELECT id, name, public, file_size_limit FROM storage.buckets WHERE id = 'avatars'")
    assert settings == ("avatars", "avatars", False, 5 * 1024 * 1024)
