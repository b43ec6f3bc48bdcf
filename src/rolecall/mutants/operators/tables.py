"""Operators that change facts of a table, which no statement of the migrations names: storage, rules, owner."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import identifier, qualified
from rolecall.mutants.operators.operator import Gain, Mutant, Operator, Target


class TableAttributes(Operator):
    """Change what a table writes to the log, how a publication identifies its rows, or whom its policies apply to."""

    name = "table-attributes"
    stands_for = "UNLOGGED for speed; a replica identity of a tutorial; FORCE ROW LEVEL SECURITY copied from a blog"
    catches = "a test of an UPDATE of a published table, or of what functions of the owner see; UNLOGGED: the catalog"
    STORAGE = ("SET UNLOGGED",)
    IDENTITY = ("REPLICA IDENTITY NOTHING", "REPLICA IDENTITY FULL")
    FORCED = ("FORCE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY")

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each attribute of each table that it does not have. FORCE is nothing without policies."""
        for table, state in schema.states.items():
            forced = self.FORCED if state.row_security.startswith("ENABLE") else ()
            changes = ((state.storage, self.STORAGE), (state.identity, self.IDENTITY), (state.forced, forced))
            for before, after in ((before, each) for before, others in changes for each in others if each != before):
                alter = f"ALTER TABLE {qualified(table)}"
                yield self.mutant(Target.of("table", table), table, after, f"{alter} {before}", f"{alter} {after}")


class AddRule(Operator):
    """Add a rule that ignores a command, or that tells every listener of it."""

    name = "rule-add"
    stands_for = "a rule from an old guide, instead of a trigger: the command succeeds and does nothing"
    catches = "a test that writes to the table and reads the row; a listener that hears of the command"
    by_grid = True

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each command that writes to a table, and one that notifies."""
        for table in schema.tables:
            for command in ("INSERT", "UPDATE", "DELETE"):
                rule = f"CREATE RULE rolecall_mutant AS ON {command} TO {qualified(table)} DO"
                yield self.mutant(
                    Target.of("table", table), table, f"{command} does nothing", "", f"{rule} INSTEAD NOTHING"
                )
            sql = f"CREATE RULE rolecall_mutant AS ON INSERT TO {qualified(table)} DO ALSO NOTIFY rolecall_mutant"
            yield self.mutant(Target.of("table", table), table, "INSERT notifies", "", sql)


class Owner(Operator):
    """A table, view or function belongs to a role of the API."""

    name = "owner"
    stands_for = "OWNER TO of a restored dump: no policy applies to the owner of a table, and it may drop it"
    catches = "a test in which this role does what only the owner may do"
    by_grid = True

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each object and for the first role that has a privilege on it."""
        kinds = dict.fromkeys(schema.tables, "TABLE")
        kinds |= {view.full_name: "VIEW" for view in schema.views}
        signatures = {function.full_name: function.signature for function in schema.functions}
        kinds |= dict.fromkeys(signatures, "ROUTINE")
        for name, kind in kinds.items():
            roles = [grant.role for grant in schema.grants if grant.name == name and grant.role != "public"]
            if roles:
                role, namespace = identifier(roles[0]), identifier(name.split(".")[0])
                # Only a role that may create objects in the schema can become an owner in it.
                sql = (
                    f"GRANT CREATE ON SCHEMA {namespace} TO {role}; "
                    f"ALTER {kind} {signatures.get(name, qualified(name))} OWNER TO {role}; "
                    f"REVOKE CREATE ON SCHEMA {namespace} FROM {role}"
                )
                target = Target.of({"ROUTINE": "function"}.get(kind, kind.lower()), name)
                yield self.mutant(target, name, f"owned by {roles[0]}", "", sql, Gain((roles[0],), "write"))
