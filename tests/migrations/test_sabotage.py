"""verify.sql notices: everything that the migrations make is broken in every way, one at a time."""

from __future__ import annotations

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
Node = Any  # a node of its tree: the stubs that would tell which do not parse

SCHEMAS = ("identity", "organization", "catalog", "scheduling", "communication", "engagement", "audit")
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


# ------------------------------------------------------------------ what a statement makes, and how to break it


def sabotages(text: str) -> Iterator[Sabotage]:
    """Every way to break what the statements of an SQL file make."""
    for raw in postgast.parse(text).stmts:
        kind = raw.stmt.WhichOneof("node") or ""
        if kind in BREAKERS:
            for what, owner, name, ways in BREAKERS[kind](getattr(raw.stmt, kind)):
                yield from (Sabotage(what, owner, name, how, statement) for how, statement in ways.items())


Breaks = Iterator[tuple[str, str, str, dict[str, str]]]


def of_table(made: Node) -> Breaks:
    table = full_name(made.relation)
    ways = {
        "dropped": f"DROP TABLE {table} CASCADE",
        "without row level security": f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        "with row level security for its owner": f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        "with a column granted to anon": f"GRANT UPDATE (id) ON {table} TO anon",
        "with a right to grant": f"GRANT SELECT ON {table} TO authenticated WITH GRANT OPTION",
    }
    ways |= {f"granted to {role}": f"GRANT ALL ON {table} TO {role}" for role in API_ROLES}
    yield "table", made.relation.schemaname, made.relation.relname, ways
    additions = {
        "column": f"ALTER TABLE {table} ADD COLUMN stray text",
        "policy": f"CREATE POLICY stray ON {table} FOR SELECT TO authenticated USING (true)",
        "constraint": f"ALTER TABLE {table} ADD CONSTRAINT stray CHECK (id IS NOT NULL)",
        "unique": f"CREATE UNIQUE INDEX stray ON {table} (id)",
        "trigger": f"CREATE TRIGGER stray BEFORE UPDATE ON {table} FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    }
    for kind, statement in additions.items():
        yield "further " + kind, table, "stray", {"added to " + table: statement}
    for element in made.table_elts:
        if element.HasField("column_def"):
            yield from of_column(table, element.column_def)
        else:
            yield of_constraint(table, element.constraint, "")


def of_column(table: str, made: Node) -> Breaks:
    name = made.colname
    constraints = {each.constraint.contype: each.constraint for each in made.constraints}
    # Without ALTER: that would rewrite the table, and where a view reads the column it cannot.
    attribute = f"WHERE attrelid = '{table}'::regclass AND attname = '{name}'"
    ways = {
        "of another type": f"UPDATE pg_attribute SET atttypid = 'money'::regtype, atttypmod = -1 {attribute}",
    }
    if ast.CONSTR_DEFAULT in constraints:
        ways["without its default"] = f"ALTER TABLE {table} ALTER COLUMN {name} DROP DEFAULT"
    if constraints.keys() & {ast.CONSTR_PRIMARY, ast.CONSTR_NOTNULL}:
        yield "not null", table, name, {"taken away": f"UPDATE pg_attribute SET attnotnull = false {attribute}"}
    yield "column", table, name, ways
    for constraint in constraints.values():
        if constraint.contype in SUFFIXES:
            yield of_constraint(table, constraint, name)


# How PostgreSQL names a constraint that has no name, and what is left of one that is loosened.
SUFFIXES = {ast.CONSTR_PRIMARY: "pkey", ast.CONSTR_FOREIGN: "{column}_fkey", ast.CONSTR_CHECK: "{column}_check"}


def of_constraint(table: str, made: Node, column: str) -> tuple[str, str, str, dict[str, str]]:
    name = made.conname or f"{table.split('.')[1]}_{SUFFIXES[made.contype].format(column=column)}"
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    ways = {"dropped": drop}
    if made.contype == ast.CONSTR_CHECK:
        ways["loosened"] = f"{drop}, ADD CONSTRAINT {name} CHECK (true)"
    if made.contype == ast.CONSTR_FOREIGN:
        other = f"{full_name(made.pktable)} ({made.pk_attrs[0].string.sval})"
        ways["without its ON DELETE"] = f"{drop}, ADD CONSTRAINT {name} FOREIGN KEY ({column}) REFERENCES {other}"
    return "constraint", table, name, ways


def of_index(made: Node) -> Breaks:
    table, index = full_name(made.relation), f"{made.relation.schemaname}.{made.idxname}"
    unique = "UNIQUE " if made.unique else ""
    other = ast.IndexStmt()
    other.CopyFrom(made)
    other.ClearField("where_clause")
    other.if_not_exists = False
    ways = {
        "dropped": f"DROP INDEX {index}",
        "on another column": f"DROP INDEX {index}; CREATE {unique}INDEX {made.idxname} ON {table} (id)",
    }
    if made.unique:
        ways["made invalid"] = f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass"
        ways["no longer unique"] = f"UPDATE pg_index SET indisunique = false WHERE indexrelid = '{index}'::regclass"
    if made.HasField("where_clause"):
        ways["without its WHERE"] = f"TRUNCATE {table}; DROP INDEX {index}; {written(index_stmt=other)}"
    yield "unique" if made.unique else "index", table, made.idxname, ways


def of_policy(made: Node) -> Breaks:
    table, name = full_name(made.table), f'"{made.policy_name}"'
    this = f"WHERE polrelid = '{table}'::regclass AND polname = '{made.policy_name}'"
    ways = {
        "dropped": f"DROP POLICY {name} ON {table}",
        "for everybody": f"ALTER POLICY {name} ON {table} TO PUBLIC",
        # No ALTER POLICY does this.
        "turned around": f"UPDATE pg_policy SET polpermissive = NOT polpermissive {this}",
    }
    if made.HasField("qual"):
        ways["with USING (true)"] = f"ALTER POLICY {name} ON {table} USING (true)"
    if made.HasField("with_check"):
        ways["with WITH CHECK (true)"] = f"ALTER POLICY {name} ON {table} WITH CHECK (true)"
    yield "policy", table, made.policy_name, ways


def of_trigger(made: Node) -> Breaks:
    table, drop = full_name(made.relation), f"DROP TRIGGER {made.trigname} ON {full_name(made.relation)}"
    always = ast.CreateTrigStmt()
    always.CopyFrom(made)
    always.ClearField("when_clause")
    ways = {
        "dropped": drop,
        "disabled": f"ALTER TABLE {table} DISABLE TRIGGER {made.trigname}",
        "without its WHEN": f"{drop}; {written(create_trig_stmt=always)}",
    }
    yield "trigger", table, made.trigname, ways


def of_function(made: Node) -> Breaks:
    schema, name = (part.string.sval for part in made.funcname)
    row = f"WHERE oid = '{schema}.{name}'::regproc"
    function = f"FUNCTION {schema}.{name}"
    is_trigger = made.return_type.names[-1].string.sval == "trigger"
    ways = {
        "dropped": f"DROP {function} CASCADE",
        "without its search_path": f"ALTER {function} RESET search_path",
        "with another search_path": f"ALTER {function} SET search_path = public",
        "with the other SECURITY": f"UPDATE pg_proc SET prosecdef = NOT prosecdef {row}",
        "with another volatility": f"ALTER {function} IMMUTABLE",
        "not called on NULL": f"ALTER {function} STRICT",
        "with another body": f"UPDATE pg_proc SET prosrc = prosrc || ' ' {row}",
        "with the grants of a new function": f"UPDATE pg_proc SET proacl = NULL {row}",
        "beside another of its name": f"CREATE {function}(stray boolean) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    }
    if not is_trigger:
        ways["with another name for a parameter"] = f"UPDATE pg_proc SET proargnames[1] = 'stray' {row}"
    runners = ("PUBLIC", "anon", "authenticated", "service_role") if is_trigger else ("PUBLIC", "anon")
    ways |= {f"granted to {role}": f"GRANT EXECUTE ON {function} TO {role}" for role in runners}
    yield "trigger function" if is_trigger else "function", schema, name, ways


def of_view(made: Node) -> Breaks:
    view = full_name(made.view)
    first = made.query.select_stmt.target_list[0].res_target
    column = first.name or first.val.column_ref.fields[-1].string.sval
    replace = f"CREATE OR REPLACE VIEW {view} WITH (security_invoker = true) AS"
    ways = {
        "dropped": f"DROP VIEW {view} CASCADE",
        "as its owner": f"ALTER VIEW {view} SET (security_invoker = false)",
        "with a column of another name": f"ALTER VIEW {view} RENAME COLUMN {column} TO stray",
        "with a column more": redefined(f"{replace} SELECT *, 1 AS stray FROM (%s) AS v", view),
        "with a condition more": redefined(f"{replace} SELECT * FROM (%s) AS v WHERE {column} IS NOT NULL", view),
        "granted to anon": f"GRANT SELECT ON {view} TO anon",
        "granted to authenticated for writing": f"GRANT UPDATE ON {view} TO authenticated",
        "with a column granted to anon": f"GRANT SELECT ({column}) ON {view} TO anon",
    }
    if made.query.select_stmt.HasField("where_clause"):
        ways["without its WHERE"] = redefined(f"{replace} %s", view, "split_part(pg_get_viewdef(%s), 'WHERE', 1)")
    yield "view", made.view.schemaname, made.view.relname, ways


def of_comment(made: Node) -> Breaks:
    if made.object.HasField("object_with_args"):
        parts = [part.string.sval for part in made.object.object_with_args.objname]
    else:
        parts = [item.string.sval for item in made.object.list.items]
    ways = {}
    for how, text in (("removed", ""), ("changed", "Something else.")):
        made.comment = text
        ways[how] = written(comment_stmt=made)
    yield "comment", parts[0], parts[1], ways


def of_grant(made: Node) -> Breaks:
    """Each privilege that is granted, taken back from each who has it."""
    if not made.is_grant:
        return
    (node,) = made.objects
    parts = [part.string.sval for part in node.object_with_args.objname] or [
        node.range_var.schemaname,
        node.range_var.relname,
    ]
    kind = "FUNCTION " if node.HasField("object_with_args") else ""
    ways = {
        f"{privilege.access_priv.priv_name.upper()} revoked from {role.role_spec.rolename}": (
            f"REVOKE {privilege.access_priv.priv_name} ON {kind}{'.'.join(parts)} FROM {role.role_spec.rolename}"
        )
        for privilege in made.privileges
        for role in made.grantees
    }
    yield "grant", parts[0], parts[1], ways


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


def full_name(relation: Node) -> str:
    return f"{relation.schemaname}.{relation.relname}"


def written(**statement: Any) -> str:
    """A statement's tree as SQL again."""
    return str(postgast.deparse(ast.ParseResult(stmts=[ast.RawStmt(stmt=ast.Node(**statement))])))


def redefined(statement: str, view: str, definition: str = "rtrim(pg_get_viewdef(%s), ';')") -> str:
    """SQL that fills a view's definition, as it stands, into a statement."""
    found = definition.replace("%s", f"'{view}'::regclass")
    return f"DO $do$ BEGIN EXECUTE format($new${statement}$new$, {found}); END $do$"


# What no statement of its own makes.
BY_HAND = [
    *(
        Sabotage("usage", schema, role, "taken away", f"REVOKE USAGE ON SCHEMA {schema} FROM {role}")
        for schema in SCHEMAS
        for role in ("authenticated", "service_role")
    ),
    Sabotage(
        "bucket", "bucket", "avatars", "made public", "UPDATE storage.buckets SET public = true WHERE id = 'avatars'"
    ),
    *(
        Sabotage("bucket", "bucket", "avatars", how, f"UPDATE storage.buckets SET {change} WHERE id = 'avatars'")
        for how, change in {
            "without a name of its own": "name = 'pictures'",
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
    """One test a sabotage of each phase, read from the steps of the migrations that are being tested."""
    if "sabotage" in metafunc.fixturenames:
        found = every_sabotage(metafunc.config)
        ids = [f"phase {number}: {sabotage}" for number, sabotage in found]
        metafunc.parametrize(("number", "sabotage"), found, ids=ids)


def every_sabotage(config: pytest.Config) -> list[tuple[int, Sabotage]]:
    folder = read_settings(config).migrations
    assert folder
    return [(1, sabotage) for sabotage in BY_HAND] + [
        (phase.number, sabotage)
        for phase in read(folder)
        for step in phase.steps
        for sabotage in sabotages(step.path.read_text(encoding="utf-8"))
    ]


def test_verify_names_it(migrated: Scratch, number: int, sabotage: Sabotage) -> None:
    said = complaint(migrated, number, sabotage.sql).splitlines()
    assert said[:1] == [f"phase {number} is not as it should be:"]
    assert [line for line in said if sabotage.is_named_in(line)], said


def complaint(scratch: Scratch, number: int, first: str) -> str:
    """What a phase's verify.sql says to the migration role after ``first``, all in one go, which is undone."""
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
def test_without_sabotage_there_is_no_complaint(migrated: Scratch, number: int) -> None:
    assert complaint(migrated, number, "SELECT") == ""


def test_nothing_that_the_migrations_made_is_spared(manifest: Manifest, pytestconfig: pytest.Config) -> None:
    made = {(each.kind, each.owner, each.name) for each in manifest.added}
    broken = {(each.kind, each.owner, each.name) for _, each in every_sabotage(pytestconfig)}
    assert made - broken == set()
