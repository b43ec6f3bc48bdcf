"""Parse an SQL text before it runs: its statements, the settings that they make, and what a file may not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from rolecall.sql import psql
from rolecall.sql.split import Token, Unscannable, split, tokens_of

ENDS = "the file ends the transaction that it runs in: remove BEGIN, COMMIT and ROLLBACK."
META = "{} is a command of psql, and the file runs without psql: write SQL, or remove it."
ROWS = "COPY … FROM stdin needs rows that only psql sends: write INSERT, or put the rows into the world."
OUTPUT = "COPY … TO stdout needs psql to read the rows: remove it."
VARIABLE = "{} is a variable of psql, and the file runs without psql: write its value."
DISCARDS = "{} also discards what rolecall and the tests keep in this session: remove it."
IDENTITY = (
    "SESSION AUTHORIZATION in a body: the statements after it could run as the superuser of the tests. Remove it."
)
SPELLED = {"role": "ROLE", "session_authorization": "SESSION AUTHORIZATION", "timezone": "TIME ZONE"}
QUOTED_AUTHORIZATION = re.compile(r"\bsession(\s+|_)authorization\b", re.IGNORECASE)


class Refusal(NamedTuple):
    """Something that a file may not have: its offset, and the message with what to do."""

    start: int
    message: str


class Setting(NamedTuple):
    """A setting that a statement makes, or resets if ``value`` is False. A ``local`` one ends with the transaction.

    ``command`` is the command for messages.
    """

    start: int
    name: str
    local: bool
    value: bool
    command: str

    @property
    def advice(self) -> str:
        """What to write, so that the setting ends with the transaction."""
        if self.command.startswith("set_config"):
            return "give true."
        characteristics = self.name == "SESSION CHARACTERISTICS"
        return "use SET TRANSACTION." if characteristics else f"use SET LOCAL {SPELLED.get(self.name, self.name)}."


@dataclass(frozen=True)
class Statement:
    """One statement: its offset in the text, its text without the semicolon, and the kind of its node.

    ``kind`` is None if our parser does not know the syntax. The server may know it.
    """

    start: int
    text: str
    kind: str | None


@dataclass(frozen=True)
class Script:
    """A parsed SQL text."""

    statements: tuple[Statement, ...]
    settings: tuple[Setting, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    identity: tuple[Refusal, ...] = ()  # refused only if the file runs as a role
    unscannable: Unscannable | None = None
    any_setting: bool = False  # it may make settings whose names are not in the text


def statements(text: str) -> Iterator[Statement]:
    """The statements of an SQL text with their offsets. If a part cannot be scanned, the statements before it."""
    yield from parse(text).statements


@lru_cache(maxsize=256)
def parse(text: str) -> Script:
    """Parse an SQL text. Raises nothing: errors are in the result."""
    parts, tokens, unscannable = split(text)
    while (plain := psql.blanked(text, tokens)) != text:  # once more, if an apostrophe hid what comes after it
        text = plain
        parts, tokens, unscannable = split(text)
    reader = _Reader(text)
    for start, part in parts:
        reader.read(start, part)
    reader.refusals += _meta_commands(text, tokens)
    return Script(
        tuple(reader.statements),
        tuple(reader.settings),
        tuple(sorted(reader.refusals)),
        tuple(sorted(reader.identity)),
        unscannable,
        reader.any_setting,
    )


def _meta_commands(text: str, tokens: list[Token]) -> Iterator[Refusal]:
    for token in tokens:
        if token.name == psql.META:
            name = re.compile(r"\\[^\s\\]*").match(text, token.start)
            yield Refusal(token.start, META.format(name[0] if name else "\\"))


# ------------------------------------------------------------------ one statement


class _Reader:
    """Reads the statements in order, and collects what a Script has."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.statements: list[Statement] = []
        self.settings: list[Setting] = []
        self.refusals: list[Refusal] = []
        self.identity: list[Refusal] = []
        self.any_setting = False
        self._savepoints: list[str] = []

    def read(self, start: int, text: str) -> None:
        """Add a statement, its settings and its refusals."""
        import postgast
        from google.protobuf.message import DecodeError

        kind = node = None
        try:
            stmt = postgast.parse(text).stmts[0].stmt
            kind = str(stmt.WhichOneof("node"))
            node = getattr(stmt, kind)
        except postgast.PgQueryError as error:
            self._unparsed(start, text, max(error.cursorpos - 1, 0))
        except DecodeError:  # nested too deep for protobuf
            self._too_deep(start, text)
        self.statements.append(Statement(start, text, kind))
        if kind is None:
            self.any_setting = True
            return
        reader = getattr(self, f"_{kind}", None)
        if reader:
            reader(start, node)
        if "set_config" in text.lower() and kind != "do_stmt":
            self._calls(start, text)

    def _unparsed(self, start: int, text: str, at: int) -> None:
        variable = re.compile(r":['\"]?\w+['\"]?|:\{\?\w+\}").match(text, at)
        if variable:
            self.refusals.append(Refusal(start + at, VARIABLE.format(variable[0])))

    def _too_deep(self, start: int, text: str) -> None:
        """Check the first words of a statement without a tree. COMMIT and the like are never nested so deep."""
        words = [token.text.lower() for token in tokens_of(text)]
        if words[:1] == ["copy"] and {"stdin", "stdout"} & set(words):
            self.refusals.append(Refusal(start, ROWS if "stdin" in words else OUTPUT))

    def _transaction_stmt(self, start: int, node: Any) -> None:
        import postgast

        ast = postgast.pg_query_pb2
        allowed = (
            *(ast.TRANS_STMT_BEGIN, ast.TRANS_STMT_START),  # they only cause a warning
            *(ast.TRANS_STMT_SAVEPOINT, ast.TRANS_STMT_RELEASE, ast.TRANS_STMT_ROLLBACK_TO),
        )
        if node.kind not in allowed:
            self.refusals.append(Refusal(start, ENDS))
        self._savepoint(start, node.kind, node.savepoint_name)

    def _savepoint(self, start: int, kind: int, name: str) -> None:
        """Refuse a savepoint that the file has not created: it belongs to rolecall or to a test."""
        import postgast

        ast = postgast.pg_query_pb2
        if kind == ast.TRANS_STMT_SAVEPOINT:
            self._savepoints.append(name)
        elif kind in (ast.TRANS_STMT_RELEASE, ast.TRANS_STMT_ROLLBACK_TO):
            if name not in self._savepoints:
                message = f'savepoint "{name}" does not exist in this file: write SAVEPOINT {name} before it.'
                self.refusals.append(Refusal(start, message))
                return
            last = len(self._savepoints) - 1 - self._savepoints[::-1].index(name)
            del self._savepoints[last + (kind == ast.TRANS_STMT_ROLLBACK_TO) :]

    def _copy_stmt(self, start: int, node: Any) -> None:
        if not node.filename and not node.is_program:
            self.refusals.append(Refusal(start, ROWS if node.is_from else OUTPUT))

    def _discard_stmt(self, start: int, node: Any) -> None:
        import postgast

        ast = postgast.pg_query_pb2
        if node.target == ast.DISCARD_TEMP:
            self.refusals.append(Refusal(start, DISCARDS.format("DISCARD TEMP")))

    def _deallocate_stmt(self, start: int, node: Any) -> None:
        if node.isall:
            self.refusals.append(Refusal(start, DISCARDS.format("DEALLOCATE ALL")))

    def _variable_set_stmt(self, start: int, node: Any) -> None:
        import postgast

        ast = postgast.pg_query_pb2
        if node.kind == ast.VAR_SET_MULTI and node.name.startswith("TRANSACTION"):
            return
        if node.kind == ast.VAR_RESET_ALL:
            self.any_setting = True
            self.settings = [each._replace(value=False) for each in self.settings]
            return
        value = node.kind not in (ast.VAR_RESET, ast.VAR_SET_DEFAULT)
        if node.kind == ast.VAR_SET_MULTI:
            self.any_setting = True
        self._setting(start, node.name.lower() if "." in node.name else node.name, node.is_local, value)

    def _setting(self, start: int, name: str, local: bool, value: bool) -> None:
        if not local and not value:
            self.settings = [each._replace(value=False) if each.name == name else each for each in self.settings]
        self.settings.append(Setting(start, name, local, value, f"SET {SPELLED.get(name, name)}"))

    def _calls(self, start: int, text: str) -> None:
        """Add the settings of ``set_config('name', …, false)``, found among the tokens."""
        self._in_tokens(start, tokens_of(text), statements=False)

    def _do_stmt(self, start: int, node: Any) -> None:
        """Add the settings of a DO block."""
        import postgast

        body = next((each.def_elem.arg.string.sval for each in node.args if each.def_elem.defname == "as"), "")
        at = self.text.find(body, start)
        try:
            tokens = tokens_of(body)
        except postgast.PgQueryError:
            self.any_setting = True
            return
        self._in_tokens(max(at, start), tokens, statements=True, inside=at >= 0)

    def _in_tokens(self, start: int, tokens: list[Token], *, statements: bool, inside: bool = True) -> None:
        for at, token in enumerate(tokens):
            word, offset = token.text.lower(), start + (token.start if inside else 0)
            if word == "set_config":
                self._call(offset, [each.text for each in tokens[at + 1 :]])
            elif not statements:
                continue
            elif word == "execute":
                self.any_setting = True
            elif word in ("set", "reset") and (at == 0 or tokens[at - 1].text.lower() in BEFORE):
                self._set(offset, word == "set", [each.text for each in tokens[at + 1 : at + 4]])
            following = [each.text.lower() for each in tokens[at : at + 2]]
            if following == ["session", "authorization"] or (
                token.name == "SCONST" and QUOTED_AUTHORIZATION.search(token.text)
            ):
                self.identity.append(Refusal(offset, IDENTITY))

    def _set(self, start: int, value: bool, words: list[str]) -> None:
        local = words[:1] != [] and words[0].lower() == "local"
        if words and words[0].lower() in ("local", "session"):
            words = words[1:]
        if not words or words[0].lower() in ("transaction", "constraints", "authorization", "characteristics"):
            return
        name = ".".join([words[0], words[2]]) if words[1:2] == ["."] and words[2:] else words[0]
        name = {"time": "timezone", "names": "client_encoding"}.get(name.lower(), name.lower())
        self._setting(start, name, local, value)

    def _call(self, start: int, words: list[str]) -> None:
        """Add the setting of one set_config, whose arguments are the words up to its closing parenthesis."""
        arguments: list[list[str]] = [[]]
        depth = 0
        for word in words:
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth <= 0:
                break
            if word == "," and depth == 1:
                arguments.append([])
            elif word != "(" or depth > 1:
                arguments[-1].append(word)
        name = re.fullmatch(r"'([^']+)'", "".join(arguments[0]))
        if not name:
            self.any_setting = True
            return
        local = "".join(arguments[2] if len(arguments) > 2 else []).lower().strip("'")
        command = f"set_config('{name[1].lower()}', …, false)"
        self.settings.append(Setting(start, name[1].lower(), local in ("true", "t"), local in ("false", "f"), command))


# The tokens that can come before a statement of PL/pgSQL.
BEFORE = frozenset({";", "begin", "then", "else", "loop"})
