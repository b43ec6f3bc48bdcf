"""Operators that add a condition to a policy, or match more loosely than it does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import postgast

from rolecall.catalog.definitions import Schema
from rolecall.catalog.objects import Policy, identifier, qualified
from rolecall.mutants.operators.constraints import parsed
from rolecall.mutants.operators.policies import CLAUSE, PolicyOperator, with_part
from rolecall.mutants.rewrites import matching
from rolecall.sql.tree import edit_expression, is_a, walk

CLAIMS = "NULLIF(current_setting('request.jwt.claims', true), '')::jsonb"
CALLER = f"({CLAIMS} ->> 'sub')"
HEADERS = "NULLIF(current_setting('request.headers', true), '')::jsonb"
# What a caller sends with a request, or an administrator sets: none of it belongs to the row.
FROM_THE_REQUEST = {
    "a role in user_metadata": f"COALESCE({CLAIMS} #>> '{{user_metadata,role}}' = 'admin', false)",
    "a role in app_metadata": f"COALESCE({CLAIMS} #>> '{{app_metadata,role}}' = 'admin', false)",
    "a setting": "COALESCE(current_setting('app.bypass', true) = 'on', false)",
    "a header": f"COALESCE({HEADERS} ->> 'x-admin' = 'true', false)",
}
MOST = 3  # columns of one type in each clause


class MoreAccess(PolicyOperator):
    """USING or WITH CHECK gets one more condition with OR: another column, a joined table, a claim, a header."""

    name = "policy-or"
    stands_for = "OR created_by_id = auth.uid(); a role in user_metadata, which users set; a header of internal tools"
    catches = "a row in which only this column names the caller; a request with this claim, setting or header"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        for part, predicate in _predicates(policy):
            conditions = self.conditions(policy.table, predicate, schema)
            # false keeps everyone out: a column of the row is no plausible exception.
            for what, condition in FROM_THE_REQUEST.items() if predicate == "false" else conditions:
                yield f"{CLAUSE[part]} or {what}", with_part(policy, part, f"({predicate}) OR {condition}")

    def conditions(self, table: str, predicate: str, schema: Schema) -> Iterator[tuple[str, str]]:
        """The additional conditions, each with a description. Columns that the predicate has are left out."""
        columns = {name: kind for name, kind in schema.types.get(table, {}).items() if name not in _columns(predicate)}
        for name in _of_type(columns, "uuid")[:MOST]:
            yield f"{name} is the caller", f"{identifier(name)}::text = {CALLER}"
        for name in _of_type(columns, "text", "character")[:1]:
            yield f"{name} is 'system'", f"COALESCE({identifier(name)} = 'system', false)"
        for name in _of_type(columns, "boolean")[:1]:
            yield name, f"COALESCE({identifier(name)}, false)"
        for name in _nullable(table, schema)[:1]:
            yield f"{name} is NULL", f"{identifier(name)} IS NULL"
        yield from self.joins(table, schema, _columns(predicate))
        yield from FROM_THE_REQUEST.items()

    def joins(self, table: str, schema: Schema, known: Collection[str]) -> Iterator[tuple[str, str]]:
        """For each foreign key: a column of the row that it refers to names the caller.

        Columns that the predicate knows are left out: it has most likely the same join.
        """
        for each in schema.constraints:
            if each.table == table and each.kind == "f":
                node = parsed(each)
                column, key = node.fk_attrs[0].string.sval, node.pk_attrs[0].string.sval
                other = f"{node.pktable.schemaname}.{node.pktable.relname}"
                ids = [name for name in _of_type(schema.types.get(other, {}), "uuid") if name != key] or [key]
                if ids[0] in known or (ids[0] == key and column in known):
                    continue
                row, caller = (
                    f"other.{identifier(key)} = {qualified(table)}.{identifier(column)}",
                    f"other.{identifier(ids[0])}::text",
                )
                condition = f"EXISTS (SELECT FROM {qualified(other)} AS other WHERE {row} AND {caller} = {CALLER})"
                yield f"the {ids[0]} of its {column} is the caller", condition


class LessAccess(PolicyOperator):
    """USING or WITH CHECK gets one more condition with AND, which few rows violate."""

    name = "policy-and"
    widens = False
    stands_for = "a filter of one screen, put into the policy: not in the future, not too long, not without a value"
    catches = "a row that only this condition leaves out: a NULL, a long text, a time in the future or long ago"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:
        columns = schema.types.get(policy.table, {})
        for part, predicate in _predicates(policy):
            if predicate != "false":
                for what, condition in self.conditions(policy.table, columns, schema):
                    yield f"{CLAUSE[part]} and {what}", with_part(policy, part, f"({predicate}) AND {condition}")

    def conditions(self, table: str, columns: dict[str, str], schema: Schema) -> Iterator[tuple[str, str]]:
        """The additional conditions, each with a description. But for the first, they admit NULL."""
        for name in _nullable(table, schema)[:MOST]:
            yield f"{name} is not NULL", f"{identifier(name)} IS NOT NULL"
        for name in _of_type(columns, "timestamp")[:1]:
            yield f"{name} is past", f"({identifier(name)} <= now()) IS NOT FALSE"
            yield f"{name} is recent", f"({identifier(name)} > now() - interval '10 years') IS NOT FALSE"
        for name in _of_type(columns, "text", "character")[:1]:
            yield f"{name} is short", f"(length({identifier(name)}) <= 50) IS NOT FALSE"
        for name in _of_type(columns, "integer", "numeric", "bigint")[:1]:
            yield f"{name} is small", f"({identifier(name)} < 1000) IS NOT FALSE"


class MatchLoosely(PolicyOperator):
    """A text is compared without its case or only at its beginning; a subquery sees one row."""

    name = "policy-match"
    stands_for = "LIKE with a folder's name, which other folders begin with; a LIMIT 1 that was copied with a query"
    catches = "a row whose text begins alike or has another case; a caller with two rows in the subquery"

    def changes(self, policy: Policy, schema: Schema) -> Iterator[tuple[str, Policy]]:  # noqa: ARG002
        for part, predicate in _predicates(policy):
            for what, text in edit_expression(predicate, (matching.match_loosely, matching.limit_subquery)):
                yield f"{CLAUSE[part]}: {what}", with_part(policy, part, text)


def _predicates(policy: Policy) -> Iterator[tuple[str, str]]:
    """The predicates that can be true and false, or that are always false."""
    for part, predicate in (("using", policy.using), ("check", policy.check)):
        if predicate not in (None, "true"):
            yield part, str(predicate)


def _columns(predicate: str) -> set[str]:
    nodes: list[Any] = [node for node in walk(postgast.parse(f"SELECT {predicate}")) if is_a(node, "column_ref")]
    return {node.column_ref.fields[-1].string.sval for node in nodes}


def _of_type(columns: dict[str, str], *beginnings: str) -> list[str]:
    return [name for name, kind in columns.items() if kind.startswith(beginnings)]


def _nullable(table: str, schema: Schema) -> list[str]:
    """The first nullable column of each type."""
    first: dict[str, str] = {}
    for column in schema.columns:
        if column.table == table and not column.not_null:
            first.setdefault(column.type, column.name)
    return list(first.values())
