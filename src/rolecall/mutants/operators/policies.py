"""Operators that break policies, and row-level security itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import chain, product

from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import Policy
from rolecall.grids.grid import COMMANDS
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions, queries
from rolecall.sql.tree import aliases, edit_expression, may_be_null

XACML = "Martin and Xie, A Fault Model and Mutation Testing of Access Control Policies, WWW 2007"
ANOTHER_CLAIM = "((auth.jwt() ->> 'session_id')::uuid)"


class PolicyOperator(Operator):
    """Operators that make each policy another one."""

    catches = "a cell of the table's grid: a row, a command and a persona about which only this part decides"
    by_grid = True

    @abstractmethod
    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        """What a policy could be instead, and in which words."""

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """Each policy dropped and made anew as each of the others."""
        for policy in schema.policies:
            for what, other in self.others(policy, schema):
                sql = f"{policy.drop()}; {other.create()}"
                yield self.mutant(Target("policy", policy.name, policy.table), policy.table, what, policy.create(), sql)


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
    """Add a permissive policy that lets whom the table's policies are for, or everybody, do a command."""

    by_grid = True
    name = "policy-add"
    stands_for = "a policy added in the dashboard 'for testing': policies are OR-ed, and one is enough"
    source = f"{XACML}: rule addition"
    catches = PolicyOperator.catches

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each table, command and role that the table's permissive policies are for."""
        for table in dict.fromkeys(policy.table for policy in schema.policies):
            named = (policy.roles for policy in schema.policies if policy.table == table and policy.permissive)
            roles = dict.fromkeys((*chain.from_iterable(named), "public"))
            for command, role in product(COMMANDS, roles):
                using, check = _clauses(command)
                policy = Policy(table, "rolecall mutant", True, command, [role], using, check)
                yield self.mutant(Target.of("table", table), table, f"{command} for {role}", "", policy.create())


class ConstantPredicate(PolicyOperator):
    """USING and WITH CHECK become true, or false, also where USING serves for both."""

    name = "policy-constant"
    stands_for = "USING (true) to make a feature work, and never taken back"
    source = f"{XACML}: rule target and condition true or false"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part in ("using", "check"):
            for constant in ("true", "false"):
                if getattr(policy, part) not in (None, constant):
                    yield f"{_CLAUSE[part]} becomes {constant}", _with(policy, part, constant)
        if policy.check is None and policy.command in ("update", "all") and policy.using != "true":
            yield "with WITH CHECK true", policy._replace(check="true")


class NegatePredicate(PolicyOperator):
    """USING and WITH CHECK are negated."""

    name = "policy-negate"
    stands_for = "a condition written the wrong way round"
    source = f"{XACML}: condition negated"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part in ("using", "check"):
            if predicate := getattr(policy, part):
                yield f"{_CLAUSE[part]} is negated", _with(policy, part, f"NOT ({predicate})")


class AdmitNull(PolicyOperator):
    """A predicate that is NULL admits."""

    name = "policy-null"
    stands_for = "IS NOT FALSE, IS DISTINCT FROM or COALESCE(…, true) where an id may be missing"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part in ("using", "check"):
            predicate = getattr(policy, part)
            if predicate and may_be_null(predicate):
                yield f"{_CLAUSE[part]} admits NULL", _with(policy, part, f"({predicate}) IS NOT FALSE")


class EditPredicate(PolicyOperator):
    """One part of a predicate is left out or changed: a conjunct, a comparison, a column, a join, a query's arm."""

    name = "policy-edit"
    stands_for = "a condition forgotten, a column of the same type mistaken for another, a join not correlated"
    source = f"{XACML}: combining algorithm and condition changes; columns and correlation: ours"
    REWRITES = (*expressions.PREDICATE, queries.drop_where, queries.drop_arm, queries.change_join, queries.drop_on)

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        own = {"": policy.table, policy.table.rpartition(".")[2]: policy.table}
        for part in ("using", "check"):
            if predicate := getattr(policy, part):
                tables = own | aliases(predicate)
                columns = {name: schema.types.get(table, {}) for name, table in tables.items()}
                rewrites = (*self.REWRITES, expressions.swap_column(columns))
                for what, text in edit_expression(predicate, rewrites):
                    yield f"{_CLAUSE[part]}: {what}", _with(policy, part, text)


class AnotherClaim(PolicyOperator):
    """``auth.uid()`` becomes another claim of the token."""

    name = "policy-claim"
    stands_for = "session_id, or a user_metadata field that users set themselves, taken for the user's id"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        rewrite = expressions.replace_call("auth.uid", ANOTHER_CLAIM)
        for part in ("using", "check"):
            if predicate := getattr(policy, part):
                for what, text in edit_expression(predicate, [rewrite]):
                    yield f"{_CLAUSE[part]}: {what}", _with(policy, part, text)


class DropCheck(PolicyOperator):
    """An UPDATE policy loses its WITH CHECK, and USING serves for both."""

    name = "policy-no-check"
    stands_for = "an UPDATE policy with USING alone, where the new row needs more than the old"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        if policy.using is not None and policy.check not in (None, policy.using):
            yield "without WITH CHECK", policy._replace(check=None)


class AnotherCommand(PolicyOperator):
    """A policy for one command is for ALL, or one for ALL is for one."""

    name = "policy-command"
    stands_for = "FOR left out, which means ALL; or a policy that covers fewer commands than its name says"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        if policy.command != "all":
            using = policy.check if policy.using is None else policy.using
            yield f"for {policy.command} becomes for all", policy._replace(command="all", using=using)
        else:
            for command in COMMANDS:
                using = None if command == "insert" else policy.using
                check = policy.check if command in ("insert", "update") else None
                yield f"for all becomes for {command}", policy._replace(command=command, using=using, check=check)


class AnotherRole(PolicyOperator):
    """A policy is for everybody, or for another role."""

    name = "policy-role"
    stands_for = "TO left out, which means PUBLIC; the roles of guests and of users mixed up"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        for role in ("public", *schema.roles):
            if policy.roles != [role]:
                yield f"to {', '.join(policy.roles)} becomes to {role}", policy._replace(roles=[role])


class SwapPermissive(PolicyOperator):
    """A permissive policy becomes restrictive, and the other way round."""

    name = "policy-permissive"
    stands_for = "AS RESTRICTIVE forgotten: a policy that should keep somebody out lets everybody in"

    def others(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        becomes = "restrictive" if policy.permissive else "permissive"
        yield f"becomes {becomes}", policy._replace(permissive=not policy.permissive)


class DisableSecurity(Operator):
    """Row-level security is switched off for a table."""

    by_grid = True
    name = "rls-off"
    stands_for = "ENABLE ROW LEVEL SECURITY forgotten: the policies are there, and nobody asks them"
    catches = "a row of somebody else that any persona is not to see"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each table that the migrations made."""
        for table in schema.tables:
            on, off = (f"ALTER TABLE {table} {word} ROW LEVEL SECURITY" for word in ("ENABLE", "DISABLE"))
            yield self.mutant(Target.of("table", table), table, "row-level security off", on, off)


def _clauses(command: str) -> tuple[str | None, str | None]:
    """USING and WITH CHECK that let everything through, as far as a command takes them."""
    return (None if command == "insert" else "true"), ("true" if command in ("insert", "update") else None)


_CLAUSE = {"using": "USING", "check": "WITH CHECK"}


def _with(policy: Policy, part: str, predicate: str) -> Policy:
    return policy._replace(using=predicate) if part == "using" else policy._replace(check=predicate)
