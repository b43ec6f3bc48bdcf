"""The signatures of functions in SQL: the types of the arguments. Functions of one name differ in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

RESULTS = (pb.FUNC_PARAM_OUT, pb.FUNC_PARAM_TABLE)


def signature(parameters: Iterable[Any]) -> str:
    """The types of the parameters of a CREATE FUNCTION that a call gives: ``int4,text[]``."""
    found = [each.function_parameter for each in parameters]
    return ",".join(type_of(each.arg_type) for each in found if each.mode not in RESULTS)


def signature_of(arguments: str) -> str | None:
    """The same of arguments as the catalog shows them: ``a integer, b text[]``. None if they cannot be read."""
    try:
        statement = postgast.parse(f"DROP FUNCTION f({arguments})").stmts[0].stmt.drop_stmt
    except postgast.PgQueryError:
        return None
    return types(statement.objects[0].object_with_args.objargs)


def types(nodes: Iterable[Any]) -> str:
    """The same of the types in a DROP FUNCTION."""
    return ",".join(type_of(each.type_name) for each in nodes)


def type_of(type_name: Any) -> str:
    """A type without its schema, as in the signatures."""
    return str(type_name.names[-1].string.sval) + "[]" * bool(type_name.array_bounds)
