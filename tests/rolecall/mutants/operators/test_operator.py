"""Targets of mutants: their text, and the names that select tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall.mutants.operators.operator import Target
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
