"""Which statements of a dump run as they are, which run changed, and which are left out; before and after they fail.

What decides about access must run, or the run stops: tables, types, views, functions, constraints, triggers, policies,
grants. Other statements are left out if they cannot run here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from rolecall.dump.nodes import Node, new_owner, object_type, option, role_names, schema_of, string_option, text_of

# Schemas of Supabase, and of the extensions that have one. A project's own objects are elsewhere.
PLATFORM_SCHEMAS = frozenset(
    {"auth", "storage", "realtime", "_realtime", "extensions", "graphql", "graphql_public", "vault", "net", "cron"}
    | {"pgsodium", "pgsodium_masks", "pgbouncer", "pgtle", "pgmq", "supabase_functions", "supabase_migrations"}
    | {"_analytics", "_supavisor", "etl", "dbdev", "repack", "topology", "tiger", "tiger_data"}
)
# Roles of Supabase that policies and grants name. Those that are missing are made, and cannot log in.
# supabase_admin is not among them: it is a superuser there.
PLATFORM_ROLES = frozenset(
    {"supabase_auth_admin", "supabase_storage_admin", "supabase_realtime_admin", "supabase_functions_admin"}
    | {"supabase_replication_admin", "supabase_read_only_user", "dashboard_user", "pgbouncer"}
)


class Decision(NamedTuple):
    """What happens with a statement.

    ``group`` is a key of :data:`rolecall.dump.left_out.GROUPS` if it is left out, and ``what`` says what it is about.
    ``text`` replaces the statement. ``as_superuser`` runs it as the connected role.
    """

    group: str = ""
    what: str = ""
    text: str | None = None
    as_superuser: bool = False


@dataclass
class Facts:
    """What the server has, and what the dump has made or left out so far."""

    version: int  # major
    roles: set[str] = field(default_factory=set)
    superusers: set[str] = field(default_factory=set)
    made_roles: set[str] = field(default_factory=set)
    missing_extensions: dict[str, str] = field(default_factory=dict)  # name: the place that asks for it


RUN = Decision()


def before(node: Node, facts: Facts) -> Decision:
    """What to do with a statement. CREATE EXTENSION is not decided here."""
    if shared := OF_THE_SERVER.get(object_type(node)):
        return shared
    rule = BEFORE.get(node.kind)
    decision = rule(node, facts) if rule else RUN
    owner = new_owner(node)
    if owner is not None and (owner not in facts.roles or owner in facts.superusers):
        return Decision("owner", owner)
    return decision


def _transaction(node: Node, _: Facts) -> Decision:
    import postgast

    ast = postgast.pg_query_pb2
    kept = (ast.TRANS_STMT_SAVEPOINT, ast.TRANS_STMT_RELEASE, ast.TRANS_STMT_ROLLBACK_TO, ast.TRANS_STMT_ROLLBACK)
    return RUN if node.tree.kind in kept else Decision("session", "transactions")


def _setting(node: Node, _: Facts) -> Decision:
    name = node.tree.name
    if name in ("role", "session_authorization"):
        return Decision("owner", f"SET {name.upper().replace('_', ' ')}")
    values = [each.a_const.sval.sval.upper() for each in node.tree.args]
    if name == "client_encoding" and values != ["UTF8"]:  # the file was read as UTF-8
        return Decision("session", name)
    return RUN


def _grant(node: Node, facts: Facts) -> Decision:
    """Without the roles that do not exist, and without MAINTAIN for a server that does not know it."""
    import postgast

    tree = node.tree
    unknown = [name for name in role_names(tree.grantees) if name not in facts.roles]
    rest = [each for each in tree.grantees if each.role_spec.rolename not in unknown]
    if not rest:
        return Decision("grant", unknown[0])
    maintains = facts.version < 17 and any(each.access_priv.priv_name == "maintain" for each in tree.privileges)
    if not unknown and not maintains:
        return RUN
    changed = postgast.pg_query_pb2.GrantStmt()
    changed.CopyFrom(tree)
    del changed.grantees[:]
    changed.grantees.extend(rest)
    if maintains:
        others = [each for each in tree.privileges if each.access_priv.priv_name != "maintain"]
        if not others:
            return Decision("needless", "MAINTAIN")
        del changed.privileges[:]
        changed.privileges.extend(others)
    return Decision(text=text_of(Node(node.kind, changed)))


def _default_privileges(node: Node, facts: Facts) -> Decision:
    roles = option(node.tree.options, "roles")
    names = role_names(roles.list.items) if roles else []
    names += role_names(node.tree.action.grantees)
    unknown = [name for name in names if name not in facts.roles]
    return Decision("grant", unknown[0]) if unknown else RUN


def _create_role(node: Node, facts: Facts) -> Decision:
    if node.tree.role in facts.roles:
        return Decision("role", node.tree.role)
    facts.roles.add(node.tree.role)
    facts.made_roles.add(node.tree.role)
    return Decision(as_superuser=True)


def _alter_role(node: Node, facts: Facts) -> Decision:
    """Only for roles that the dump has made: others belong to the server, which other databases share."""
    name = node.tree.role.rolename
    return Decision(as_superuser=True) if name in facts.made_roles else Decision("role", name or "ALTER ROLE ALL")


def _membership(node: Node, facts: Facts) -> Decision:
    members = role_names(node.tree.grantee_roles)
    granted = [each.access_priv.priv_name for each in node.tree.granted_roles]
    ours = set(members) <= facts.made_roles and set(granted) <= facts.roles
    return Decision(as_superuser=True) if ours else Decision("role", members[0] if members else granted[0])


def _comment(node: Node, _: Facts) -> Decision:
    import postgast

    extension = node.tree.objtype == postgast.pg_query_pb2.OBJECT_EXTENSION
    return Decision("needless", "comments on extensions") if extension else RUN


def _copy(node: Node, _: Facts) -> Decision:
    """Not with a file or a program of the server."""
    return Decision("session", "files of the server") if node.tree.filename else RUN


def _event_trigger(node: Node, _: Facts) -> Decision:
    """Those of the platform belong to its extensions."""
    schema = node.tree.funcname[0].string.sval if len(node.tree.funcname) > 1 else ""
    return Decision("platform", "event triggers") if schema in PLATFORM_SCHEMAS else Decision(as_superuser=True)


def _as_superuser(_: Node, __: Facts) -> Decision:
    """Its owner must be a superuser, and the objects of a dump are given to a role that is none."""
    return Decision(as_superuser=True)


def _leave_out(group: str, what: str) -> Callable[[Node, Facts], Decision]:
    return lambda _, __: Decision(group, what)


# Objects that all databases of a server share. On a running server, they are not ours.
OF_THE_SERVER = {
    "OBJECT_DATABASE": Decision("session", "databases"),
    "OBJECT_TABLESPACE": Decision("session", "tablespaces"),
    "OBJECT_PARAMETER_ACL": Decision("session", "settings of the server"),
    "OBJECT_ROLE": Decision("role", "comments and names"),
}
BEFORE: dict[str, Callable[[Node, Facts], Decision]] = {
    "transaction_stmt": _transaction,
    "variable_set_stmt": _setting,
    "grant_stmt": _grant,
    "alter_default_privileges_stmt": _default_privileges,
    "create_role_stmt": _create_role,
    "alter_role_stmt": _alter_role,
    "alter_role_set_stmt": _alter_role,
    "drop_role_stmt": _leave_out("role", "DROP ROLE"),
    "grant_role_stmt": _membership,
    "comment_stmt": _comment,
    "create_event_trig_stmt": _event_trigger,
    "create_fdw_stmt": _as_superuser,
    "create_subscription_stmt": _leave_out("needless", "subscriptions"),
    "alter_subscription_stmt": _leave_out("needless", "subscriptions"),
    "createdb_stmt": _leave_out("session", "databases"),
    "dropdb_stmt": _leave_out("session", "databases"),
    "alter_database_stmt": _leave_out("session", "databases"),
    "alter_database_set_stmt": _leave_out("session", "databases"),
    "create_table_space_stmt": _leave_out("session", "tablespaces"),
    "drop_table_space_stmt": _leave_out("session", "tablespaces"),
    "alter_table_space_options_stmt": _leave_out("session", "tablespaces"),
    "alter_system_stmt": _leave_out("session", "settings of the server"),
    "copy_stmt": _copy,
    "load_stmt": _leave_out("session", "files of the server"),
    "drop_owned_stmt": _leave_out("role", "DROP OWNED"),
    "reassign_owned_stmt": _leave_out("owner", "REASSIGN OWNED"),
    "sec_label_stmt": _leave_out("needless", "security labels"),
}


# ------------------------------------------------------------------ after an error

NEEDLESS = {
    "comment_stmt": "comments",
    "alter_publication_stmt": "publications",
    "create_publication_stmt": "publications",
    "create_event_trig_stmt": "event triggers",
    "alter_event_trig_stmt": "event triggers",
    "create_fdw_stmt": "foreign data",
    "alter_fdw_stmt": "foreign data",
    "create_foreign_server_stmt": "foreign data",
    "alter_foreign_server_stmt": "foreign data",
    "create_user_mapping_stmt": "foreign data",
    "create_foreign_table_stmt": "foreign data",
    "import_foreign_schema_stmt": "foreign data",
    "create_stats_stmt": "statistics",
    "alter_extension_stmt": "extensions",
    "alter_extension_contents_stmt": "extensions",
}
ROUTINES = {"create_function_stmt", "define_stmt", "create_cast_stmt", "create_op_class_stmt", "create_op_family_stmt"}
UNDEFINED_OBJECT, UNDEFINED_FILE, WRONG_SETTING, DUPLICATE_SCHEMA = "42704", "58P01", "22023", "42P06"
UNDEFINED = frozenset({UNDEFINED_OBJECT, "42P01", "42883", "42703", "3F000"})  # also table, function, column, schema


def after(node: Node, sqlstate: str | None, facts: Facts) -> Decision | None:
    """Why a statement that failed may be left out; None if it may not."""
    if node.kind in NEEDLESS:
        return Decision("needless", NEEDLESS[node.kind])
    if node.kind == "variable_set_stmt" and sqlstate in (UNDEFINED_OBJECT, WRONG_SETTING):
        return Decision("session", node.tree.name)
    if node.kind == "create_schema_stmt" and sqlstate == DUPLICATE_SCHEMA:
        return Decision("platform", f"schema {node.tree.schemaname}")
    if sqlstate in UNDEFINED and facts.missing_extensions and (node.kind == "grant_stmt" or new_owner(node)):
        return Decision("absent", "grants" if node.kind == "grant_stmt" else "owners")
    if owner := new_owner(node):
        return Decision("owner", owner)
    if node.kind == "index_stmt" and not node.tree.unique and sqlstate == UNDEFINED_OBJECT:
        return Decision("needless", "indexes")
    if schema_of(node) in PLATFORM_SCHEMAS and not _decides(node):
        return Decision("platform", schema_of(node))
    if node.kind in ROUTINES and sqlstate in (UNDEFINED_OBJECT, UNDEFINED_FILE) and facts.missing_extensions:
        return Decision("function", _routine(node))
    return None


def _decides(node: Node) -> bool:
    """Whether it is a policy, or a trigger of the project, on a table of the platform."""
    if node.kind == "create_trig_stmt":
        return node.tree.funcname[0].string.sval not in PLATFORM_SCHEMAS
    return node.kind == "create_policy_stmt"


def _routine(node: Node) -> str:
    language = string_option(node.tree.options, "language") if node.kind == "create_function_stmt" else ""
    return f"language {language}" if language not in ("", "sql", "plpgsql", "c") else "types that do not exist here"
