"""Operators that break policies, and row-level security itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import chain, product

from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import Policy, qualified
from rolecall.grids.grid import COMMANDS
from rolecall.mutants.operators.operator import Gain, Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions, queries
from rolecall.sql.tree import aliases, edit_expression, may_be_null

XACML = "Martin and Xie, A Fault Model and Mutation Testing of Access Control Policies, WWW 2007"
CLAUSE = {"using": "USING", "check": "WITH CHECK"}
ANOTHER_CLAIM = "((auth.jwt() ->> 'session_id')::uuid)"


class PolicyOperator(Operator):
    """Operators that replace each policy with changed ones."""

    catches = "a cell of the table's grid: a row, a command and a persona whose access depends on this part only"
    by_grid = True
    widens = True  # whether a changed policy may admit more

    @abstractmethod
    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        """The changed policies, each with a description of the change."""

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each changed policy: the original is dropped, the changed one is created."""
        for policy in schema.policies:
            for what, changed in self.changes(policy, schema):
                sql = f"{policy.drop()}; {changed.create()}"
                target, gain = Target("policy", policy.name, policy.table), self.gain(what, changed)
                yield self.mutant(target, policy.table, what, policy.create(), sql, gain)

    def gain(self, what: str, changed: Policy) -> Gain | None:
        """What a changed policy may admit in addition; None if it admits less."""
        if not self.widens or what.endswith("becomes false"):
            return None
        return Gain(tuple(changed.roles), "write" if changed.command == "all" else changed.command)


class DropPolicy(Operator):
    """Drop a policy."""

    by_grid = True
    name = "policy-drop"
    stands_for = "a migration that drops a policy to replace it, and does not"
    source = f"{XACML}: rule removal"
    catches = PolicyOperator.catches

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each policy."""
        for policy in schema.policies:
            target = Target("policy", policy.name, policy.table)
            yield self.mutant(target, policy.table, "dropped", policy.create(), policy.drop())


class AddPermissivePolicy(Operator):
    """Add a permissive policy that allows a command to a role of the table's policies, or to PUBLIC."""

    by_grid = True
    name = "policy-add"
    stands_for = "a policy added in the dashboard for a test: permissive policies are OR-ed, and one is enough"
    source = f"{XACML}: rule addition"
    catches = PolicyOperator.catches

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each table, command and role that the table's permissive policies are for."""
        for table in dict.fromkeys(policy.table for policy in schema.policies):
            role_lists = (policy.roles for policy in schema.policies if policy.table == table and policy.permissive)
            roles = dict.fromkeys((*chain.from_iterable(role_lists), "public"))
            for command, role in product(COMMANDS, roles):
                using, check = _clauses(command)
                policy = Policy(table, "rolecall mutant", True, command, [role], using, check)
                target, gain = Target.of("table", table), Gain((role,), command)
                yield self.mutant(target, table, f"{command} for {role}", "", policy.create(), gain)


class ConstantPredicate(PolicyOperator):
    """USING or WITH CHECK becomes true or false. A USING that serves for both gets WITH CHECK true."""

    name = "policy-constant"
    stands_for = "USING (true) to make a feature work, and never taken back"
    source = f"{XACML}: rule target and condition true or false"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part in ("using", "check"):
            for constant in ("true", "false"):
                if getattr(policy, part) not in (None, constant):
                    yield f"{CLAUSE[part]} becomes {constant}", with_part(policy, part, constant)
        if policy.check is None and policy.command in ("update", "all") and policy.using != "true":
            yield "with WITH CHECK true", policy._replace(check="true")


class NegatePredicate(PolicyOperator):
    """USING or WITH CHECK is negated."""

    name = "policy-negate"
    stands_for = "a reversed condition"
    source = f"{XACML}: condition negated"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part in ("using", "check"):
            if predicate := getattr(policy, part):
                yield f"{CLAUSE[part]} is negated", with_part(policy, part, f"NOT ({predicate})")


class AdmitNull(PolicyOperator):
    """A predicate admits the row if it is NULL."""

    name = "policy-null"
    stands_for = "IS NOT FALSE, IS DISTINCT FROM or COALESCE(…, true) with an id that may be missing"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part in ("using", "check"):
            predicate = getattr(policy, part)
            if predicate and may_be_null(predicate):
                yield f"{CLAUSE[part]} admits NULL", with_part(policy, part, f"({predicate}) IS NOT FALSE")


class EditPredicate(PolicyOperator):
    """A part of a predicate is left out or changed: a condition, a comparison, a column, a join, an arm of a UNION."""

    name = "policy-edit"
    stands_for = "a forgotten condition, the wrong column of the same type, an uncorrelated join"
    source = f"{XACML}: combining algorithm and condition changes; columns and correlation: ours"
    REWRITES = (*expressions.PREDICATE, queries.drop_where, queries.drop_arm, queries.change_join, queries.drop_on)

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        own = {"": policy.table, policy.table.partition(".")[2]: policy.table}
        for part in ("using", "check"):
            if predicate := getattr(policy, part):
                tables = own | aliases(predicate)
                columns = {name: schema.types.get(table, {}) for name, table in tables.items()}
                rewrites = (*self.REWRITES, expressions.swap_column(columns))
                for what, text in edit_expression(predicate, rewrites):
                    yield f"{CLAUSE[part]}: {what}", with_part(policy, part, text)


class AnotherClaim(PolicyOperator):
    """``auth.uid()`` becomes another claim of the token."""

    name = "policy-claim"
    stands_for = "session_id, or a field of user_metadata that users set themselves, instead of the user's id"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        rewrite = expressions.replace_call("auth.uid", ANOTHER_CLAIM)
        for part in ("using", "check"):
            if predicate := getattr(policy, part):
                for what, text in edit_expression(predicate, [rewrite]):
                    yield f"{CLAUSE[part]}: {what}", with_part(policy, part, text)


class DropCheck(PolicyOperator):
    """An UPDATE policy loses its WITH CHECK, and USING serves for both."""

    name = "policy-no-check"
    stands_for = "an UPDATE policy without WITH CHECK, although the new row needs another condition than the old one"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        if policy.using is not None and policy.check not in (None, policy.using):
            yield "without WITH CHECK", policy._replace(check=None)


class AnotherCommand(PolicyOperator):
    """A policy for one command becomes one for ALL, or a policy for ALL becomes one for a single command."""

    name = "policy-command"
    stands_for = "a missing FOR, which means ALL; or a policy for fewer commands than its name says"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        if policy.command != "all":
            using = policy.check if policy.using is None else policy.using
            yield f"for {policy.command} becomes for all", policy._replace(command="all", using=using)
        else:
            for command in COMMANDS:
                using = None if command == "insert" else policy.using
                check = policy.check if command in ("insert", "update") else None
                yield f"for all becomes for {command}", policy._replace(command=command, using=using, check=check)


class AnotherRole(PolicyOperator):
    """A policy becomes one for PUBLIC, or for another role."""

    name = "policy-role"
    stands_for = "a missing TO, which means PUBLIC; the wrong one of two roles"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        for role in ("public", *schema.roles):
            if policy.roles != [role]:
                yield f"to {', '.join(policy.roles)} becomes to {role}", policy._replace(roles=[role])


class SwapPermissive(PolicyOperator):
    """A permissive policy becomes restrictive, or a restrictive one permissive."""

    name = "policy-permissive"
    stands_for = "a forgotten AS RESTRICTIVE: a policy that should restrict access grants it"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        becomes = "restrictive" if policy.permissive else "permissive"
        yield f"becomes {becomes}", policy._replace(permissive=not policy.permissive)


class DisableSecurity(Operator):
    """Row-level security is switched off for a table."""

    by_grid = True
    name = "rls-off"
    stands_for = "a forgotten ENABLE ROW LEVEL SECURITY: the policies exist, but have no effect"
    catches = "a cell in which a persona must not see a row"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each table that the migrations created, and that has it."""
        for table in (name for name, state in schema.states.items() if state.row_security.startswith("ENABLE")):
            on, off = (f"ALTER TABLE {qualified(table)} {word} ROW LEVEL SECURITY" for word in ("ENABLE", "DISABLE"))
            target, gain = Target.of("table", table), Gain(schema.grantees(table), "write")
            yield self.mutant(target, table, "row-level security off", on, off, gain)


def _clauses(command: str) -> tuple[str | None, str | None]:
    """USING and WITH CHECK that admit everything. A clause that the command does not have is None."""
    return (None if command == "insert" else "true"), ("true" if command in ("insert", "update") else None)


def with_part(policy: Policy, part: str, predicate: str) -> Policy:
    """A policy with another predicate; ``part`` is ``using`` or ``check``."""
    return policy._replace(using=predicate) if part == "using" else policy._replace(check=predicate)
