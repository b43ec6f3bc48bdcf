"""The progress line of mutation testing."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from rolecall.mutants.progress import Progress, line


class Terminal:
    """The parts of pytest's reporter that the line needs. It stores the output."""

    def __init__(self, *, isatty: bool, verbosity: int = 0, width: int = 80) -> None:
        self.isatty = isatty
        self.config = SimpleNamespace(
            get_verbosity=lambda: verbosity, get_terminal_writer=lambda: SimpleNamespace(fullwidth=width)
        )
        self.written: list[tuple[str, dict[str, bool]]] = []
        self._show_progress_info = "progress"

    def rewrite(self, text: str, **markup: bool) -> None:
        self.written.append((text, markup))


def output_of(terminal: Any, outcomes: dict[str, int], total: int = 8) -> list[tuple[str, dict[str, bool]]]:
    Progress(terminal).show(Counter(outcomes), total, 2.0)
    written: list[tuple[str, dict[str, bool]]] = terminal.written
    return written


def test_the_line_has_a_bar_the_counts_the_time_left_and_the_rate() -> None:
    assert (
        line(Counter(killed=3, survived=1), 8, 2.0)
        == f"{'█' * 12}{'░' * 12} 4 of 8 · 3 killed · 1 survived · 2 s left · 2 a second"
    )


def test_nothing_is_left_at_the_end() -> None:
    assert line(Counter(killed=8), 8, 2.0) == f"{'█' * 24} 8 of 8 · 8 killed · 0 survived · 4 a second"


def test_the_line_is_shorter_than_the_terminal_is_wide() -> None:
    ((text, _),) = output_of(Terminal(isatty=True, width=40), {"killed": 2})
    assert text == f"{'█' * 6}{'░' * 18} 2 of 8 · 2 ki…"


def test_errors_are_counted_if_there_are_any() -> None:
    assert "· 0 survived · 1 error ·" in line(Counter(killed=3, error=1), 8, 2.0)


@pytest.mark.parametrize(("outcomes", "red"), [({"killed": 2}, False), ({"survived": 1}, True), ({"error": 1}, True)])
def test_the_line_is_red_after_a_failure(outcomes: dict[str, int], red: bool) -> None:
    ((_, markup),) = output_of(Terminal(isatty=True), outcomes)
    assert markup == {"erase": True, "green": not red, "red": red}


@pytest.mark.parametrize(
    "terminal",
    [
        pytest.param(Terminal(isatty=False), id="into a file"),
        pytest.param(Terminal(isatty=True, verbosity=1), id="with -v"),
    ],
)
def test_pytests_dots_stay_without_a_terminal_or_with_v(terminal: Terminal) -> None:
    assert output_of(terminal, {"killed": 1}) == []
    assert terminal._show_progress_info == "progress"


def test_nothing_is_written_before_the_collection() -> None:
    assert output_of(Terminal(isatty=True), {}, total=0) == []
