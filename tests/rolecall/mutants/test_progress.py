"""How far mutants have come, on a terminal; and in what order tests are tried against them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rolecall.mutants.operators.operator import Target
from rolecall.mutants.progress import Progress, line
from rolecall.sql.migrations import Script


class Terminal:
    """As much of pytest's reporter as the line needs; keeps what was written."""

    def __init__(self, *, isatty: bool, verbosity: int = 0) -> None:
        self.isatty = isatty
        self.config = SimpleNamespace(get_verbosity=lambda: verbosity)
        self.written: list[tuple[str, dict[str, bool]]] = []
        self._show_progress_info = "progress"

    def rewrite(self, text: str, **markup: bool) -> None:
        self.written.append((text, markup))


def shown(terminal: Any, outcomes: dict[str, int], total: int = 8) -> list[tuple[str, dict[str, bool]]]:
    Progress(terminal).show(Counter(outcomes), total, 2.0)
    written: list[tuple[str, dict[str, bool]]] = terminal.written
    return written


def test_the_line_has_a_bar_the_counts_and_the_rate() -> None:
    assert (
        line(Counter(killed=3, survived=1), 8, 2.0)
        == f"{'█' * 12}{'░' * 12} 4 of 8 · 3 killed · 1 survived · 2 a second"
    )


def test_an_error_is_told_where_there_is_one() -> None:
    assert "· 0 survived · 1 error ·" in line(Counter(killed=3, error=1), 8, 2.0)


@pytest.mark.parametrize(("outcomes", "red"), [({"killed": 2}, False), ({"survived": 1}, True), ({"error": 1}, True)])
def test_it_is_red_once_something_is_wrong(outcomes: dict[str, int], red: bool) -> None:
    ((_, markup),) = shown(Terminal(isatty=True), outcomes)
    assert markup == {"erase": True, "green": not red, "red": red}


@pytest.mark.parametrize(
    "terminal",
    [
        pytest.param(Terminal(isatty=False), id="into a file"),
        pytest.param(Terminal(isatty=True, verbosity=1), id="with -v"),
    ],
)
def test_otherwise_pytests_own_dots_stay(terminal: Terminal) -> None:
    assert shown(terminal, {"killed": 1}) == []
    assert terminal._show_progress_info == "progress"


def test_before_anything_is_collected_nothing_is_written() -> None:
    assert shown(Terminal(isatty=True), {}, total=0) == []


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
def test_a_target_has_a_text_and_the_names_that_tests_call_it_by(
    target: Target, text: str, names: tuple[str, ...]
) -> None:
    assert (str(target), target.test_names) == (text, names)
