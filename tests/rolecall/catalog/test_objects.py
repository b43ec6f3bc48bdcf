"""The objects of a database are those of the project, and not those of extensions."""

from __future__ import annotations

import pytest

from rolecall.catalog.objects import added, objects
from rolecall.worker import Worker

# With functions, an aggregate, or a view. No server has all of them.
EXTENSIONS = ("citext", "hstore", "pg_stat_statements", "vector")


def test_the_objects_of_an_extension_do_not_count(toy_worker: Worker) -> None:
    connection = toy_worker.connection
    query = "SELECT name FROM pg_available_extensions WHERE name = ANY (%s)"
    available = [name for (name,) in connection.execute(query, [list(EXTENSIONS)])]
    if not available:
        pytest.skip("this server has none of the extensions")
    before = objects(connection)
    for name in available:
        connection.execute(f"CREATE EXTENSION {name} SCHEMA shop".encode())
    connection.execute("CREATE FUNCTION shop.ours() RETURNS int LANGUAGE sql RETURN 1")
    assert [item.full_name for item in added(before, objects(connection))] == ["shop.ours"]
