"""Rows whose key is the id of a persona, so that a column with a foreign key can have it as its value.

`OR service_id = auth.uid()` lets nobody in as long as no service has the id of a user. A user who may create services
can create one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from psycopg import Connection, sql

from rolecall.catalog.objects import identifier, qualified
from rolecall.noninterference.schema import Schema


def add_identities(connection: Connection[Any], schema: Schema, subjects: Sequence[str]) -> None:
    """Copy a row of each table that a foreign key refers to, once for each subject, with the subject as its key.

    A copy that a constraint does not allow is left out. ``connection`` is a superuser's, in a transaction that the
    caller rolls back; :func:`rolecall.noninterference.function.prepare` was called.
    """
    tables = {schema.table, *schema.scope}
    keys = sorted(
        {(key.parent, key.keys[0]) for key in schema.foreign_keys if key.child in tables and len(key.keys) == 1}
    )
    statements = [
        {"target": qualified(table), "statement": _copy(schema, table, key, subject), "verify": []}
        for table, key in keys
        for subject in subjects
    ]
    connection.execute("SELECT count(*) FROM pg_temp.rolecall_change(%s)", [json.dumps(statements)])


def _copy(schema: Schema, table: str, key: str, subject: str) -> str:
    """The statement that inserts a copy of the first row of a table."""
    columns = [column.name for column in schema.columns[table] if not column.is_fixed]
    literal = sql.Literal(subject).as_string()
    values = [literal if name == key else f"original.{identifier(name)}" for name in columns]
    return (
        f"INSERT INTO {qualified(table)} ({', '.join(map(identifier, columns))}) SELECT {', '.join(values)} "
        f"FROM {qualified(table)} AS original ORDER BY {identifier(key)} LIMIT 1 ON CONFLICT DO NOTHING"
    )
