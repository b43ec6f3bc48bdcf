"""Runs the examples of a model: rows, a session, a question, and the answer. Each example is rolled back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, Phase, settings
from psycopg import sql

from rolecall import Session, World
from tests.models.terms import CUSTOMER, MENTION, Answer, Caller, Columns, Ref, Refused

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))

# The explicit examples come first. With MODEL_EXAMPLES the others differ in each run, and a failing one is shrunk: that
# takes up to a minute, and mutation testing lets these tests fail hundreds of times.
PHASES = (Phase.explicit, Phase.generate, *([Phase.shrink] if EXAMPLES else []))
FIXTURES_ARE_SHARED = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def options(examples: int = 60, **more: Any) -> settings:
    """The settings of Hypothesis for a test, with this number of examples unless MODEL_EXAMPLES has another."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=PHASES,
        report_multiple_bugs=False,
        suppress_health_check=FIXTURES_ARE_SHARED,
        **more,
    )


class Lab:
    """The database of one test. ``now`` is the time of its transaction, in seconds since 1970."""

    def __init__(self, db: Session, world: World) -> None:
        self.db = db
        self._ids = {
            Ref(table, name): UUID(str(row["id"]))
            for table, rows in world.rows.items()
            if table != "storage.buckets"
            for name, row in rows.items()
        }
        self._columns: dict[str, list[str]] = {}
        self._refs = {key: ref for ref, key in self._ids.items()}

    def know(self, ref: Ref, key: UUID) -> None:
        """Let a reference be this id, which may be the id of no row."""
        self._ids[ref], self._refs[key] = key, ref

    @cached_property
    def now(self) -> Decimal:
        return Decimal(self.db.value("SELECT extract(epoch FROM now())"))

    def empty(self, *tables: str) -> None:
        """Delete all rows of some tables. Their triggers must not keep any."""
        for table in tables:
            self.db.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER; DELETE FROM {table}")
            self.db.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

    def allow_null(self, table: str, *columns: str) -> None:
        """Let columns be NULL, as in the example's baseline. Other baselines may forbid it."""
        for column in columns:
            self.db.execute(f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL")

    def let_anon_in(self, *schemas: str) -> None:
        """Grant anon USAGE: then it is the function or the view that refuses, and not its schema."""
        self.db.execute(f"GRANT USAGE ON SCHEMA {', '.join(schemas)} TO anon")

    # -- an example

    @contextmanager
    def example(self, setting: Columns, tables: Mapping[str, Sequence[Any]]) -> Iterator[None]:
        """A block with these rows, by table, in a session with these settings. It is rolled back.

        A row is a dict by column, or a dataclass. The rows come first: some settings change how a value is read.
        """
        with self.db.connection.transaction(force_rollback=True):
            for table, rows in tables.items():
                self.load(table, [row if isinstance(row, dict) else vars(row) for row in rows])
            self.configure(setting)
            yield

    def load(self, table: str, rows: Sequence[Columns]) -> None:
        """Insert rows as the superuser. All of them have the same columns."""
        if not rows:
            return
        names = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        target = sql.Identifier(*table.split("."))
        with (
            self.db.connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(target, names)) as copy,
        ):
            for row in rows:
                copy.write_row([self.stored(row[name]) for name in rows[0]])

    def configure(self, setting: Columns) -> None:
        """Change settings until the end of the example. A locale that the server does not have is left out."""
        known = {name: value for name, value in setting.items() if name != "lc_time" or value in self.locales}
        if known:
            calls = ", ".join(["set_config(%s, %s, true)"] * len(known))
            self.db.connection.execute(f"SELECT {calls}".encode(), [text for pair in known.items() for text in pair])

    @cached_property
    def locales(self) -> set[str]:
        """The locales in which the server can write the names of days."""
        return {name for name in LOCALES if self._accepts(name)}

    def _accepts(self, locale: str) -> bool:
        try:
            with self.db.connection.transaction(force_rollback=True):
                self.configure_one("lc_time", locale)
        except psycopg.Error:
            return False
        return True

    def configure_one(self, name: str, value: str) -> None:
        self.db.connection.execute("SELECT set_config(%s, %s, true)", [name, value])

    def columns(self, relation: str) -> list[str]:
        """The columns of a table or a view, in their order."""
        if relation not in self._columns:
            query = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            self._columns[relation] = [name for (name,) in self.db.rows(query + " ORDER BY attnum", [relation])]
        return self._columns[relation]

    # -- a question

    def ask(self, caller: Caller, query: str, params: Any = (), *, write: bool = False) -> Answer:
        """What a request of the caller gets. A GET is read-only; ``write`` makes it a POST, whose changes stay."""
        try:
            with self.db.connection.transaction(force_rollback=not write):
                signed_in = self.db.acting_as(caller.persona, method="POST") if write else self._reading(caller)
                with signed_in:
                    self._claim(caller)
                    cursor = self.db.execute(query, self.stored(params))
                    if cursor.description is None:
                        return [(cursor.rowcount,)]
                    return [tuple(self.shown(value) for value in row) for row in cursor]
        except psycopg.Error as error:
            return Refused(error.sqlstate or "", error.diag.message_primary or "")

    @contextmanager
    def _reading(self, caller: Caller) -> Iterator[None]:
        with self.db.acting_as(caller.persona, method="GET"):
            self.configure_one("transaction_read_only", "on")
            yield

    def _claim(self, caller: Caller) -> None:
        if not (caller.claims or caller.headers or caller.subject):
            return
        claims = {**self.db.personas[caller.persona].claims, **caller.claims}
        if caller.subject:
            claims["sub"] = caller.subject
        settings = {"request.jwt.claims": claims, "request.headers": caller.headers}
        self.configure({name: json.dumps(self.stored(value), default=str) for name, value in settings.items()})

    # -- values

    def stored(self, value: Any) -> Any:
        """The value as it goes to the database: an id for a reference, a text for a moment."""
        match value:
            case Ref():
                return self._ids[value]
            case Decimal():
                return moment_text(value)
            case str():
                return value.replace(MENTION, str(self._ids[CUSTOMER]))
            case list():
                return [self.stored(each) for each in value]
            case tuple():
                return tuple(self.stored(each) for each in value)
            case dict():
                return {name: self.stored(each) for name, each in value.items()}
        return value

    def shown(self, value: Any) -> Any:
        """The value as a model names it: a reference for the id of a row of the world, and in a text the mention."""
        if isinstance(value, str):
            return value.replace(str(self._ids[CUSTOMER]), MENTION)
        return self._refs.get(value, value) if isinstance(value, UUID) else value


def moment_text(seconds: Decimal) -> str:
    """A moment, which is in seconds since 1970, as PostgreSQL reads it."""
    if seconds.is_infinite():
        return "infinity" if seconds > 0 else "-infinity"
    return (EPOCH + timedelta(microseconds=int(seconds * 1_000_000))).isoformat()


# Those of the common languages. A server has the locales of its machine: C at least.
LOCALES = ("C", "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8", "pl_PL.UTF-8", "pl_PL.utf8", "ja_JP.utf8")
