"""What the databases are built from, by content, and which statements of it have changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import postgast

from rolecall import platforms
from rolecall.catalog.granted import PUBLIC
from rolecall.errors import RolecallError
from rolecall.mutants.since import defined
from rolecall.settings import Settings
from rolecall.sql import migrations
from rolecall.sql.script import parse
from rolecall.sql.split import tokens_of

ABOUT_ROLES = re.compile(r"\b(create|alter|drop|reassign|grant|revoke)\s+(role|user|group|owned)\b", re.IGNORECASE)
# Statements with a search_path of their own: it is not that of the session.
HARMLESS = {"create_function_stmt", "alter_function_stmt"}
MEMBERSHIP = re.compile(r"\s*(grant|revoke)\b(?!.*\bon\b)", re.IGNORECASE | re.DOTALL)


class Text(NamedTuple):
    """A file that the databases are built from. ``how`` is how it runs, and where: it counts as a part of it."""

    path: Path
    how: str
    text: str


class Inputs(NamedTuple):
    """``base`` is what the baseline is built from. The seed is loaded with the world."""

    base: tuple[Text, ...]
    steps: tuple[Text, ...]
    seed: tuple[Text, ...]

    def equal_steps(self, other: Inputs) -> int:
        """How many of the first steps are those of the other one."""
        pairs = zip(self.steps, other.steps, strict=False)
        return next(
            (at for at, (own, others) in enumerate(pairs) if own != others), min(len(self.steps), len(other.steps))
        )

    @property
    def texts(self) -> dict[Path, str]:
        """The text of each file."""
        return {each.path: each.text for each in (*self.base, *self.steps, *self.seed)}


def read(settings: Settings) -> Inputs:
    """The inputs of now. Raises RolecallError."""
    base = [*(platforms.of(settings.platform).files if settings.platform else ()), settings.baseline, settings.requires]
    steps = [(phase, step) for phase in migrations.of(settings) for step in phase.steps]
    return Inputs(
        tuple(_text(path) for path in base if path),
        tuple(
            Text(step.path, f"{phase.title} {bool(phase.rolls_back)} {step.id} {step.transaction.name}", step.read())
            for phase, step in steps
        ),
        tuple(_text(path) for path in (settings.seed,) if path),
    )


def _text(path: Path) -> Text:
    try:
        return Text(path, "", path.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError as error:
        raise RolecallError(f"{path} cannot be read: {error.strerror}.") from None


def changes_roles(texts: Iterable[Text]) -> bool:
    """Whether a text may change roles, which all databases of a server share. In doubt it may."""
    return any(_changes_roles(each.text) for each in texts)


def _changes_roles(text: str) -> bool:
    if not re.search(r"\b(role|user|group|owned|grant|revoke)\b", text, re.IGNORECASE):
        return False
    try:
        bare = " ".join(token.text for token in tokens_of(text))  # without comments
    except postgast.PgQueryError:
        return True
    return bool(ABOUT_ROLES.search(bare)) or any(MEMBERSHIP.match(each.text) for each in parse(text).statements)


def changed_objects(old: Inputs, new: Inputs) -> set[str] | None:
    """The objects that the changed statements are about: tables, views and functions by their qualified names.

    None if one of the statements does not say what it is about. All statements of a new or removed file count.
    """
    before, after = old.texts, new.texts
    names: set[str] = set()
    for path in {*before, *after}:
        texts = before.get(path, ""), after.get(path, "")
        # A name without a schema is in public, unless the file says otherwise.
        default = "" if any(map(_sets_search_path, texts)) else PUBLIC
        for statement in _changed(*texts) if texts[0] != texts[1] else ():
            about = _about(statement, default)
            if not about:
                return None
            names |= about
    return names


def _sets_search_path(text: str) -> bool:
    """Whether a file sets the search_path of its session. A function that sets its own does not."""
    if "search_path" not in text:
        return False
    kinds = {statement.kind for statement in parse(text).statements if "search_path" in statement.text}
    return bool(kinds - HARMLESS)


def _changed(old: str, new: str) -> Iterator[str]:
    """The statements that only one of the texts has."""
    before, after = (Counter(_statements(text)) for text in (old, new))
    yield from (before - after) + (after - before)


def _statements(text: str) -> list[str]:
    """The statements without comments, and with single blanks."""
    try:
        return [" ".join(token.text for token in tokens_of(each.text)) for each in parse(text).statements]
    except postgast.PgQueryError:
        return [text]


def _about(statement: str, default: str) -> set[str]:
    """The objects that a statement is about; empty if it does not say. ``default`` is the schema of other names."""
    try:
        names = defined(statement)
    except (postgast.PgQueryError, ValueError, KeyError, IndexError):
        return set()
    if any(name.startswith(("schema ", "bucket ")) for name in names):
        return set()
    qualified = {name if name.partition(".")[0] and "." in name else f"{default}.{name.lstrip('.')}" for name in names}
    return set() if any(name.startswith(".") for name in qualified) else qualified
