"""What CREATE DATABASE does not copy from its template: the privileges on the database, and its settings."""

from __future__ import annotations

from typing import Any

from psycopg import Cursor, sql

# NULL as the grantee: PUBLIC. No row: the default privileges.
PRIVILEGES = """
SELECT NULLIF(grantee, 0)::regrole::text, privilege_type, is_grantable
FROM pg_database, aclexplode(datacl) AS acl WHERE datname = %s
"""
SETTINGS = """
SELECT r.rolname, split_part(setting, '=', 1), substring(setting FROM '=(.*)')
FROM pg_db_role_setting AS s
  JOIN pg_database AS d ON d.oid = s.setdatabase
  LEFT JOIN pg_roles AS r ON r.oid = s.setrole,
  unnest(s.setconfig) AS setting
WHERE d.datname = %s
"""
# Their values are lists of quoted names, which the server only takes apart if they do not come as one string.
LISTS = {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}


def copy(cursor: Cursor[Any], template: str, database: str) -> None:
    """Give ``database``, a new copy of ``template``, the same privileges and settings."""
    privileges = cursor.execute(PRIVILEGES, [template]).fetchall()
    settings = cursor.execute(SETTINGS, [template]).fetchall()
    if not privileges and not settings:
        return
    name = sql.Identifier(database)
    with cursor.connection.transaction():
        if privileges:
            cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        for grantee, privilege, grantable in privileges:
            query = "GRANT {} ON DATABASE {} TO {}" + (" WITH GRANT OPTION" if grantable else "")
            role = sql.SQL(grantee or "PUBLIC")  # regrole has quoted it
            cursor.execute(sql.SQL(query).format(sql.SQL(privilege), name, role))
        for role, setting, value in settings:
            target = sql.SQL("DATABASE {}").format(name)
            if role:
                target = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), name)
            new: sql.Composable = sql.SQL("TO {}").format(sql.Literal(value))
            if setting in LISTS:
                cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])
                new = sql.SQL("FROM CURRENT")
            parts = [sql.Identifier(part) for part in setting.split(".")]
            cursor.execute(sql.SQL("ALTER {} SET {} {}").format(target, sql.SQL(".").join(parts), new))
