"""What CREATE DATABASE … TEMPLATE does not copy: the privileges on the database, and its settings.

The baseline, or the platform below it, may GRANT CREATE ON DATABASE, or ALTER DATABASE … SET search_path. Both belong
to one database, so PostgreSQL gives a copy neither.
"""

from __future__ import annotations

import re
from typing import Any

from psycopg import Cursor, sql

# The owner is the same; a grant option counts, whoever granted it. PUBLIC has the oid 0, which is no role.
PRIVILEGES = """
SELECT datacl IS NOT NULL, r.rolname, a.privilege_type, a.is_grantable
FROM pg_database AS d
  LEFT JOIN LATERAL aclexplode(d.datacl) AS a ON true
  LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE d.datname = %s AND (a.grantee IS NULL OR a.grantee = 0 OR r.oid IS NOT NULL)
"""
SETTINGS = """
SELECT r.rolname, split_part(setting, '=', 1), substring(setting FROM '=(.*)')
FROM pg_db_role_setting AS s
  CROSS JOIN unnest(s.setconfig) WITH ORDINALITY AS each (setting, position)
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)
ORDER BY s.setrole, position
"""
# Their values are lists of identifiers, which PostgreSQL stores with their quotes.
LISTS = frozenset({"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"})


def copy(cursor: Cursor[Any], source: str, target: str) -> None:
    """Give a database the privileges and the settings of another one."""
    statements = [*_privileges(cursor, source, target), *_settings(cursor, source, target)]
    for statement in statements:
        cursor.execute(statement)


def _privileges(cursor: Cursor[Any], source: str, target: str) -> list[sql.Composed]:
    rows = cursor.execute(PRIVILEGES, [source]).fetchall()
    if not any(is_set for is_set, *_ in rows):  # as every new database has them
        return []
    name = sql.Identifier(target)
    statements = [sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name)]
    for _, role, privilege, is_grantable in rows:
        if privilege:
            grantee = sql.Identifier(role) if role else sql.SQL("PUBLIC")
            option = sql.SQL(" WITH GRANT OPTION" if is_grantable else "")
            grant = sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(sql.SQL(privilege), name, grantee, option)
            statements.append(grant)
    return statements


def _settings(cursor: Cursor[Any], source: str, target: str) -> list[sql.Composed]:
    return [
        sql.SQL("ALTER {} SET {} TO {}").format(
            sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), sql.Identifier(target))
            if role
            else sql.SQL("DATABASE {}").format(sql.Identifier(target)),
            sql.SQL(".").join(map(sql.Identifier, name.split("."))),
            sql.SQL(", ").join(map(sql.Literal, _values(name, value))),
        )
        for role, name, value in cursor.execute(SETTINGS, [source]).fetchall()
    ]


def _values(name: str, value: str) -> list[str]:
    """The elements of a list, without their quotes; another value as it is. An empty list has one empty element."""
    if name.lower() not in LISTS:
        return [value]
    names = re.finditer(r'"((?:[^"]|"")*)"|[^,\s]+', value)
    return [name[0] if name[1] is None else name[1].replace('""', '"') for name in names] or [""]
