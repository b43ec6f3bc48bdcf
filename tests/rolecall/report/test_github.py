"""Annotations: the worst first, no more than GitHub shows, and escaped as its toolkit does."""

from __future__ import annotations

from rolecall.report import github
from rolecall.report.report import Place, ReportedFailure
from rolecall.report.results import Survivor
from rolecall.report.stryker import TriedMutant


def failure(kind: str, line: int, file: str = "a.sql", text: str = "text") -> ReportedFailure:
    return ReportedFailure(f"t.py::{line}", text, Place(file, line), kind, "app.notes", "row", "select", "bob")


def test_the_worst_first() -> None:
    kinds = ["", "other", "refused", "broken", "untested", "let in"]
    lines = list(github.of_failures([failure(kind, number) for number, kind in enumerate(kinds, start=1)]))
    assert [line.split(",")[1] for line in lines] == [f"line={number}" for number in (6, 5, 4, 3, 2, 1)]


def test_no_more_than_github_shows() -> None:
    """The cells of one line are one annotation."""
    same = [failure("let in", 1) for _ in range(30)]
    (one,) = github.of_failures(same)
    assert one.count("%0Aalso ") == github.MOST
    assert one.endswith("%0Aand 19 more")
    many = list(github.of_failures([failure("let in", line) for line in range(1, 13)]))
    assert len(many) == github.MOST + 1
    assert many[-1] == "::notice title=rolecall::2 more failures, which GitHub would not show."


def test_escapes() -> None:
    (line,) = github.of_failures([failure("let in", 1, "a:b,c%.sql", "100%\r\nnext: a,b")], "my folder/")
    assert line == (
        "::error file=my folder/a%3Ab%2Cc%25.sql,line=1,title=app.notes lets somebody in who should have no access"
        "::100%25%0D%0Anext: a,b"
    )


def test_without_a_place() -> None:
    (line,) = github.of_failures([ReportedFailure("rolecall::world", "a row is missing", Place())])
    assert line == "::error title=rolecall%3A%3Aworld fails::a row is missing"


def test_survivors() -> None:
    survivor = Survivor("id", "app.f", "x", "op", "", "", "", "", 0, {}, "")
    mutants = [
        TriedMutant("id", "app.f", f"change {number}", "op", "", "", "survived", place=place, survivor=survivor)
        for number, place in enumerate(
            [Place("a.sql", 1), Place("a.sql", 1), *(Place("b.sql", n) for n in range(1, 11))]
        )
    ]
    lines = list(github.of_mutants(mutants))
    assert lines[0] == "::warning file=a.sql,line=1,title=No test notices::app.f: change 0 (op)%0Aapp.f: change 1 (op)"
    assert (len(lines), lines[-1]) == (
        11,
        "::notice title=rolecall::1 more mutants survived, which GitHub would not show.",
    )
