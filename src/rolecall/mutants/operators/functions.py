"""Operators that break functions: their attributes, or one part of their body."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import postgast
from postgast import pg_query_pb2 as pb

from rolecall.catalog.definitions import Function, Schema
from rolecall.catalog.plpgsql import parts
from rolecall.mutants.operators.operator import Gain, Mutant, Operator, Target
from rolecall.mutants.rewrites import matching, plpgsql, queries, values
from rolecall.sql.tree import Rewrite, edit

VOLATILITY = {"i": "IMMUTABLE", "s": "STABLE", "v": "VOLATILE"}


class Attributes(Operator):
    """Swap SECURITY DEFINER and INVOKER, reset or empty search_path, change volatility, strictness, parallel safety."""

    name = "function-attributes"
    stands_for = "SECURITY DEFINER without search_path, or with pg_temp first; STABLE for a function that writes"
    catches = "a test of the function's attributes, or of a call by a role without privileges on its tables"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each attribute of each function."""
        for function in schema.functions:
            for attribute in self.changes(function):
                sql = f"ALTER ROUTINE {function.signature} {attribute}"
                mutant = _mutant(self, schema, function, attribute.lower(), sql)
                gain = Gain(schema.grantees(function.full_name), "execute")
                yield replace(mutant, gain=gain) if attribute == "SECURITY DEFINER" else mutant

    def changes(self, function: Function) -> Iterator[str]:
        """The changed attributes, as ALTER FUNCTION takes them."""
        yield "SECURITY INVOKER" if function.definer else "SECURITY DEFINER"
        if "SET search_path" in function.definition:
            yield "RESET search_path"
            if "SET search_path TO ''" not in function.definition:
                yield "SET search_path = ''"
        if function.is_called and not function.is_procedure:
            yield from (word for letter, word in VOLATILITY.items() if letter != function.volatility)
            yield "CALLED ON NULL INPUT" if function.strict else "STRICT"
            yield "PARALLEL UNSAFE" if "PARALLEL SAFE" in function.definition else "PARALLEL SAFE"


class EditBody(Operator):
    """Change one part of a body: a condition, a comparison, a constant, a WHERE, an order, a limit."""

    name = "function-edit"
    stands_for = "a missing or reversed check, a limit off by one, a WHERE without one of its parts"
    catches = "a test of a call whose result or error depends on this part only"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each body."""
        for function in schema.functions:
            for what, sql in _edits(function, queries.QUERY):
                yield _mutant(self, schema, function, what, sql)


class FunctionSettings(Operator):
    """A function runs with its own time zone or date style."""

    name = "function-settings"
    stands_for = "SET timezone for the one country of the first customers; a date style for one report"
    catches = "a test of a time near midnight, or of a date as text"
    TIMES = frozenset({"current_date", "localtime", "date", "date_part", "date_trunc", "extract", "to_char"})
    SETTINGS = ("TimeZone = 'Pacific/Auckland'", "TimeZone = 'America/Los_Angeles'", "DateStyle = 'German'")

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each setting of each function whose body has a date, or a part of a time."""
        for function in schema.functions:
            for setting in self.SETTINGS if self.TIMES & plpgsql.words(function.source) else ():
                sql = f"ALTER ROUTINE {function.signature} SET {setting}"
                yield _mutant(self, schema, function, f"SET {setting}", sql)


class EditResult(Operator):
    """Change the rows of a result, or a value that is returned or stored: cut, rounded, in lower case, not distinct."""

    name = "function-result"
    stands_for = "a LIMIT for the first page, lower() for a search, a rounded number, another aggregate"
    catches = "a test with many rows, equal rows, capitals, fractions and times of day"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change of each body; of a value only the first change of its kind."""
        names = _types_by_name(schema)
        for function in schema.functions:
            seen: set[str] = set()
            types = names | _arguments(function)
            for what, sql in _edits(function, (*matching.RESULT, values.change_values(types))):
                kind = next((each for each in values.DESCRIPTIONS if what.endswith(each)), what)
                if kind not in seen:
                    seen.add(kind)
                    yield _mutant(self, schema, function, what, sql)


class SwallowErrors(Operator):
    """A function catches every error and returns nothing; a trigger function returns another row."""

    name = "function-swallow"
    stands_for = "EXCEPTION WHEN OTHERS, so that the application does not fail; RETURN NULL in a BEFORE trigger"
    catches = "a test that expects an error, or that the row is written"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each function, and for each other RETURN of a trigger function."""
        for function in schema.functions:
            if function.language == "plpgsql":
                result = "NEW" if function.is_trigger else "" if _returns_rows(function) else "NULL"
                changes = [*plpgsql.swallow_errors(function, result)]
                changes += plpgsql.other_returns(function) if function.is_trigger else []
                for what, source in changes:
                    sql = function.definition.replace(function.source, source)
                    yield _mutant(self, schema, function, what, sql)


def _edits(function: Function, rewrites: tuple[Rewrite, ...]) -> Iterator[tuple[str, str]]:
    """Every single change of a function's body, as the statement that creates the changed function."""
    if function.language == "plpgsql":
        is_whole = rewrites is queries.QUERY
        changes = (
            plpgsql.edits(function) if is_whole else plpgsql.edit_parts(function.source, parts(function), rewrites)
        )
        for what, source in changes:
            yield what, function.definition.replace(function.source, source)
    elif function.language == "sql" and function.source:
        for what, text in edit(function.source, rewrites):
            yield what, function.definition.replace(function.source, f"\n{text}\n")
    elif function.language == "sql":  # RETURN or BEGIN ATOMIC: the catalog does not keep the text of the body
        yield from edit(function.definition, rewrites, within=_body)


def _body(tree: Any) -> Any:
    return tree.stmts[0].stmt.create_function_stmt.sql_body


def _statement(function: Function) -> Any:
    return postgast.parse(function.definition).stmts[0].stmt.create_function_stmt


def _returns_rows(function: Function) -> bool:
    """Whether RETURN has no value: the function returns rows, nothing, or its OUT arguments."""
    node = _statement(function)
    modes = {parameter.function_parameter.mode for parameter in node.parameters}
    names = node.return_type.names  # of a procedure: empty
    is_void = not names or names[-1].string.sval in ("void", "event_trigger")
    return bool(
        node.return_type.setof or is_void or modes & {pb.FUNC_PARAM_OUT, pb.FUNC_PARAM_INOUT, pb.FUNC_PARAM_TABLE}
    )


def _arguments(function: Function) -> dict[str, str]:
    """The types of the arguments, by their names."""
    parameters = [each.function_parameter for each in _statement(function).parameters]
    return {each.name: each.arg_type.names[-1].string.sval for each in parameters if each.name}


def _types_by_name(schema: Schema) -> dict[str, str]:
    """The types of the columns that have the same type in each table."""
    types: dict[str, set[str]] = {}
    for columns in schema.types.values():
        for name, kind in columns.items():
            types.setdefault(name, set()).add(kind)
    return {name: kinds.pop() for name, kinds in types.items() if len(kinds) == 1}


def _mutant(operator: Operator, schema: Schema, function: Function, what: str, sql: str) -> Mutant:
    """A mutant of a function. A trigger function concerns the table of its trigger."""
    tables = [trigger.table for trigger in schema.triggers if trigger.function == function.full_name]
    concerns = tables[0] if tables else function.full_name
    return operator.mutant(Target.of("function", function.full_name), concerns, what, function.definition, sql)
