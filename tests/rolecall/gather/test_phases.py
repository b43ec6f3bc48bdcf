"""The phases of a report: what each made, its locks, and what its rollback left."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rolecall.catalog.snapshot import Item
from rolecall.database import build
from rolecall.database.cleanup import owned
from rolecall.database.run import run_on
from rolecall.errors import SqlError
from rolecall.gather import phases
from rolecall.gather.phases import Measured
from rolecall.gather.project import Project
from rolecall.server.choose import Server
from rolecall.sql import migrations
from tests.rolecall.conftest import lay_out, settings_of

Measure = Callable[..., Measured]
NOTES = "CREATE TABLE shop.notes (id int PRIMARY KEY, author text);"
TAGS = """\
CREATE TABLE shop.tags (note int REFERENCES shop.notes);
ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY "all notes" ON shop.notes USING (true);
CREATE INDEX by_author ON shop.notes (author);
GRANT SELECT ON shop.notes TO toy_member;
"""


@pytest.fixture
def measure(
    pytestconfig: pytest.Config, toy_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Measure:
    """A function that lays out migrations in place of the toy project's, by file, and measures their phases."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    shutil.rmtree(tmp_path / "migrations")

    def measure(files: Mapping[str, str]) -> Measured:
        for name, text in files.items():
            path = tmp_path / "migrations" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        settings = settings_of(pytestconfig, tmp_path)
        run = run_on(toy_server)
        with owned(run):
            manifest = build.build(run, settings)
            return phases.measure(run, migrations.of(settings), manifest.role, Project(tmp_path))

    return measure


def test_what_phases_made_and_how_they_lock(measure: Measure) -> None:
    found = measure(
        {
            "phase_1_notes/1_1_notes.sql": NOTES,
            "phase_1_notes/verify.sql": "SELECT id FROM shop.notes;",
            "phase_1_notes/rollback.sql": "DROP TABLE shop.notes;",
            "phase_2_tags/2_1_tags.sql": TAGS,
            "phase_2_tags/verify.sql": "SELECT note FROM shop.tags;",
            "phase_2_tags/rollback.sql": "DROP TABLE shop.tags;",
        }
    )
    first, second = found.phases
    assert (first.number, first.title, first.verified, first.problem) == (1, "phase_1_notes", True, "")
    assert first.made == ["table shop.notes"]
    assert first.left == []
    (step,) = first.steps
    assert (step.file, step.locks) == ("migrations/phase_1_notes/1_1_notes.sql", {})
    assert step.seconds > 0
    assert first.rollback
    assert first.rollback.file == "migrations/phase_1_notes/rollback.sql"
    assert first.rollback.locks == {"shop.notes": "ACCESS EXCLUSIVE"}
    assert second.made == [
        "table shop.tags",
        "index by_author on shop.notes",
        'policy "all notes" on shop.notes',
        "privileges of toy_member on shop.notes",
    ]
    assert second.steps[0].locks == {"shop.notes": "ACCESS EXCLUSIVE"}
    assert second.left == [
        "table shop.notes: has changed (row level security)",
        "index by_author on shop.notes",
        'policy "all notes" on shop.notes',
        "privileges of toy_member on shop.notes",
    ]
    assert found.made_by == {Item("relation", "shop.notes"): 1, Item("relation", "shop.tags"): 2}


def test_a_rollback_that_takes_too_much(measure: Measure) -> None:
    files = {"phase_1_a/1_1_a.sql": NOTES, "phase_1_a/verify.sql": "SELECT 1;"}
    found = measure(files | {"phase_1_a/rollback.sql": "DROP TABLE shop.notes; DROP FUNCTION shop.me();"})
    assert found.phases[0].rollback
    assert found.phases[0].left == ["function shop.me(): is missing"]


def test_scripts_that_fail_are_problems_of_their_phase(measure: Measure) -> None:
    found = measure(
        {
            "phase_1_a/1_1_a.sql": NOTES,
            "phase_1_a/verify.sql": "SELECT gone FROM shop.notes;",
            "phase_1_a/rollback.sql": "DROP TABLE shop.gone;",
            "phase_2_b/2_1_b.sql": "CREATE TABLE shop.tags (id int); SELECT id FROM shop.notes;",
            "phase_2_b/verify.sql": "SELECT 1;",
            "phase_2_b/rollback.sql": "DROP TABLE shop.tags;",
        }
    )
    first, second = found.phases
    assert not first.verified
    assert [line for line in first.problem.splitlines() if "phase_1_a" in line] == [
        'migrations/phase_1_a/verify.sql:1:8: column "gone" does not exist (42703)',
        'migrations/phase_1_a/rollback.sql:1:1: table "gone" does not exist (42P01)',
    ]
    assert first.rollback
    assert first.left == []
    assert second.verified
    assert second.steps[0].locks == {}  # a read stops nobody
    assert second.made == ["table shop.tags"]


@pytest.mark.parametrize("text", ["CREATE INDEX CONCURRENTLY a ON shop.notes (author);", "BEGIN; SELECT 1; COMMIT;"])
def test_scripts_with_transactions_of_their_own(measure: Measure, text: str) -> None:
    found = measure(
        {
            "1_notes.up.sql": NOTES,
            "1_notes.down.sql": "DROP TABLE shop.notes;",
            "2_more.up.sql": text,
            "2_more.down.sql": f"{text.replace('CREATE', 'DROP').replace(' ON shop.notes (author)', '')}".replace(
                " a;", " shop.a;"
            ),
            "3_tags.up.sql": "CREATE TABLE shop.tags (id int);",
        }
    )
    assert [phase.problem for phase in found.phases] == [""] * len(found.phases)
    assert [phase.left for phase in found.phases] == [[]] * len(found.phases)
    made = [name for phase in found.phases for name in phase.made]
    assert made == ["table shop.notes", *(["index a on shop.notes"] if "INDEX" in text else []), "table shop.tags"]
    assert found.phases[-1].rollback is None
    assert not found.phases[-1].verified


def test_a_step_that_fails_is_an_error(measure: Measure) -> None:
    with pytest.raises(SqlError, match=r"1_1_a\.sql:1"):
        measure({"phase_1_a/1_1_a.sql": "SELECT 1/0;", "phase_1_a/verify.sql": "", "phase_1_a/rollback.sql": ""})
