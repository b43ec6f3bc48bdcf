"""A difference of access maps as text for the terminal, as Markdown, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

from psycopg import sql

from rolecall.access_map.difference import Group, groups
from rolecall.report.access import HEAD, AccessMap
from rolecall.report.difference import AccessChange, AccessDifference, Witness

MARKER = "<!-- rolecall diff -->"  # finds the comment on a pull request again
ENOUGH = 3  # witnesses of one sentence


class Title(NamedTuple):
    """What was compared: the names of both sides, and how much of the newer one was tried."""

    before: str
    after: str
    attempts: int
    personas: int
    objects: int

    @classmethod
    def of(cls, before: str, after: str, tried: AccessMap) -> Title:
        """The title of a difference. ``tried`` is the newer access map."""
        attempts = sum(len(item.attempts) for item in tried.objects.values()) * len(tried.personas)
        return cls(before, after, attempts, len(tried.personas), len(tried.objects))

    def __str__(self) -> str:
        who = f"{self.attempts:,} attempts as {self.personas} personas"
        return f"{self.before} -> {self.after}: {who}, on {self.objects} tables, views and functions"


def counts(difference: AccessDifference) -> str:
    """How many accesses were gained and lost."""
    parts = [f"{len(difference.gained)} gained", f"{len(difference.lost)} lost"]
    if difference.not_compared:
        parts.append(f"{len(difference.not_compared)} not compared")
    return ", ".join(parts)


def sentence(group: Group) -> str:
    """A group in words, with the phase."""
    return group.sentence if group.phase == HEAD else f"after phase {group.phase}: {group.sentence}"


def replay(witness: Witness) -> str:
    """The statements of a witness in one transaction, for a superuser of a database that has the world."""
    settings = {"role": witness.role, "request.jwt.claims": json.dumps(witness.claims, ensure_ascii=False)}
    calls = [
        f"set_config({_text(name)}, {_text(value)}, true)" for name, value in (settings | {**witness.settings}).items()
    ]
    return f"BEGIN; SELECT {', '.join(calls)}; {witness.statement}; ROLLBACK;"


def _text(value: str) -> str:
    return sql.Literal(value).as_string()


# ------------------------------------------------------------------ the terminal


def as_text(difference: AccessDifference, title: Title) -> str:
    """Gains before losses, each gain with one persona and the statement that shows it."""
    lines = [str(title), counts(difference)]
    lines += _section("GAINED", groups(difference.gained, "gained"), witnesses=True)
    lines += _section("LOST", groups(difference.lost, "lost"), witnesses=False)
    if difference.not_compared:
        lines += ["", "NOT COMPARED", *(f"  {text}" for text in difference.not_compared)]
    return "\n".join(lines)


def _section(name: str, found: Sequence[Group], *, witnesses: bool) -> Iterator[str]:
    if found:
        yield from ["", name]
    for group in found:
        yield f"  {sentence(group)}"
        for change in _with_witness(group.changes)[:1] if witnesses else ():
            assert change.witness
            yield f"      as {change.persona}: {change.witness.statement}"


def _with_witness(changes: Iterable[AccessChange]) -> list[AccessChange]:
    return [change for change in changes if change.witness]


# ------------------------------------------------------------------ Markdown


def as_markdown(difference: AccessDifference, title: Title, most: int) -> str:
    """The difference for a pull request: the counts, the gains, and the rest folded. At most ``most`` bytes."""
    head = [MARKER, f"### Who can do what: {counts(difference)}", "", f"{title}"]
    gained, lost = groups(difference.gained, "gained"), groups(difference.lost, "lost")
    blocks = [f"- **{_escape(sentence(group))}**" + _folded_witnesses(group) for group in gained]
    folded = _folded("Lost", [f"- {_escape(sentence(group))}" for group in lost])
    folded += _folded("Not compared", [f"- {_escape(text)}" for text in difference.not_compared])
    if not gained:
        blocks = ["Nobody gained access."]
    return _within("\n".join([*head, "", ""]), [*blocks, *folded], most)


def _folded_witnesses(group: Group) -> str:
    witnesses = [change.witness for change in _with_witness(group.changes)[:ENOUGH] if change.witness]
    if not witnesses:
        return ""
    fence = "````"
    code = "\n".join(map(replay, witnesses))
    return f"\n  <details><summary>try it</summary>\n\n  {fence}sql\n{_indented(code)}\n  {fence}\n\n  </details>"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _folded(name: str, items: Sequence[str]) -> list[str]:
    """A list that is folded, each item a block of its own, so that it can be cut between them."""
    if not items:
        return []
    return [f"\n<details><summary>{name} ({len(items)})</summary>\n", *items, "\n</details>"]


def _within(head: str, blocks: Sequence[str], most: int) -> str:
    """As many blocks as fit, and the number of those that do not."""
    text, used = head, len(head.encode())
    for number, block in enumerate(blocks):
        size = len(block.encode()) + 1
        if used + size > most - 200:  # room for the last lines
            end = "\n</details>" if text.count("<details>") > text.count("</details>") else ""
            return f"{text}{end}\n\nand {len(blocks) - number} more: run `rolecall diff` to see all.\n"
        text, used = f"{text}{block}\n", used + size
    return text


def _escape(text: str) -> str:
    """A text that Markdown shows as it is: names come from the SQL and may hold anything."""
    special = "\\`*_{}[]<>()#+!|~@&"
    return "".join(f"\\{letter}" if letter in special else letter for letter in text.replace("\n", " "))


# ------------------------------------------------------------------ JSON


def as_json(difference: AccessDifference, title: Title) -> str:
    """Everything: each change by itself, with its sentence and its witness."""
    return json.dumps({**title._asdict(), **asdict(difference)}, indent=2, ensure_ascii=False)
