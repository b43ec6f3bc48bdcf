"""The words in the code of a function, as values of its arguments and of the rows that it reads.

A mistaken condition compares with a text that stands in the code: no value of ``values.py`` has to be equal to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tests.models.lab import Lab

COMMENT = re.compile(r"--.*")
LITERAL = re.compile(r"'((?:[^']|'')*)'")
NUMBER = re.compile(r"\b\d+\b")
PART = re.compile(r"[\w.-]+")


def words_of(lab: Lab, function: str) -> list[str]:
    """The string literals in the code of a function, the words in them (of a pattern or a path), and the numbers."""
    code = COMMENT.sub("", lab.db.value("SELECT prosrc FROM pg_proc WHERE oid = %s::regproc", [function]))
    literals = [literal.replace("''", "'") for literal in LITERAL.findall(code)]
    parts = [part for literal in literals for part in PART.findall(literal)]
    words = list(dict.fromkeys([*literals, *parts, *NUMBER.findall(code)]))
    assert words, f"no word in the code of {function}"
    return words


def json_of(words: Sequence[str]) -> Iterator[str]:
    """JSON texts with these words: as values, and as keys of any depth up to two."""
    for value in (*words, True, 1):
        flat = dict.fromkeys(words, value)
        for each in (value, [value], flat, dict.fromkeys(words, flat)):
            yield json.dumps(each)
    for word in words:  # what @> compares with
        with suppress(ValueError):
            yield json.dumps(json.loads(word))
