"""What happens if a persona calls a function, and what decides: EXECUTE, whom it runs as, and its own errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import postgast
import psycopg
from psycopg import Connection

from rolecall.access.persona import Persona
from rolecall.ask.answer import Answer, Cause
from rolecall.ask.causes import CALLED
from rolecall.ask.explain import words_of
from rolecall.ask.project import EXECUTE, Project
from rolecall.ask.relation import enters
from rolecall.catalog.objects import grantee, identifier, qualified
from rolecall.errors import RolecallError
from rolecall.grids.probe import REFUSED
from rolecall.grids.verdicts import RAISED
from rolecall.report.failures import Attempt
from rolecall.sql.tree import walk

# A CALL also gives the OUT arguments of a procedure.
FUNCTIONS = """
SELECT p.oid::int8, p.oid::regprocedure::text, prokind::text, prosecdef, o.rolname::text, o.rolsuper OR o.rolbypassrls,
       pronargdefaults, provariadic <> 0,
       ARRAY(SELECT ARRAY[coalesce(proargnames[place], ''), format_type(types[place], NULL)]
             FROM generate_subscripts(types, 1) AS place
             WHERE prokind = 'p' OR coalesce(proargmodes[place], 'i') NOT IN ('o', 't') ORDER BY place)
FROM (
  SELECT *, coalesce(proallargtypes, string_to_array(proargtypes::text, ' ')::oid[]) AS types FROM pg_proc
) AS p JOIN pg_namespace AS n ON n.oid = pronamespace JOIN pg_roles AS o ON o.oid = proowner
WHERE n.nspname || '.' || proname = %s AND prokind IN ('f', 'p') ORDER BY 2
"""
ANY = {  # a type for each that stands for any
    **dict.fromkeys(("anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray", '"any"'), "text"),
    **dict.fromkeys(("anyarray", "anycompatiblearray"), "text[]"),
    **dict.fromkeys(("anyrange", "anycompatiblerange"), "int4range"),
}
HELD = """
SELECT DISTINCT COALESCE(g.rolname, 'PUBLIC')
FROM pg_proc CROSS JOIN aclexplode(COALESCE(proacl, acldefault('f', proowner))) AS a
LEFT JOIN pg_roles AS g ON g.oid = a.grantee
WHERE pg_proc.oid = %s AND privilege_type = 'EXECUTE'
  AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(%s, a.grantee, 'USAGE') END ORDER BY 1
"""


class Routine(NamedTuple):
    """A function or procedure. ``signature`` is SQL.

    ``parameters`` are what a call gives: names, which may be empty, and types. The last ``defaults`` are optional.
    """

    oid: int
    signature: str
    letter: str
    definer: bool
    owner: str
    owner_bypasses: bool
    defaults: int
    variadic: bool
    parameters: Sequence[Sequence[str]]

    @property
    def kind(self) -> str:
        """``function`` or ``procedure``."""
        return "procedure" if self.letter == "p" else "function"

    def takes(self, number: int) -> bool:
        """Whether it can be called with so many arguments."""
        least = len(self.parameters) - self.defaults - self.variadic
        return number >= least and (self.variadic or number <= len(self.parameters))

    def call(self, name: str, arguments: str | None, *, is_alone: bool) -> str:
        """A statement that calls it. Without arguments, NULL is given for each that it needs.

        If it is not alone with its name, NULL is given for the others too: their types say which one is meant.
        """
        optional = self.defaults if is_alone else 0
        nulls = [f"NULL::{ANY.get(type_, type_)}" for _, type_ in self.parameters]
        if self.variadic:
            nulls[-1] = f"VARIADIC {nulls[-1]}"
        given = ", ".join(nulls[: len(nulls) - optional]) if arguments is None else arguments
        return f"{'CALL' if self.letter == 'p' else 'SELECT'} {qualified(name)}({given})"

    def stand_in(self, result: int) -> str:
        """A statement that creates a function of the same parameters, which only returns a number."""
        first_optional = len(self.parameters) - self.defaults
        parameters = [
            f"{identifier(name) if name else ''} {type_}{' DEFAULT NULL' if place >= first_optional else ''}"
            for place, (name, type_) in enumerate(self.parameters)
        ]
        if self.variadic:
            parameters[-1] = f"VARIADIC {parameters[-1]}"
        head = f"CREATE FUNCTION pg_temp.rolecall_called({', '.join(parameters)})"
        return f"{head} RETURNS int LANGUAGE sql AS 'SELECT {result}'"


def routines(connection: Connection[Any], name: str) -> list[Routine]:
    """The functions of a name ("schema.name")."""
    return [Routine(*row) for row in connection.execute(FUNCTIONS, [name])]


def explain_function(project: Project, name: str, arguments: str | None, persona: str) -> list[Answer]:
    """An answer for each function of the name; with arguments (SQL), for the one that the server calls.

    Raises RolecallError if none takes as many.
    """
    found = routines(project.connection, name)
    if arguments is not None:
        number = _number(name, arguments)
        fitting = [each for each in found if each.takes(number)]
        if not fitting:
            text = ", ".join(each.signature for each in found)
            raise RolecallError(f"{name} does not take {number} arguments. The database has: {text}.")
        found = [_called(project.connection, fitting, arguments)]
        return [_explain(project, name, found[0], arguments, persona)]
    is_alone = len(found) == 1
    return [_explain(project, name, each, arguments, persona, is_alone=is_alone) for each in found]


def _called(connection: Connection[Any], fitting: Sequence[Routine], arguments: str) -> Routine:
    """The function that the server calls with these arguments; the first if it cannot say which.

    It says it by calling stand-ins: functions with the same parameters, each of which returns its place.
    """
    if len(fitting) == 1:
        return fitting[0]
    try:
        with connection.transaction(force_rollback=True):
            for place, each in enumerate(fitting):
                connection.execute(each.stand_in(place).encode())
            ((place,),) = connection.execute(f"SELECT pg_temp.rolecall_called({arguments})".encode()).fetchall()
            return fitting[int(place)]
    except (psycopg.Error, ValueError):  # an argument fails, or the call fits several
        return fitting[0]


def _number(name: str, arguments: str) -> int:
    """The number of arguments. Raises RolecallError if they cannot be read."""
    try:
        tree = postgast.parse(f"SELECT f({arguments})")
    except postgast.PgQueryError as error:
        raise RolecallError(
            f"the arguments of {name} cannot be read: {error}: write SQL, as in {name}('a', 1)."
        ) from None
    call = next(node for node in walk(tree) if node.DESCRIPTOR.name == "FuncCall")
    return len(call.args)


def _explain(
    project: Project, name: str, routine: Routine, arguments: str | None, persona: str, *, is_alone: bool = True
) -> Answer:
    connection, who = project.connection, project.world.personas[persona]
    statement = routine.call(name, arguments, is_alone=is_alone)
    with connection.transaction(force_rollback=True):
        if setup := who.prepare(None):
            connection.execute(setup.encode())
        holds = [each for (each,) in connection.execute(HELD, [routine.oid, who.role])]
        may_enter = enters(connection, name, who.role)
        _, error = project.run_as(who, "POST", statement)
    verdict = _verdict(error)
    decides = list(_causes(project, name, routine, who, holds, may_enter, error))
    notes = ["it was called with NULL: give arguments, as in " + f"{name}('a', 1)"]
    outcome = "it returned" if error is None else f"{error.sqlstate} {error.diag.message_primary}"
    return Answer(
        object=routine.signature,
        kind=routine.kind,
        row="",
        command=EXECUTE,
        persona=persona,
        role=who.role,
        claims=dict(who.claims),
        settings=dict(who.custom),
        setup=setup,
        verdict=verdict,
        meaning=words_of(verdict),
        attempts=[Attempt(statement, verdict, outcome, writes=True)],
        grants=[f"EXECUTE ({'as the owner' if each == routine.owner else f'granted to {each}'})" for each in holds],
        decides=decides,
        change=list(_suggestions(routine, who, holds, may_enter, name)),
        notes=notes if arguments is None and "NULL" in statement else (),
    )


def _verdict(error: psycopg.Error | None) -> str:
    if error is None:
        return "yes"
    return "!" if error.sqlstate == REFUSED else error.sqlstate or RAISED


def _causes(
    project: Project,
    name: str,
    routine: Routine,
    who: Persona,
    holds: Sequence[str],
    may_enter: bool,
    error: psycopg.Error | None,
) -> Iterator[Cause]:
    types = ", ".join(type_ for _, type_ in routine.parameters)
    place = project.places.shown("function", f"{name}({types})")
    if not may_enter:
        schema = name.split(".", 1)[0]
        yield Cause("schema", schema, f"{who.role} lacks USAGE on the schema {schema}")
    if not holds:
        yield Cause("privilege", "EXECUTE", f"{who.role} lacks EXECUTE on {routine.signature}", place)
    if not (holds and may_enter):
        return
    through = ", ".join("as its owner" if each == routine.owner else f"granted to {each}" for each in holds)
    if error is not None:
        context = CALLED.search(error.diag.context or "")
        line = f", line {context[2]} of {context[1]}" if context and context[2] else ""
        message = f"{error.sqlstate} {error.diag.message_primary}{line}"
        yield Cause("function", name, f"{who.role} may call it, and the call fails: {message}", place)
    else:
        yield Cause("privilege", "EXECUTE", f"{who.role} holds EXECUTE on {routine.signature}: {through}", place)
    if routine.definer:
        how = "whom no policy binds" if routine.owner_bypasses else "so the policies for that role decide"
        yield Cause("function", name, f"it runs as its owner {routine.owner} (SECURITY DEFINER), {how}", place)
    else:
        yield Cause("function", name, "it runs as who calls it: what it reads and writes needs privileges, too", place)


def _suggestions(routine: Routine, who: Persona, holds: Sequence[str], may_enter: bool, name: str) -> Iterator[str]:
    on = f"ROUTINE {routine.signature}"
    if not may_enter:
        yield f"GRANT USAGE ON SCHEMA {identifier(name.split('.', 1)[0])} TO {grantee(who.role)}"
    if not holds:
        yield f"GRANT EXECUTE ON {on} TO {grantee(who.role)}"
    elif may_enter:
        givers = [each for each in holds if each != routine.owner]
        whom = ", ".join(grantee("public" if each == "PUBLIC" else each) for each in givers)
        if whom:
            yield f"REVOKE EXECUTE ON {on} FROM {whom}"
