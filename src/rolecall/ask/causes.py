"""What decided about a statement: a privilege, a policy, a trigger, a constraint, or that nothing stands in the way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.errors import Diagnostic

from rolecall.ask import relation as catalog
from rolecall.ask.answer import Cause
from rolecall.ask.relation import Held, Relation, Standing, Trigger
from rolecall.catalog.objects import grantee, qualified
from rolecall.catalog.places import Places
from rolecall.grids.probe import REFUSED, Check, Outcome, probe
from rolecall.grids.refusal import PRIVILEGE, ROW_SECURITY
from rolecall.report.failures import Decisions, PolicyDecision, Reason

CALLED = re.compile(r'function "?([^"(]+)"?\(.*?\)(?: line (\d+))?')  # in PG_DIAG_CONTEXT, with lc_messages C
CONSTRAINT = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint
WHERE conname = %s AND conrelid = to_regclass(quote_ident(%s) || '.' || quote_ident(%s))
"""
RULES = """
SELECT rulename::text FROM pg_rewrite
WHERE ev_class = %s::regclass AND rulename <> '_RETURN' AND is_instead AND ev_type = %s ORDER BY rulename
"""
EVENT = {"GET": "1", "PATCH": "2", "POST": "3", "DELETE": "4"}  # pg_rewrite.ev_type
COMMAND = {"GET": "select", "PATCH": "update", "POST": "insert", "DELETE": "delete"}
IN_TABLE = {"23503": "foreign key", "23505": "unique", "23514": "check", "23P01": "exclusion", "23502": "not null"}


@dataclass(frozen=True)
class Facts:
    """What the catalog says about a table and a role, after the preparation of a persona."""

    relation: Relation
    role: str
    standing: Standing
    held: Sequence[Held]
    enters: bool
    triggers: Sequence[Trigger]

    def whole(self, privilege: str) -> list[Held]:
        """The grants of a privilege on the whole table."""
        return [each for each in self.held if each.privilege == privilege and not each.columns]

    def some(self, privilege: str) -> list[Held]:
        """The grants of a privilege on single columns."""
        return [each for each in self.held if each.privilege == privilege and each.columns]

    @property
    def is_bound(self) -> bool:
        """Whether the policies of the table bind the role."""
        relation, standing = self.relation, self.standing
        owns = standing.owns and not relation.forced
        return relation.is_table and relation.row_security and not (standing.superuser or standing.bypasses or owns)


def read_facts(connection: Connection[Any], name: str, role: str) -> Facts:
    """What the catalog says now."""
    return Facts(
        catalog.read_relation(connection, name),
        role,
        catalog.standing(connection, name, role),
        catalog.held(connection, name, role),
        catalog.enters(connection, name, role),
        catalog.triggers(connection, name),
    )


class Causes:
    """Finds the causes of the outcomes of one cell. ``connection`` is a superuser's; everything is rolled back."""

    def __init__(self, connection: Connection[Any], facts: Facts, reason: Reason, places: Places) -> None:
        self.connection, self.facts, self.reason, self.places = connection, facts, reason, places
        self.relation = facts.relation

    def of(self, check: Check, outcome: Outcome, error: psycopg.Error | None) -> list[Cause]:
        """What decided about a check. ``error`` is that of its statement, run alone."""
        if outcome.broken:
            return [Cause("check", "", f"the statement was not tried: {outcome.broken}")]
        if outcome.sqlstate:
            return list(self._of_error(check, outcome, error))
        return list(self._of_nothing(check) if outcome.verdict == "-" else self._of_success(check))

    # -- it worked

    def _of_success(self, check: Check) -> Iterator[Cause]:
        facts, privilege = self.facts, PRIVILEGE[check.method]
        if grants := facts.whole(privilege) or facts.some(privilege):
            who = ", ".join(dict.fromkeys(_grantee(each, facts) for each in grants))
            yield Cause("privilege", privilege, f"{facts.role} holds {grants[0]} on {self.relation.name}: {who}")
        yield from self._of_bypass()
        if facts.is_bound:
            yield from self._policies(self.reason.decisions, admits=True)

    def _of_bypass(self) -> Iterator[Cause]:
        """Why no policy binds the role."""
        facts, relation = self.facts, self.relation
        if not relation.is_table:
            yield from self._of_view()
        elif not relation.row_security:
            yield Cause(
                "row security", relation.name, f"row-level security of {relation.name} is off: no policy counts"
            )
        elif facts.standing.superuser or facts.standing.bypasses:
            what = "is a superuser" if facts.standing.superuser else "has BYPASSRLS"
            yield Cause("role", facts.role, f"{facts.role} {what}: no policy binds it")
        elif not facts.is_bound:
            text = f"{facts.role} owns {relation.name}: no policy binds the owner without FORCE ROW LEVEL SECURITY"
            yield Cause("role", facts.role, text)

    def _of_view(self) -> Iterator[Cause]:
        relation = self.relation
        if relation.kind == "materialized view":
            text = f"{relation.name} is a materialized view: no policy binds who may read it"
        elif relation.invoker:
            tables = ", ".join(relation.below) or "nothing"
            text = f"{relation.name} runs as who reads it (security_invoker): the policies of {tables} decide"
        else:
            how = "whom no policy binds" if relation.owner_bypasses else "so the policies for that role decide"
            text = f"{relation.name} runs as its owner {relation.owner}, {how}"
        yield Cause("view", relation.name, text, self.places.shown("view", relation.name))

    def _policies(self, decisions: Decisions, *, admits: bool) -> Iterator[Cause]:
        """The policies that let the row through, or those that stop it."""
        permissive = [each for each in decisions.policies if each.permissive]
        restrictive = [each for each in decisions.policies if not each.permissive and "stops" in each.decision]
        if admits:
            for each in permissive:
                if "stops" not in each.decision and "lets" in each.decision:
                    yield self._policy(each, "lets the row through")
            return
        yield from (self._policy(each, f"restricts: {each.decision}") for each in restrictive)
        if not permissive:
            text = f"no policy of {self.relation.name} lets {decisions.role} {decisions.command}"
            yield Cause("policy", "", text)
        elif not any("stops" not in each.decision for each in permissive):
            yield from (self._policy(each, each.decision) for each in permissive)

    def _policy(self, policy: PolicyDecision, what: str) -> Cause:
        text = f'policy "{policy.name}" {what}'
        return Cause("policy", policy.name, text, self.places.shown("policy", policy.name, self.relation.name))

    # -- no error, no row

    def _of_nothing(self, check: Check) -> Iterator[Cause]:
        found = list(self._policies(self.reason.decisions, admits=False)) if self.facts.is_bound else []
        if check.reads_row and check.method != "GET" and self.reason.reads and not found:
            found = [
                Cause(each.kind, each.name, f"{each.text}, and the statement reads it", each.place)
                for each in self._policies(self.reason.reads, admits=False)
            ]
        found = found or list(self._swallowed(check)) or list(self._of_bypass())
        yield from found or [Cause("check", "", "no policy, trigger or rule was found that stops the row")]

    def _swallowed(self, check: Check) -> Iterator[Cause]:
        """The triggers and rules that made a write change nothing: without them, it changes the row."""
        table = qualified(self.relation.name)
        for each in self.facts.triggers:
            if COMMAND[check.method] in each.commands and (each.before or each.instead) and each.enabled:
                disable = f"ALTER TABLE {table} DISABLE TRIGGER {sql.Identifier(each.name).as_string()}"
                if each.instead or self._verdict_after(check, disable) == "yes":
                    yield self._trigger(each, "returns NULL: the command changes nothing")
        rules = self.connection.execute(RULES, [table, EVENT[check.method]]).fetchall()
        for (name,) in rules:
            yield Cause("rule", name, f'rule "{name}" of {self.relation.name} replaces the command')

    def _verdict_after(self, check: Check, statement: str) -> str | None:
        """The verdict of a check after a statement of the superuser; None if one of them fails."""
        with self.connection.transaction(force_rollback=True):
            try:
                self.connection.execute(statement.encode())
            except psycopg.Error:
                return None
            (outcome,) = probe(self.connection, [check])
            return outcome.verdict

    # -- an error

    def _of_error(self, check: Check, outcome: Outcome, error: psycopg.Error | None) -> Iterator[Cause]:
        diag = error.diag if error is not None and error.sqlstate == outcome.sqlstate else None
        message = f"{outcome.sqlstate} {outcome.message}"
        if diag and diag.constraint_name:
            yield self._constraint(diag)
        elif diag and outcome.sqlstate == "23502":
            yield Cause("constraint", diag.column_name or "", f"column {diag.column_name} must not be NULL: {message}")
        elif diag and diag.context and (found := CALLED.search(diag.context)):
            yield self._in_function(check, found[1], found[2], message)
        elif outcome.sqlstate != REFUSED:
            yield Cause("check", outcome.sqlstate or "", message)
        elif outcome.elsewhere:
            yield Cause("privilege", "", f"another object refuses, which the statement needs: {message}")
        elif diag and diag.source_function == ROW_SECURITY:
            yield from self._of_new_row(diag)
        else:
            yield from self._missing(check)

    def _constraint(self, diag: Diagnostic) -> Cause:
        schema, table, name = diag.schema_name or "", diag.table_name or "", diag.constraint_name or ""
        row = self.connection.execute(CONSTRAINT, [name, schema, table]).fetchone()
        kind = IN_TABLE.get(diag.sqlstate or "", "")
        what = f": {row[0]}" if row else f" ({kind})" if kind else ""
        full_name = f"{schema}.{table}"
        place = self.places.shown("constraint", name, full_name) or self.places.shown("table", full_name)
        return Cause("constraint", name, f"constraint {name} of {full_name} refuses{what}", place)

    def _in_function(self, check: Check, name: str, line: str | None, message: str) -> Cause:
        where = f", line {line} of {name}" if line else f", in {name}"
        for each in self.facts.triggers:
            if name in (each.function_name, each.function) and COMMAND[check.method] in each.commands:
                return self._trigger(each, f"refuses: {message}{where}")
        place = self.places.shown("function", name)
        return Cause("function", name, f"function {name} refuses: {message}{where}", place)

    def _trigger(self, trigger: Trigger, what: str) -> Cause:
        place = self.places.shown("function", trigger.function)
        made = self.places.shown("trigger", trigger.name, self.relation.name)
        text = f'trigger "{trigger.name}" of {self.relation.name} (function {trigger.function}) {what}'
        return Cause("trigger", trigger.name, text, ", ".join(dict.fromkeys(filter(None, [made, place]))))

    def _of_new_row(self, diag: Diagnostic) -> Iterator[Cause]:
        """The policies that refused a new or changed row."""
        message = diag.message_primary or ""
        decisions = self.reason.decisions
        named = [each for each in decisions.policies if f'"{each.name}"' in message]
        stopping = named or [each for each in decisions.policies if "stops" in each.decision]
        if not decisions.policies:
            yield from self._policies(decisions, admits=False)
        elif stopping:
            yield from (self._policy(each, "refuses the new row") for each in stopping)
        elif self.reason.reads:
            yield from self._policies(self.reason.reads, admits=False)
        else:
            yield Cause("policy", "", f"a policy refuses the new row: {message}")

    def _missing(self, check: Check) -> Iterator[Cause]:
        """The privileges that the role lacks."""
        facts, relation = self.facts, self.relation
        if not facts.enters:
            schema = relation.name.split(".", 1)[0]
            yield Cause("schema", schema, f"{facts.role} lacks USAGE on the schema {schema}")
        needed = [PRIVILEGE[check.method]]
        if check.reads_row and check.method != "GET":
            needed.append("SELECT")
        if check.upsert:
            needed.append("UPDATE")
        lacks = [each for each in needed if not facts.whole(each)]
        for each in self._enough(check, lacks) or lacks:
            some = facts.some(each)
            only = f", and holds only {', '.join(map(str, some))}" if some else ""
            yield Cause("privilege", each, f"{facts.role} lacks {each} on {relation.name}{only}")
        if not lacks and facts.enters:
            yield Cause("policy", "", f"42501 from {relation.name}, which a policy or a function raises")

    def _enough(self, check: Check, lacks: Sequence[str]) -> list[str]:
        """The one privilege on the whole table that is enough, where the columns of the others are granted."""
        if len(lacks) < 2:
            return []
        grant = f"ON {qualified(self.relation.name)} TO {grantee(self.facts.role)}"
        verdicts = ((each, self._verdict_after(check, f"GRANT {each} {grant}")) for each in reversed(lacks))
        return [each for each, verdict in verdicts if verdict not in (None, "!")][:1]


def _grantee(grant: Held, facts: Facts) -> str:
    """Whom a privilege was granted to, from the point of view of the role."""
    if grant.grantee == facts.relation.owner:
        return f"{grant.grantee} owns it"
    if grant.grantee == facts.role:
        return "granted to it"
    return "granted to PUBLIC" if grant.grantee == "PUBLIC" else f"by its membership in {grant.grantee}"
