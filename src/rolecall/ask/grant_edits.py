"""Changes of privileges, views and functions that may be a repair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Connection

from rolecall.ask import relation as catalog
from rolecall.ask.edits import Edit, statement
from rolecall.ask.functions import HELD, Routine
from rolecall.catalog.objects import grantee, identifier, qualified

COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
# The lists of columns that are granted one by one in this table.
LISTS = """
SELECT DISTINCT array_agg(attname::text ORDER BY attnum)
FROM pg_attribute CROSS JOIN aclexplode(attacl) AS a
WHERE attrelid = %s::regclass AND attacl IS NOT NULL GROUP BY a.grantee, a.privilege_type
"""


def of_relation(connection: Connection[Any], name: str, role: str, command: str) -> Iterator[Edit]:
    """Changes of the privileges of a role on a table or view, for a command (select …)."""
    on, to, privilege = qualified(name), grantee(role), command.upper()
    schema = identifier(name.split(".", 1)[0])
    relation = catalog.read_relation(connection, name)
    if not catalog.enters(connection, name, role):
        yield statement(f"GRANT USAGE ON SCHEMA {schema} TO {to}", f"lets {role} use the schema {schema}")
    held = catalog.held(connection, name, role)
    needed = dict.fromkeys([privilege, "SELECT"])
    missing = [each for each in needed if not any(h.privilege == each and not h.columns for h in held)]
    for each in missing:
        yield statement(f"GRANT {each} ON {on} TO {to}", f"gives {role} {each} on {name}")
    if len(missing) > 1:
        both = ", ".join(missing)
        yield statement(f"GRANT {both} ON {on} TO {to}", f"gives {role} {both} on {name}")
    yield from _columns(connection, name, role, privilege, held)
    for grant in held:
        if grant.privilege in needed and grant.grantee != relation.owner:
            whom = "PUBLIC" if grant.grantee == "PUBLIC" else identifier(grant.grantee)
            columns = f" ({', '.join(map(identifier, grant.columns))})" if grant.columns else ""
            what = f"takes {grant.privilege} on {name} from {grant.grantee}"
            yield statement(f"REVOKE {grant.privilege}{columns} ON {on} FROM {whom}", what)
            if grant.columns and len(grant.columns) > 1:
                for column in grant.columns:
                    yield statement(
                        f"REVOKE {grant.privilege} ({identifier(column)}) ON {on} FROM {whom}", f"{what}: {column}"
                    )
    for whom in dict.fromkeys(grant.grantee for grant in held if grant.grantee != relation.owner):
        to_whom = "PUBLIC" if whom == "PUBLIC" else identifier(whom)
        yield statement(f"REVOKE ALL ON {on} FROM {to_whom}", f"takes everything on {name} from {whom}", 1)
    if relation.letter == "v":
        value, what = ("false", "its owner") if relation.invoker else ("true", "who reads it")
        yield statement(f"ALTER VIEW {on} SET (security_invoker = {value})", f"lets {name} run as {what}")


def _columns(
    connection: Connection[Any], name: str, role: str, privilege: str, held: Sequence[catalog.Held]
) -> Iterator[Edit]:
    """A privilege on single columns, in place of the whole table or in addition."""
    if privilege == "DELETE":
        return
    on, to = qualified(name), grantee(role)
    columns = [each for (each,) in connection.execute(COLUMNS, [on])]
    lists = [list(each) for (each,) in connection.execute(LISTS, [on])]
    whole = [each.grantee for each in held if each.privilege == privilege and not each.columns]
    for column in columns:
        lists += [[column], [each for each in columns if each != column]]
    for each in lists:
        if not each:
            continue
        grant = f"GRANT {privilege} ({', '.join(map(identifier, each))}) ON {on} TO {to}"
        what = f"{privilege} of {role} on {name} only for {', '.join(each)}"
        if whole == [role]:
            revoke = f"REVOKE {privilege} ON {on} FROM {to}"
            edit = statement(f"{revoke}; {grant}", what, 1)
            yield edit
        elif not whole:
            yield statement(grant, what, 1)


def of_function(
    connection: Connection[Any], name: str, routine: Routine, role: str, roles: Sequence[str]
) -> Iterator[Edit]:
    """Changes of who may call a function, and of whom it runs as. ``roles`` are those of the personas."""
    on, to = f"{routine.kind.upper()} {routine.signature}", grantee(role)
    schema = identifier(name.split(".", 1)[0])
    if not catalog.enters(connection, name, role):
        yield statement(f"GRANT USAGE ON SCHEMA {schema} TO {to}", f"lets {role} use the schema {schema}")
    holds = [each for (each,) in connection.execute(HELD, [routine.oid, role])]
    if not holds:
        yield statement(f"GRANT EXECUTE ON {on} TO {to}", f"lets {role} call {routine.signature}")
    for each in holds:
        if each != routine.owner:
            whom = "PUBLIC" if each == "PUBLIC" else identifier(each)
            yield statement(f"REVOKE EXECUTE ON {on} FROM {whom}", f"takes EXECUTE on {routine.signature} from {each}")
    if "PUBLIC" in holds:
        others = [each for each in dict.fromkeys(roles) if each != role]
        grants = f"; GRANT EXECUTE ON {on} TO {', '.join(map(grantee, others))}" if others else ""
        own = f", {to}" if role in holds else ""
        what = f"lets only {', '.join(others)} call {routine.signature}"
        yield statement(f"REVOKE EXECUTE ON {on} FROM PUBLIC{own}{grants}", what)
    word, what = ("INVOKER", "who calls it") if routine.definer else ("DEFINER", "its owner")
    yield statement(f"ALTER {on} SECURITY {word}", f"lets {routine.signature} run as {what}")
