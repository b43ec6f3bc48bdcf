"""Whether a condition decides: a variant is installed, every persona tries it, and the results are compared."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import Connection

from rolecall.access.persona import Persona
from rolecall.access.session import Session
from rolecall.conditions.conditions import Variant
from rolecall.conditions.subjects import Subject
from rolecall.server.waits import ended_by_server

Results = list[str]  # of each statement of a subject: "ok …" with what it returned, or "error …"
RESULTS = "SELECT pg_temp.rolecall_results(%s, %s)"


class Trial:
    """Tries variants on one connection of a superuser. Everything is rolled back."""

    def __init__(self, connection: Connection[Any], personas: Mapping[str, Persona]) -> None:
        self.connection, self.personas = connection, personas
        self.refusal = ""  # why the server did not accept the last variant
        self._decided_last = ""  # for which persona: it comes first at the next variant, which saves time
        connection.execute(files("rolecall.conditions").joinpath("results.sql").read_bytes())

    def original(self, subject: Subject) -> dict[str, Results]:
        """The results of the unchanged object by persona. What differs from call to call is left out of them."""
        first, second = (dict(self._results(subject, subject.original)) for _ in range(2))
        return {
            name: [_same_part(*pair) for pair in zip(results, second[name], strict=True)]
            for name, results in first.items()
        }

    def decides(self, subject: Subject, variant: Variant, original: Mapping[str, Results]) -> bool:
        """Whether the variant gives some persona another result than the original, or does not come to an end.

        One that the server does not accept shows nothing: then ``refusal`` is the error.
        """
        self.refusal = ""
        try:
            with closing(self._results(subject, variant.text)) as by_persona:
                for name, results in by_persona:
                    pairs = zip(original[name], results, strict=True)
                    if any(_differ(*pair, errors_decide=subject.errors_decide) for pair in pairs):
                        self._decided_last = name
                        return True
        except psycopg.Error as error:
            if ended_by_server(error):
                return True
            self.refusal = f"{error.sqlstate} {error.diag.message_primary}"
        return False

    def _results(self, subject: Subject, text: str) -> Generator[tuple[str, Results]]:
        with self.connection.transaction(force_rollback=True):
            # A function's body is checked when it is called.
            self.connection.execute("SELECT set_config('check_function_bodies', 'off', true)")
            for statement in subject.install(text):
                self.connection.execute(statement.encode())
            for name in sorted(subject.personas, key=lambda name: name != self._decided_last):
                session = Session(self.connection, self.personas)
                with session.acting_as(name):
                    yield name, session.value(RESULTS, [list(subject.statements), subject.writes])


def _same_part(first: str, second: str) -> str:
    """A result; only its first word if it differs from call to call, e.g. because it has a new id."""
    return first if first == second else first.partition(" ")[0]


def _differ(original: str, result: str, *, errors_decide: bool) -> bool:
    words = original.partition(" ")[0], result.partition(" ")[0]
    if "error" in words and not errors_decide:
        return False
    return words[0] != words[1] or (original not in words and original != result)
