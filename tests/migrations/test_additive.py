"""The migrations are plain SQL and only add: existing objects and rows stay unchanged."""

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
from tests.migrations.helpers import tables

pb = postgast.pg_query_pb2

STATEMENTS = {
    "verify.sql": {"do_stmt"},
    "rollback.sql": {"do_stmt"},
    "a step": {
        *("variable_set_stmt", "do_stmt", "create_stmt", "index_stmt", "alter_table_stmt", "create_policy_stmt"),
        *(
            "create_function_stmt",
            "call_stmt",
            "create_trig_stmt",
            "view_stmt",
            "comment_stmt",
            "grant_stmt",
            "drop_stmt",
        ),
    },
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each file of the migrations under test."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    if "sql_file" in metafunc.fixturenames:
        scripts = [script for phase in read(folder) for script in phase.scripts]
        metafunc.parametrize("sql_file", [each.path for each in scripts], ids=[each.id for each in scripts])


def test_a_file_is_plain_sql(sql_file: Path) -> None:
    """PostgreSQL's own parser accepts it: it has no psql commands. It has no BEGIN, COMMIT or data either."""
    tree = postgast.parse(sql_file.read_text(encoding="utf-8"))
    kinds = {raw.stmt.WhichOneof("node") for raw in tree.stmts}
    assert kinds
    assert kinds <= STATEMENTS.get(sql_file.name, STATEMENTS["a step"])


def test_files_name_only_the_roles_of_the_api(bare: Scratch) -> None:
    names = {
        role.rolename or "PUBLIC"
        for _, tree in statement_trees(bare)
        for role in postgast.find_nodes(tree, pb.RoleSpec)
    }
    assert names == {"PUBLIC", "anon", "authenticated", "service_role"}


def test_steps_drop_policies_and_triggers_only_to_create_them_again(bare: Scratch) -> None:
    drops = [(path, drop) for path, tree in statement_trees(bare) for drop in postgast.find_nodes(tree, pb.DropStmt)]
    assert len(drops) > 26
    for path, drop in drops:
        assert drop.missing_ok, path
        assert drop.behavior == pb.DROP_RESTRICT, path
        assert drop.remove_type in (pb.OBJECT_POLICY, pb.OBJECT_TRIGGER), path


def test_no_rollback_cascades_to_dependent_objects(bare: Scratch) -> None:
    for phase in bare.phases.values():
        text = phase.rollback.path.read_text(encoding="utf-8")
        kinds = set(re.findall(r"'DROP (\w+) ", text))
        assert kinds == {"VIEW", "TABLE", "FUNCTION", "POLICY"}, phase
        assert "CASCADE" not in text.split("-- The end of the engine.")[1], phase


def statement_trees(scratch: Scratch) -> list[tuple[Path, Any]]:
    """Every step and rollback with the syntax tree of its statements."""
    paths = [each.path for phase in scratch.phases.values() for each in (*phase.steps, phase.rollback)]
    return [(path, postgast.parse(path.read_text(encoding="utf-8"))) for path in paths]


GRANT_USAGE = re.compile(r"GRANT USAGE ON SCHEMA \w+ TO (authenticated|service_role);")


def test_existing_objects_change_only_in_schema_grants(bare: Scratch, migrated: Scratch) -> None:
    before, after = entries(bare.dump()), entries(migrated.dump())
    assert before
    assert before.keys() - after.keys() == set()
    changes = {line for name, lines in before.items() for line in lines ^ after[name]}
    assert {line for line in changes if not GRANT_USAGE.fullmatch(line)} == set()


def test_storage_objects_is_the_only_existing_table_with_additions(bare: Scratch, manifest: Manifest) -> None:
    existing = set(tables(bare.connection))
    additions = {(item.owner, item.kind) for item in manifest.added if item.owner in existing}
    assert additions == {("storage.objects", "policy")}


def test_existing_rows_do_not_change(scratch: Callable[..., Scratch], world: World) -> None:
    database = scratch()
    existing = tables(database.connection)
    for table, _, row in world:
        if table in existing and row.get("bucket_id") != "avatars":
            database.connection.execute(insert(table, row))
    before = rows(database.connection, existing)
    database.apply()
    after = rows(database.connection, existing)
    assert before - after == set()
    (bucket,) = after - before
    assert bucket[0] == "storage.buckets"
    assert bucket[-1].startswith("(avatars,avatars,")


def entries(dump: str) -> dict[str, set[str]]:
    """The lines of a dump by object."""
    _, *parts = re.split(r"\n--\n-- (Name: .*)\n--\n", dump.replace("-- PostgreSQL database dump complete", "--"))
    return {name: set(text.splitlines()) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def rows(connection: Connection[Any], names: list[str]) -> set[tuple[str, ...]]:
    """All rows of the tables, each with ctid and xmin: an UPDATE to the same values changes them."""
    contents: set[tuple[str, ...]] = set()
    for name in names:
        query = sql.SQL("SELECT {}, t.ctid::text, t.xmin::text, t::text FROM {} AS t")
        contents |= set(connection.execute(query.format(name, sql.Identifier(*name.split(".")))))
    assert len(contents) > len(names)
    return contents
