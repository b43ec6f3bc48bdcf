"""The names that a user writes: how they are read, and what to say about one that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from rolecall.errors import RolecallError

MOST = 12  # names in an error, before "and n more"
CLOSE = 3
QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def choose(kind: str, name: str, existing: Iterable[str], has: str) -> str:
    """The name, if it exists. Raises RolecallError that lists what exists, what is most like it first.

    :param kind: what it is the name of, such as ``persona``
    :param has: how the list begins, such as ``The world has``
    """
    names = list(existing)
    if name in names:
        return name
    same = [each for each in names if each.lower() == name.lower()]
    if len(same) == 1:
        return same[0]
    by_lower = {each.lower(): each for each in names}
    by_lower |= {each.partition(".")[2]: full for each, full in by_lower.items() if "." in each and "." not in name}
    likely = get_close_matches(name.lower(), by_lower, CLOSE, 0.6)
    likely += [each for each in by_lower if name and name.lower() in each and each not in likely][:CLOSE]
    close = list(dict.fromkeys(by_lower[each] for each in likely))
    ordered = [*close, *(each for each in names if each not in close)]
    more = f" and {len(ordered) - MOST} more" if len(ordered) > MOST else ""
    listed = f"{has}: {', '.join(ordered[:MOST])}{more}" if ordered else f"{has} none"
    question = f" Do you mean {close[0]!r}?" if close else ""
    raise RolecallError(f"unknown {kind} {name!r}.{question} {listed}.")


def parse_name(text: str) -> str:
    """A name as grids have it: ``schema.name`` without quotes. ``"my schema"."my table"`` may have quotes, too."""
    parts = QUOTED.findall(text)
    if parts and not QUOTED.sub("", text).strip(" ."):
        return ".".join(part.replace('""', '"') for part in parts)
    return QUOTED.sub(lambda match: match[1].replace('""', '"'), text).strip()


def split_call(text: str) -> tuple[str, str | None]:
    """The name of a function and its arguments as SQL: ``app.f('a')`` gives ``app.f`` and ``'a'``.

    The arguments are None if the text has no parentheses.
    """
    match = re.fullmatch(r'((?:"(?:[^"]|"")*"|[^"(])+)\((.*)\)', text.strip(), re.DOTALL)
    return (match[1].strip(), match[2].strip()) if match else (text.strip(), None)
