"""The world: two organizations, the people in them, and the files of their reports."""

from rolecall import World

ACME = "a0000000-0000-4000-8000-000000000000"
GLOBEX = "b0000000-0000-4000-8000-000000000000"
PEOPLE = ("ada", "ben", "gil", "eve")


def pytest_rolecall_world():
    world = World()
    ids = {name: f"{number}0000000-0000-4000-8000-000000000000" for number, name in enumerate(PEOPLE, start=1)}
    for name in PEOPLE:
        world.persona(name, "authenticated", subject=ids[name])
        world.add("auth.users", name, id=ids[name], email=f"{name}@example.com")
    world.persona("visitor", "anon")

    world.add("public.organizations", "acme", id=ACME, name="Acme")
    world.add("public.organizations", "globex", id=GLOBEX, name="Globex")
    world.alias("globex", GLOBEX)

    # Gil is the admin of one organization, and a member of the other. Eve is in none.
    for name, organization, role in (
        ("ada", ACME, "admin"),
        ("ben", ACME, "member"),
        ("gil", ACME, "member"),
        ("gil", GLOBEX, "admin"),
    ):
        where = "acme" if organization == ACME else "globex"
        columns = {"organization_id": organization, "user_id": ids[name], "role": role}
        world.add("public.memberships", f"{name} in {where}", **columns)

    world.add("storage.buckets", "photos", id="photos", name="photos", public=False)
    world.add("storage.objects", "acme's report", bucket_id="reports", name=f"{ACME}/2026.pdf")
    world.add("storage.objects", "a report without a folder", bucket_id="reports", name="2026.pdf")
    world.add("storage.objects", "acme's photo", bucket_id="photos", name=f"{ACME}/2026.png")
    return world
