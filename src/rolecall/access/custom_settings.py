"""Custom settings (``app.tenant``): the names that the schema reads, and one known state before the tests."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.persona import NO_PERSONA

# The names of custom settings ("app.tenant") that policies, functions, views, defaults and constraints read.
CUSTOM_SETTINGS = r"""
WITH code (text) AS (
  SELECT concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy
  UNION ALL
  SELECT concat_ws(' ', prosrc, pg_get_function_sqlbody(oid)) FROM pg_proc WHERE oid >= 16384
  UNION ALL
  SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind IN ('v', 'm') AND oid >= 16384
  UNION ALL
  SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
  UNION ALL
  SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0
  UNION ALL
  SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
)
SELECT DISTINCT name[1]
FROM code,
  regexp_matches(text, $re$current_setting\s*\(\s*'([A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+)'$re$, 'gi') AS name
"""


def custom_settings(connection: Connection[Any]) -> list[str]:
    """The names of the custom settings that the schema reads, and of those that a request sets.

    A name that the schema builds at run time is not found.
    """
    read = {name for (name,) in connection.execute(CUSTOM_SETTINGS.encode())}
    return sorted(read | {name for name, _ in NO_PERSONA[1:]})


def initialize(connection: Connection[Any], names: Iterable[str]) -> None:
    """Set custom settings once, and roll the values back.

    A setting that was never set is NULL; one that was set in an earlier transaction is ''. A test must not depend
    on the tests before it: after this call all are '', as on a connection that a pool reuses.
    """
    names = list(names)
    try:
        _initialize(connection, names)
    except psycopg.Error:  # an extension reserves one of the names
        for name in names:
            with suppress(psycopg.Error):
                _initialize(connection, [name])


def _initialize(connection: Connection[Any], names: list[str]) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config(name, '', true) FROM unnest(%s::text[]) AS name", [names])
