"""The statements of a dump that fail and are needed: all of them in one error, each with its cause and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg

from rolecall.dump.nodes import Node, made_by, node_of, table_of
from rolecall.dump.reading import Dump
from rolecall.dump.rules import PLATFORM_SCHEMAS, UNDEFINED, Facts
from rolecall.errors import SqlError
from rolecall.sql.script import Statement
from rolecall.sql.text import display_path, line_of, refusal

MOST = 10  # failures that an error shows
NO_UNIQUE_KEY = "42830"  # of the table that a foreign key refers to
DUPLICATE = frozenset({"42P07", "42710", "42723", "42P06", "42P16"})
NEWER_SYNTAX = frozenset({"42601", "0A000", "42P17"})
EXTENDED = frozenset({"42704", "42883", "58P01"})  # a type, a function or a library: what an extension may bring
ROLES = {"create_role_stmt", "alter_role_stmt", "alter_role_set_stmt", "grant_role_stmt"}
ROWS = {"copy_stmt", "insert_stmt"}

DATA_ONLY = (
    "the dump has rows and no tables, as with --data-only. Dump the schema: supabase db dump, or pg_dump --schema-only."
)
ROLES_ONLY = (
    "the dump has only roles. Give the dump of the schema: supabase db dump, or pg_dump --schema-only. Roles are made "
    "in the file of rolecall_platform."
)


@dataclass
class Failure:
    """A statement that failed, the names of what is missing because of it, and how many statements need these."""

    error: SqlError
    advice: str
    missing: set[str] = field(default_factory=set)
    dependents: int = 0

    def __str__(self) -> str:
        more = f"\n{self.dependents} later statements need it." if self.dependents else ""
        return f"{self.error}{self.advice and f'{chr(10)}HINT: {self.advice}'}{more}"


class Failures:
    """The failures of one dump."""

    def __init__(self, dump: Dump, facts: Facts) -> None:
        self.dump, self.facts = dump, facts
        self.found: list[Failure] = []

    def check_kind(self) -> None:
        """Raises SqlError for a dump of another kind: of rows, or of roles."""
        statements = self.dump.script.statements
        kinds = {node.kind if (node := node_of(statement.text)) else "" for statement in statements}
        if any(kind.startswith(("create_", "view_", "define_")) and kind not in ROLES for kind in kinds):
            return
        for only, message in ((ROWS, DATA_ONLY), (ROLES, ROLES_ONLY)):
            for statement in statements:
                if kinds & only and statement.kind in only:
                    raise refusal(self.dump.path, self.dump.text, statement.start, message)

    def add(self, statement: Statement, node: Node | None, error: psycopg.Error, shown: SqlError) -> None:
        """Record a statement that failed. If it needs what an earlier one did not make, it is counted there."""
        message = error.diag.message_primary or ""
        missing = set(made_by(node)) if node else set()
        if node and error.sqlstate not in UNDEFINED:
            missing |= set(table_of(node))
        for earlier in self.found:
            if error.sqlstate in UNDEFINED | {NO_UNIQUE_KEY} and any(_is_in(name, message) for name in earlier.missing):
                earlier.dependents += 1
                earlier.missing |= missing
                return
        self.found.append(Failure(shown, self._advice(statement, error, message), missing))

    def check(self) -> None:
        """Raises SqlError with all failures, if there are any."""
        if not self.found:
            return
        first = self.found[0].error
        texts = [str(failure) for failure in self.found[:MOST]]
        rest = len(self.found) - len(texts)
        if len(self.found) > 1:
            texts.insert(0, f"{display_path(self.dump.path)}: {len(self.found)} statements of the dump fail:")
        if rest:
            texts.append(f"and {rest} more")
        raise SqlError("\n\n".join(texts), sqlstate=first.sqlstate, path=first.path, line=first.line)

    # -- what to do

    def _advice(self, statement: Statement, error: psycopg.Error, message: str) -> str:
        return next((advice for advice in self._advices(statement, error.sqlstate, message) if advice), "")

    def _advices(self, statement: Statement, sqlstate: str | None, message: str) -> Iterator[str]:
        facts, dump = self.facts, self.dump
        if sqlstate in UNDEFINED and message.startswith("role "):
            yield "A dump has no roles: make it in the file of rolecall_platform."
        if sqlstate in EXTENDED and facts.missing_extensions:
            names = ", ".join(f"{name} ({place})" for name, place in facts.missing_extensions.items())
            yield (
                f"This server lacks extensions of the dump: {names}. If it is of these, use a server that has it, "
                "with --rolecall-pg-bin or --rolecall-pg-dsn, or take both out of the dump."
            )
        if sqlstate in UNDEFINED and set(re.findall(r"(\w+)\.", message)) & PLATFORM_SCHEMAS:
            yield "It is of the platform: make it in the file of rolecall_platform."
        if sqlstate in UNDEFINED:
            yield "The dump does not make it. If it is in another schema, dump that schema too."
        second = next((start for start in dump.parts[1:] if start < statement.start), None)
        if sqlstate in DUPLICATE:
            place = f"{display_path(dump.path)}:{line_of(dump.text, second)}" if second is not None else ""
            yield (
                f"The file has {len(dump.parts)} dumps, and the second begins at {place}: keep one."
                if place
                else "The file of rolecall_platform makes it too, or the dump has it twice: keep one."
            )
        if sqlstate in NEWER_SYNTAX and dump.version and dump.version > facts.version:
            yield (
                f"The dump is of PostgreSQL {dump.version}, and this server is {facts.version}: use a server of that "
                "version, with --rolecall-pg, --rolecall-pg-bin or --rolecall-pg-dsn."
            )


def _is_in(name: str, message: str) -> bool:
    """Whether a message of the server has a name: ``schema.name``, or its last part in quotes."""
    last = name.rpartition(".")[2]
    return re.search(rf'(?<![\w.]){re.escape(name)}(?!\w)|"{re.escape(last)}"', message) is not None
