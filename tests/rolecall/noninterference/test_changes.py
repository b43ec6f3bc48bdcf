"""Changes of rows: what the database accepts, and what it refuses."""

from __future__ import annotations

import pytest

from rolecall.noninterference.changes import Change, Row, TableChange, ValueChange, apply, holds
from rolecall.noninterference.rows import Place, groups
from rolecall.noninterference.schema import read
from rolecall.noninterference.values import Value
from rolecall.worker import Worker

TABLES = """
CREATE TABLE shop.shelves (id int PRIMARY KEY, room text);
CREATE TABLE shop.books (
  id int PRIMARY KEY, shelf int REFERENCES shop.shelves, title text NOT NULL UNIQUE, pages int CHECK (pages > 0),
  long bool GENERATED ALWAYS AS (pages > 500) STORED, was text
);
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.was := OLD.title; RETURN NEW; END';
CREATE TRIGGER note BEFORE UPDATE ON shop.books FOR EACH ROW EXECUTE FUNCTION shop.note();
INSERT INTO shop.shelves VALUES (1, 'kitchen'), (2, 'hall');
INSERT INTO shop.books VALUES (1, 1, 'first', 100), (2, 1, 'second', 200);
"""
BOOK = Row("shop.books", "first", '"id" = 1')
SHELF = Row("shop.shelves", "kitchen", '"id" = 1')


@pytest.fixture
def library(toy_worker: Worker) -> Worker:
    """The toy project with shelves and books, for one test."""
    toy_worker.connection.execute(TABLES)
    return toy_worker


def change(worker: Worker, row: Row, column: str, value: Value) -> ValueChange:
    """A change with what must hold after it."""
    schema = read(worker.connection, row.table)
    verify = tuple(holds(key) for key in schema.keys_with(row.table, column))
    return ValueChange(column, row, column, value, verify)


@pytest.mark.parametrize(
    ("row", "column", "value", "is_accepted"),
    [
        (BOOK, "title", "third", True),
        (BOOK, "title", "second", False),  # UNIQUE
        (BOOK, "title", None, False),  # NOT NULL
        (BOOK, "pages", "0", False),  # CHECK
        (BOOK, "pages", "many", False),  # no number
        (BOOK, "long", "true", False),  # generated
        (BOOK, "shelf", "2", True),
        (BOOK, "shelf", None, True),
        (BOOK, "shelf", "3", False),  # no such shelf
        (SHELF, "id", "3", False),  # the books would have no shelf
        (Row("shop.books", "no", '"id" = 9'), "title", "x", False),
    ],
)
def test_the_constraints_decide(library: Worker, row: Row, column: str, value: Value, is_accepted: bool) -> None:
    wanted = change(library, row, column, value)
    assert apply(library.connection, [wanted]) == ([wanted] if is_accepted else [])


def test_one_refused_column_does_not_hinder_the_others(library: Worker) -> None:
    pairs = (("title", "third"), ("pages", "0"), ("shelf", "2"))
    changes: list[Change] = [change(library, BOOK, column, value) for column, value in pairs]
    assert apply(library.connection, changes) == [changes[0], changes[2]]
    assert library.connection.execute("SELECT title, pages, shelf FROM shop.books WHERE id = 1").fetchone() == (
        "third",
        100,
        2,
    )


def test_the_key_is_changed_last(library: Worker) -> None:
    """If one value is refused, the columns are changed one by one. The name of another is a part of the key's name."""
    library.connection.execute("ALTER TABLE shop.books ADD d date")
    values = {"id": ["7"] * 9, "d": ["2000-01-01"] * 9, "pages": ["0"] * 9}
    places = [Place(column, BOOK, column, texts, ()) for column, texts in values.items()]
    for group in groups(places):
        accepted = {change.what for change in group} - {"pages"}
        with library.connection.transaction(force_rollback=True):
            assert {change.what for change in apply(library.connection, group)} == accepted


def test_no_trigger_runs(library: Worker) -> None:
    apply(library.connection, [change(library, BOOK, "title", "third")])
    assert library.connection.execute("SELECT was FROM shop.books WHERE id = 1").fetchone() == (None,)
    library.connection.execute("UPDATE shop.books SET title = 'fourth' WHERE id = 1")
    assert library.connection.execute("SELECT was FROM shop.books WHERE id = 1").fetchone() == ("third",)


def test_statements_are_made_all_or_none(library: Worker) -> None:
    delete = "DELETE FROM shop.shelves WHERE id = 2"
    for second, is_accepted in (("DELETE FROM shop.shelves WHERE id = 9", False), ("DELETE FROM shop.books", True)):
        wanted = TableChange("rows:shop.shelves", "shop.shelves", "fewer", (delete, second))
        assert apply(library.connection, [wanted]) == ([wanted] if is_accepted else [])
        assert library.connection.execute("SELECT count(*) FROM shop.shelves").fetchone() == (2 - is_accepted,)
