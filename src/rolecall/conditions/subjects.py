"""The objects with conditions: policies, views and functions. Each says how to install a variant and how to try it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import postgast
from psycopg import Connection

from rolecall.access.world import World
from rolecall.catalog.definitions import Function, Schema
from rolecall.catalog.objects import Policy, qualified
from rolecall.catalog.plpgsql import expressions
from rolecall.conditions import calls
from rolecall.conditions.conditions import IsNullable, Variant, of_condition, of_expression, of_query
from rolecall.errors import RolecallError
from rolecall.grids.grid import COMMANDS
from rolecall.grids.policy import PolicyProbe
from rolecall.sql.tree import walk

NOT_NULL = """
SELECT n.nspname || '.' || c.relname, attname, attnotnull
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE attnum > 0 AND NOT attisdropped AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
# The roles that a policy decides about: it applies to them, they hold the privilege, and they do not bypass it.
APPLIES = """
SELECT rolname FROM pg_roles WHERE NOT rolsuper AND NOT rolbypassrls
  AND EXISTS (SELECT FROM unnest(%(roles)s::text[]) AS r (name)
              WHERE name = 'public' OR pg_has_role(rolname, name, 'usage'))
  AND has_schema_privilege(rolname, %(schema)s, 'USAGE')
  AND EXISTS (SELECT FROM unnest(%(privileges)s::text[]) AS p WHERE has_table_privilege(rolname, %(table)s::regclass, p)
                OR p <> 'DELETE' AND has_any_column_privilege(rolname, %(table)s::regclass, p))
"""


@dataclass(frozen=True)
class Subject:
    """An object with conditions.

    ``original`` and the text of each variant are what ``install`` makes statements of. ``statements`` are what each of
    the ``personas`` tries; without any, the object is not tried. ``tables`` are those that it reads by name.
    """

    name: str
    original: str
    variants: Sequence[Variant]
    install: Callable[[str], Sequence[str]]
    statements: Sequence[str]
    personas: Sequence[str]
    tables: Collection[str] = ()
    writes: bool = False
    # Of a policy, an error decides nothing: it is that of another table, which the persona may not read.
    errors_decide: bool = True


class Subjects:
    """Reads the objects of a migrated database that has the world."""

    def __init__(self, connection: Connection[Any], schema: Schema, world: World) -> None:
        self.connection, self.schema, self.world = connection, schema, world
        # A persona with a setup is signed in as another one, after a change of the grants.
        self.personas = {name: persona for name, persona in world.personas.items() if not persona.setup}
        self._not_null = {(table, column): not_null for table, column, not_null in connection.execute(NOT_NULL)}

    def policies(self) -> Iterator[Subject]:
        """One for each predicate of a table. A predicate that several policies share comes once."""
        known: set[tuple[str, str]] = set()
        for policy in self.schema.policies:
            for clause, predicate in (("USING", policy.using), ("WITH CHECK", policy.check)):
                if predicate is not None and (policy.table, predicate) not in known:
                    known.add((policy.table, predicate))
                    yield self._policy(policy, clause, predicate)

    def _policy(self, policy: Policy, clause: str, predicate: str) -> Subject:
        privileges = COMMANDS if policy.command == "all" else [policy.command]
        parameters = {
            "roles": policy.roles,
            "schema": policy.table.split(".")[0],
            "table": qualified(policy.table),
            "privileges": [privilege.upper() for privilege in privileges],
        }
        roles = {role for (role,) in self.connection.execute(APPLIES, parameters)}
        probe = PolicyProbe(self.connection, policy.table)
        return Subject(
            f'{policy.table} "{policy.name}" {clause}',
            predicate,
            of_condition(predicate, self._nullable(f"SELECT {predicate}", policy.table)),
            probe.only,
            [f"SELECT ctid FROM {qualified(policy.table)}"],
            [name for name, persona in self.personas.items() if persona.role in roles],
            {policy.table, *_tables(f"SELECT {predicate}").values()},
            errors_decide=False,
        )

    def views(self) -> Iterator[Subject]:
        """One for each view."""
        for view in self.schema.views:
            name, options = qualified(view.full_name), f" WITH ({', '.join(view.options)})" if view.options else ""
            yield Subject(
                view.full_name,
                view.query,
                of_query(view.query, self._nullable(view.query)),
                lambda query, head=f"CREATE OR REPLACE VIEW {name}{options} AS ": [head + query],  # type: ignore[misc]
                [f"SELECT * FROM {name}"],
                list(self.personas),
                set(_tables(view.query).values()),
            )

    def functions(self, more_calls: Mapping[str, Sequence[str]]) -> Iterator[Subject]:
        """One for each function. ``more_calls`` has further statements by the qualified name of the function."""
        for function in self.schema.functions:
            statements = list(more_calls.get(function.full_name, ()))
            if function.is_called:
                statements += calls.of(self.connection, function, self.world)
            yield Subject(
                f"{function.full_name}()",
                function.definition,
                list(self._of_function(function)),
                lambda definition: [definition],
                statements,
                list(self.personas),
                self._named(function.definition),
                writes=function.volatility == "v",
            )

    def require_functions(self, names: Iterable[str]) -> None:
        """Raise RolecallError if one of these qualified names is no function of the migrations."""
        known = {function.full_name for function in self.schema.functions}
        if unknown := [name for name in names if name not in known]:
            raise RolecallError(
                f"calls= names {unknown[0]!r}, which is no function of the migrations; "
                f"they have: {', '.join(sorted(known)) or 'none'}."
            )

    def _of_function(self, function: Function) -> Iterator[Variant]:
        """The variants of a body, each as the whole statement that creates the function."""
        definition, source = function.definition, function.source
        if function.language == "plpgsql":
            head, tail = definition.split(source, maxsplit=1)
            old = next(
                (trigger.table for trigger in self.schema.triggers if trigger.function == function.full_name), ""
            )
            for text, start, is_statement, is_condition in expressions(function):
                of = of_query if is_statement else of_condition if is_condition else of_expression
                try:
                    variants = of(text, self._nullable(text if is_statement else f"SELECT {text}", old=old))
                except postgast.PgQueryError:
                    continue  # e.g. the target of an assignment: not an expression by itself
                for variant in variants:
                    changed = source[:start] + variant.text + source[start + len(text) :]
                    yield variant._replace(text=head + changed + tail)
        elif function.language == "sql" and source:
            for variant in of_query(source, self._nullable(source)):
                yield variant._replace(text=definition.replace(source, f"\n{variant.text}\n"))
        elif function.language == "sql":  # RETURN or BEGIN ATOMIC: the catalog does not keep the text of the body
            yield from of_query(definition, self._nullable(definition), within=_body)

    def _nullable(self, query: str, own: str = "", *, old: str = "") -> IsNullable:
        """Which columns of a query can be NULL.

        ``own`` is the table of the columns without a qualifier, ``old`` that of a trigger's OLD: a stored row. NEW may
        have a NULL that a constraint has not refused yet.
        """
        tables = {"old": old} | _tables(query)

        def nullable(qualifier: str, name: str) -> bool:
            unqualified = [own] if own else [table for alias, table in tables.items() if alias != "old"]
            candidates = [tables.get(qualifier, own)] if qualifier else unqualified
            known = [self._not_null[table, name] for table in candidates if (table, name) in self._not_null]
            return not (known and all(known))

        return nullable

    def _named(self, text: str) -> set[str]:
        return {table for table in self.world.rows if table in text}


def _tables(query: str) -> dict[str, str]:
    """The tables that a query reads: ``schema.name`` by alias, or by name without an alias."""
    try:
        ranges: list[Any] = [node for node in walk(postgast.parse(query)) if node.DESCRIPTOR.name == "RangeVar"]
    except postgast.PgQueryError:
        return {}
    return {each.alias.aliasname or each.relname: f"{each.schemaname}.{each.relname}" for each in ranges}


def _body(tree: Any) -> Any:
    return tree.stmts[0].stmt.create_function_stmt.sql_body
