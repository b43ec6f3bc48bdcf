"""Operators that break privileges on tables, views and functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rolecall.catalog.definitions import Grant, Schema
from rolecall.catalog.objects import grantee, identifier, qualified
from rolecall.mutants.operators.operator import Gain, Mutant, Operator, Target

CATCHES = "a cell or a test in which this role uses, or is refused, this privilege"
PRIVILEGES = {
    "TABLE": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"),
    "VIEW": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "FUNCTION": ("EXECUTE",),
}


def targets(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """Everything that can be granted: the kind, the object as GRANT … ON takes it, and its name."""
    for table in schema.tables:
        yield "TABLE", f"TABLE {qualified(table)}", table
    for view in schema.views:
        yield "VIEW", f"TABLE {qualified(view.full_name)}", view.full_name
    for function in schema.functions:
        if function.is_called:
            yield "FUNCTION", f"ROUTINE {function.signature}", function.full_name


class AddGrant(Operator):
    """Grant a role, or PUBLIC, a privilege that it does not have."""

    name = "grant-add"
    stands_for = (
        "GRANT ALL to silence an error; default privileges that were not revoked; EXECUTE that PUBLIC still has"
    )
    catches = CATCHES
    by_grid = True

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each privilege on each object that a role has not, neither by itself nor from another role.

        A role that cannot enter the schema reaches the object only by way of a view, a policy or a function.
        """
        existing = {
            (grant.on, grant.role, grant.privilege) for grant in schema.grants if not grant.columns
        } | schema.held
        for kind, on, full_name in targets(schema):
            for role in (*schema.roles, "public"):
                for privilege in PRIVILEGES[kind]:
                    if not {(on, role, privilege), (on, "public", privilege)} & existing:
                        sql = f"GRANT {privilege} ON {on} TO {grantee(role)}"
                        target = Target.of(kind.lower(), full_name)
                        mutant = self.mutant(
                            target, full_name, f"{privilege} for {role}", "", sql, Gain((role,), privilege.lower())
                        )
                        may_enter = role == "public" or (target.owner, role) in schema.usages
                        yield mutant if may_enter else replace(mutant, out_of_reach=f"no USAGE on {target.owner}")


class DropGrant(Operator):
    """Revoke a privilege."""

    name = "grant-drop"
    stands_for = "a forgotten grant, which only fails where nothing is granted by default"
    catches = CATCHES
    by_grid = True

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each grant."""
        for grant in schema.grants:
            before = f"GRANT {grant.sql} ON {grant.on} TO {grantee(grant.role)}"
            sql = f"REVOKE {grant.sql} ON {grant.on} FROM {grantee(grant.role)}"
            yield self.mutant(_target(grant), grant.name, f"no {grant.what} for {grant.role}", before, sql)


class WidenGrant(Operator):
    """Grant on the whole table what is granted on some of its columns, or revoke one of the columns."""

    name = "grant-columns"
    stands_for = "GRANT UPDATE for one column, which also allows writes to others, e.g. role or balance"
    catches = "a test in which this role uses each of its columns, and is refused each of the others"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each grant on columns, and one for each of several columns."""
        for grant in schema.grants:
            to, role = f"ON {grant.on} TO {grantee(grant.role)}", grant.role
            if grant.columns:
                what = f"{grant.privilege} on all columns for {role}"
                before, sql = f"GRANT {grant.sql} {to}", f"GRANT {grant.privilege} {to}"
                yield self.mutant(_target(grant), grant.name, what, before, sql, Gain((role,), grant.privilege.lower()))
            for column in grant.columns if len(grant.columns) > 1 else ():
                single = grant._replace(columns=[column])
                before, sql = f"GRANT {single.sql} {to}", f"REVOKE {single.sql} ON {grant.on} FROM {grantee(role)}"
                yield self.mutant(_target(grant), grant.name, f"no {single.what} for {role}", before, sql)


class GrantOption(Operator):
    """Let a role grant its privilege to others."""

    name = "grant-option"
    stands_for = "a copied WITH GRANT OPTION: the role can grant its privilege to anon"
    catches = "a test that compares the grants, with their grant options, with the expected ones"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each grant to a role without it; PUBLIC cannot have the option."""
        for grant in schema.grants:
            if grant.role != "public" and not grant.option:
                before = f"GRANT {grant.sql} ON {grant.on} TO {grantee(grant.role)}"
                what = f"{grant.what} for {grant.role} with grant option"
                yield self.mutant(_target(grant), grant.name, what, before, before + " WITH GRANT OPTION")


class DropUsage(Operator):
    """Revoke USAGE on a schema from a role that has privileges in it."""

    name = "usage-drop"
    stands_for = "grants on tables without USAGE on their schema: permission denied for schema"
    catches = "a cell or a test in which the role uses an object of the schema"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each schema and role. It concerns the tests of the first object in the schema."""
        seen: set[tuple[str, str]] = set()
        for grant in schema.grants:
            namespace = grant.name.split(".")[0]
            if (namespace, grant.role) not in seen and grant.role != "public":
                seen.add((namespace, grant.role))
                before, sql = (
                    f"{word} USAGE ON SCHEMA {identifier(namespace)} {preposition} {grantee(grant.role)}"
                    for word, preposition in (("GRANT", "TO"), ("REVOKE", "FROM"))
                )
                yield self.mutant(Target("schema", namespace), grant.name, f"no USAGE for {grant.role}", before, sql)


def _target(grant: Grant) -> Target:
    return Target.of(grant.kind.lower(), grant.name)
