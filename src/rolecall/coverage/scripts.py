"""The DO blocks of the scripts: each statement and branch reports itself when a test runs the script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from psycopg import errors

from rolecall.coverage import plpgsql
from rolecall.coverage.plpgsql import Body
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.sql.migrations import Phase, Script
from rolecall.sql.script import Statement, parse
from rolecall.sql.text import line_of


class ScriptObserver:
    """Instruments the DO blocks of scripts, and records what they report."""

    def __init__(self, recorder: CoverageRecorder) -> None:
        self.recorder = recorder

    def rewrite(self, path: Path, text: str, statement: Statement) -> str:
        """The statement as it is sent to the server: a DO block with its reports, on the same lines."""
        body = block(path, text, statement)
        return body.instrumented if body else statement.text

    def record(self, notice: errors.Diagnostic) -> None:
        """A notice handler for the connection that runs the scripts."""
        if fact := plpgsql.parse_report(notice.message_primary):
            self.recorder.add(*fact)


def requirements(phases: Iterable[Phase]) -> dict[str, list[tuple[str, ...]]]:
    """Each statement and branch of the DO blocks by name, with the facts of which one must be recorded.

    Each script must run alone, so scripts have copies of some statements. Copies count as one: a test of one is enough.
    """
    copies: dict[tuple[str, int], list[tuple[str, ...]]] = {}
    names: dict[tuple[str, int], str] = {}
    for script, body in _blocks(phases):
        counts = Counter[str]()
        for number, point in enumerate(body.points):
            key = point.outermost or body.signature, counts[point.outermost]
            counts[point.outermost] += 1
            copies.setdefault(key, []).append(("reached", body.signature, str(number)))
            names.setdefault(key, f"{script}, {point}")
    return {names[key]: facts for key, facts in copies.items()}


def _blocks(phases: Iterable[Phase]) -> Iterator[tuple[str, Body]]:
    """The DO blocks of the scripts that tests must run, each with the name of its script."""
    for script in (script for phase in phases for script in phase.tested):
        text = script.read()
        for statement in parse(text).statements:
            if body := block(script.path, text, statement):
                yield script.id, body


def block(path: Path, text: str, statement: Statement) -> Body | None:
    """A DO block of a script, instrumented. None for other statements, and for other languages.

    The lines of its points are those of the file.
    """
    source = _source(statement) if statement.kind == "do_stmt" else None
    if source is None:
        return None
    start = statement.start + statement.text.rindex(source)
    lines = line_of(text, start) - 1
    body = plpgsql.body(f"{Script(path).id}:{line_of(text, statement.start)}", statement.text, source)
    return body._replace(points=[point._replace(line=point.line + lines) for point in body.points])


def _source(statement: Statement) -> str | None:
    """The text between the quotes, if it stands there as it is."""
    import postgast  # takes 0.1 s to import, and is only needed with --rolecall-coverage

    options = {
        option.defname: option.arg.string.sval
        for (raw,) in [postgast.parse(statement.text).stmts]
        for option in (each.def_elem for each in raw.stmt.do_stmt.args)
    }
    source: str = options.get("as", "")
    is_plpgsql = options.get("language", "plpgsql") == "plpgsql"
    return source if is_plpgsql and source and source in statement.text else None
