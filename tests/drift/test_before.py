"""A database to which the steps are not applied yet: what they need, and what stands in their way."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql

from rolecall.catalog import snapshot
from rolecall.catalog.snapshot import Item
from rolecall.database.scratch import Scratch
from rolecall.drift import check, text
from rolecall.errors import SqlError
from tests.drift.conftest import Migrated

ROOT = Path(__file__).parents[2]
APPLICATION = Path(__file__).with_name("application.sql")
REQUIRED = re.compile(r"^ +\('(?P<table>[\w.]+)', '(?P<column>\w+)', .*?\)", re.MULTILINE)


@pytest.fixture
def bare(rolled_back_scratch: Callable[..., Scratch]) -> Scratch:
    """A database at the baseline."""
    return rolled_back_scratch()


def test_nothing_is_missing_at_the_baseline(migrated: Migrated, bare: Scratch) -> None:
    report = check.check(migrated.made, snapshot.read(bare.connection), personas=migrated.personas)
    assert (report.applied, report.differences, report.ours) == (0, [], [])


@pytest.mark.parametrize("phase", [1, 2, 3, 4])
def test_each_phase_is_recognized(migrated: Migrated, bare: Scratch, phase: int) -> None:
    for number in range(1, phase + 1):
        bare.apply(number)
    report = check.check(migrated.made, snapshot.read(bare.connection), personas=migrated.personas)
    assert (report.applied, report.differences) == (phase, [])


def test_an_application_that_has_the_names_in_other_shapes(migrated: Migrated, bare: Scratch) -> None:
    bare.execute(APPLICATION)
    report = check.check(migrated.made, snapshot.read(bare.connection), personas=migrated.personas)
    assert report.applied == 0
    example = text.render(report, "").strip()
    assert f"```text\n{example}\n```" in (ROOT / "docs" / "drift.md").read_text(), example


def test_the_steps_stop_where_the_report_says(bare: Scratch) -> None:
    bare.execute(APPLICATION)
    with pytest.raises(SqlError, match="customer_favorites"):
        bare.apply(1)


def test_the_needs_are_those_of_requires_sql(migrated: Migrated) -> None:
    """All tables and columns of the file, except those that only a step's own statement uses."""
    requires = (ROOT / "baseline" / "requires.sql").read_text()
    by_hand = {(match["table"], match["column"]) for match in REQUIRED.finditer(requires)}
    found = {(item.object, item.part.removeprefix("column ")) for item in migrated.made.needs if item.part}
    columns = {(table, column) for table, column in found if not column.startswith("constraint ")}
    assert len(by_hand) > 50
    assert columns - by_hand == set()
    assert {table for table, _ in by_hand - columns} == {"storage.buckets"}


def test_each_column_of_requires_sql_is_missed(migrated: Migrated, bare: Scratch) -> None:
    columns = [item for item in migrated.made.needs if item.part_kind == "column"]
    for item in columns:
        name = sql.Identifier(item.part.removeprefix("column ")).as_string()
        with bare.connection.transaction(force_rollback=True):
            bare.connection.execute(f"ALTER TABLE {item.object} DROP COLUMN {name} CASCADE".encode())
            report = check.check(migrated.made, snapshot.read(bare.connection, schemas(migrated)))
        assert item in [each.item for each in report.missing]


def schemas(migrated: Migrated) -> list[str]:
    return [item.object for item in migrated.made.head.items if item.kind == "schema"]


def test_a_missing_function_of_the_platform(migrated: Migrated, bare: Scratch) -> None:
    bare.connection.execute("DROP FUNCTION auth.uid() CASCADE")
    report = check.check(migrated.made, snapshot.read(bare.connection))
    assert [each.item for each in report.missing] == [Item("routine", "auth.uid()")]
