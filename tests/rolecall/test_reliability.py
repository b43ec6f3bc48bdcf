"""The experiments of ``make torture`` notice broken promises, and their page agrees with their results."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reliability import kills, page
from reliability.kills import Case
from reliability.place import new_place
from reliability.results import RESULTS, Deadline, Result
from reliability.stages import Stage


def test_leftovers_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a process and a segment of memory; and nothing in a new place."""
    monkeypatch.setattr("reliability.place.GRACE", 0.1)
    with new_place() as place:
        assert place.leftovers(set()) == []
        (place.tmp / "rolecall-x").mkdir()
        sleeper = subprocess.Popen([sys.executable, "-c", "input()", str(place.path)], stdin=subprocess.PIPE)
        segment = place.path / "PostgreSQL.1"
        segment.touch()
        try:
            process, folder, memory = place.leftovers({segment, place.path / "gone"})
        finally:
            sleeper.communicate()
        assert process.startswith(f"process {sys.executable} -c input()")
        assert (folder, memory) == ("tmp/rolecall-x", str(segment))
    assert not place.path.exists()


def test_each_case_is_found_by_its_unique_name() -> None:
    cases = list(itertools.islice(kills.cases(1), 1000))
    assert len({case.name for case in cases}) == len(cases)
    for name in ("embedded/pack/controller/SIGKILL", "shared/mid-query/backend/SIGTERM", "random/7"):
        assert kills.find(name, 1) == next(case for case in kills.cases(1) if case.name == name)
    assert kills.find("random/7", 1) != kills.find("random/7", 2)


@pytest.mark.parametrize("name", ["embedded/migration/controller/SIGKILL", "shared/mid-query/controller/SIGINT"])
def test_the_next_run_removes_what_a_killed_run_left(name: str) -> None:
    """The short form of the kills. The long form has every stage, process and signal."""
    result = kills.run(Deadline(60), 1, name)
    assert result.broken == []
    assert result.promises["next"].tried == 1


def test_a_stage_that_is_not_reached_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    unreachable = Stage("unreachable")
    monkeypatch.setattr("reliability.stages.PATIENCE", 0.1)
    monkeypatch.setattr(kills, "find", lambda *_: Case("x", unreachable, "controller", signal.SIGINT, False, 0))
    result = kills.run(Deadline(60), 1, "x")
    assert [(each.promise, "did not reach its stage" in each.what) for each in result.broken] == [("ends", True)]


def test_the_page_lists_promises_figures_and_failures() -> None:
    result = Result("kills", "Kills", 7)
    result.promise("ends", "It ends | soon.", "Killed.", "kills")
    result.promise("next", "The next is clean.", "Run.", "runs")
    result.tried("ends", 1200)
    result.fail("ends", "at night:\nstill ran <here>", "python -m reliability kills --seed 7")
    result.seconds["until the end"] = [1.0, 2.0, 6.0]
    text = page.render([result.as_json()])
    assert "| It ends \\| soon. | Killed. | **1,199 of 1,200 kills** |\n" in text
    assert "| The next is clean. | Run. | not tried |\n" in text
    assert "- **Kills** (`--seed 7`, 0 s): until the end: median 2 s, longest 6 s\n" in text
    assert text.endswith("- at night: still ran &lt;here>\n  `python -m reliability kills --seed 7`\n")


def test_the_page_is_up_to_date_with_the_stored_results(pytestconfig: pytest.Config) -> None:
    results = [json.loads(path.read_text()) for name in page.ORDER if (path := RESULTS / f"{name}.json").is_file()]
    assert Path(pytestconfig.rootpath / "docs/reliability.md").read_text(encoding="utf-8") == page.render(results)
