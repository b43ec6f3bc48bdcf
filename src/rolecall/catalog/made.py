"""Follow SQL files in the order in which they run, and note the statement that makes each object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import postgast
from google.protobuf.message import DecodeError
from postgast import pg_query_pb2 as pb

from rolecall.catalog import plpgsql
from rolecall.catalog.granted import PUBLIC, ROUTINES, Privileges
from rolecall.catalog.signatures import signature, types
from rolecall.catalog.spans import Source, Span
from rolecall.sql.script import parse
from rolecall.sql.tree import dotted, walk

BUCKETS = "storage.buckets"
RELATIONS = (pb.OBJECT_TABLE, pb.OBJECT_VIEW, pb.OBJECT_MATVIEW, pb.OBJECT_FOREIGN_TABLE)
OF_A_TABLE = {pb.OBJECT_POLICY: "policy", pb.OBJECT_TRIGGER: "trigger", pb.OBJECT_RULE: "rule"}
PARTS_OF_A_TABLE = OF_A_TABLE | {pb.OBJECT_TABCONSTRAINT: "constraint", pb.OBJECT_COLUMN: "column"}
SECURITY = (pb.AT_EnableRowSecurity, pb.AT_DisableRowSecurity)
# What PostgreSQL appends to the name of a table and its columns, if a constraint has no name.
SUFFIXES = {pb.CONSTR_PRIMARY: "pkey", pb.CONSTR_UNIQUE: "key", pb.CONSTR_FOREIGN: "fkey", pb.CONSTR_CHECK: "check"}


class Key(NamedTuple):
    """What identifies an object. ``kind`` is relation for tables and views, which share their names.

    ``owner`` is the qualified table of a part of a table, and the qualified name of a function, whose ``name`` is its
    signature.
    """

    kind: str
    owner: str
    name: str


class Made:
    """The statements that made what exists after all files: ``spans`` by object, and ``privileges``.

    A statement that the parser cannot read makes nothing here.
    """

    def __init__(self) -> None:
        self.spans: dict[Key, Span] = {}
        self.privileges = Privileges()
        self._path = [PUBLIC]  # the search_path; pg_dump empties it, and writes each name with its schema

    def read(self, source: Source) -> None:
        """Follow the statements of a file, which has a session of its own."""
        self._path = [PUBLIC]
        for statement in parse(source.text).statements:
            self._statement(source, statement.start, statement.text)

    def _statement(self, source: Source, start: int, text: str) -> None:
        try:
            statement = postgast.parse(text).stmts[0].stmt
        except (postgast.PgQueryError, DecodeError, IndexError):
            return
        self._node(statement, Span(source, start, start + len(text), text))

    def _node(self, statement: Any, span: Span) -> None:
        kind = str(statement.WhichOneof("node"))
        handler = getattr(self, f"_{kind}", None)
        if handler:
            handler(getattr(statement, kind), span)

    # -- names

    def _new(self, relation: Any) -> str:
        """The qualified name of what a statement creates."""
        return f"{relation.schemaname or self._path[0]}.{relation.relname}"

    def _existing(self, relation: Any) -> str:
        """The qualified name of a table or view that exists: without a schema, the first in the search path."""
        return self._found(relation.schemaname, relation.relname)

    def _found(self, schema: str, name: str) -> str:
        schemas = [schema] if schema else [*self._path, PUBLIC]
        names = [f"{each}.{name}" for each in schemas]
        return next((each for each in names if Key("relation", "", each) in self.spans), names[0])

    def _routine(self, parts: Any) -> str:
        """The qualified name of a function."""
        name = dotted(parts)
        return name if "." in name else f"{self._path[0]}.{name}"

    def _set(self, key: Key, span: Span) -> None:
        self.spans.pop(key, None)  # the last of the functions of one name is the last that a statement makes
        self.spans[key] = span

    # -- what makes something

    def _create_schema_stmt(self, node: Any, span: Span) -> None:
        self._set(Key("schema", "", node.schemaname), span)
        with self._search_path([node.schemaname]):
            for element in node.schema_elts:
                self._node(element, span)

    @contextmanager
    def _search_path(self, schemas: list[str]) -> Iterator[None]:
        before, self._path = self._path, schemas
        yield
        self._path = before

    def _create_stmt(self, node: Any, span: Span) -> None:
        table = self._new(node.relation)
        if node.if_not_exists and Key("relation", "", table) in self.spans:
            return
        self._relation(table, span)
        for element in node.table_elts:
            if element.HasField("column_def"):
                self._column(table, element.column_def, span)
            elif element.HasField("constraint"):
                self._constraint(table, element.constraint, span)

    def _create_foreign_table_stmt(self, node: Any, span: Span) -> None:
        self._create_stmt(node.base_stmt, span)

    def _create_table_as_stmt(self, node: Any, span: Span) -> None:
        name = self._new(node.into.rel)
        if not (node.if_not_exists and Key("relation", "", name) in self.spans):
            self._relation(name, span)

    def _select_stmt(self, node: Any, span: Span) -> None:
        if node.HasField("into_clause"):
            self._relation(self._new(node.into_clause.rel), span)
        for call in (each for each in walk(node) if each.DESCRIPTOR.name == "FuncCall"):
            name, *values = [argument.a_const.sval.sval for argument in call.args] or [""]
            if dotted(call.funcname).removeprefix("pg_catalog.") == "set_config" and name == "search_path" and values:
                self._path = [each.strip().strip('"') for each in values[0].split(",") if each.strip()] or [PUBLIC]

    def _view_stmt(self, node: Any, span: Span) -> None:
        self._relation(self._new(node.view), span)

    def _relation(self, name: str, span: Span) -> None:
        self._set(Key("relation", "", name), span)
        self.privileges.create(name, is_routine=False)

    def _column(self, table: str, column: Any, span: Span) -> None:
        part = span.part(column.location)
        self._set(Key("column", table, column.colname), part)
        for each in column.constraints:
            self._constraint(table, each.constraint, span, column.colname)

    def _constraint(self, table: str, node: Any, span: Span, column: str = "") -> None:
        part = span.part(node.location)
        if node.contype == pb.CONSTR_NOTNULL:
            for name in [column] if column else [key.string.sval for key in node.keys]:
                self._set(Key("not null", table, name), part)
            return
        columns = [column] if column else [key.string.sval for key in (*node.keys, *node.fk_attrs)]
        if node.contype == pb.CONSTR_CHECK and not column:
            columns = sorted({each.fields[0].string.sval for each in _nodes(node.raw_expr, "ColumnRef")})
            columns = columns if len(columns) == 1 else []
        columns = [] if node.contype == pb.CONSTR_PRIMARY else columns
        name = node.conname or "_".join([table.partition(".")[2], *columns, SUFFIXES.get(node.contype, "")])
        self._set(Key("constraint", table, name), part)

    def _index_stmt(self, node: Any, span: Span) -> None:
        table = self._existing(node.relation)
        columns = [param.index_elem.name or "expr" for param in node.index_params]
        name = node.idxname or "_".join([node.relation.relname, *columns, "idx"])
        if not (node.if_not_exists and Key("index", table, name) in self.spans):
            self._set(Key("index", table, name), span)

    def _create_function_stmt(self, node: Any, span: Span) -> None:
        name = self._routine(node.funcname)
        self._set(Key("function", name, signature(node.parameters)), span)
        self.privileges.create(name, is_routine=True)

    def _create_policy_stmt(self, node: Any, span: Span) -> None:
        self._set(Key("policy", self._existing(node.table), node.policy_name), span)

    # What it sets takes the place of what the CREATE POLICY has.
    _alter_policy_stmt = _create_policy_stmt

    def _create_trig_stmt(self, node: Any, span: Span) -> None:
        self._set(Key("trigger", self._existing(node.relation), node.trigname), span)

    def _rule_stmt(self, node: Any, span: Span) -> None:
        self._set(Key("rule", self._existing(node.relation), node.rulename), span)

    def _insert_stmt(self, node: Any, span: Span) -> None:
        if f"{node.relation.schemaname}.{node.relation.relname}" == BUCKETS:
            for constant in _nodes(node, "A_Const"):
                if constant.HasField("sval"):
                    self.spans.setdefault(Key("bucket", "", constant.sval.sval), span)

    def _do_stmt(self, node: Any, span: Span) -> None:
        for body in plpgsql.do_bodies(node):
            try:
                queries = list(plpgsql.statements(body))
            except (postgast.PgQueryError, ValueError, KeyError, IndexError):
                continue
            at = span.text.find(body)
            for query in queries:
                # A body in plain quotes may have its quotes doubled, and is not found.
                start = span.start + (at + query.start if at >= 0 else 0)
                self._statement(span.source, start, query.text)

    # -- what changes something

    def _alter_table_stmt(self, node: Any, span: Span) -> None:
        table = self._existing(node.relation)
        for command in (each.alter_table_cmd for each in node.cmds):
            match command.subtype:
                case pb.AT_AddColumn:
                    self._column(table, getattr(command, "def").column_def, span)
                case pb.AT_AddConstraint:
                    self._constraint(table, getattr(command, "def").constraint, span)
                case pb.AT_SetNotNull:
                    self._set(Key("not null", table, command.name), span)
                case pb.AT_ColumnDefault | pb.AT_AlterColumnType:
                    self._set(Key("column", table, command.name), span)
                case pb.AT_DropColumn | pb.AT_DropNotNull:
                    self.spans.pop(Key("not null", table, command.name), None)
                    if command.subtype == pb.AT_DropColumn:
                        self.spans.pop(Key("column", table, command.name), None)
                case pb.AT_DropConstraint:
                    self.spans.pop(Key("constraint", table, command.name), None)
                case subtype if subtype in SECURITY:
                    self._set(Key("row security", "", table), span)

    def _rename_stmt(self, node: Any, span: Span) -> None:  # noqa: ARG002 - the statement that made it stays its place
        if node.rename_type in RELATIONS:
            old = self._existing(node.relation)
            self._move(old, f"{old.partition('.')[0]}.{node.newname}")
        elif kind := PARTS_OF_A_TABLE.get(node.rename_type):
            key = Key(kind, self._existing(node.relation), node.subname)
            self._replace({key: key._replace(name=node.newname)})
        elif node.rename_type in ROUTINES:
            old = self._routine(node.object.object_with_args.objname)
            self._move(old, f"{old.partition('.')[0]}.{node.newname}")

    def _alter_object_schema_stmt(self, node: Any, span: Span) -> None:  # noqa: ARG002
        if node.object_type in RELATIONS:
            old = self._existing(node.relation)
        elif node.object_type in ROUTINES:
            old = self._routine(node.object.object_with_args.objname)
        else:
            return
        self._move(old, f"{node.newschema}.{old.partition('.')[2]}")

    def _move(self, old: str, new: str) -> None:
        """Give a table, view or function another name."""
        changed = {key: key._replace(name=new) for key in self.spans if key.name == old and not key.owner}
        changed |= {key: key._replace(owner=new) for key in self.spans if key.owner == old}
        self._replace(changed)
        self.privileges.rename(old, new)

    def _replace(self, changed: dict[Key, Key]) -> None:
        self.spans = {changed.get(key, key): span for key, span in self.spans.items()}

    # -- what drops something

    def _drop_stmt(self, node: Any, span: Span) -> None:  # noqa: ARG002
        for each in node.objects:
            parts = [item.string.sval for item in each.list.items] or [each.string.sval]
            if kind := OF_A_TABLE.get(node.remove_type):
                *table, name = parts
                self.spans.pop(Key(kind, self._found(*["", *table][-2:]), name), None)
            elif node.remove_type in RELATIONS:
                self._forget(self._found(*["", *parts][-2:]))
            elif node.remove_type in ROUTINES:
                routine = each.object_with_args
                name = self._routine(routine.objname)
                one = None if routine.args_unspecified else types(routine.objargs)
                self._remove(key for key in self.spans if key.owner == name and one in (None, key.name))
            elif node.remove_type == pb.OBJECT_SCHEMA:
                schema = f"{parts[-1]}."
                self.spans.pop(Key("schema", "", parts[-1]), None)
                self._remove(key for key in self.spans if (key.owner or key.name).startswith(schema))
            elif node.remove_type == pb.OBJECT_INDEX:
                self._remove(key for key in self.spans if key.kind == "index" and key.name == parts[-1])

    def _forget(self, relation: str) -> None:
        """Forget a table or view, with everything that belongs to it."""
        self._remove(key for key in self.spans if key.owner == relation or (not key.owner and key.name == relation))
        self.privileges.drop(relation)

    def _remove(self, keys: Iterable[Key]) -> None:
        for key in list(keys):
            del self.spans[key]

    # -- privileges and settings

    def _grant_stmt(self, node: Any, span: Span) -> None:
        self.privileges.change(node, self._granted(node), span)

    def _granted(self, node: Any) -> Iterator[str]:
        """The tables, views and functions that a GRANT or REVOKE names, or all of its schemas."""
        kind = "function" if node.objtype in ROUTINES else "relation" if node.objtype == pb.OBJECT_TABLE else ""
        if node.targtype == pb.ACL_TARGET_ALL_IN_SCHEMA:
            schemas = {each.string.sval for each in node.objects}
            names = {key.owner or key.name for key in self.spans if key.kind == kind}
            yield from (name for name in names if name.partition(".")[0] in schemas)
            return
        for each in node.objects:
            if each.HasField("range_var"):
                yield self._existing(each.range_var)
            elif each.HasField("object_with_args"):
                yield self._routine(each.object_with_args.objname)

    def _alter_default_privileges_stmt(self, node: Any, span: Span) -> None:
        self.privileges.change_defaults(node, span)

    def _variable_set_stmt(self, node: Any, span: Span) -> None:  # noqa: ARG002
        if node.name == "search_path":
            self._path = [each.a_const.sval.sval for each in node.args if each.a_const.sval.sval] or [PUBLIC]


def _nodes(tree: Any, kind: str) -> list[Any]:
    return [node for node in walk(tree) if node.DESCRIPTOR.name == kind]
