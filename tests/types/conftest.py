"""The types of the migrated database, generated once for the tests of a process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from tests.types import node

KINDS = {"table": "Tables", "view": "Views", "function": "Functions"}
# The schemas of the application belong to the role that migrates. The platform's belong to others, but for the CLI's.
# `public` is in every types file, because supabase-js takes it where no schema is named.
SCHEMAS = """
SELECT nspname FROM pg_namespace
WHERE nspname = 'public'
  OR pg_get_userbyid(nspowner) = COALESCE(%s, current_user) AND nspname <> 'supabase_migrations'
ORDER BY nspname
"""


@pytest.fixture(scope="module")
def database_types(module_scratch: Callable[..., Scratch], manifest: Manifest) -> str:
    """The text of ``database.types.ts`` for the migrated database."""
    scratch = module_scratch(migrated=True)
    schemas = [schema for (schema,) in scratch.connection.execute(SCHEMAS, [manifest.role])]
    done = node.run("generate.ts", *schemas, env=environment(scratch))
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(scratch: Scratch) -> dict[str, str]:
    """The environment with a scratch database's connection in it, and no other."""
    params = scratch.run.conninfo.to(dbname=scratch.name).params
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return inherited | {names[name]: str(value) for name, value in params.items() if value and name in names}


@pytest.fixture(scope="session")
def objects(manifest: Manifest) -> str:
    """The text of ``objects.json``: the tables, views and functions that the migrations made."""
    found: dict[str, dict[str, list[str]]] = {}
    for item in sorted(
        manifest.of_kind(*KINDS), key=lambda item: (item.owner, list(KINDS).index(item.kind), item.name)
    ):
        names = found.setdefault(item.owner, {}).setdefault(KINDS[item.kind], [])
        if item.name not in names:  # an overloaded function has one name
            names.append(item.name)
    return json.dumps(found, indent=2) + "\n"
