"""Which statement grants a privilege, or revokes it: GRANT, REVOKE and ALTER DEFAULT PRIVILEGES, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from postgast import pg_query_pb2 as pb

from rolecall.catalog.spans import Span

PUBLIC = "public"  # the role; also the schema of a name without one
EVERY_SCHEMA = ""
EXECUTE = "EXECUTE"
ALL = ("SELECT", "INSERT", "UPDATE", "DELETE", EXECUTE)  # what ALL stands for here
ROUTINES = (pb.OBJECT_FUNCTION, pb.OBJECT_PROCEDURE, pb.OBJECT_ROUTINE)


class Grant(NamedTuple):
    """A privilege of a role on an object ("schema.name"); of a default, ``object`` is the schema, or EVERY_SCHEMA."""

    object: str
    role: str
    privilege: str


class Privileges:
    """The statements of the privileges: ``grants`` of those that exist, ``revokes`` of those that were taken away."""

    def __init__(self) -> None:
        self.grants: dict[Grant, Span] = {}
        self.revokes: dict[Grant, Span] = {}
        self._defaults: dict[Grant, Span] = {}

    def change(self, node: Any, objects: Iterable[str], span: Span) -> None:
        """Note a GRANT or REVOKE on these objects."""
        to, of = (self.grants, self.revokes) if node.is_grant else (self.revokes, self.grants)
        for name in objects:
            for role, privilege in _privileges(node):
                grant = Grant(name, role, privilege)
                to[grant] = span
                of.pop(grant, None)

    def change_defaults(self, node: Any, span: Span) -> None:
        """Note an ALTER DEFAULT PRIVILEGES. It decides about what later statements create."""
        is_routine = node.action.objtype in ROUTINES
        if not is_routine and node.action.objtype != pb.OBJECT_TABLE:
            return
        options = {option.def_elem.defname: option.def_elem for option in node.options}
        schemas = [each.string.sval for each in options["schemas"].arg.list.items] if "schemas" in options else []
        for schema in schemas or [EVERY_SCHEMA]:
            for role, privilege in _privileges(node.action):
                default = Grant(schema, role, privilege)
                if node.action.is_grant and (privilege == EXECUTE) == is_routine:
                    self._defaults[default] = span
                elif not node.action.is_grant:
                    self._defaults.pop(default, None)

    def create(self, name: str, *, is_routine: bool) -> None:
        """Note that an object was created: the defaults decide who holds privileges on it."""
        schemas = (EVERY_SCHEMA, name.partition(".")[0])
        for default, span in self._defaults.items():
            if default.object in schemas and (default.privilege == EXECUTE) == is_routine:
                self.grants.setdefault(default._replace(object=name), span)

    def rename(self, old: str, new: str) -> None:
        """Note the new name of an object."""
        for privileges in (self.grants, self.revokes):
            for grant in [each for each in privileges if each.object == old]:
                privileges[grant._replace(object=new)] = privileges.pop(grant)

    def drop(self, name: str) -> None:
        """Forget an object."""
        for privileges in (self.grants, self.revokes):
            for grant in [each for each in privileges if each.object == name]:
                del privileges[grant]


def _privileges(node: Any) -> Iterator[tuple[str, str]]:
    """The roles and privileges of a GRANT or REVOKE."""
    names = [each.access_priv.priv_name.upper() for each in node.privileges] or ALL
    for role in (each.role_spec for each in node.grantees):
        for name in names:
            yield (role.rolename or PUBLIC), name
