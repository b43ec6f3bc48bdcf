"""What ``decided_by`` costs: every kind for each of Enorae's grids, beside the grids themselves."""

from __future__ import annotations

from benchmarks import enorae
from benchmarks.enorae import Project
from benchmarks.results import Result, seconds
from rolecall.grids.decided_by import KINDS
from rolecall.server.choose import embedded

TIMES = 3
ALL, PROBING = "rolecall, decided_by of six tables", "rolecall, probing their grids"
VERDICT, CHECK = "one verdict of decided_by", "one check of a grid"


def run() -> Result:
    """Try everything in turn, several times, in one process. Each kind must pass."""
    with enorae.project(embedded(17)) as project:
        result = Result("decided_by", "Everything that must not decide, and everything that must")
        counts: list[int] = []
        for _ in range(TIMES):
            result.samples.setdefault(PROBING, []).append(seconds(lambda: probe(project)))
            result.samples.setdefault(ALL, []).append(seconds(lambda: counts.append(decided_by(project))))
        verdicts, checks = counts[-1], sum(len(each) for *_, each in project.checks())
        result.facts = {"server": project.run.server, "verdicts": verdicts, "checks of the grids": checks}
        result.samples[VERDICT] = [each / verdicts for each in result.samples[ALL]]
        result.samples[CHECK] = [each / checks for each in result.samples[PROBING]]
        result.ratio(VERDICT, CHECK, at_most=1.5)
        return result


def probe(project: Project) -> None:
    """Probe every grid once."""
    for grid in project.grids:
        if failures := project.worker.outcomes.try_grid(grid):
            raise SystemExit(f"{grid.table}: {len(failures)} cells fail: the times are worth nothing.")


def decided_by(project: Project) -> int:
    """Try all kinds. Returns the number of verdicts."""
    verdicts = 0
    for grid in project.grids:
        for kind in KINDS:
            found = project.worker.check_decided_by(grid, kind)
            if found.failure:
                raise SystemExit(f"{found.failure}\nThe times are worth nothing.")
            verdicts += found.tally.verdicts
    return verdicts
