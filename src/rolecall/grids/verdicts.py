"""The verdicts of cells: as words in the text of a grid, and of the outcomes of checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rolecall.grids.probe import Check, Outcome

VERDICTS = ("yes", "-", "!")
MEANING = {"yes": "allowed", "-": "no error, no row", "!": "refused (42501)", "": "the grid has no verdict yet"}


UNDECIDED = "?"  # after a verdict that was observed, and that nobody has decided


def is_verdict(word: str) -> bool:
    """Whether a word of a grid is a verdict, with a question mark or without.

    It has one of the words, or two or three that are not all equal.
    """
    parts = word.removesuffix(UNDECIDED).split("/")
    return all(part in VERDICTS for part in parts) and len(parts) <= 3 and (len(parts) == 1 or len(set(parts)) > 1)


def shortest(command: str, word: str) -> str:
    """A verdict without the word of the third way, if that is the word of the other way that reads the row."""
    parts = word.split("/")
    reading = 1 if command == "insert" else 0
    return "/".join(parts[:2]) if len(parts) == 3 and parts[2] == parts[reading] else word


def verdict(results: Iterable[tuple[Check, Outcome]]) -> str:
    """The verdict of a cell's checks and outcomes.

    It is one word if all outcomes agree. If the two ways of a write differ, it has both: ``-/yes``. It has the third
    too if it is not that of the other way that reads the row. ``error`` is a failure other than a refusal.
    """
    ways = [(check, outcome.words) for check, outcome in results if outcome.words]
    if len(ways) == 3 and ways[2][1] != next(words for check, words in ways if check.reads_row):
        return "/".join(word for _, words in ways for word in words)
    return "/".join(dict.fromkeys(word for _, words in ways[:2] for word in words))


def expected_words(expected: str, checks: Sequence[Check]) -> list[str]:
    """The word that each check of a cell must have: :func:`verdict` the other way round."""
    words = expected.split("/")
    if len(checks) == 1:
        return [expected]
    if len(words) == 1:
        return words * len(checks)
    third = words[2:] or [word for check, word in zip(checks, words, strict=False) if check.reads_row][:1]
    return [*words[:2], *third][: len(checks)]
