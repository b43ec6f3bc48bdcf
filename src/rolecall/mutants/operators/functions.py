"""Operators that break functions: their attributes, or one part of their body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rolecall.catalog.definitions import Function, Schema
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import plpgsql, queries
from rolecall.sql.tree import edit

VOLATILITY = {"i": "IMMUTABLE", "s": "STABLE", "v": "VOLATILE"}


class Attributes(Operator):
    """Swap SECURITY DEFINER and INVOKER, reset or empty search_path, change volatility or strictness."""

    name = "function-attributes"
    stands_for = "SECURITY DEFINER without search_path, or with pg_temp first; STABLE for a function that writes"
    catches = "a test of the function's attributes, or of a call by a role without privileges on its tables"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each attribute of each function."""
        for function in schema.functions:
            for attribute in self.changes(function):
                sql = f"ALTER FUNCTION {function.signature} {attribute}"
                yield _mutant(self, schema, function, attribute.lower(), sql)

    def changes(self, function: Function) -> Iterator[str]:
        """The changed attributes, as ALTER FUNCTION takes them."""
        yield "SECURITY INVOKER" if function.definer else "SECURITY DEFINER"
        if "SET search_path" in function.definition:
            yield "RESET search_path"
            if "SET search_path TO ''" not in function.definition:
                yield "SET search_path = ''"
        if not function.is_trigger:
            yield from (word for letter, word in VOLATILITY.items() if letter != function.volatility)
            yield "CALLED ON NULL INPUT" if function.strict else "STRICT"


class EditBody(Operator):
    """Change one part of a body: a condition, a comparison, a constant, a WHERE, an order, a limit."""

    name = "function-edit"
    stands_for = "a missing or reversed check, a limit off by one, a WHERE without one of its parts"
    catches = "a test of a call whose result or error depends on this part only"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each body."""
        for function in schema.functions:
            for what, sql in _edits(function):
                yield _mutant(self, schema, function, what, sql)


def _edits(function: Function) -> Iterator[tuple[str, str]]:
    """Every single change of a function's body, as the statement that creates the changed function."""
    if function.language == "plpgsql":
        for what, source in plpgsql.edits(function):
            yield what, function.definition.replace(function.source, source)
    elif function.language == "sql" and function.source:
        for what, text in edit(function.source, queries.QUERY):
            yield what, function.definition.replace(function.source, f"\n{text}\n")
    elif function.language == "sql":  # RETURN or BEGIN ATOMIC: the catalog does not keep the text of the body
        yield from edit(function.definition, queries.QUERY, within=_body)


def _body(tree: Any) -> Any:
    return tree.stmts[0].stmt.create_function_stmt.sql_body


def _mutant(operator: Operator, schema: Schema, function: Function, what: str, sql: str) -> Mutant:
    """A mutant of a function. A trigger function concerns the table of its trigger."""
    tables = [trigger.table for trigger in schema.triggers if trigger.function == function.full_name]
    concerns = tables[0] if tables else function.full_name
    return operator.mutant(Target.of("function", function.full_name), concerns, what, function.definition, sql)
