"""The migrations are plain SQL that adds: what was there before them stays as it was, rows and all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import postgast
import pytest
from psycopg import Connection, sql

from rolecall import World
from rolecall.access.world import insert
from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import read

pb = postgast.pg_query_pb2

STATEMENTS = {
    "verify.sql": {"do_stmt"},
    "rollback.sql": {"variable_set_stmt", "do_stmt", "drop_stmt"},
    "a step": {
        *("variable_set_stmt", "do_stmt", "create_stmt", "index_stmt", "alter_table_stmt", "create_policy_stmt"),
        *("create_function_stmt", "create_trig_stmt", "view_stmt", "comment_stmt", "grant_stmt", "drop_stmt"),
    },
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a file of the migrations that are being tested."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    if "sql_file" in metafunc.fixturenames:
        scripts = [script for phase in read(folder) for script in phase.scripts]
        metafunc.parametrize("sql_file", [each.path for each in scripts], ids=[each.id for each in scripts])


def test_a_file_is_plain_sql(sql_file: Path) -> None:
    """PostgreSQL's own parser reads it, so it has no command of psql's; and no BEGIN, COMMIT or data in it."""
    tree = postgast.parse(sql_file.read_text(encoding="utf-8"))
    kinds = {raw.stmt.WhichOneof("node") for raw in tree.stmts}
    assert kinds
    assert kinds <= STATEMENTS.get(sql_file.name, STATEMENTS["a step"])


def test_no_file_names_a_role_but_the_three_of_the_api(bare: Scratch) -> None:
    named = {role.rolename or "PUBLIC" for _, tree in parsed(bare) for role in postgast.find_nodes(tree, pb.RoleSpec)}
    assert named == {"PUBLIC", "anon", "authenticated", "service_role"}


def test_nothing_of_a_stranger_is_dropped(bare: Scratch) -> None:
    """Steps drop policies and triggers, to make them afresh; no DROP takes along what depends on its object."""
    drops = [(path, drop) for path, tree in parsed(bare) for drop in postgast.find_nodes(tree, pb.DropStmt)]
    assert len(drops) > 26
    for path, drop in drops:
        assert drop.missing_ok, path
        assert drop.behavior == pb.DROP_RESTRICT, path
        assert path.name == "rollback.sql" or drop.remove_type in (pb.OBJECT_POLICY, pb.OBJECT_TRIGGER), path


def parsed(scratch: Scratch) -> list[tuple[Path, Any]]:
    """Every step and rollback, and the tree of its statements."""
    paths = [each.path for phase in scratch.phases.values() for each in (*phase.steps, phase.rollback)]
    return [(path, postgast.parse(path.read_text(encoding="utf-8"))) for path in paths]


GRANT_USAGE = re.compile(r"GRANT USAGE ON SCHEMA \w+ TO (authenticated|service_role);")


def test_of_what_was_there_only_the_schemas_grants_have_changed(bare: Scratch, migrated: Scratch) -> None:
    before, after = entries(bare.dump()), entries(migrated.dump())
    assert before
    assert before.keys() - after.keys() == set()
    changed = {line for name, lines in before.items() for line in lines ^ after[name]}
    assert {line for line in changed if not GRANT_USAGE.fullmatch(line)} == set()


def test_of_the_tables_that_were_there_only_storage_objects_gets_something(bare: Scratch, manifest: Manifest) -> None:
    there = set(tables(bare.connection))
    given = {(item.owner, item.kind) for item in manifest.added if item.owner in there}
    assert given == {("storage.objects", "policy")}


def test_no_row_that_was_there_is_touched(scratch: Callable[..., Scratch], world: World) -> None:
    live = scratch()
    there = tables(live.connection)
    for table, _, row in world:
        if table in there and row.get("bucket_id") != "avatars":
            live.connection.execute(insert(table, row))
    before = rows(live.connection, there)
    live.apply()
    after = rows(live.connection, there)
    assert before - after == set()
    (bucket,) = after - before
    assert bucket[0] == "storage.buckets"
    assert bucket[-1].startswith("(avatars,avatars,")


def entries(dump: str) -> dict[str, set[str]]:
    """The lines of a dump by object."""
    _, *parts = re.split(r"\n--\n-- (Name: .*)\n--\n", dump.replace("-- PostgreSQL database dump complete", "--"))
    return {name: set(text.splitlines()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def tables(connection: Connection[Any]) -> list[str]:
    found = connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|inf)'")
    return [name for (name,) in found]


def rows(connection: Connection[Any], names: list[str]) -> set[tuple[str, ...]]:
    """All rows of the tables, with where each lies and who wrote it: an UPDATE to the same values shows."""
    found: set[tuple[str, ...]] = set()
    for name in names:
        query = sql.SQL("SELECT {}, t.ctid::text, t.xmin::text, t::text FROM {} AS t")
        found |= set(connection.execute(query.format(name, sql.Identifier(*name.split(".")))))
    assert len(found) > len(names)
    return found
