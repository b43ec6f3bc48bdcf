"""Fixtures of the tests of the five tables: functions that insert a valid row, and a row to refer to."""

from typing import Any

import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL

from rolecall import Session, World
from rolecall.access.world import insert
from tests.constraints.rows import Columns, InsertParent, InsertValid, referenced_rows, required_columns


@pytest.fixture
def table(request: pytest.FixtureRequest) -> str:
    """The table of the test: the module's ``TABLE``. In test_every_table.py a test parameter takes its place."""
    return str(request.module.TABLE)


@pytest.fixture
def required(world: World, table: str) -> Columns:
    """The columns that every row of the table needs, with valid values."""
    return required_columns(world, table)


@pytest.fixture
def insert_valid(db: Session, table: str, required: Columns) -> InsertValid:
    """A function that inserts a valid row with some columns changed, and returns all columns as they are stored."""

    def insert_valid(**changes: Any) -> Columns:
        cursor = db.execute(SQL("{} RETURNING *").format(insert(table, required | changes)))
        (row,) = cursor.fetchall()
        return dict_row(cursor)(row)

    return insert_valid


@pytest.fixture
def insert_parent(db: Session, world: World) -> InsertParent:
    """A function that inserts a row for a foreign key to refer to, and returns the row's table and id.

    No other row refers to it, so that it can be deleted.
    """

    def insert_parent(column: str) -> tuple[str, str]:
        table, row = referenced_rows(world)[column]
        db.execute(insert(table, row))
        return table, row["id"]

    return insert_parent
