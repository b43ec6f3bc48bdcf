"""Load a dump: run what decides about access, leave out what cannot run here, and report all errors at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg
from psycopg import Connection, sql

from rolecall.dump import rules, stand_ins
from rolecall.dump.extensions import Extensions, Outcome
from rolecall.dump.failures import Failures
from rolecall.dump.left_out import LeftOut
from rolecall.dump.nodes import Node, made_by, node_of, string_option
from rolecall.dump.reading import Dump, read
from rolecall.dump.rules import Decision, Facts
from rolecall.errors import SqlError
from rolecall.sql.files import Execution, Identity, check
from rolecall.sql.script import Statement
from rolecall.sql.text import display_path, error_at, line_of

SHOWN = 80  # characters of a statement in the report
# Errors that are not the statement's: the connection, the server's resources, an operator, an internal error.
NOT_THE_STATEMENT = ("08", "53", "57", "58000", "XX")

EXISTING = """
SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
UNION SELECT nspname || '.' || proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
UNION SELECT nspname || '.' || typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace
UNION SELECT '.' || pubname FROM pg_publication
"""


def load(connection: Connection[Any], path: Path, text: str, role: str | None) -> list[LeftOut]:
    """Load a dump in one transaction. Its objects belong to ``role`` (default: the connected role), or to their owners.

    Returns what was left out or replaced. Raises SqlError for a dump that cannot be read, and with all statements that
    fail and are needed; then nothing is loaded.
    """
    dump = read(path, text)
    _check(dump, role)
    loading = _Loading(connection, dump, role)
    loading.run()
    return loading.left_out


def _check(dump: Dump, role: str | None) -> None:
    """Refuse what no file may have, except for what is left out of a dump."""
    rest = []
    for each in dump.script.refusals:
        node = node_of(next((part.text for part in dump.script.statements if part.start == each.start), ""))
        if each.start not in dump.rows and not (node and rules.before(node, Facts(0)).group):
            rest.append(each)
    check(dump.path, dump.text, replace(dump.script, refusals=tuple(rest)), role)


class _Loading(Execution):
    """One load of one dump.

    As a superuser loads it in production, with pg_restore: here a superuser that exists in this transaction only. At
    the end, its objects are given to the role. Without the rights for that, the role itself runs the statements.
    """

    def __init__(self, connection: Connection[Any], dump: Dump, role: str | None) -> None:
        super().__init__(connection, dump.path, dump.text, dump.script, role)
        self.dump = dump
        self.left_out: list[LeftOut] = []
        self.facts = self._read_facts()
        self.extensions = Extensions(connection, role)
        self.failures = Failures(dump, self.facts)
        self.loader: str | None = None

    def _read_facts(self) -> Facts:
        facts = Facts(self.connection.info.server_version // 10000)
        for name, superuser in self.connection.execute("SELECT rolname, rolsuper FROM pg_roles"):
            facts.roles.add(name)
            if superuser:
                facts.superusers.add(name)
        return facts

    # -- the whole dump

    def _statements(self, identity: Identity) -> None:
        self.failures.check_kind()
        self.left_out += [self._left_out(start, "session", text, text) for start, text in self.dump.psql]
        nodes = [node_of(statement.text) for statement in self.script.statements]
        with self._as_superuser():
            self._make_platform_roles()
            self._make_stand_ins([node for node in nodes if node])
        with self._as_loader(identity):
            for statement, node in zip(self.script.statements, nodes, strict=True):
                self.statement = statement
                self._decide(statement, node)
        self.failures.check()

    @contextmanager
    def _as_loader(self, identity: Identity) -> Iterator[None]:
        """A block as a superuser of its own, whose objects are then given to the role."""
        if not self.role or not identity.superuser:
            yield
            return
        self.loader = f"rolecall_loader_{token_hex(4)}"
        loader, role = sql.Identifier(self.loader), sql.Identifier(self.role)
        self._sql("SET LOCAL SESSION AUTHORIZATION DEFAULT; CREATE ROLE {} SUPERUSER NOLOGIN", loader)
        self._sql("SET LOCAL SESSION AUTHORIZATION {}", loader)
        yield
        self._sql("SET LOCAL SESSION AUTHORIZATION DEFAULT; REASSIGN OWNED BY {} TO {}", loader, role)
        self._sql("DROP OWNED BY {0}; DROP ROLE {0}", loader)
        self.loader = None
        self._sql("SET LOCAL SESSION AUTHORIZATION {}", role)

    @contextmanager
    def _as_superuser(self) -> Iterator[None]:
        """A block as the connected role."""
        current = self.connection.execute("SELECT session_user, current_setting('role')").fetchone() or ("", "none")
        self._sql("SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE")
        yield
        user, acting = current
        if acting != "none":
            self._sql("SET LOCAL ROLE {}", sql.Identifier(acting))
        else:
            self._sql("SET LOCAL SESSION AUTHORIZATION {}", sql.Identifier(user))

    def _sql(self, query: Any, *parts: sql.Composable) -> None:
        self._execute(sql.SQL(query).format(*parts).as_string(self.connection))

    # -- one statement

    def _decide(self, statement: Statement, node: Node | None) -> None:
        """Run a statement, leave it out, or record its error."""
        if node and node.kind == "create_extension_stmt":
            self._create_extension(statement, node)
            return
        decision = rules.before(node, self.facts) if node else rules.RUN
        error = None if decision.group else self._try(statement, decision)
        if error and node:
            decision = rules.after(node, error.sqlstate, self.facts) or decision
        if decision.group:
            self.left_out.append(self._left_out(statement.start, decision.group, decision.what, statement.text))
        elif error:
            self.failures.add(statement, node, error, self._error(error))

    def _try(self, statement: Statement, decision: Decision) -> psycopg.Error | None:
        """Run a statement in a savepoint. Returns the error; raises it if it is not the statement's."""
        if decision.as_superuser:
            with self._as_superuser():
                return self._try(statement, decision._replace(as_superuser=False))
        self._execute("SAVEPOINT rolecall_statement")
        try:
            text, rows = decision.text or statement.text, self.dump.rows.get(statement.start)
            if rows is None:
                self._execute(text)
            else:
                with self.connection.cursor() as cursor, cursor.copy(text.encode()) as copy:
                    copy.write(rows.text.encode())
        except psycopg.Error as error:
            if self.connection.broken or (error.sqlstate or "XX").startswith(NOT_THE_STATEMENT):
                raise
            self._execute("ROLLBACK TO SAVEPOINT rolecall_statement; RELEASE SAVEPOINT rolecall_statement")
            return error
        self._execute("RELEASE SAVEPOINT rolecall_statement")
        return None

    def _error(self, error: psycopg.Error) -> SqlError:
        """The error with its place. A row that is refused has the place of its line."""
        rows = self.dump.rows.get(self.statement.start)
        line = re.search(r"\bCOPY .*, line (\d+)", error.diag.context or "")
        if not rows or not line:
            return super()._error(error)
        before = rows.text.split("\n")[: int(line[1]) - 1]
        place, message = rows.start + len("".join(before)) + len(before), error.diag.message_primary or str(error)
        return error_at(self.path, self.dump.source, place, message, error.sqlstate)

    def _left_out(self, start: int, group: str, what: str, text: str) -> LeftOut:
        beginning = " ".join(text.split())
        beginning = beginning if len(beginning) <= SHOWN else beginning[:SHOWN] + "…"
        return LeftOut(group, what, self._place(start), beginning)

    def _place(self, start: int) -> str:
        return f"{display_path(self.path)}:{line_of(self.text, start)}"

    # -- roles, extensions and stand-ins

    def _make_platform_roles(self) -> None:
        """Make the roles of the platform that the dump names and the server lacks. They cannot log in."""
        for name in sorted(rules.PLATFORM_ROLES - self.facts.roles):
            mention = next((each for each in self.script.statements if re.search(rf"\b{name}\b", each.text)), None)
            if mention:
                self._sql("CREATE ROLE {} NOLOGIN NOINHERIT", sql.Identifier(name))
                self.facts.roles.add(name)
                self.left_out.append(self._left_out(mention.start, "stand-in", f"role {name}", mention.text))

    def _make_stand_ins(self, nodes: list[Node]) -> None:
        """Make the stand-ins for what the dump refers to, does not make, and asks for with no CREATE EXTENSION."""
        existing = {name for (name,) in self.connection.execute(EXISTING)}
        existing |= {name for node in nodes for name in made_by(node)}
        asked = {node.tree.extname for node in nodes if node.kind == "create_extension_stmt"}
        for stand_in, schema in list(stand_ins.needed(self.script.statements, existing)):
            if stand_in.name in asked:
                continue
            if self.extensions.need(stand_in, schema) is not Outcome.STAND_IN:
                continue
            mentions = stand_in.mentions_in(self.script.statements)
            what = ", ".join(sorted(name.removeprefix(".") for name in mentions))
            self.left_out.append(self._left_out(min(mentions.values()), "stand-in", what, what))

    def _create_extension(self, statement: Statement, node: Node) -> None:
        name = node.tree.extname
        with self._as_superuser():
            outcome = self.extensions.create(name, string_option(node.tree.options, "schema"))
        if outcome is Outcome.MISSING:
            self.facts.missing_extensions[name] = self._place(statement.start)
        if group := {Outcome.STAND_IN: "stand-in", Outcome.MISSING: "extension"}.get(outcome):
            self.left_out.append(self._left_out(statement.start, group, name, statement.text))
