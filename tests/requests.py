"""Requests in which everything but the role and the subject has an unusual value."""

from __future__ import annotations

import json
import re
from typing import Any

from rolecall import Session
from rolecall.noninterference.requests import CLAIMS, HEADERS, OBJECTS
from tests.functions.calls import set_claims

ADDRESS = """
    CREATE OR REPLACE FUNCTION pg_catalog.inet_{side}_addr() RETURNS inet LANGUAGE sql STABLE
      AS $$ SELECT inet '10.1.2.3' $$;
    CREATE OR REPLACE FUNCTION pg_catalog.inet_{side}_port() RETURNS integer LANGUAGE sql STABLE
      AS $$ SELECT 5432 $$
"""
WORD = re.compile(r"'([\w.-]+)'")  # a name or a value that the code may look for


def change_request(db: Session, words: list[str], value: Any) -> None:
    """Give every claim, header and custom setting that the code may read one value, but for role and subject."""
    claims = json.loads(db.value("SELECT current_setting('request.jwt.claims')"))
    others = dict.fromkeys([*words, *CLAIMS, "role", "sub"], value)
    set_claims(db, **others | dict.fromkeys(OBJECTS, others) | {key: claims[key] for key in ("role", "sub")})
    text = json.dumps(value).strip('"')
    headers = json.dumps(dict.fromkeys([*words, *HEADERS], text))
    db.execute("SELECT set_config('request.headers', %s, true)", [headers])
    for name in words:
        if re.fullmatch(r"[a-z_]\w*(\.[a-z_]\w*)+", name) and not name.startswith("request."):
            db.execute("SELECT set_config(%s, %s, true)", [name, text])


def words_in(code: str) -> list[str]:
    """The strings in the code of a function or a view."""
    return list(dict.fromkeys(WORD.findall(code)))


def seem_to_use_tcp(db: Session) -> None:
    """Let all code of the database see an address of the client and of the server, until the end of the test.

    The tests connect by a socket, where all of them are NULL.
    """
    for side in ("client", "server"):
        db.execute(ADDRESS.format(side=side))
    assert db.row("SELECT inet_client_addr()::text, inet_server_port()") == ("10.1.2.3/32", 5432)
