"""What a statement of a dump makes and touches, read from PostgreSQL's own parse tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple


class Node(NamedTuple):
    """The parse tree of one statement, and the name of its kind in the parser, e.g. ``create_stmt``."""

    kind: str
    tree: Any


def node_of(text: str) -> Node | None:
    """The tree of a statement; None if our parser does not know its syntax."""
    import postgast  # 0.1 s to import
    from google.protobuf.message import DecodeError

    try:
        stmt = postgast.parse(text).stmts[0].stmt
    except (postgast.PgQueryError, DecodeError, IndexError):
        return None
    kind = str(stmt.WhichOneof("node"))
    return Node(kind, getattr(stmt, kind))


def text_of(node: Node) -> str:
    """The statement of a tree that was changed."""
    import postgast

    tree = postgast.parse("SELECT 1")
    getattr(tree.stmts[0].stmt, node.kind).CopyFrom(node.tree)
    return str(postgast.deparse(tree))


# ------------------------------------------------------------------ names

# Where the name of a statement's object is: a range variable, a list of names, or a plain string.
OBJECTS = {
    "create_stmt": "relation",
    "create_seq_stmt": "sequence",
    "create_table_as_stmt": "into.rel",
    "create_foreign_table_stmt": "base_stmt.relation",
    "view_stmt": "view",
    "composite_type_stmt": "typevar",
    "create_enum_stmt": "type_name",
    "create_range_stmt": "type_name",
    "create_domain_stmt": "domainname",
    "create_function_stmt": "funcname",
    "define_stmt": "defnames",
    "create_schema_stmt": "schemaname",
    "create_stats_stmt": "defnames",
    "create_op_class_stmt": "opclassname",
    "create_op_family_stmt": "opfamilyname",
    "create_conversion_stmt": "conversion_name",
}
TABLES = {
    "alter_table_stmt": "relation",
    "alter_seq_stmt": "sequence",
    "alter_enum_stmt": "type_name",
    "alter_domain_stmt": "type_name",
    "alter_function_stmt": "func.objname",
    "create_policy_stmt": "table",
    "create_trig_stmt": "relation",
    "rule_stmt": "relation",
    "index_stmt": "relation",
    "copy_stmt": "relation",
    "insert_stmt": "relation",
    "update_stmt": "relation",
    "delete_stmt": "relation",
    "refresh_mat_view_stmt": "relation",
}


def made_by(node: Node) -> list[str]:
    """The object that a statement makes, as ``schema.name``; ``name`` without a schema. Empty if it makes none.

    A publication is in no schema: ``.name``.
    """
    name = f".{node.tree.pubname}" if node.kind == "create_publication_stmt" else _name(node, OBJECTS)
    return [name] if name else []


def schema_of(node: Node) -> str:
    """The schema of what a statement makes or changes; empty if it has none, or if the statement does not say it."""
    if node.kind == "create_schema_stmt":
        return str(node.tree.schemaname)
    name = _name(node, OBJECTS | TABLES) or next(_names_of_object(node), "")
    return name.rpartition(".")[0]


def table_of(node: Node) -> list[str]:
    """The table, type or function that a statement changes, as ``schema.name``. Empty if it changes none."""
    name = _name(node, TABLES)
    return [name] if name else []


def _name(node: Node, paths: dict[str, str]) -> str:
    value: Any = node.tree
    if node.kind not in paths:
        return ""
    for attribute in paths[node.kind].split("."):
        value = getattr(value, attribute)
    if isinstance(value, str):
        return value
    if hasattr(value, "relname"):  # a RangeVar
        return ".".join(filter(None, (value.schemaname, value.relname)))
    return _joined(value)


def _joined(names: Any) -> str:
    return ".".join(str(name.string.sval) for name in names)


def _names_of_object(node: Node) -> Iterator[str]:
    """The name in COMMENT ON, ALTER … OWNER TO and the like, which keep it in ``object``."""
    if not hasattr(node.tree, "object"):
        return
    value = getattr(node.tree.object, node.tree.object.WhichOneof("node") or "string")
    kind = value.DESCRIPTOR.name
    if kind == "ObjectWithArgs":
        yield _joined(value.objname)
    elif kind == "TypeName":
        yield _joined(value.names)
    elif kind == "List":
        yield ".".join(str(item.string.sval) for item in value.items if item.WhichOneof("node") == "string")
    elif kind == "String" and object_type(node) == "OBJECT_SCHEMA":
        yield f"{value.sval}."


def object_type(node: Node) -> str:
    """The type of the object that a statement is about, e.g. ``OBJECT_TABLE``; empty if it names no type."""
    import postgast

    for attribute in ("objtype", "object_type", "rename_type", "remove_type"):
        if hasattr(node.tree, attribute):
            return str(postgast.pg_query_pb2.ObjectType.Name(getattr(node.tree, attribute)))
    return ""


def cascades(node: Node) -> bool:
    """Whether a DROP has CASCADE."""
    import postgast

    return bool(node.tree.behavior == postgast.pg_query_pb2.DROP_CASCADE)


# ------------------------------------------------------------------ roles


def role_names(specs: Any) -> list[str]:
    """The names in a list of roles. PUBLIC and CURRENT_USER have none."""
    return [spec.role_spec.rolename for spec in specs if spec.role_spec.rolename]


def new_owner(node: Node) -> str | None:
    """The role of a statement that does nothing but give its object another owner; None for other statements."""
    import postgast

    if node.kind == "alter_owner_stmt":
        return str(node.tree.newowner.rolename)
    if node.kind == "alter_table_stmt":
        commands = [command.alter_table_cmd for command in node.tree.cmds]
        if [command.subtype for command in commands] == [postgast.pg_query_pb2.AT_ChangeOwner]:
            return str(commands[0].newowner.rolename)
    return None


def option(options: Any, name: str) -> Any:
    """The argument of an option of a statement; None if it has no such option."""
    return next((each.def_elem.arg for each in options if each.def_elem.defname == name), None)


def string_option(options: Any, name: str) -> str:
    """The text of an option of a statement; empty if it has no such option."""
    argument = option(options, name)
    return str(argument.string.sval) if argument else ""
