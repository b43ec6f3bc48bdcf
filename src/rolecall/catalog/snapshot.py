"""A snapshot of a database: every object with all of its properties, as text that can be compared.

:mod:`rolecall.catalog.objects` has only the names of objects, and :mod:`rolecall.catalog.definitions` has what a
mutant edits. A snapshot has what two databases can differ in. The queries are in ``properties/``, one file for each
subject. They read only the catalog, and work for every role.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, NamedTuple

from psycopg import Connection

QUERIES = (
    "schemas",
    "relations",
    "columns",
    "constraints",
    "indexes",
    "policies",
    "triggers",
    "relatives",
    "routines",
    "types",
    "privileges",
    "roles",
    "event_triggers",
)


class Item(NamedTuple):
    """An object, or a part of one.

    ``kind`` is relation (a table, view or sequence), routine, type, schema, role, extension, event trigger, default
    privileges or bucket. ``object`` is the full name, quoted where SQL needs it. ``part`` is its kind and name
    (``column price``, ``privileges of anon``), and empty for the object itself.
    """

    kind: str
    object: str
    part: str = ""

    @property
    def whole(self) -> Item:
        """The object that the part belongs to."""
        return Item(self.kind, self.object)

    @property
    def part_kind(self) -> str:
        """The first word of the part: column, constraint, index, policy, trigger, rule, privileges …"""
        return self.part.partition(" ")[0]


Properties = dict[str, str]


@dataclass
class Snapshot:
    """The items of a database.

    ``version`` is the server's, as 180001. ``unseen`` has a reason for each kind of item that could not be read.
    """

    items: dict[Item, Properties]
    version: int
    unseen: dict[str, str] = field(default_factory=dict)

    def kind(self, item: Item) -> str:
        """What an object is called: table, view, function, … For an item that does not exist: its ``kind``."""
        return self.items.get(item.whole, {}).get("kind", item.kind)

    @cached_property
    def parts(self) -> dict[Item, list[Item]]:
        """All items by the object that they belong to, in order."""
        parts: dict[Item, list[Item]] = {}
        for item in self.items:
            parts.setdefault(item.whole, []).append(item)
        return parts


def read(connection: Connection[Any], schemas: Collection[str] | None = None) -> Snapshot:
    """Read the schemas with these names, or all of them except PostgreSQL's own; roles in any case.

    All queries run in one transaction. If the connection is in a transaction already, they run in that one.
    """
    params = {"schemas": None if schemas is None else list(schemas)}
    items: dict[Item, Properties] = {}
    with connection.transaction():
        # With an empty search_path, every name in a definition has its schema.
        connection.execute("SELECT set_config('search_path', '', true)")
        for name in QUERIES:
            _add(items, connection.execute(_query(name), params))
        unseen = _add_buckets(connection, items)
    return Snapshot(items, connection.info.server_version, unseen)


def _add(items: dict[Item, Properties], rows: Iterable[tuple[Any, ...]]) -> None:
    for kind, name, part, key, value in rows:
        items.setdefault(Item(kind, name, part), {})[key] = value


@cache
def _query(name: str) -> bytes:
    folder = files("rolecall.catalog") / "properties"
    return b"\n".join((folder / f"{each}.sql").read_bytes() for each in ("common", name))


# The rows of storage.buckets are part of a Supabase project's schema: a bucket that is public has no policy for reads.
CAN_READ_BUCKETS = """
SELECT CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT')
              THEN 'this role may not read the table'
            WHEN row_security_active(c.oid) THEN 'row-level security hides them from this role' END
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = 'storage' AND relname = 'buckets'
"""
# As JSON, because older versions of the platform have fewer columns.
BUCKETS = """
SELECT 'bucket', quote_ident(b.id), '', p.key, COALESCE(p.value, 'none')
FROM storage.buckets b CROSS JOIN jsonb_each_text(to_jsonb(b) || '{"kind": "bucket"}') AS p
WHERE p.key IN ('kind', 'name', 'public', 'file_size_limit', 'allowed_mime_types') ORDER BY 2
"""


def _add_buckets(connection: Connection[Any], items: dict[Item, Properties]) -> dict[str, str]:
    """Add the storage buckets, if there are any. Returns the reason if they cannot be read."""
    for (reason,) in connection.execute(CAN_READ_BUCKETS):
        if reason:
            return {"bucket": f"storage buckets: {reason}"}
        _add(items, connection.execute(BUCKETS))
    return {}
