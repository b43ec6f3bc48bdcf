"""Each script must run alone, so the scripts have copies of some text: the copies must stay equal."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from rolecall.settings import read as read_settings
from rolecall.sql.migrations import Phase, read

pytestmark = pytest.mark.rolecall_pin

# How each text begins and ends.
TEXTS = {
    "note": ("-- The note:", "\n$$;\n"),
    "comparison": ("-- The comparison,", "\nRESET default_transaction_read_only;\n"),
    "locks": ("-- The locks:", "-- The end of the locks.\n"),
    "shape": ("-- The shape:", "\n$$;\n"),
    "engine": ("-- The engine:", "-- The end of the engine.\n"),
    "removal": ("-- The removal:", "-- The end of the removal.\n"),
}
LIST = re.compile(r"^ *-- Each paragraph is an object.*?^\$list\$;\n", re.MULTILINE | re.DOTALL)
PHASE = re.compile(r"\b([Pp]hase(?: CONSTANT integer :=)?) \d\b")


@pytest.fixture
def phases(pytestconfig: pytest.Config) -> tuple[Phase, ...]:
    """The phases as they are on disk."""
    folder = read_settings(pytestconfig).migrations
    assert folder
    return read(folder)


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def cut(name: str, path: Path) -> str:
    """One of the texts, without its indent; "" if the file does not have it."""
    start, end = TEXTS[name]
    match = re.search(rf"^ *{re.escape(start)}.*?{re.escape(end)}", read_text(path), re.MULTILINE | re.DOTALL)
    return dedent(match[0]) if match else ""


def files_with(name: str, phases: tuple[Phase, ...]) -> set[str]:
    """The files that have one of the texts. Fails unless it is the same in all of them."""
    texts = {script.id: cut(name, script.path) for phase in phases for script in phase.scripts}
    having = {file for file, text in texts.items() if text}
    assert len({texts[file] for file in having}) == 1
    return having


def test_every_step_with_objects_notes_and_compares_in_the_same_way(phases: tuple[Phase, ...]) -> None:
    steps = {step.id: read_text(step.path) for phase in phases for step in phase.steps}
    noting = files_with("note", phases)
    assert steps.keys() - noting == {"phase_1_critical_tables/1_0_schema_usage.sql"}
    assert files_with("comparison", phases) == noting
    for file in noting:
        # The note comes before the first change, and the comparison after the last.
        before, rest = steps[file].split("-- The note:")
        assert not re.search(r"^(CREATE|DROP|ALTER)", before, re.MULTILINE), file
        assert rest.endswith("\n$$;\n\nRESET default_transaction_read_only;\n"), file
        assert rest[rest.index("-- The comparison,") :].count("\n$$;\n") == 1, file


def test_every_script_that_locks_does_it_in_the_same_way(phases: tuple[Phase, ...]) -> None:
    """A step that only replaces a view takes one lock, and cannot wait for it while it holds others."""
    touching = {
        script.id
        for phase in phases
        for script in (*phase.steps, phase.rollback)
        if re.search(r"^(CREATE TABLE|CREATE POLICY)|'DROP VIEW", read_text(script.path), re.MULTILINE)
    }
    assert files_with("locks", phases) == touching - {phases[1].rollback.id}  # it has functions only


def test_every_table_has_the_same_shape_check(phases: tuple[Phase, ...]) -> None:
    steps = [step for phase in phases for step in phase.steps]
    assert files_with("shape", phases) == {step.id for step in steps if "CREATE TABLE" in read_text(step.path)}
    for step in steps:
        created = re.findall(r"CREATE TABLE IF NOT EXISTS (\S+)", read_text(step.path))
        assert re.findall(r"table_name CONSTANT text := '(.+)';", read_text(step.path)) == created


def test_every_verify_and_rollback_has_the_same_engine(phases: tuple[Phase, ...]) -> None:
    assert files_with("engine", phases) == {each.id for phase in phases for each in (phase.verify, phase.rollback)}
    verifies = {PHASE.sub(r"\1 N", LIST.sub("", read_text(phase.verify.path))) for phase in phases}
    assert len(verifies) == 1


def test_every_rollback_removes_in_the_same_way(phases: tuple[Phase, ...]) -> None:
    assert files_with("removal", phases) == {phase.rollback.id for phase in phases}


def test_a_rollback_has_the_list_of_its_verify(phases: tuple[Phase, ...]) -> None:
    for phase in phases:
        lists = [LIST.findall(read_text(script.path)) for script in (phase.verify, phase.rollback)]
        (of_verify,), (of_rollback,) = ([each.split("$list$")[1] for each in found] for found in lists)
        assert of_verify == of_rollback, phase
