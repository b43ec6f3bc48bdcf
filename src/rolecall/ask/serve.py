"""A throwaway database that stays until Ctrl-C, with what PostgREST and a notebook need to use it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection

from rolecall.access.persona import anonymous_roles
from rolecall.ask.live import Live, live, options
from rolecall.ask.tokens import token
from rolecall.dsn import Conninfo
from rolecall.server import signals

# The schemas that one of these roles may use, those with most tables and functions first.
SCHEMAS = """
SELECT n.nspname::text
FROM pg_namespace AS n
LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND EXISTS (SELECT FROM unnest(%(roles)s::text[]) AS role WHERE has_schema_privilege(role, n.oid, 'USAGE'))
  AND (c.oid IS NOT NULL OR EXISTS (SELECT FROM pg_proc AS p WHERE p.pronamespace = n.oid))
GROUP BY n.nspname, n.oid
ORDER BY n.nspname IN ('auth', 'storage', 'realtime', 'extensions', 'graphql'), n.nspname <> 'public',
         count(c.oid) DESC, 1
"""


def serve(*, once: bool = False) -> int:
    """Keep a database up, and print how to use it, until SIGINT or SIGTERM. With ``once``, end after the print.

    Returns 0. Raises RolecallError if the database cannot be made.
    """
    installed = signals.install()
    try:
        with live() as database:
            conninfo = database.login([each.role for each in database.world.personas.values()])
            for persona in database.world.personas.values():
                if persona.setup and persona.prepare(None):
                    database.prepare(persona)
            print(settings_text(database, conninfo), flush=True)
            while not once:
                time.sleep(3600)
    except KeyboardInterrupt:  # EndedBySignal is one
        pass
    finally:
        if installed:
            signals.restore()
    return 0


def settings_text(database: Live, conninfo: Conninfo) -> str:
    """The settings for PostgREST, a token for each persona, and a snippet for a notebook."""
    with database.run.connect(database.database, "schemas") as connection:
        lines = [*_address(database, conninfo), "", *_postgrest(connection, database, conninfo)]
    return "\n".join([*lines, "", *_notebook(database, conninfo), "", "Ctrl-C ends the server and drops the database."])


def _address(database: Live, conninfo: Conninfo) -> Iterator[str]:
    superuser = database.run.conninfo.to(dbname=database.database)
    yield f"# {database.run.server}, database {database.database}"
    yield f"# as a client that may become each persona:  psql {_quoted(conninfo.bare)}"
    if database.cluster:
        yield f"# as the superuser, whom no policy binds:     psql {_quoted(superuser.bare)}"
    else:
        yield "# The password is that of --rolecall-pg-dsn, and is not shown here."


def _quoted(text: str) -> str:
    return f'"{text}"'


def _postgrest(connection: Connection[Any], database: Live, conninfo: Conninfo) -> Iterator[str]:
    personas = database.world.personas.values()
    roles = list(dict.fromkeys(each.role for each in personas))
    schemas = [name for (name,) in connection.execute(SCHEMAS, {"roles": roles})]
    anonymous = sorted(anonymous_roles(personas), key=lambda name: (name != "anon", roles.index(name)))
    bypasses = _bypassing(connection, roles)
    anonymous = [name for name in anonymous if name not in bypasses]
    secret = secrets.token_urlsafe(36)
    yield "# postgrest.conf"
    yield f'db-uri = "{conninfo.bare}"'
    yield f'db-schemas = "{", ".join(schemas)}"'
    yield f'db-anon-role = "{anonymous[0]}"' if anonymous else "# no db-anon-role: every persona has signed in"
    yield f'jwt-secret = "{secret}"'
    yield ""
    yield "# Authorization: Bearer TOKEN"
    for each in personas:
        yield f"# {each.name}"
        if each.setup:
            yield f"#   its setup was{'' if each.prepare(None) else ' not'} run: {each.setup}"
        if each.custom:
            yield f"#   PostgREST cannot set its own settings: {', '.join(each.custom)}"
        yield token(each.claims, secret)


def _bypassing(connection: Connection[Any], roles: Sequence[str]) -> set[str]:
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s) AND (rolsuper OR rolbypassrls)"
    return {name for (name,) in connection.execute(query, [list(roles)])}


def _notebook(database: Live, conninfo: Conninfo) -> Iterator[str]:
    """A snippet of Python that signs in as the first persona."""
    persona = next(iter(database.world.personas.values()), None)
    if persona is None:
        return
    yield "# a notebook: a session as a persona, with psycopg"
    yield "import psycopg"
    yield ""
    yield f"as_{''.join(c if c.isalnum() else '_' for c in persona.name)} = psycopg.connect("
    yield f"    {conninfo.bare!r},"
    yield f"    options={options(database.session(persona))!r},"
    yield ")"
