"""Personas: a database role and the claims of its token, as PostgREST sets them for a request.

Source: PostgREST's documentation, "Transactions": the settings that it sets before each request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from psycopg import sql

from rolecall.errors import RolecallError

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Persona:
    """A client that sends requests: a database role, and the claims of the token of each request.

    ``setup`` is SQL that a superuser runs before the persona acts on a table; it is rolled back afterwards.
    ``{schema}`` and ``{table}`` (qualified) stand for the names. It is for an unusual state, such as a wrong grant.
    """

    name: str
    role: str
    claims: Mapping[str, Any] = field(hash=False)
    setup: str = ""

    @property
    def subject(self) -> str:
        """The claim ``sub``: the id of the user. Raises RolecallError if the token has none."""
        if (subject := self.claims.get("sub")) is None:
            raise RolecallError(f"the persona {self.name!r} has no subject: its token has no claim 'sub'.")
        return str(subject)

    @cached_property
    def token(self) -> str:
        """The claims as JSON: the value of the setting ``request.jwt.claims``."""
        return json.dumps(dict(self.claims))

    def settings(self, method: Method) -> list[tuple[str, str]]:
        """The settings that PostgREST sets for a request with this token, in its order: names and values."""
        return [
            ("role", self.role),
            ("request.jwt.claims", self.token),
            ("request.method", method),
            ("request.path", "/"),
            ("request.headers", "{}"),
        ]

    def prepare(self, table: str) -> str:
        """``setup`` with the names of the table ("schema.name") and its schema filled in; empty without a ``setup``."""
        schema, name = table.split(".")
        return sql.SQL(self.setup).format(schema=sql.Identifier(schema), table=sql.Identifier(schema, name)).as_string()


# The settings of a session between two requests: they are '', not NULL.
NO_PERSONA = [("role", "none"), *((name, "") for name, _ in Persona("", "", {}).settings("GET")[1:])]
