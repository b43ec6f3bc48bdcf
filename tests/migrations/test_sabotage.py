"""verify.sql notices every change: each object of the migrations is broken in many ways, one at a time.

Also a change of a letter's case alone, and one at the very end of a long definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import postgast
import psycopg
import pytest
from psycopg import sql

from rolecall.catalog.manifest import Manifest
from rolecall.database.scratch import Scratch
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import read

ast = postgast.pg_query_pb2
Node = Any  # a node of the syntax tree: the stubs with the types do not parse

SCHEMAS = ("identity", "organization", "catalog", "scheduling", "communication", "engagement", "audit")
OWNERS = ("anon", "authenticated", "service_role", "authenticator")
API_ROLES = ("PUBLIC", "anon", "authenticated", "service_role")
EMPTY_BUCKET = "SELECT set_config('storage.allow_delete_query', 'true', true); DELETE FROM storage.objects"


class Sabotage(NamedTuple):
    """One break. ``kind``, ``owner`` and ``name`` are the catalog's (see rolecall.catalog.Object); ``how`` says
    what ``sql`` does to it."""

    kind: str
    owner: str
    name: str
    how: str
    sql: str

    def __str__(self) -> str:
        name = f"{self.owner}.{self.name}" if self.kind in ("column", "not null", "usage") else self.name
        return f"{self.kind} {name} {self.how}"

    def is_named_in(self, line: str) -> bool:
        """Whether a line of an error names the object, and the table that it belongs to."""
        if self.kind == "usage":
            return line.startswith(f"- schema {self.owner}: ")
        if "." in self.owner:
            return line.startswith(f"- {self.owner}: ") and self.name in line
        separator = " " if self.owner == "bucket" else "."
        return line.startswith(f"- {self.owner}{separator}{self.name}: ")


# ------------------------------------------------------------------ what a statement creates, and how to break it


def sabotages(text: str) -> Iterator[Sabotage]:
    """Every way to break what the statements of an SQL file create."""
    for raw in postgast.parse(text).stmts:
        kind = raw.stmt.WhichOneof("node") or ""
        if kind in BREAKERS:
            for what, owner, name, ways in BREAKERS[kind](getattr(raw.stmt, kind)):
                yield from (Sabotage(what, owner, name, how, statement) for how, statement in ways.items())


Breaks = Iterator[tuple[str, str, str, dict[str, str]]]


def of_table(node: Node) -> Breaks:
    table = full_name(node.relation)
    ways = {
        "dropped": f"DROP TABLE {table} CASCADE",
        "without row level security": f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        "with row level security for its owner": f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        "with a column granted to anon": f"GRANT UPDATE (id) ON {table} TO anon",
        "with a right to grant": f"GRANT SELECT ON {table} TO authenticated WITH GRANT OPTION",
        "not logged": f"ALTER TABLE {table} SET UNLOGGED",
        "inheriting": f"CREATE TABLE public.stray (id uuid); ALTER TABLE {table} INHERIT public.stray",
        "inherited": f"CREATE TABLE public.stray () INHERITS ({table})",
    }
    ways |= owned(f"TABLE {table}")
    ways |= {f"granted to {role}": f"GRANT ALL ON {table} TO {role}" for role in API_ROLES}
    yield "table", node.relation.schemaname, node.relation.relname, ways
    additions = {
        "column": f"ALTER TABLE {table} ADD COLUMN stray text",
        "policy": f"CREATE POLICY stray ON {table} FOR SELECT TO authenticated USING (true)",
        "constraint": f"ALTER TABLE {table} ADD CONSTRAINT stray CHECK (id IS NOT NULL)",
        "exclusion": f"ALTER TABLE {table} ADD CONSTRAINT stray EXCLUDE USING btree (id WITH =)",
        "unique": f"CREATE UNIQUE INDEX stray ON {table} (id)",
        "trigger": f"CREATE TRIGGER stray BEFORE UPDATE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "rule": f"CREATE RULE stray AS ON UPDATE TO {table} DO INSTEAD NOTHING",
    }
    for kind, statement in additions.items():
        yield "further " + kind, table, "stray", {"added to " + table: statement}
    for element in node.table_elts:
        if element.HasField("column_def"):
            yield from of_column(table, element.column_def)
        else:
            yield of_constraint(table, element.constraint, "")


def of_column(table: str, node: Node) -> Breaks:
    name = node.colname
    constraints = {each.constraint.contype: each.constraint for each in node.constraints}
    # Without ALTER: it would rewrite the table, and fails if a view reads the column.
    attribute = f"WHERE attrelid = '{table}'::regclass AND attname = '{name}'"
    ways = {
        "of another type": f"UPDATE pg_attribute SET atttypid = 'money'::regtype, atttypmod = -1 {attribute}",
        "in capitals": f'ALTER TABLE {table} RENAME {name} TO "{name.upper()}"',
    }
    if ast.CONSTR_DEFAULT in constraints:
        ways["without its default"] = f"ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT"
    if constraints.keys() & {ast.CONSTR_PRIMARY, ast.CONSTR_NOTNULL}:
        yield "not null", table, name, {"removed": f"UPDATE pg_attribute SET attnotnull = false {attribute}"}
    yield "column", table, name, ways
    for constraint in constraints.values():
        if constraint.contype in SUFFIXES:
            yield of_constraint(table, constraint, name)


# How PostgreSQL names a constraint without a name.
SUFFIXES = {ast.CONSTR_PRIMARY: "pkey", ast.CONSTR_FOREIGN: "{column}_fkey", ast.CONSTR_CHECK: "{column}_check"}


def of_constraint(table: str, node: Node, column: str) -> tuple[str, str, str, dict[str, str]]:
    name = node.conname or f"{table.split('.')[1]}_{SUFFIXES[node.contype].format(column=column)}"
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    ways = {"dropped": drop, "in capitals": f'ALTER TABLE {table} RENAME CONSTRAINT {name} TO "{name.upper()}"'}
    if node.contype == ast.CONSTR_CHECK:
        ways["loosened"] = f"{drop}, ADD CONSTRAINT {name} CHECK (true)"
        expression = f"SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = '{name}'"
        ways["with a condition at its end"] = filled(
            f"{drop}, ADD CONSTRAINT {name} CHECK (%s AND true)", f"{expression} AND conrelid = '{table}'::regclass"
        )
    if node.contype == ast.CONSTR_FOREIGN:
        other = f"{full_name(node.pktable)} ({node.pk_attrs[0].string.sval})"
        ways["without its ON DELETE"] = f"{drop}, ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {other}"
    return "constraint", table, name, ways


def of_index(node: Node) -> Breaks:
    table, index = full_name(node.relation), f"{node.relation.schemaname}.{node.idxname}"
    unique = "UNIQUE " if node.unique else ""
    other = ast.IndexStmt()
    other.CopyFrom(node)
    other.ClearField("where_clause")
    other.if_not_exists = False
    ways = {
        "dropped": f"DROP INDEX {index}",
        "on another column": f"DROP INDEX {index}; CREATE {unique}INDEX {node.idxname} ON {table} (id)",
        "in capitals": f'ALTER INDEX {index} RENAME TO "{node.idxname.upper()}"',
    }
    if node.unique:
        ways["invalid"] = f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass"
        ways["no longer unique"] = f"UPDATE pg_index SET indisunique = false WHERE indexrelid = '{index}'::regclass"
    if node.HasField("where_clause"):
        ways["without its WHERE"] = f"TRUNCATE {table}; DROP INDEX {index}; {deparse(index_stmt=other)}"
    yield "unique" if node.unique else "index", table, node.idxname, ways


def of_policy(node: Node) -> Breaks:
    table, name = full_name(node.table), f'"{node.policy_name}"'
    this = f"WHERE polrelid = '{table}'::regclass AND polname = '{node.policy_name}'"
    ways = {
        "dropped": f"DROP POLICY {name} ON {table}",
        "for PUBLIC": f"ALTER POLICY {name} ON {table} TO PUBLIC",
        # No ALTER POLICY does this.
        "restrictive or permissive instead": f"UPDATE pg_policy SET polpermissive = NOT polpermissive {this}",
    }
    ways["in small letters"] = f'ALTER POLICY {name} ON {table} RENAME TO "{node.policy_name.lower()}"'
    for clause, field, column in (("USING", "qual", "polqual"), ("WITH CHECK", "with_check", "polwithcheck")):
        if node.HasField(field):
            ways[f"with {clause} (true)"] = f"ALTER POLICY {name} ON {table} {clause} (true)"
            ways[f"with a condition at the end of {clause}"] = filled(
                f"ALTER POLICY {name} ON {table} {clause} (%s AND true)",
                f"SELECT pg_get_expr({column}, polrelid) FROM pg_policy {this}",
            )
    yield "policy", table, node.policy_name, ways


def of_trigger(node: Node) -> Breaks:
    table, drop = full_name(node.relation), f"DROP TRIGGER {node.trigname} ON {full_name(node.relation)}"
    always = ast.CreateTrigStmt()
    always.CopyFrom(node)
    always.ClearField("when_clause")
    ways = {
        "dropped": drop,
        "disabled": f"ALTER TABLE {table} DISABLE TRIGGER {node.trigname}",
        "enabled for a replica only": f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {node.trigname}",
        "enabled for a replica too": f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {node.trigname}",
        "without its WHEN": f"{drop}; {deparse(create_trig_stmt=always)}",
        "in capitals": f'ALTER TRIGGER {node.trigname} ON {table} RENAME TO "{node.trigname.upper()}"',
        "with an argument at its end": filled(
            f"{drop}; %s)",
            f"SELECT left(pg_get_triggerdef(oid), -1) || 1 FROM pg_trigger WHERE tgname = '{node.trigname}'",
        ),
    }
    yield "trigger", table, node.trigname, ways


def of_function(node: Node) -> Breaks:
    schema, name = (part.string.sval for part in node.funcname)
    row = f"WHERE oid = '{schema}.{name}'::regproc"
    function = f"FUNCTION {schema}.{name}"
    is_trigger = node.return_type.names[-1].string.sval == "trigger"
    ways = {
        "dropped": f"DROP {function} CASCADE",
        "without its search_path": f"ALTER {function} RESET search_path",
        "with another search_path": f"ALTER {function} SET search_path = public",
        "with the other SECURITY": f"UPDATE pg_proc SET prosecdef = NOT prosecdef {row}",
        "with another volatility": f"ALTER {function} IMMUTABLE",
        "not called on NULL": f"ALTER {function} STRICT",
        "leakproof": f"ALTER {function} LEAKPROOF",
        "restricted in parallel": f"ALTER {function} PARALLEL RESTRICTED",
        "safe in parallel": f"ALTER {function} PARALLEL SAFE",
        "with another body": f"UPDATE pg_proc SET prosrc = prosrc || ' ' {row}",
        "with a body in capitals": f"UPDATE pg_proc SET prosrc = upper(prosrc) {row}",
        "with the grants of a new function": f"UPDATE pg_proc SET proacl = NULL {row}",
        "with an overload": f"CREATE {function}(stray boolean) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    }
    if not is_trigger:
        ways["with another name for a parameter"] = f"UPDATE pg_proc SET proargnames[1] = 'stray' {row}"
    runners = ("PUBLIC", "anon", "authenticated", "service_role") if is_trigger else ("PUBLIC", "anon")
    ways |= {f"granted to {role}": f"GRANT EXECUTE ON {function} TO {role}" for role in runners}
    ways |= owned(function)
    yield "trigger function" if is_trigger else "function", schema, name, ways


def of_view(node: Node) -> Breaks:
    view = full_name(node.view)
    first = node.query.select_stmt.target_list[0].res_target
    column = first.name or first.val.column_ref.fields[-1].string.sval
    replace = f"CREATE OR REPLACE VIEW {view} WITH (security_invoker = true) AS"
    ways = {
        "dropped": f"DROP VIEW {view} CASCADE",
        "as its owner": f"ALTER VIEW {view} SET (security_invoker = false)",
        "with a column of another name": f"ALTER VIEW {view} RENAME COLUMN {column} TO stray",
        "with another column": redefine(f"{replace} SELECT *, 1 AS stray FROM (%s) AS v", view),
        "with another condition": redefine(f"{replace} SELECT * FROM (%s) AS v WHERE {column} IS NOT NULL", view),
        "granted to anon": f"GRANT SELECT ON {view} TO anon",
        "granted to authenticated for writing": f"GRANT UPDATE ON {view} TO authenticated",
        "with a column granted to anon": f"GRANT SELECT ({column}) ON {view} TO anon",
    }
    ways |= owned(f"VIEW {view}")
    ways["with a column in capitals"] = f'ALTER VIEW {view} RENAME COLUMN {column} TO "{column.upper()}"'
    ways["with an OFFSET at its end"] = redefine(f"{replace} %s OFFSET 1", view)
    if literal := re.search(r"'([a-z]\w*)'", deparse(select_stmt=node.query.select_stmt)):
        capitals = f"replace(pg_get_viewdef(%s), $q${literal[0]}$q$, $q${literal[0].upper()}$q$)"
        ways["with a text in capitals"] = redefine(f"{replace} %s", view, capitals)
    if node.query.select_stmt.HasField("where_clause"):
        ways["without its WHERE"] = redefine(f"{replace} %s", view, "split_part(pg_get_viewdef(%s), 'WHERE', 1)")
    yield "view", node.view.schemaname, node.view.relname, ways


def of_comment(node: Node) -> Breaks:
    if node.object.HasField("object_with_args"):
        parts = [part.string.sval for part in node.object.object_with_args.objname]
    else:
        parts = [item.string.sval for item in node.object.list.items]
    ways = {}
    texts = {
        "removed": "",
        "changed": "Something else.",
        "in capitals": node.comment.upper(),
        "with another end": node.comment[:-1] + "!",
    }
    for how, text in texts.items():
        node.comment = text
        ways[how] = deparse(comment_stmt=node)
    yield "comment", parts[0], parts[1], ways


def of_grant(node: Node) -> Breaks:
    """Each granted privilege, revoked from each role that has it."""
    if not node.is_grant:
        return
    for target in node.objects:
        is_function = target.HasField("object_with_args")
        named = [part.string.sval for part in target.object_with_args.objname]
        schema, name = named if is_function else (target.range_var.schemaname, target.range_var.relname)
        kind = "FUNCTION " if is_function else ""
        ways = {
            f"{privilege.access_priv.priv_name.upper()} revoked from {role.role_spec.rolename}": (
                f"REVOKE {privilege.access_priv.priv_name} ON {kind}{schema}.{name} FROM {role.role_spec.rolename}"
            )
            for privilege in node.privileges
            for role in node.grantees
        }
        yield "grant", schema, name, ways


BREAKERS: dict[str, Callable[[Any], Breaks]] = {
    "create_stmt": of_table,
    "index_stmt": of_index,
    "create_policy_stmt": of_policy,
    "create_trig_stmt": of_trigger,
    "create_function_stmt": of_function,
    "view_stmt": of_view,
    "comment_stmt": of_comment,
    "grant_stmt": of_grant,
}


def owned(what: str) -> dict[str, str]:
    """An object of each role that a request can have, and of one whose rights such a role has."""
    ways = {f"owned by {role}": f"ALTER {what} OWNER TO {role}" for role in OWNERS}
    ways["owned by a role of anon"] = f"CREATE ROLE stray; GRANT stray TO anon; ALTER {what} OWNER TO stray"
    return ways


def full_name(relation: Node) -> str:
    return f"{relation.schemaname}.{relation.relname}"


def deparse(**statement: Any) -> str:
    """The SQL of a syntax tree."""
    return str(postgast.deparse(ast.ParseResult(stmts=[ast.RawStmt(stmt=ast.Node(**statement))])))


def filled(statement: str, query: str) -> str:
    """SQL that inserts the result of a query into a statement, and runs it."""
    return f"DO $do$ BEGIN EXECUTE format($new${statement}$new$, ({query})); END $do$"


def redefine(statement: str, view: str, definition: str = "rtrim(pg_get_viewdef(%s), ';')") -> str:
    """SQL that inserts the current definition of a view into a statement, and runs it."""
    current = definition.replace("%s", f"'{view}'::regclass")
    return f"DO $do$ BEGIN EXECUTE format($new${statement}$new$, {current}); END $do$"


# Objects without a statement of their own.
BY_HAND = [
    *(
        Sabotage("usage", schema, role, "removed", f"REVOKE USAGE ON SCHEMA {schema} FROM {role}")
        for schema in SCHEMAS
        for role in ("authenticated", "service_role")
    ),
    *(
        Sabotage("usage", schema, role, "may create", f"GRANT CREATE ON SCHEMA {schema} TO {role}")
        for schema in SCHEMAS
        for role in ("PUBLIC", "anon", "authenticated")
    ),
    Sabotage("bucket", "bucket", "avatars", "public", "UPDATE storage.buckets SET public = true WHERE id = 'avatars'"),
    *(
        Sabotage("bucket", "bucket", "avatars", how, f"UPDATE storage.buckets SET {change} WHERE id = 'avatars'")
        for how, change in {
            "with another name": "name = 'pictures'",
            "with a capital in its name": "name = 'Avatars'",
            "for larger files": "file_size_limit = file_size_limit + 1",
            "for files of any size": "file_size_limit = NULL",
        }.items()
    ),
    Sabotage("bucket", "bucket", "avatars", "removed", f"{EMPTY_BUCKET}; DELETE FROM storage.buckets"),
    Sabotage(
        "table",
        "storage",
        "objects",
        "without row level security",
        "ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY",
    ),
]


# ------------------------------------------------------------------ the tests


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each sabotage of each phase, read from the steps of the migrations under test."""
    if "sabotage" in metafunc.fixturenames:
        sabotages = every_sabotage(metafunc.config)
        ids = [f"phase {number}: {sabotage}" for number, sabotage in sabotages]
        metafunc.parametrize(("number", "sabotage"), sabotages, ids=ids)


def every_sabotage(config: pytest.Config) -> list[tuple[int, Sabotage]]:
    folder = read_settings(config).migrations
    assert folder
    return [(1, sabotage) for sabotage in BY_HAND] + [
        (phase.number, sabotage)
        for phase in read(folder)
        for step in phase.steps
        for sabotage in sabotages(step.path.read_text(encoding="utf-8"))
    ]


def test_verify_names_the_broken_object(migrated: Scratch, number: int, sabotage: Sabotage) -> None:
    lines = verify_message(migrated, number, sabotage.sql).splitlines()
    assert lines[:1] == [f"phase {number} differs from what its steps create:"]
    assert [line for line in lines if sabotage.is_named_in(line)], lines


def verify_message(scratch: Scratch, number: int, first: str) -> str:
    """Run ``first``, then a phase's verify.sql as the migration role; returns its message, "" if it passes.

    Both run in one transaction, which is rolled back."""
    assert scratch.role
    become = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(scratch.role)).as_string()
    verify = scratch.phases[number].verify.path.read_text(encoding="utf-8")
    try:
        with scratch.connection.transaction(force_rollback=True):
            scratch.connection.execute(f"{first}; {become}; {verify}".encode())
    except psycopg.errors.RaiseException as error:
        return error.diag.message_primary or ""
    return ""


@pytest.mark.parametrize("number", [1, 2, 3, 4], ids="phase {}".format)
def test_verify_passes_without_sabotage(migrated: Scratch, number: int) -> None:
    assert verify_message(migrated, number, "SELECT") == ""


def test_every_object_has_a_sabotage(manifest: Manifest, pytestconfig: pytest.Config) -> None:
    objects = {(each.kind, each.owner, each.name) for each in manifest.added}
    targets = {(each.kind, each.owner, each.name) for _, each in every_sabotage(pytestconfig)}
    assert objects - targets == set()
