"""Changes of policies that may be a repair: the operators of mutation testing the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from rolecall.ask.edits import Edit, change_policy, drop_policy, statement, words
from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import Policy, identifier, qualified
from rolecall.grids.grid import COMMANDS
from rolecall.mutants.operators.policies import AnotherCommand, EditPredicate, SwapPermissive, with_part
from rolecall.sql.tree import as_sql, become, expression, is_a, walk

CLAUSES = (("using", "USING"), ("check", "WITH CHECK"))
HAS_USING = {"all", "select", "update", "delete"}
HAS_CHECK = {"all", "insert", "update"}
MOST = 24  # predicates that are tried from other tables, the commonest first
GUESS = 1  # a predicate that stands nowhere


@dataclass(frozen=True)
class PolicyEdits:
    """Changes of the policies of a table, for a role and a command (select …)."""

    schema: Schema
    table: str
    role: str
    command: str

    @property
    def own(self) -> list[Policy]:
        """The policies of the table."""
        return [each for each in self.schema.policies if each.table == self.table]

    def all(self) -> Iterator[Edit]:
        """Every change. Some are not valid: the server refuses them."""
        yield statement(
            f"ALTER TABLE {qualified(self.table)} ENABLE ROW LEVEL SECURITY", "switches row-level security on"
        )
        yield statement(
            f"ALTER TABLE {qualified(self.table)} FORCE ROW LEVEL SECURITY", "lets the policies bind the owner, too"
        )
        for policy in self.own:
            yield drop_policy(policy)
            yield from self._roles(policy)
            yield from self._shape(policy)
            yield from self._predicates(policy)
        yield from self._new()

    def _roles(self, policy: Policy) -> Iterator[Edit]:
        """To one role more, one less, to another, or to those of another policy."""
        lists = [[*policy.roles, self.role], ["public"], *([role] for role in self.schema.roles)]
        lists += [[each for each in policy.roles if each != role] for role in policy.roles if len(policy.roles) > 1]
        lists += [each.roles for each in self.schema.policies]
        if policy.roles == ["public"]:
            lists.append([role for role in self.schema.roles if role != self.role])
        for roles in lists:
            if roles and sorted(roles) != sorted(policy.roles) and not ("public" in roles and len(roles) > 1):
                guess = GUESS if roles == ["public"] else 0  # more roles than are needed
                yield change_policy(policy, policy._replace(roles=list(roles)), f"to {', '.join(roles)}", guess)

    def _shape(self, policy: Policy) -> Iterator[Edit]:
        """For another command, or restrictive in place of permissive."""
        for operator in (AnotherCommand(), SwapPermissive()):
            for what, changed in operator.changes(policy, self.schema):
                edit = change_policy(policy, changed, what)
                # For all commands is as much as a policy for each: a new one for the missing command is better.
                more = len(words(changed.create())) if changed.command == "all" != policy.command else 0
                yield edit._replace(words=edit.words + more)
        for command in COMMANDS if policy.command != "all" else ():
            if command != policy.command:
                predicate = policy.using or policy.check
                using = (policy.using or predicate) if command in HAS_USING else None
                check = (policy.check or predicate) if command in HAS_CHECK else None
                changed = policy._replace(command=command, using=using, check=check)
                yield change_policy(policy, changed, f"for {command} in place of {policy.command}")

    def _predicates(self, policy: Policy) -> Iterator[Edit]:
        if policy.check is not None and policy.using is not None:
            yield change_policy(policy, policy._replace(check=None), "without WITH CHECK, so USING counts for new rows")
            yield change_policy(policy, policy._replace(using=policy.check), "USING becomes that of WITH CHECK")
            yield change_policy(policy, policy._replace(check=policy.using), "WITH CHECK becomes that of USING")
        for what, changed in EditPredicate().changes(policy, self.schema):
            if "false" not in (changed.using, changed.check):
                yield change_policy(policy, changed, what, _guess(what))
        for part, clause in CLAUSES:
            possible = HAS_USING if part == "using" else HAS_CHECK
            if policy.command not in possible:
                continue
            old = getattr(policy, part)
            for predicate, guess in self.known:
                if predicate == old:
                    continue
                yield change_policy(policy, with_part(policy, part, predicate), f"{clause} becomes {predicate}", guess)
                if old not in (None, "true"):
                    both = f"{old} AND {predicate}"
                    yield change_policy(
                        policy, with_part(policy, part, both), f"{clause} also needs {predicate}", guess
                    )
                    either = f"{old} OR {predicate}"
                    what = f"{clause} also lets through {predicate}"
                    yield change_policy(policy, with_part(policy, part, either), what, guess + 1)

    def _new(self) -> Iterator[Edit]:
        """A new policy: for the command and the role, with a predicate that is known."""
        using, check = self.command in HAS_USING, self.command in HAS_CHECK and self.command != "update"
        names = {each.name for each in self.own}
        for predicate, guess in [*self.known, ("true", 3)]:
            for permissive in (True, False):
                word = "may" if permissive else "must"
                name = f"{self.role} {word} {self.command}"
                name = name if name not in names else f"{name} (2)"
                policy = Policy(
                    self.table,
                    name,
                    permissive,
                    self.command,
                    [self.role],
                    predicate if using else None,
                    predicate if check else None,
                )
                if permissive or predicate != "true":
                    yield statement(policy.create(), f"adds a policy of {self.table} with {predicate}", guess)

    # -- the predicates that are known

    @property
    def known(self) -> list[tuple[str, int]]:
        """The predicates that other policies have, and comparisons of a column with who asks; each with its guess."""
        found = dict.fromkeys(self._of(self.own), 0)
        others = [each for each in self.schema.policies if each.table != self.table]
        foreign = self._of(others)
        for predicate in sorted(set(foreign), key=lambda each: (-foreign.count(each), each))[:MOST]:
            found.setdefault(predicate, GUESS)
            for text in _about_columns(predicate, self.schema.types.get(self.table, {})):
                found.setdefault(text, GUESS)
        for caller in self._callers():
            for column in self.schema.types.get(self.table, {}):
                found.setdefault(f"({identifier(column)} = {caller})", GUESS + 1)
        found.pop("true", None)
        found.pop("false", None)
        return list(found.items())

    def _of(self, policies: Sequence[Policy]) -> list[str]:
        """The predicates of policies, and the parts of those that are joined with AND and OR."""
        whole = [text for each in policies for text in (each.using, each.check) if text]
        return [part for text in whole for part in (text, *_parts(text))]

    def _callers(self) -> list[str]:
        """The expressions for who asks: what policies compare a column with, and what has no column of a row."""
        found: dict[str, None] = {}
        for policy in self.schema.policies:
            for text in filter(None, (policy.using, policy.check)):
                found |= dict.fromkeys(_compared(text))
        return list(found)


def _guess(what: str) -> int:
    """How much of a guess an edit of an expression is: nothing if it only leaves a part out."""
    if ": without " in what:
        return 0
    return GUESS if what.endswith(("AND becomes OR", "OR becomes AND")) else 2 * GUESS


def _parts(text: str) -> list[str]:
    """The operands of AND and OR at the top of an expression."""
    try:
        node = expression(text)
    except postgast.PgQueryError:
        return []
    if not is_a(node, "bool_expr") or node.bool_expr.boolop == pb.NOT_EXPR:
        return []
    return [f"({as_sql(each)})" for each in node.bool_expr.args]


def _about_columns(text: str, columns: Mapping[str, str]) -> Iterator[str]:
    """A predicate of another table, about each column of this one. None if it has two columns, or a subquery."""
    try:
        node = expression(text)
    except postgast.PgQueryError:
        return
    references = [each for each in walk(node) if is_a(each, "column_ref")]
    names = {as_sql(each) for each in references}
    if len(names) != 1 or any(is_a(each, "sub_link") for each in walk(node)):
        return
    for column in columns:
        for each in references:
            become(each, expression(identifier(column)))
        yield f"({as_sql(node)})"


def _compared(text: str) -> Iterator[str]:
    """The sides of comparisons that have no column, where the other side is a column."""
    try:
        tree = postgast.parse(f"SELECT {text}")
    except postgast.PgQueryError:
        return
    nodes: list[Any] = [node for node in walk(tree) if is_a(node, "a_expr")]
    for node in nodes:
        if len(node.a_expr.name) != 1 or node.a_expr.name[0].string.sval != "=":
            continue
        left, right = node.a_expr.lexpr, node.a_expr.rexpr
        for column, other in ((left, right), (right, left)):
            calls = any(is_a(each, "func_call") for each in walk(other))
            if is_a(column, "column_ref") and calls and not any(is_a(each, "column_ref") for each in walk(other)):
                yield as_sql(other)
