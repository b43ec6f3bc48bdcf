"""Reads what policies ask for.

An expression is reduced to what it stands for (a part of the request, a column, a constant), through casts, COALESCE,
subqueries and the bodies of functions, with the arguments of the call in place of the parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import postgast
from google.protobuf.message import Message
from postgast import pg_query_pb2 as pb

from rolecall.catalog.plpgsql import Part, parts
from rolecall.init.facts import (
    FUTURE,
    PAST,
    ROLE,
    SET,
    SUBJECT,
    TOKEN,
    ColumnOf,
    Constant,
    Facts,
    FolderOf,
    Source,
    Term,
)
from rolecall.init.shape import Routine, Shape
from rolecall.sql.tree import expression, is_a

DEEPEST = 6  # calls of functions inside functions
CLAIMS, CLAIM = "request.jwt.claims", "request.jwt.claim."
TRANSPARENT = ("lower", "upper", "btrim", "trim", "unnest", "array_agg", "max", "min")
COMPARED = ("=", "<>", "!=")
ORDERED = ("<", ">", "<=", ">=")
FOLDERS = ("foldername", "split_part", "string_to_array")
# A setting or a claim that says who the user is, in place of a token's subject; and what it is not.
USER = re.compile(r"user|uid|person|account|employee|customer", re.IGNORECASE)
NO_USER = re.compile(r"tenant|org|team|company|role|type|name|mail|level|metadata", re.IGNORECASE)
Scope = Mapping[str, str]  # tables by alias, the innermost last
Arguments = Mapping[str, Term]


def read(shape: Shape) -> Facts:
    """The facts of all policies."""
    facts = _read(shape, TOKEN)
    sources = {*facts.named.values(), *facts.asked}
    users = [each for each in sources if USER.search(each.path) and not NO_USER.search(each.path)]
    return _read(shape, users[0]) if len(users) == 1 and SUBJECT not in sources else facts


def _read(shape: Shape, subject: Source) -> Facts:
    """The facts, if ``subject`` says who the user is."""
    reader = _Reader(shape, subject)
    for policy in shape.policies:
        reader.facts.own = policy.table
        for predicate in filter(None, (policy.using, policy.check)):
            try:
                reader.visit(expression(predicate), {"": policy.table}, {}, 0)
            except postgast.PgQueryError:
                continue  # a newer syntax than the parser's
    facts = reader.facts
    for column, source in list(facts.named.items()):
        _name_parents(shape, facts, column, source)
    return facts


def _name_parents(shape: Shape, facts: Facts, column: ColumnOf, source: Source) -> None:
    """A key that a named column refers to has the same values."""
    for key in shape.tables[column.table].foreign_keys:
        if column.name in key.columns:
            parent = ColumnOf(key.parent, key.keys[list(key.columns).index(column.name)])
            if parent not in facts.named:
                facts.named[parent] = source
                _name_parents(shape, facts, parent, source)


class _Reader:
    """Walks through expressions, and through the functions that they call."""

    def __init__(self, shape: Shape, subject: Source) -> None:
        self.shape, self.facts = shape, Facts(subject)

    # -- conditions

    def visit(self, node: Any, scope: Scope, arguments: Arguments, depth: int) -> None:
        """Collect the facts of a node and of all below it."""
        kind = node.DESCRIPTOR.name
        self.facts.is_inside = depth > 0 or len(scope) > 1
        if kind == "SelectStmt":
            scope = {**scope, **self._tables(node)}
        elif kind == "A_Expr" and node.kind != pb.AEXPR_NULLIF:
            self._comparison(node, scope, arguments, depth)
        elif kind == "SubLink" and node.HasField("testexpr"):
            self.facts.compare(
                self.term(node.testexpr, scope, arguments, depth),
                self._selected(node.subselect, scope, arguments, depth),
            )
        elif kind == "BoolExpr" and node.boolop == pb.NOT_EXPR and is_a(node.args[0], "sub_link"):
            self.facts.negated.add(self.facts.own)
        elif kind in ("NullTest", "TypeCast", "ColumnRef"):
            self._single(node, scope, arguments, depth)
        elif kind == "FuncCall":
            for routine, inner in self._calls(node, scope, arguments, depth):
                for tree in _trees(routine):
                    self.visit(tree, {}, inner, depth + 1)
        for child in _children(node):
            self.visit(child, scope, arguments, depth)

    def _single(self, node: Any, scope: Scope, arguments: Arguments, depth: int) -> None:
        """A condition that compares nothing: IS NULL, a boolean claim, a boolean column."""
        kind = node.DESCRIPTOR.name
        if kind == "ColumnRef":
            column = self._column(node, scope, arguments)
            if isinstance(column, ColumnOf):
                self.facts.used.add(column)
                if self.shape.tables[column.table].columns[column.name].type == "bool":
                    self.facts.add_values(column, Constant(True), Constant(False))
            return
        term = self.term(node.arg, scope, arguments, depth)
        if kind == "NullTest" and isinstance(term, ColumnOf):
            self.facts.add_values(term, SET)
        elif kind == "TypeCast" and isinstance(term, Source) and node.type_name.names[-1].string.sval == "bool":
            self.facts.compare(term, Constant(True))

    def _comparison(self, node: Any, scope: Scope, arguments: Arguments, depth: int) -> None:
        operator = node.name[-1].string.sval if node.name else ""
        left, right = node.lexpr, node.rexpr
        one = self.term(left, scope, arguments, depth)
        if node.kind in (pb.AEXPR_IN, pb.AEXPR_OP_ANY, pb.AEXPR_OP_ALL) and operator in COMPARED:
            for item in _items(right):
                self.facts.compare(one, self.term(item, scope, arguments, depth))
        elif operator in COMPARED or node.kind in (pb.AEXPR_DISTINCT, pb.AEXPR_NOT_DISTINCT):
            self.facts.compare(one, self.term(right, scope, arguments, depth))
        elif operator in ORDERED:
            for column, other in ((one, self.term(right, scope, arguments, depth)),):
                self._order(column, other)
                self._order(other, column)

    def _order(self, column: Term, other: Term) -> None:
        if not isinstance(column, ColumnOf):
            return
        if self.shape.tables[column.table].columns[column.name].category == "D":
            self.facts.add_values(column, PAST, FUTURE)
        elif isinstance(other, Constant) and type(other.value) is int:
            self.facts.add_values(column, *(Constant(other.value + step) for step in (-1, 0, 1)))

    def _tables(self, select: Any) -> dict[str, str]:
        """The tables of a FROM, by alias."""
        found = {}
        for each in _ranges(select.from_clause):
            table = self._table(each.schemaname, each.relname)
            if table:
                found[each.alias.aliasname or each.relname] = table
                self.facts.looked_up[table] = None
        return found

    def _table(self, schema: str, name: str) -> str | None:
        if schema:
            return f"{schema}.{name}" if f"{schema}.{name}" in self.shape.tables else None
        candidates = self.shape.by_short_name.get(name, [])
        return next((each for each in candidates if each == f"public.{name}"), candidates[0] if candidates else None)

    # -- terms

    def term(self, node: Any, scope: Scope, arguments: Arguments, depth: int) -> Term:
        """What an expression stands for; None if it is none of the kinds."""
        kind = node.WhichOneof("node") if node.DESCRIPTOR.name == "Node" else None
        inner: Any = getattr(node, kind) if kind else None
        if kind == "a_const":
            return _constant(inner)
        if kind == "column_ref":
            return self._column(inner, scope, arguments)
        if kind == "param_ref":
            return arguments.get(f"${inner.number}")
        if kind in ("type_cast", "collate_clause", "a_indirection"):
            return self.term(inner.arg, scope, arguments, depth)
        if kind == "coalesce_expr":
            terms = (self.term(each, scope, arguments, depth) for each in inner.args)
            return next((each for each in terms if each), None)
        if kind == "sub_link":
            return self._selected(inner.subselect, scope, arguments, depth)
        if kind == "sqlvalue_function":
            return ROLE if inner.op in (pb.SVFOP_CURRENT_USER, pb.SVFOP_USER, pb.SVFOP_CURRENT_ROLE) else None
        if kind == "a_expr" and inner.kind == pb.AEXPR_NULLIF:
            return self.term(inner.lexpr, scope, arguments, depth)
        if kind == "a_expr":
            return self._part(inner, scope, arguments, depth)
        return self._result(inner, scope, arguments, depth) if kind == "func_call" else None

    def _column(self, node: Any, scope: Scope, arguments: Arguments) -> Term:
        names = [each.string.sval for each in node.fields]
        if len(names) > 1:
            table = scope.get(names[-2]) or (self._table(names[-3], names[-2]) if len(names) > 2 else None)
            own = scope.get("", "")
            if table is None and own.partition(".")[2] == names[-2]:
                table = own
            known = table and names[-1] in self.shape.tables[table].columns
            return ColumnOf(table, names[-1]) if table and known else arguments.get(names[-1])
        for table in reversed(list(scope.values())):
            if table in self.shape.tables and names[-1] in self.shape.tables[table].columns:
                return ColumnOf(table, names[-1])
        return arguments.get(names[-1])

    def _selected(self, select: Any, scope: Scope, arguments: Arguments, depth: int) -> Term:
        """The first column of a query."""
        if not is_a(select, "select_stmt") or not select.select_stmt.target_list:
            return None
        inner = {**scope, **self._tables(select.select_stmt)}
        return self.term(select.select_stmt.target_list[0].res_target.val, inner, arguments, depth)

    def _part(self, node: Any, scope: Scope, arguments: Arguments, depth: int) -> Term:
        """``claims ->> 'sub'``, ``claims #>> '{app_metadata,role}'``."""
        operator = node.name[-1].string.sval
        if operator not in ("->", "->>", "#>", "#>>"):
            return None
        whole = self.term(node.lexpr, scope, arguments, depth)
        key = self.term(node.rexpr, scope, arguments, depth)
        if not isinstance(whole, Source) or whole.kind != "claim" or not isinstance(key, Constant):
            return None
        keys = str(key.value).strip("{}").replace(" ", "").split(",") if operator.startswith("#") else [str(key.value)]
        return self._named(Source("claim", ".".join(filter(None, [whole.path, *keys]))))

    def _result(self, call: Any, scope: Scope, arguments: Arguments, depth: int) -> Term:
        """What a call returns."""
        name = call.funcname[-1].string.sval
        if name == "current_setting" and call.args:
            setting = self.term(call.args[0], scope, arguments, depth)
            return self._named(_setting(str(setting.value))) if isinstance(setting, Constant) else None
        if name in FOLDERS and call.args:
            path = self.term(call.args[0], scope, arguments, depth)
            return FolderOf(path) if isinstance(path, ColumnOf) else None
        if name in TRANSPARENT and call.args:
            return self.term(call.args[0], scope, arguments, depth)
        for routine, inner in self._calls(call, scope, arguments, depth):
            for returned in _returned(routine):
                if result := self.term(returned, {}, inner, depth + 1):
                    return result
        return None

    def _named(self, source: Source | None) -> Source | None:
        """The source, which may be what says who the user is."""
        return SUBJECT if source == self.facts.subject else source

    def _calls(self, call: Any, scope: Scope, arguments: Arguments, depth: int) -> Iterator[tuple[Routine, Arguments]]:
        """The functions that a call may mean, each with what its parameters stand for."""
        names = [each.string.sval for each in call.funcname]
        if depth >= DEEPEST:
            return
        schemas = [names[-2]] if len(names) > 1 else [name.partition(".")[0] for name in self.shape.functions]
        found = {f"{schema}.{names[-1]}": None for schema in schemas}
        for routine in (each for name in found for each in self.shape.functions.get(name, [])):
            if not routine.function.is_trigger:
                yield routine, self._arguments(routine, call, scope, arguments, depth)

    def _arguments(self, routine: Routine, call: Any, scope: Scope, arguments: Arguments, depth: int) -> Arguments:
        inner: dict[str, Term] = {}
        for number, node in enumerate(call.args, start=1):
            named = node.named_arg_expr if is_a(node, "named_arg_expr") else None
            term = self.term(named.arg if named else node, scope, arguments, depth)
            names = [named.name] if named else [f"${number}", *routine.arguments[number - 1 : number]]
            inner |= dict.fromkeys(filter(None, names), term)
        own = routine.function.full_name.rpartition(".")[2]
        return inner | {f"{own}.{name}": term for name, term in inner.items()}


def _children(node: Any) -> Iterator[Any]:
    for descriptor, value in node.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            yield from [value] if isinstance(value, Message) else value


def _ranges(nodes: Any) -> Iterator[Any]:
    """The tables in a FROM, also inside joins."""
    for node in nodes:
        if is_a(node, "range_var"):
            yield node.range_var
        elif is_a(node, "join_expr"):
            yield from _ranges([node.join_expr.larg, node.join_expr.rarg])


def _items(node: Any) -> Iterator[Any]:
    """What ``IN (…)`` and ``= ANY (ARRAY[…])`` compare with."""
    if is_a(node, "list"):
        yield from node.list.items
    elif is_a(node, "a_array_expr"):
        yield from node.a_array_expr.elements
    elif is_a(node, "type_cast"):
        yield from _items(node.type_cast.arg)
    else:
        yield node


def _constant(node: Any) -> Constant | None:
    kind = node.WhichOneof("val")
    if kind == "ival":
        return Constant(node.ival.ival)
    if kind == "boolval":
        return Constant(node.boolval.boolval)
    return Constant(node.sval.sval) if kind == "sval" else None


def _setting(name: str) -> Source | None:
    if name == CLAIMS:
        return Source("claim")
    if name.startswith(CLAIM):
        return Source("claim", name.removeprefix(CLAIM))
    if name == "role":
        return ROLE
    return None if name.startswith("request.") or "." not in name else Source("setting", name)


def _trees(routine: Routine) -> Iterator[Any]:
    """The statements and expressions of a function's body."""
    function = routine.function
    try:
        if function.language == "plpgsql":
            for part in _parts(routine):
                if part.kind == "PLpgSQL_expr":
                    yield from _parsed(part.node["query"], is_statement=part.node.get("parseMode", 0) == 0)
        elif function.source:
            yield from _parsed(function.source, is_statement=True)
        else:  # RETURN or BEGIN ATOMIC
            yield postgast.parse(function.definition).stmts[0].stmt.create_function_stmt.sql_body
    except postgast.PgQueryError:
        return


def _parsed(text: str, *, is_statement: bool) -> Iterator[Any]:
    try:
        yield from ([each.stmt for each in postgast.parse(text).stmts] if is_statement else [expression(text)])
    except postgast.PgQueryError:
        return  # e.g. the target of an assignment


def _returned(routine: Routine) -> Iterator[Any]:
    """What a function may return: expressions, or queries."""
    if routine.function.language != "plpgsql":
        yield from _as_terms(_trees(routine))
        return
    for part in _parts(routine):
        if part.kind in ("PLpgSQL_stmt_return", "PLpgSQL_stmt_return_query"):
            for key in ("expr", "query"):
                if inner := part.node.get(key, {}).get("PLpgSQL_expr"):
                    yield from _as_terms(_parsed(inner["query"], is_statement=inner.get("parseMode", 0) == 0))


def _parts(routine: Routine) -> list[Part]:
    """The parts of a PL/pgSQL body; none if the parser cannot read it."""
    try:
        return list(parts(routine.function))
    except (postgast.PgQueryError, ValueError, LookupError):
        return []


def _as_terms(trees: Iterator[Any]) -> Iterator[Any]:
    """Statements as expressions: a query stands for its first column."""
    for tree in trees:
        if is_a(tree, "return_stmt"):
            yield tree.return_stmt.returnval
        elif is_a(tree, "list"):
            yield from _as_terms(iter(tree.list.items))
        elif is_a(tree, "select_stmt"):
            node = pb.Node()
            node.sub_link.sub_link_type = pb.EXPR_SUBLINK
            node.sub_link.subselect.CopyFrom(tree)
            yield node
        else:
            yield tree
