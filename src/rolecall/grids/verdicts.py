"""The verdicts of cells: as words in the text of a grid, and of the outcomes of checks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from rolecall.grids.probe import REFUSED, Check, Outcome

VERDICTS = ("yes", "-", "!")
MEANING = {"yes": "allowed", "-": "no error, no row", "!": "refused (42501)", "": "the grid has no verdict yet"}
RAISED = "P0001"  # RAISE EXCEPTION without a code of its own: a function refuses on purpose
SQLSTATE = re.compile(r"(?=[A-Z]*[0-9])[0-9A-Z]{5}")

UNDECIDED = "?"  # after a verdict that was observed, and that nobody has decided


def is_verdict(word: str) -> bool:
    """Whether a word of a grid is a verdict, with a question mark or without.

    It has one of the words, or two or three that are not all equal. A word may be the SQLSTATE of an error.
    """
    parts = word.removesuffix(UNDECIDED).split("/")
    return all(map(_is_word, parts)) and len(parts) <= 3 and (len(parts) == 1 or len(set(parts)) > 1)


def is_no_name(word: str) -> bool:
    """Whether a word is a verdict, and cannot be the name of a persona. A name may look like a SQLSTATE (``USER1``)."""
    return is_verdict(word) and not SQLSTATE.fullmatch(word.removesuffix(UNDECIDED))


def _is_word(word: str) -> bool:
    return word in VERDICTS or bool(SQLSTATE.fullmatch(word) and word != REFUSED)


def meaning(expected: str) -> str:
    """A verdict in words."""
    return " / ".join(MEANING.get(word, f"fails with SQLSTATE {word}") for word in expected.split("/"))


def shortest(command: str, word: str) -> str:
    """A verdict without the word of the third way, if that is the word of the other way that reads the row."""
    parts = word.split("/")
    reading = 1 if command == "insert" else 0
    return "/".join(parts[:2]) if len(parts) == 3 and parts[2] == parts[reading] else word


def verdict(results: Iterable[tuple[Check, Outcome]], expected: str = "") -> str:
    """The verdict of a cell's checks and outcomes.

    It is one word if all outcomes agree. If the two ways of a write differ, it has both: ``-/yes``. It has the third
    too if it is not that of the other way that reads the row. ``error`` is a failure other than a refusal: P0001 and
    the SQLSTATEs of the ``expected`` verdict are refusals too.
    """
    refusals = {RAISED, *expected.split("/")}
    ways = [(check, _words(outcome, refusals)) for check, outcome in results if outcome.words]
    if len(ways) == 3 and ways[2][1] != next(words for check, words in ways if check.reads_row):
        return "/".join(word for _, words in ways for word in words)
    return "/".join(dict.fromkeys(word for _, words in ways[:2] for word in words))


def _words(outcome: Outcome, refusals: Collection[str]) -> list[str]:
    """The words of an outcome, with the SQLSTATE in place of ``error`` if it is one of these."""
    sqlstate = None if outcome.verdict or outcome.broken else outcome.sqlstate
    return [sqlstate] if sqlstate in refusals and sqlstate else outcome.words


def expected_words(expected: str, checks: Sequence[Check]) -> list[str]:
    """The word that each check of a cell must have: :func:`verdict` the other way round."""
    words = expected.split("/")
    if len(checks) == 1:
        return [expected]
    if len(words) == 1:
        return words * len(checks)
    if checks[0].method == "POST" and words[0] == "!":  # a refused insert that single columns allow
        return [expected, *(["!"] * (len(checks) - 1))]
    third = words[2:] or [word for check, word in zip(checks, words, strict=False) if check.reads_row][:1]
    return [*words[:2], *third][: len(checks)]
