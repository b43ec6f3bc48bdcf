"""Types of other schemas than ``public`` in PL/pgSQL.

PostgreSQL's parser of PL/pgSQL looks each declared type up in the catalog. Outside of a server (postgast) it knows only
those of ``pg_catalog`` and ``public``, and refuses others. Which statements a body has does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import postgast

KNOWN = {"pg_catalog", "public"}
SINGLE, ARRAY = b"record", b"text"  # what stands for a foreign type: a record has fields, but no arrays
AS_WRITTEN = ("%", ".")  # after the name: table%ROWTYPE, and schema.table.column%TYPE, are not looked up


def without_foreign_types(definition: str) -> str:
    """A CREATE FUNCTION with a quoted body, in which ``record`` or ``text`` stands for each foreign type.

    All lines stay. Raises postgast.PgQueryError if the text is no SQL.
    """
    data = definition.encode()
    for start, end, new in sorted({*_of_head(data), *_of_body(data)}, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode()


Edit = tuple[int, int, bytes]  # a place in the text, in bytes, and what comes there


def _of_head(data: bytes) -> Iterator[Edit]:
    """The foreign types of the parameters and of the result."""
    function = _function(data)
    types = [each.function_parameter.arg_type for each in function.parameters]
    for type_name in [*types, function.return_type]:
        tokens = _tokens(data[type_name.location :])
        if tokens and (edit := _edit(tokens, 0, is_array=bool(type_name.array_bounds))):
            yield type_name.location + edit[0], type_name.location + edit[1], edit[2]


def _of_body(data: bytes) -> Iterator[Edit]:
    """The foreign types of the declarations."""
    (body,) = (
        option.def_elem.arg.list.items[0].string.sval.encode()
        for option in _function(data).options
        if option.def_elem.defname == "as"
    )
    offset = data.rindex(body)
    tokens = _tokens(body)
    declaring = in_cursor = False
    for at, (_, _, word) in enumerate(tokens):
        if word in ("declare", "begin"):
            declaring, in_cursor = word == "declare", False
        in_cursor = (in_cursor or word == "cursor") and word not in (";", "for", "is")
        if declaring and (word in ("declare", ";") or (in_cursor and word in ("(", ","))):
            type_at = at + 2 + (at + 2 < len(tokens) and tokens[at + 2][2] == "constant")  # after the name
            if edit := _edit(tokens, type_at):
                yield offset + edit[0], offset + edit[1], edit[2]


Token = tuple[int, int, str]  # its place, in bytes, and its text: in lower case, unless it is quoted


def _edit(tokens: list[Token], at: int, *, is_array: bool = False) -> Edit | None:
    """What stands for a type that begins at this token; None if it is not foreign."""
    words = [word for *_, word in tokens[at : at + 4]] + [""] * 4
    if words[1] != "." or words[0].strip('"') in KNOWN or words[3] in AS_WRITTEN:
        return None
    new = ARRAY if is_array or words[3] in ("[", "array") else SINGLE
    return tokens[at][0], tokens[at + 2][1], new


def _function(data: bytes) -> Any:
    return postgast.parse(data.decode()).stmts[0].stmt.create_function_stmt


def _tokens(data: bytes) -> list[Token]:
    texts = (
        (token.start, token.end, data[token.start : token.end].decode())
        for token in postgast.scan(data.decode()).tokens
    )
    return [
        (start, end, text if text.startswith('"') else text.lower())
        for start, end, text in texts
        if not text.startswith(("--", "/*"))
    ]
