"""A snapshot has every object with its properties, and reads only what it is asked for."""

from __future__ import annotations

import pytest

from rolecall.catalog import dependencies, snapshot
from rolecall.catalog.dependencies import Dependency
from rolecall.catalog.snapshot import Item
from rolecall.worker import Worker


def test_a_table_and_its_parts(toy_worker: Worker) -> None:
    items = snapshot.read(toy_worker.connection).items
    table = Item("relation", "shop.notes")
    assert items[table] == {
        "kind": "table",
        "owner": "toy_migrator",
        "row level security": "on",
        "forced row level security": "off",
        "persistence": "permanent",
        "order of columns": "id, author, body",
        "replica identity": "default",
    }
    assert items[table._replace(part="column author")] == {"type": "text", "nulls": "refused"}
    assert items[table._replace(part="constraint short_body")] == {"definition": "CHECK ((length(body) <= 10))"}
    assert items[table._replace(part='policy "own notes are read"')] == {
        "kind": "permissive",
        "command": "SELECT",
        "roles": "PUBLIC",
        "using": "(author = shop.me())",
    }
    assert items[table._replace(part="privileges of toy_member")] == {
        "DELETE": "yes",
        "INSERT": "yes",
        "SELECT": "yes",
        "UPDATE": "yes",
    }
    assert items[Item("routine", "shop.count_notes()", "privileges of PUBLIC")] == {"EXECUTE": "yes"}
    assert items[Item("role", "toy_keeper")]["bypasses row level security"] == "yes"


def test_each_comment_is_that_of_its_object(toy_worker: Worker) -> None:
    notes = ("TABLE shop.notes", "COLUMN shop.notes.author", "COLUMN shop.notes.body", "FUNCTION shop.count_notes()")
    for on in notes:
        toy_worker.connection.execute(f"COMMENT ON {on} IS 'about {on}'".encode())
    items = snapshot.read(toy_worker.connection).items
    table = Item("relation", "shop.notes")
    commented = (table, table._replace(part="column author"), table._replace(part="column body"))
    found = [items[each].get("comment") for each in (*commented, Item("routine", "shop.count_notes()"))]
    assert found == [f"about {on}" for on in notes]
    assert "comment" not in items[table._replace(part="column id")]


def test_only_the_schemas_that_are_asked_for(toy_worker: Worker) -> None:
    toy_worker.connection.execute("CREATE SCHEMA other; CREATE TABLE other.notes (id int)")
    assert Item("relation", "other.notes") in snapshot.read(toy_worker.connection).items
    items = snapshot.read(toy_worker.connection, ["other"]).items
    assert {item.object for item in items if item.kind in ("schema", "relation", "routine")} == {"other", "other.notes"}


@pytest.fixture
def extension(toy_worker: Worker) -> str:
    """An extension with a type of its name; the packages of PostgreSQL have different ones."""
    query = "SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'vector') ORDER BY name LIMIT 1"
    (name,) = toy_worker.connection.execute(query).fetchone() or ("",)
    return str(name)


def test_an_extension_is_one_item(toy_worker: Worker, extension: str) -> None:
    toy_worker.connection.execute("CREATE SCHEMA kept")
    before = set(snapshot.read(toy_worker.connection).items)
    toy_worker.connection.execute(f"CREATE EXTENSION {extension} SCHEMA kept".encode())
    assert set(snapshot.read(toy_worker.connection).items) - before == {Item("extension", extension)}


def test_the_same_whatever_the_search_path_is(toy_worker: Worker) -> None:
    before = snapshot.read(toy_worker.connection).items
    toy_worker.connection.execute("SET search_path = shop, public")
    assert snapshot.read(toy_worker.connection).items == before


def test_dependencies(toy_worker: Worker, extension: str) -> None:
    toy_worker.connection.execute(
        f"""
        CREATE EXTENSION {extension} SCHEMA shop;
        CREATE TABLE shop.pictures (id int REFERENCES shop.notes, at shop.{extension}, "Tags" text DEFAULT shop.me());
        CREATE FUNCTION shop.old() RETURNS int LANGUAGE sql AS 'SELECT 1';
        """.encode()
    )
    found, bodies = dependencies.read(toy_worker.connection)
    table, notes = Item("relation", "shop.pictures"), Item("relation", "shop.notes")
    assert {
        Dependency(table, Item("schema", "shop")),
        Dependency(table._replace(part="constraint pictures_id_fkey"), notes._replace(part="column id")),
        Dependency(table._replace(part="constraint pictures_id_fkey"), notes._replace(part="index notes_pkey")),
        Dependency(table._replace(part='column "Tags"'), Item("routine", "shop.me()")),
        Dependency(table._replace(part="column at"), Item("extension", extension)),
        Dependency(Item("relation", "shop.titles"), notes._replace(part="column body")),
        Dependency(notes._replace(part='policy "own notes are read"'), Item("routine", "shop.me()")),
    } <= set(found)
    assert [body.item.object for body in bodies] == ["shop.old()"]
