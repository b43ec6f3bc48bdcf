"""Personas: a database role and the claims of its token, as PostgREST sets them for a request.

Source: PostgREST's documentation, "Transactions": the settings that it makes before each request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from psycopg import sql

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Persona:
    """Someone who may knock: a database role and the claims of the token that it would carry.

    ``setup`` is SQL that a superuser runs before the persona acts on ``{schema}`` and ``{table}``
    (qualified); it is undone afterwards. It says what is special here, e.g. a grant made by mistake.
    """

    name: str
    role: str
    claims: Mapping[str, Any] = field(hash=False)
    setup: str = ""

    @cached_property
    def token(self) -> str:
        """The claims as the setting has them."""
        return json.dumps(dict(self.claims))

    def settings(self, method: Method) -> list[tuple[str, str]]:
        """What PostgREST sets, in its order, for a request with this token."""
        return [
            ("role", self.role),
            ("request.jwt.claims", self.token),
            ("request.method", method),
            ("request.path", "/"),
            ("request.headers", "{}"),
        ]

    def prepare(self, table: str) -> str:
        """``setup`` with the table's name filled in; empty if there is none."""
        schema, name = table.split(".")
        return sql.SQL(self.setup).format(schema=sql.Identifier(schema), table=sql.Identifier(schema, name)).as_string()


# What stands in a session between two requests: the settings are '' there, not NULL.
NOBODY = [("role", "none"), *((name, "") for name, _ in Persona("", "", {}).settings("GET")[1:])]
