"""The order and the texts of the sections of a digest."""

from __future__ import annotations

import pytest

from rolecall.digest.sections import sections
from rolecall.report.failures import FailedCell, Failure


def failed(kind: str, *causes: str, command: str = "select", persona: str = "alice", table: str = "notes") -> Failure:
    return Failure("t.py::test_grid[x]", "", "", True, FailedCell(kind, table, command, persona, causes))


def failed_test(nodeid: str, message: str = "AssertionError: no", *, in_test: bool = True) -> Failure:
    return Failure(nodeid, message, message, in_test)


def lines(*failures: Failure) -> list[str]:
    """The titles and the groups, one a line."""
    return [
        line
        for section in sections(failures)
        for line in (
            section.title,
            *(f"{len(group.failures)} {group.subject} ({group.details})" for group in section.groups),
        )
    ]


def test_the_worst_kind_comes_first() -> None:
    kinds = ["other", "refused", "broken", "let in"]
    found = lines(failed_test("a.py::b"), failed_test("a.py::b", in_test=False), *(failed(kind, "p") for kind in kinds))
    assert found[::2] == [
        "1 cell lets somebody in who should have no access",
        "1 cell fails with an error that is no refusal",
        "1 cell refuses somebody who should have access",
        "1 cell refuses in another way than expected",
        "1 test could not run",
        "1 other test fails",
    ]


@pytest.mark.parametrize(
    ("failure", "title"),
    [
        (failed("let in"), "1,000 cells let somebody in who should have no access"),
        (failed("broken"), "1,000 cells fail with an error that is no refusal"),
        (failed("refused"), "1,000 cells refuse somebody who should have access"),
        (failed("other"), "1,000 cells refuse in another way than expected"),
        (failed_test("a.py", in_test=False), "1,000 tests could not run"),
        (failed_test("a.py"), "1,000 other tests fail"),
    ],
)
def test_titles_of_many(failure: Failure, title: str) -> None:
    assert lines(*[failure] * 1000)[0] == title


def test_one_table_and_its_causes_are_one_group() -> None:
    """The largest group comes first, and has the most frequent commands and personas."""
    assert lines(
        failed("let in", "p", table="other"),
        failed("let in", "p", persona="bob"),
        failed("let in", "p", command="update"),
        failed("let in", "p", command="update"),
        failed("let in", "p", "q"),
    )[1:] == [
        "3 notes: p (update, select as alice, bob)",
        "1 other: p (select as alice)",
        "1 notes: p + q (select as alice)",
    ]


def test_many_personas_are_counted() -> None:
    failures = [failed("let in", "p", persona=f"p{number}") for number in range(5)]
    assert lines(*failures)[1] == "5 notes: p (select as p0, p1, p2 and 2 more)"


def test_tests_are_grouped_by_file_with_the_most_frequent_message() -> None:
    assert lines(
        failed_test("tests/a.py::one"),
        failed_test("tests/a.py::two", "other\nsecond line"),
        failed_test("tests/a.py::three", "other"),
        failed_test("tests/sql/f1.sql::f1"),
        failed_test("tests/sql/f2.sql::f2"),
    )[1:] == ["3 tests/a.py (other)", "2 tests/sql/ (AssertionError: no)"]


def test_errors_are_grouped_by_message() -> None:
    failures = [failed_test(f"tests/{name}.py::test", "no server", in_test=False) for name in "abc"]
    assert lines(*failures, failed_test("x.py::y", "", in_test=False))[1:] == ["3 no server ()", "1 no message ()"]
