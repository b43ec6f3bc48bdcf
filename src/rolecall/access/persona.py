"""Personas: a database role and the claims of its token, as PostgREST sets them for a request.

Source: PostgREST's documentation, "Transactions": the settings that it sets before each request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from string import Formatter
from typing import Any, Literal
from uuid import UUID

from psycopg import sql

from rolecall.errors import RolecallError

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Persona:
    """A client that sends requests: a database role, and the claims of the token of each request.

    ``setup`` is SQL that a superuser runs before the persona acts on a table; it is rolled back afterwards.
    ``{schema}`` and ``{table}`` (qualified) stand for the names. It is for an unusual state, such as a wrong grant.
    ``custom`` are the custom settings (``app.tenant_id``) that the application sets for each of its requests.
    """

    name: str
    role: str
    claims: Mapping[str, Any] = field(hash=False)
    setup: str = ""
    custom: Mapping[str, str] = field(default_factory=dict, hash=False)

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
        """The settings that PostgREST sets for a request with this token, in its order, then the persona's own."""
        return [
            ("role", self.role),
            ("request.jwt.claims", self.token),
            ("request.method", method),
            ("request.path", "/"),
            ("request.headers", "{}"),
            *self.custom.items(),
        ]

    def prepare(self, table: str | None) -> str:
        """``setup`` with the names of the table ("schema.name") and its schema filled in; empty without a ``setup``.

        Without a table, it is empty too if ``setup`` names one.
        """
        if table is None:
            names_a_table = any(field for _, field, *_ in Formatter().parse(self.setup))
            return "" if names_a_table else sql.SQL(self.setup).format().as_string()
        schema, name = table.split(".", 1)
        return sql.SQL(self.setup).format(schema=sql.Identifier(schema), table=sql.Identifier(schema, name)).as_string()


def anonymous_roles(personas: Iterable[Persona]) -> set[str]:
    """The roles of clients who have not signed in: no persona of the role has a subject, or settings of its own."""
    by_role: dict[str, list[Persona]] = {}
    for persona in personas:
        by_role.setdefault(persona.role, []).append(persona)
    return {role for role, all_ in by_role.items() if not any("sub" in each.claims or each.custom for each in all_)}


def role_of(persona: str, role: object) -> str:
    """The role of a persona. Raises RolecallError for what is no name of one: as ``none``, it would be a superuser."""
    if not isinstance(role, str) or not role.strip() or role == "none":
        text = 'write the name of a role of the database, such as "authenticated".'
        raise RolecallError(f"the persona {persona!r} has the role {role!r}: {text}")
    return role


def claims_of(persona: str, claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a token as JSON has them: a UUID is a text. Raises RolecallError for a value that JSON lacks."""

    def plain(value: object) -> str:
        if isinstance(value, UUID):
            return str(value)
        raise TypeError(f"{value!r} is no value of JSON: write a text or a number")

    try:
        return {name: json.loads(json.dumps(value, default=plain, allow_nan=False)) for name, value in claims.items()}
    except (TypeError, ValueError) as error:
        raise RolecallError(f"a claim of the persona {persona!r} cannot be in a token: {error}.") from None


OF_A_REQUEST = frozenset({"request.jwt.claims", "request.method", "request.path", "request.headers"})
CUSTOM_NAME = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)+", re.ASCII)


def custom_of(persona: str, settings: Mapping[str, object]) -> dict[str, str]:
    """The custom settings of a persona as text. Raises RolecallError for a name or a value that cannot be one."""
    custom = {}
    for name, value in settings.items():
        problem = _problem(name, value)
        if problem:
            raise RolecallError(f"the persona {persona!r} has the setting {name!r}: {problem}")
        if name.lower() in custom:  # PostgreSQL does not tell them apart
            raise RolecallError(f"the persona {persona!r} has the setting {name!r} twice.")
        custom[name.lower()] = str(value).lower() if isinstance(value, bool) else str(value)
    return custom


def _problem(name: object, value: object) -> str | None:
    """What is wrong with a custom setting; None if nothing."""
    if not isinstance(name, str) or not CUSTOM_NAME.fullmatch(name):
        return "write the name of a custom setting, such as 'app.tenant_id'."
    if name.lower() in OF_A_REQUEST:
        return "each request has its own. Give the claims of the token to world.persona()."
    if not isinstance(value, (str, int, UUID)):
        return f"its value is {value!r}: give a string, a number, a bool or a UUID. Without a value, leave it out."
    if "\0" in str(value):
        return "its value has a NUL character, which PostgreSQL refuses."
    return None


# The settings of a session between two requests: they are '', not NULL.
NO_PERSONA = [("role", "none"), *((name, "") for name, _ in Persona("", "", {}).settings("GET")[1:])]
