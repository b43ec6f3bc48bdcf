"""Changes of a schema that may be a repair, and how many words each of them changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from rolecall.catalog.objects import Policy, grantee, identifier, qualified

TOKEN = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|[\w.]+|[^\s\w(),;]+")
GUESS_WORDS = 4
FRAME = 5  # the words of ALTER POLICY name ON table, and of DROP POLICY name ON table


class Edit(NamedTuple):
    """One change. ``sql`` has its statements, separated by "; ". ``what`` says it in a few words.

    ``guess`` is how much of it is a guess: 0 for what stands elsewhere in the schema, more for what does not. A guess
    may fit only the rows of the world, so each one counts as some words.
    """

    sql: str
    words: int
    what: str
    guess: int = 0

    @property
    def rank(self) -> tuple[int, int, int]:
        """The shortest first, with the words that its guesses count as."""
        return self.weight, self.guess, len(self.sql)

    @property
    def weight(self) -> int:
        """Its words, and those that its guesses count as."""
        return self.words + GUESS_WORDS * self.guess


def unique(edits: Iterable[Edit]) -> list[Edit]:
    """The edits in their order of rank, each only once."""
    found: dict[str, Edit] = {}
    for edit in sorted(edits, key=lambda each: each.rank):
        found.setdefault(edit.sql, edit)
    return list(found.values())


def words(text: str) -> list[str]:
    """The words of SQL: names, numbers, strings and operators."""
    return TOKEN.findall(text)


def changed_words(before: str, after: str) -> int:
    """How many words are added, and half of those that are taken away: a simpler condition is a better one."""
    old, new = words(before), words(after)
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    same = sum(block.size for block in blocks)
    return len(new) - same + (len(old) - same) // 2


def statement(sql: str, what: str, guess: int = 0) -> Edit:
    """An edit that is a new statement: all of its words count."""
    return Edit(sql, len(words(sql)), what, guess)


def drop_policy(policy: Policy) -> Edit:
    """Drop a policy."""
    return Edit(policy.drop(), FRAME, f'drops policy "{policy.name}" of {policy.table}')


def change_policy(old: Policy, new: Policy, what: str, guess: int = 0) -> Edit:
    """Change a policy: with ALTER POLICY, or with DROP and CREATE where ALTER cannot do it."""
    size = FRAME + changed_words(_body(old), _body(new))
    text = f'policy "{old.name}" of {old.table}: {what}'
    is_altered = (old.command, old.permissive) == (new.command, new.permissive)
    if is_altered and not (old.using and not new.using) and not (old.check and not new.check):
        parts = list(_changed_parts(old, new))
        sql = f"ALTER POLICY {identifier(old.name)} ON {qualified(old.table)} {' '.join(parts)}"
        return Edit(sql, size, text, guess)
    return Edit(f"{old.drop()}; {new.create()}", size, text, guess)


def _body(policy: Policy) -> str:
    """A policy without its name and table."""
    text = policy._replace(name="p", table="s.t").create()
    return text.partition(" AS ")[2]


def _changed_parts(old: Policy, new: Policy) -> Iterator[str]:
    if old.roles != new.roles:
        yield f"TO {', '.join(map(grantee, new.roles))}"
    if old.using != new.using:
        yield f"USING ({new.using})"
    if old.check != new.check:
        yield f"WITH CHECK ({new.check})"
