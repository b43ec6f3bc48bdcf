"""Instrumented PL/pgSQL: each statement and branch reports itself before it runs.

The report is a RAISE INFO. The server sends it to the client at once, whatever ``client_min_messages`` says: a report
is not lost if an exception rolls the statement back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall.catalog.manifest import Manifest

REPORT = re.compile(r"rolecall: (reached|fired)\t(.*)\t(.*)", re.DOTALL)
COMMENTS = ("--", "/*")
ENDS_LIST = {"end", "else", "elsif", "elseif", "when", "exception"}  # the words that end a list of statements

# The functions that the migrations created, and those that their triggers call.
FUNCTIONS = """
SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), prosrc, prorettype = 'trigger'::regtype,
       n.nspname || '.' || proname
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
WHERE lanname = 'plpgsql' AND n.nspname || '.' || proname = ANY (%s) ORDER BY 1
"""


class Point(NamedTuple):
    """A statement, or a branch without one: its line in the body, from 1, and its text.

    ``outermost`` is the whole text of the outermost statement that it is in. Blocks do not count as statements.
    """

    line: int
    text: str
    outermost: str = ""

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class Body(NamedTuple):
    """A function: its original CREATE statement, the instrumented one, and the points that it can report.

    ``signature`` is SQL; ``name`` is qualified and without quotes, and empty for a DO block.
    """

    signature: str
    original: str
    instrumented: str
    points: list[Point]
    name: str = ""


def called(connection: Connection[Any], manifest: Manifest) -> list[str]:
    """The qualified names of the functions that the migrations created, and of those that their triggers call."""
    triggers = [(item.owner, item.name) for item in manifest.of_kind("trigger")]
    by_triggers = """
        SELECT DISTINCT pn.nspname || '.' || proname
        FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
        JOIN pg_proc p ON p.oid = tgfoid JOIN pg_namespace pn ON pn.oid = pronamespace
        WHERE (n.nspname || '.' || relname, tgname::text) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
    """
    params = [list(names) for names in zip(*triggers, strict=True)] or [[], []]
    created = [item.full_name for item in manifest.of_kind("function", "trigger function")]
    return sorted({*created, *(name for (name,) in connection.execute(by_triggers, params))})


def read(connection: Connection[Any], names: Iterable[str]) -> list[Body]:
    """The PL/pgSQL functions with these qualified names, instrumented. The database is not changed."""
    with connection.transaction():
        # With an empty search_path, all names are qualified.
        connection.execute("SELECT set_config('search_path', '', true)")
        rows = connection.execute(FUNCTIONS, [list(names)]).fetchall()
    return [body(*row) for row in rows]


def body(signature: str, definition: str, source: str, is_trigger: bool = False, name: str = "") -> Body:
    """Instrument one function. ``definition`` is its whole CREATE, ``source`` the body between the quotes."""
    writer = _Writer(signature, source)
    text = writer.write(is_trigger)
    start = definition.rindex(source)
    instrumented = definition[:start] + text + definition[start + len(source) :]
    return Body(signature, definition, instrumented, writer.points, name)


def parse_report(message: str | None) -> tuple[str, ...] | None:
    """The fact that a server's message reports: ``("reached", function, point)``, ``("fired", table, trigger)``."""
    match = REPORT.fullmatch(message or "")
    return match.groups() if match else None


class _Token(NamedTuple):
    start: int
    end: int
    text: str
    word: str


def _tokens(source: str) -> Iterator[_Token]:
    import postgast  # takes 0.1 s to import, and is only needed with --rolecall-coverage

    data = source.encode()
    for token in postgast.scan(source).tokens:
        text = data[token.start : token.end].decode()
        if not text.startswith(COMMENTS):
            start = len(data[: token.start].decode())
            yield _Token(start, start + len(text), text, text.lower())


class _Writer:
    """Walks over the tokens of a body by the grammar of its statements, and collects the edits."""

    def __init__(self, signature: str, source: str) -> None:
        self.signature, self.source = signature, source
        self.tokens = list(_tokens(source))
        self.at = 0
        self.points: list[Point] = []
        self.edits: list[tuple[int, int, str]] = []

    def write(self, is_trigger: bool) -> str:
        """The instrumented body."""
        self._skip_to("begin")
        if is_trigger:
            where = "TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_NAME"
            self._insert(self._token.end, f" RAISE INFO 'rolecall: fired\t%.%\t%', {where};")
        self._block()
        text = self.source
        for start, end, new in sorted(self.edits, key=lambda edit: edit[:2], reverse=True):
            text = text[:start] + new + text[end:]
        return text

    # -- the grammar: each method starts at the first token of its part, and ends after the last

    def _block(self) -> None:
        self._skip_to("begin")  # over the declarations
        self.at += 1
        self._statements("BEGIN")
        if self._token.word == "exception":
            self.at += 1
            self._arms("when", "then")
        self._end()

    def _statements(self, opening: str) -> None:
        """A list of statements, each of which reports itself. An empty list reports too."""
        if self._token.word in ENDS_LIST:
            self._insert(self._token.start, self._report(opening, self.at - 1))
        while self._token.word not in ENDS_LIST:
            first, start, is_block = len(self.points), self._token.start, self._token.word in ("declare", "begin")
            self._insert(start, self._report(self._first_line(), self.at))
            self._statement()
            if not is_block:  # the last of these assignments to a point is that of the outermost statement
                text = self.source[start : self.tokens[self.at - 1].end]
                self.points[first:] = [point._replace(outermost=text) for point in self.points[first:]]

    def _statement(self) -> None:
        if self._token.word == "<<":
            self.at += 3
        word = self._token.word
        if word in ("declare", "begin"):
            self._block()
        elif word == "if":
            self._if()
        elif word == "case":
            self.at += 1
            self._skip_to("when")
            self._arms("when", "then")
            if self._token.word == "else":
                self._arm()
            self._end()
        elif word in ("loop", "while", "for", "foreach"):
            self._skip_to("loop")
            self._arm()
            self._end()
        elif word in ("exit", "continue"):
            self._exit()
        else:
            self._end()

    def _if(self) -> None:
        first, condition = self.at, self._first_line()
        self._arms("if", "then")
        self._arms("elsif", "then")
        if self._token.word == "else":
            self._arm()
        else:
            self._insert(self._token.start, "ELSE " + self._report(f"{condition}: what if not", first))
        self._end()

    def _exit(self) -> None:
        """EXIT WHEN is a branch: it is rewritten as an IF, so that both outcomes report."""
        first, what = self.at, self._first_line()
        start = self._token
        while self._token.word not in ("when", ";"):
            self.at += 1
        leave = self.source[start.start : self.tokens[self.at - 1].end]
        if self._token.word == "when":
            self._replace(start.start, self._token.end, "IF")
            self._end()
            if_true, if_false = (self._report(f"{what}: {how}", first) for how in ("what if so", "what if not"))
            self._insert(self.tokens[self.at - 1].start, f" THEN {if_true}{leave}; ELSE {if_false}END IF")
        else:
            self._end()

    def _arms(self, opens: str, until: str) -> None:
        while self._token.word in (opens, opens.replace("elsif", "elseif")):
            self.at += 1
            self._skip_to(until)
            self._arm()

    def _arm(self) -> None:
        """THEN, ELSE or LOOP, and its statements."""
        self.at += 1
        self._statements(self.tokens[self.at - 1].text)

    def _end(self) -> None:
        """Skip to after the semicolon that ends the statement. The last END of a body may have none."""
        while self.at < len(self.tokens) and self._token.word != ";":
            self.at += 1
        self.at += 1

    def _skip_to(self, word: str) -> None:
        """Skip to a word of the statement itself, not of a CASE expression in it."""
        depth = 0
        while depth or self._token.word != word:
            depth += {"case": 1, "end": -1}.get(self._token.word, 0)
            self.at += 1

    # -- the edits

    @property
    def _token(self) -> _Token:
        return self.tokens[self.at]

    def _report(self, text: str, at: int) -> str:
        number = len(self.points)
        line = self.source.count("\n", 0, self.tokens[at].start) + 1
        self.points.append(Point(line, text))
        name = self.signature.replace("'", "''").replace("%", "%%")
        return f"RAISE INFO 'rolecall: reached\t{name}\t{number}'; "

    def _first_line(self) -> str:
        """The first line of the statement that begins at the current token."""
        end = next((token.end for token in self.tokens[self.at :] if token.word == ";"), len(self.source))
        return self.source[self._token.start : end].split("\n", 1)[0].strip()

    def _insert(self, at: int, text: str) -> None:
        self._replace(at, at, text)

    def _replace(self, start: int, end: int, text: str) -> None:
        self.edits.append((start, end, text))
