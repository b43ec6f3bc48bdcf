"""The migrations are plain SQL and only add: existing objects and rows stay unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import postgast
import psycopg
import pytest
from psycopg import Connection, sql

from rolecall import World
from rolecall.access.world import insert
from rolecall.catalog.foreign_types import without_foreign_types
from rolecall.catalog.manifest import Manifest
from rolecall.catalog.plpgsql import do_bodies
from rolecall.database.scratch import Scratch
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import read
from tests.migrations.helpers import everything, tables

pb = postgast.pg_query_pb2

STATEMENTS = {
    "verify.sql": {"do_stmt"},
    "rollback.sql": {"do_stmt"},
    "a step": {
        *("variable_set_stmt", "do_stmt", "create_stmt", "index_stmt", "alter_table_stmt", "create_policy_stmt"),
        *(
            "create_function_stmt",
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


# ------------------------------------------------------------------ what each statement changes


def test_a_step_changes_only_what_its_phase_creates(pytestconfig: pytest.Config) -> None:
    """Also by a statement that changes nothing in this database, such as a grant that the baseline has already."""
    folder = read_settings(pytestconfig).migrations
    assert folder
    for phase in read(folder):
        trees = [(step, postgast.parse(step.path.read_text(encoding="utf-8"))) for step in phase.steps]
        created = {name for _, tree in trees for raw in tree.stmts for name in created_by(raw.stmt)}
        assert created
        changed = {(str(step), name) for step, tree in trees for raw in tree.stmts for name in changed_by(raw.stmt)}
        assert len({step for step, _ in changed}) == len(phase.steps) - (phase.number == 1)  # 1.0 is a DO block
        others = {(step, name) for step, name in changed if name not in created}
        assert others == ({("1.5 avatars_bucket", "storage.objects")} if phase.number == 1 else set())


def created_by(statement: Any) -> Iterator[str]:
    """The table, view or function that a statement creates, and the policy or trigger with its table."""
    kind = statement.WhichOneof("node")
    node = getattr(statement, kind)
    if kind == "create_stmt":
        yield full_name(node.relation)
    elif kind == "view_stmt":
        yield full_name(node.view)
    elif kind == "create_function_stmt":
        yield names(node.funcname)
    elif kind == "create_policy_stmt":
        yield f"{full_name(node.table)}.{node.policy_name}"
    elif kind == "create_trig_stmt":
        yield f"{full_name(node.relation)}.{node.trigname}"


def changed_by(statement: Any) -> Iterator[str]:
    """What a statement grants, revokes, alters, drops, comments on, or adds an index, a policy or a trigger to."""
    kind = statement.WhichOneof("node")
    node = getattr(statement, kind)
    if kind == "grant_stmt":
        assert node.targtype == pb.ACL_TARGET_OBJECT, "ON ALL … IN SCHEMA"
        assert node.objtype in (pb.OBJECT_TABLE, pb.OBJECT_FUNCTION)
        for each in node.objects:
            is_table = node.objtype == pb.OBJECT_TABLE
            yield full_name(each.range_var) if is_table else names(each.object_with_args.objname)
    elif kind in ("alter_table_stmt", "index_stmt", "create_trig_stmt"):
        yield full_name(node.relation)
    elif kind == "create_policy_stmt":
        yield full_name(node.table)
    elif kind == "drop_stmt":
        for each in node.objects:
            yield names(each.list.items)
    elif kind == "comment_stmt":
        assert node.objtype in (pb.OBJECT_VIEW, pb.OBJECT_FUNCTION)
        is_view = node.objtype == pb.OBJECT_VIEW
        yield names(node.object.list.items if is_view else node.object.object_with_args.objname)


def full_name(relation: Any) -> str:
    return f"{relation.schemaname}.{relation.relname}"


def names(parts: Any) -> str:
    return ".".join(part.string.sval for part in parts)


# What DO blocks may run, by EXECUTE and by themselves. Whoever adds to these has looked at what it changes.
EXECUTED = {
    "a step": {
        *("query", "current_setting('enorae.query')", "relation.statement"),
        "format('GRANT USAGE ON SCHEMA %I TO %I', privilege.schema_name, privilege.role_name)",
        r"format('COMMENT ON SCHEMA audit IS %L', concat_ws(E'\n', comment_before, note))",
    },
    "rollback.sql": {
        *("query", "relation.statement", "format('SELECT count(*) FROM (%s LIMIT 100001) AS first_rows', query)"),
        "format('REVOKE USAGE ON SCHEMA %I FROM %I', names[1], names[2])",
        r"format('COMMENT ON SCHEMA audit IS %L', NULLIF(array_to_string(kept, E'\n'), ''))",
    },
    "verify.sql": set(),
}
WRITTEN = {
    "a step": {"InsertStmt storage.buckets"},
    "rollback.sql": {"DeleteStmt storage.buckets", "DeleteStmt storage.objects"},
    "verify.sql": set(),
}
# The texts that may be a command, or a part of one.
COMMANDS = {
    "a step": {
        *("ALTER VIEW %s OWNER TO %s", "LOCK TABLE %s IN %s MODE"),
        *("GRANT USAGE ON SCHEMA %I TO %I", "COMMENT ON SCHEMA audit IS %L"),
    },
    "rollback.sql": {
        *("ALTER VIEW %s OWNER TO %s", "LOCK TABLE %s IN %s MODE"),
        *("DROP VIEW %s", "DROP TABLE %s", "DROP FUNCTION %s", "DROP POLICY %I ON storage.objects"),
        *("COMMENT ON VIEW %s IS NULL", "COMMENT ON SCHEMA audit IS %L", "REVOKE USAGE ON SCHEMA %I FROM %I"),
        "CREATE TRIGGER %I ",  # removed from a definition
    },
    "verify.sql": {"CREATE TRIGGER %I "},
}
IS_A_COMMAND = re.compile(
    r"\s*(ALTER|CALL|CLUSTER|COMMENT ON|COPY|CREATE|DELETE|DO|DROP|GRANT|IMPORT|INSERT|LISTEN|LOAD|LOCK|MERGE|NOTIFY"
    r"|REASSIGN|REFRESH|REINDEX|RESET|REVOKE|SECURITY LABEL|SET|TRUNCATE|UPDATE|VACUUM)\s",
    re.IGNORECASE,
)
# The indexes that a step compares with its own.
IS_AN_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX idx_\w+ ON (\S+) USING ")


@pytest.mark.rolecall_pin
def test_a_do_block_runs_only_what_is_known(sql_file: Path) -> None:
    """No ALTER DATABASE, no job, no index of others: also where the database of the tests would refuse it."""
    kind = sql_file.name if sql_file.name in EXECUTED else "a step"
    tree = postgast.parse(sql_file.read_text(encoding="utf-8"))
    bodies = [body for raw in tree.stmts if raw.stmt.HasField("do_stmt") for body in do_bodies(raw.stmt.do_stmt)]
    assert bodies
    own = {name for raw in tree.stmts for name in created_by(raw.stmt)}
    for body in bodies:
        parsed = list(expressions(body))
        assert parsed
        for statement, text, expression in parsed:
            if "dyn" in statement:
                assert text in EXECUTED[kind]
            written = {
                f"{type(node).__name__} {full_name(node.relation)}"
                for node_type in (pb.InsertStmt, pb.UpdateStmt, pb.DeleteStmt, pb.MergeStmt)
                for node in postgast.find_nodes(expression, node_type)
            }
            assert written <= WRITTEN[kind]
            assert {raw.stmt.WhichOneof("node") for raw in expression.stmts} <= {
                *("select_stmt", "insert_stmt", "delete_stmt")
            }, text
            # With the empty search path of a script, a name without a schema is PostgreSQL's.
            called = {names(node.funcname) for node in postgast.find_nodes(expression, pb.FuncCall)}
            assert {name for name in called if "." in name and not name.startswith("pg_catalog.")} == set(), text
            for constant in postgast.find_nodes(expression, pb.A_Const):
                literal = constant.sval.sval
                if IS_A_COMMAND.match(literal) and literal not in COMMANDS[kind]:
                    index = IS_AN_INDEX.match(literal)
                    assert index, literal
                    assert index[2] in own, literal


def expressions(body: str) -> Iterator[tuple[str, str, Any]]:
    """Each statement and expression of a DO block: the kind of its node, its text, and its syntax tree.

    Also the values of its declarations."""
    function = f"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $rolecall${body}$rolecall$"

    def walk(tree: Any, kind: str) -> Iterator[tuple[str, str, Any]]:
        if isinstance(tree, list):
            for each in tree:
                yield from walk(each, kind)
        elif isinstance(tree, dict):
            for name, node in tree.items():
                if name == "PLpgSQL_expr":
                    text = node["query"]
                    is_statement = node.get("parseMode", 0) == 0
                    value = re.sub(r"^\w+(\.\w+|\[.*?\])* *:?= *", "", text) if node.get("parseMode") == 3 else text
                    yield kind, text, postgast.parse(value if is_statement else f"SELECT {value}")
                yield from walk(node, name if name.startswith("PLpgSQL_") else kind)

    yield from walk(postgast.parse_plpgsql(without_foreign_types(function)), "")


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


# What belongs to the whole database or server, with its settings. Other processes create databases meanwhile.
SHARED = {
    **dict.fromkeys(("pg_default_acl", "pg_extension", "pg_event_trigger", "pg_publication"), "true"),
    **dict.fromkeys(("pg_publication_rel", "pg_publication_namespace", "pg_statistic_ext"), "true"),
    **dict.fromkeys(("pg_foreign_server", "pg_auth_members"), "true"),
    "pg_db_role_setting": "setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))",
    "pg_database": "datname = current_database()",
}


def test_nothing_that_a_team_added_to_existing_tables_changes(bare: Scratch) -> None:
    """Indexes and other parts that only production has; and no privilege comes back that the team took away.

    The role of the migrations owns the database here, so that it may change its settings."""
    connection = bare.connection
    role = sql.Identifier(bare.role or "").as_string()
    database = sql.Identifier(connection.info.dbname).as_string()
    with connection.transaction(force_rollback=True):
        connection.execute(f"ALTER DATABASE {database} OWNER TO {role}".encode())
        existing = tables(connection)
        for table in existing:
            add_parts(connection, table)
        objects, shared = everything(connection)[0], shared_state(connection)
        assert sum(name.startswith("index ") and "ours_" in name for name in objects) > 2 * len(existing)
        bare.apply()
        after = everything(connection)[0]
        changed = {name for name, text in objects.items() if after.get(name) != text}
        # Phase 1 opens the schemas, and notes it in the comment of one.
        assert {name for name in changed if not name.startswith("schema ")} == set()
        assert shared_state(connection) == shared
        for number in (4, 3, 2, 1):
            bare.rollback(number)
        assert everything(connection)[0] == objects
        assert shared_state(connection) == shared


def add_parts(connection: Connection[Any], table: str) -> None:
    """Add an index for each column that can have one, and other parts; take all from the roles of the API."""
    name = sql.Identifier(*table.split(".")).as_string()
    columns = connection.execute(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [name]
    ).fetchall()
    for (column,) in columns:
        index = sql.Identifier(f"ours_{table}_{column}"[:63]).as_string()
        with suppress(psycopg.errors.UndefinedObject), connection.transaction():  # a type that has no order
            connection.execute(f"CREATE INDEX {index} ON {name} ({column})".encode())
    statements = f"""
        ALTER TABLE {name} ADD ours text CONSTRAINT ours CHECK (ours <> '');
        CREATE POLICY ours ON {name} FOR SELECT USING (ours = 'all');
        CREATE TRIGGER ours BEFORE UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
        COMMENT ON TABLE {name} IS 'Ours.';
        COMMENT ON COLUMN {name}.ours IS 'Ours.';
        REVOKE ALL ON {name} FROM PUBLIC, anon, authenticated, service_role;
    """
    connection.execute(statements.encode())


def shared_state(connection: Connection[Any]) -> set[tuple[str, str]]:
    query = " UNION ALL ".join(
        f"SELECT '{name}', to_jsonb(t) - '{{datfrozenxid,datminmxid}}'::text[] FROM {name} AS t WHERE {condition}"
        for name, condition in SHARED.items()
    )
    return {(name, str(row)) for name, row in connection.execute(query.encode())}


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
