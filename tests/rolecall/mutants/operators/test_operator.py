"""Targets of mutants: their text, and the names that select tests. Ids of mutants."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.mutants.operators.operator import Mutant, Target
from rolecall.sql.migrations import Script


@pytest.mark.parametrize(
    ("target", "text", "names"),
    [
        (
            Target("policy", "own notes are read", "shop.notes"),
            'shop.notes "own notes are read"',
            ("own notes are read",),
        ),
        (Target("constraint", "valid_price", "shop.notes"), "shop.notes valid_price", ("valid_price",)),
        (Target("column", "author", "shop.notes"), "shop.notes.author", ("author",)),
        (Target.of("function", "shop.me"), "shop.me", ("me",)),
        (Target.of("table", "shop.notes"), "shop.notes", ("notes",)),
        (Target("schema", "shop"), "schema shop", ("shop",)),
        (Target("bucket", "avatars"), "bucket avatars", ("avatars",)),
        (
            Target.script(Script(Path("phase_2_notes/2_1_3_get_notes.sql"))),
            "phase_2_notes/2_1_3_get_notes.sql",
            ("get_notes", "phase 2"),
        ),
        (
            Target.script(Script(Path("phase_2_notes/rollback.sql"))),
            "phase_2_notes/rollback.sql",
            ("rollback", "phase 2"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_target_has_a_text_and_names_in_the_ids_of_tests(target: Target, text: str, names: tuple[str, ...]) -> None:
    assert (str(target), target.test_names) == (text, names)


def test_an_id_is_one_line_without_spaces_around_it() -> None:
    """A file of declarations and a setting lose such spaces, and could not name the mutant."""
    target = Target("table", "notes", "shop.notes")
    mutant = Mutant("statement-drop", target, "shop.notes", "without CREATE INDEX\nON shop.notes ", "", "")
    assert mutant.id == f"{target} | statement-drop | without CREATE INDEX ON shop.notes"
