"""The phases of a report: each is applied, verified and rolled back once, in a database of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import NamedTuple

from rolecall.catalog import snapshot
from rolecall.catalog.snapshot import Item, Snapshot
from rolecall.database.run import Run
from rolecall.database.scripts import run_script, runs_in_pieces
from rolecall.errors import SqlError
from rolecall.gather.differences import added, differences
from rolecall.gather.project import Project
from rolecall.report.report import ReportedPhase, ReportedStep
from rolecall.server.connection import ServerConnection
from rolecall.sql.phases import Phase, Script

# The names of the modes as in the manual, from the weakest to the strongest.
MODES = (
    *("ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"),
    *("SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"),
)
RELATIONS = """
SELECT c.oid::bigint, n.nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
"""
LOCKS = """
SELECT relation::bigint, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
  AND mode <> 'AccessShareLock'  -- every query has it, and it lets reads and writes pass
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Measured(NamedTuple):
    """The phases, and the number of the phase that made each object."""

    phases: list[ReportedPhase]
    made_by: Mapping[Item, int]


def measure(run: Run, phases: Sequence[Phase], role: str | None, project: Project) -> Measured:
    """Apply the phases to a copy of the baseline, as the migration role. Raises SqlError if a step fails.

    A phase is rolled back before the next one is applied, and that is undone again.
    """
    made_by: dict[Item, int] = {}
    if not phases:
        return Measured([], made_by)
    with run.clone(run.baseline, "phases") as name, closing(_Database(run, name, role, project)) as database:
        reported = []
        before = snapshot.read(database.connection)
        for phase in phases:
            steps = [database.apply(step) for step in phase.steps]
            after = snapshot.read(database.connection)
            made_by |= {item: phase.number for item in after.items if not item.part and item not in before.items}
            reported.append(_reported(database, phase, steps, before, after))
            before = after
    return Measured(reported, made_by)


def _reported(
    database: _Database, phase: Phase, steps: Sequence[ReportedStep], before: Snapshot, after: Snapshot
) -> ReportedPhase:
    """Verify a phase and roll it back. What its scripts say is a problem, and no error."""
    problems, rollback, left = [], None, []
    try:
        if phase.verifies:
            database.try_out(phase.verifies)
    except SqlError as error:
        problems.append(str(error))
    verified = bool(phase.verifies) and not problems
    try:
        if phase.rolls_back:
            rollback, remaining = database.try_out(phase.rolls_back)
            left = differences(before, remaining)
    except SqlError as error:
        rollback = ReportedStep(database.project.file(phase.rolls_back.path), 0) if phase.rolls_back else None
        problems.append(str(error))
    return ReportedPhase(
        phase.number, phase.title, steps, added(before, after), rollback, left, verified, "\n".join(problems)
    )


class _Database:
    """A database in which scripts run, and the connection to it."""

    def __init__(self, run: Run, name: str, role: str | None, project: Project) -> None:
        self.run, self.name, self.role, self.project = run, name, role, project
        self.connection = run.connect(name)

    def apply(self, script: Script) -> ReportedStep:
        """Run a script. Raises SqlError."""
        return self._run(self.connection, script)

    def try_out(self, script: Script) -> tuple[ReportedStep, Snapshot]:
        """Run a script, read the database, and undo it all. Raises SqlError."""
        if runs_in_pieces(script, script.read()):
            with self._copy() as connection:
                return self._run(connection, script), snapshot.read(connection)
        with self.connection.transaction(force_rollback=True):
            return self._run(self.connection, script), snapshot.read(self.connection)

    def _run(self, connection: ServerConnection, script: Script) -> ReportedStep:
        """Run a script, and note its locks. A script with transactions of its own has none at its end."""
        one = not runs_in_pieces(script, script.read())
        names: dict[int, str] = dict(connection.execute(RELATIONS).fetchall())
        start = time.perf_counter()
        with connection.transaction() if one else nullcontext():
            run_script(self.run, connection, script, self.role)
            seconds = time.perf_counter() - start
            locks = _strongest(connection.execute(LOCKS).fetchall(), names) if one else {}
        return ReportedStep(self.project.file(script.path), round(seconds, 3), locks)

    @contextmanager
    def _copy(self) -> Iterator[ServerConnection]:
        """A copy of the database. Nobody may be connected to it while it is copied."""
        self.connection.close()
        with self.run.clone(self.name, "phases_copy") as name:
            self.connection = self.run.connect(self.name)
            with self.run.connect(name) as connection:
                yield connection

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _strongest(locks: Sequence[tuple[int, str]], names: Mapping[int, str]) -> dict[str, str]:
    """The strongest mode of each table or view, by name and sorted; without those that the script made."""
    found: dict[str, str] = {}
    for relation, mode in locks:
        if relation in names:
            words = _words(mode)
            found[names[relation]] = max(words, found.get(names[relation], words), key=MODES.index)
    return dict(sorted(found.items()))


def _words(mode: str) -> str:
    """``ShareRowExclusiveLock`` of pg_locks as in the manual."""
    return next(name for name in MODES if name.title().replace(" ", "") + "Lock" == mode)
