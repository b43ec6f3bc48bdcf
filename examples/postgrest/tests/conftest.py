"""The world: a user who pays, one who does not, and requests without a token."""

from rolecall import World


def pytest_rolecall_world() -> World:
    world = World()
    # The claims of each token. PostgREST puts them into the setting request.jwt.claims.
    world.persona("ada", "lists_user", subject="ada", plan="paid")
    world.persona("ben", "lists_user", subject="ben", plan="free")
    world.persona("visitor", "web_anon")

    world.add("data.lists", "ada's public list", id=1, owner="ada", title="Books", is_public=True)
    world.add("data.lists", "ada's private list", id=2, owner="ada", title="Gifts", is_public=False)
    world.add("data.lists", "ben's private list", id=3, owner="ben", title="Food", is_public=False)

    world.add("data.items", "an item of ada's public list", id=1, list_id=1, body="Emma", done=True)
    world.add("data.items", "an item of ada's private list", id=2, list_id=2, body="Socks", done=False)
    world.add("data.items", "an item of ben's private list", id=3, list_id=3, body="Rice", done=False)
    return world
