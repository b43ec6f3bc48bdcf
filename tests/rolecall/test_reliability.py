"""The experiments of ``make torture`` notice what they are for, and their page says what their results say."""

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
from reliability.place import place
from reliability.results import RESULTS, Deadline, Result
from reliability.stages import Stage


def test_what_is_left_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a process, and a segment of memory; and nothing where nothing is."""
    monkeypatch.setattr("reliability.place.GRACE", 0.1)
    with place() as here:
        assert here.leftovers(set()) == []
        (here.tmp / "rolecall-x").mkdir()
        waiting = subprocess.Popen([sys.executable, "-c", "input()", str(here.path)], stdin=subprocess.PIPE)
        segment = here.path / "PostgreSQL.1"
        segment.touch()
        try:
            process, folder, memory = here.leftovers({segment, here.path / "gone"})
        finally:
            waiting.communicate()
        assert process.startswith(f"process {sys.executable} -c input()")
        assert (folder, memory) == ("tmp/rolecall-x", str(segment))
    assert not here.path.exists()


def test_every_case_has_a_name_of_its_own_and_is_found_by_it() -> None:
    every = list(itertools.islice(kills.cases(1), 1000))
    names = {case.name for case in every}
    assert len(names) == len(every)
    for name in ("embedded/pack/controller/SIGKILL", "shared/mid-query/backend/SIGTERM", "random/7"):
        assert kills.find(name, 1) == next(case for case in kills.cases(1) if case.name == name)
    assert kills.find("random/7", 1) != kills.find("random/7", 2)


@pytest.mark.parametrize("name", ["embedded/migration/controller/SIGKILL", "shared/mid-query/controller/SIGINT"])
def test_a_run_that_is_killed_leaves_nothing_for_long(name: str) -> None:
    """The short form of the kills; the long one has every stage, process and signal."""
    result = kills.run(Deadline(60), 1, name)
    assert result.broken == []
    assert result.promises["next"].tried == 1


def test_a_stage_that_is_not_reached_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Stage("nowhere")
    monkeypatch.setattr("reliability.stages.PATIENCE", 0.1)
    monkeypatch.setattr(kills, "find", lambda *_: Case("x", nowhere, "controller", signal.SIGINT, False, 0))
    result = kills.run(Deadline(60), 1, "x")
    assert [(each.promise, "did not come to its stage" in each.what) for each in result.broken] == [("ends", True)]


def test_the_page_says_what_held_what_did_not_and_how_to_try_again() -> None:
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


def test_the_page_is_written_from_the_kept_results(pytestconfig: pytest.Config) -> None:
    kept = [json.loads(path.read_text()) for name in page.ORDER if (path := RESULTS / f"{name}.json").is_file()]
    assert Path(pytestconfig.rootpath / "docs/reliability.md").read_text(encoding="utf-8") == page.render(kept)
