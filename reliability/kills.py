"""Kills: a run stops at a stage, one of its processes gets a signal, and nothing may be left afterwards."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from reliability.place import Outcome, Place, new_place
from reliability.results import Deadline, Result
from reliability.shared import SharedServer, remove, shared_server
from reliability.stages import STAGES, Stage

TITLE = "Kills"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
LIMIT = 20.0  # seconds for a run to end after its signal
MAX_LINES = 80  # of the output of a run that lost its server; the project has 43 tests
THREADS = 2
RANDOM_CASES = 10_000  # more than any run has time for
LATEST = 3.0  # seconds after the start: random moments are earlier

# The exit status that is expected after a signal: 0, not 0, or either.
PASSES, FAILS, EITHER = "passes", "fails", "either"


@dataclass(frozen=True)
class Case:
    """One kill. ``stage`` is None for a random moment, ``after`` seconds from the start."""

    name: str
    stage: Stage | None
    target: str
    signal: signal.Signals
    on_shared: bool
    workers: int
    after: float = 0.0

    @property
    def interrupts_pytest(self) -> bool:
        """Whether Ctrl-C arrives while pytest closes the plugins of the project: pytest does not catch it then."""
        at_close = self.stage is None or self.stage.name == "close"
        return at_close and self.target in CONTROLLERS and self.signal == signal.SIGINT

    @property
    def expected(self) -> str:
        """The expected exit status of the run: PASSES, FAILS or EITHER."""
        if self.target in CONTROLLERS:
            return EITHER if self.stage is None or self.stage.name == "close" else FAILS
        if self.target == "worker" and self.stage and self.stage.name == "collect":
            return EITHER  # xdist starts another worker, and no test is lost
        if self.signal == signal.SIGHUP and self.target in ("postmaster", "backend"):
            return PASSES  # they reload their configuration
        if (self.target, self.signal) in (("postmaster", signal.SIGTERM), ("backend", signal.SIGINT)):
            return EITHER  # waits for open connections; cancels a query if one runs
        return FAILS

    @property
    def ends_the_run(self) -> bool:
        """Whether the signal ends the whole run, and not only one of its processes."""
        return self.target in CONTROLLERS

    @property
    def can_clean_up(self) -> bool:
        """Whether the run and its server survive, so that the run can remove what it created."""
        killed = self.ends_the_run and self.signal == signal.SIGKILL
        return not killed and not (self.on_shared and self.target == "postmaster")


def cases(seed: int) -> Iterator[Case]:
    """Every stage, process and signal, in an order that depends on the seed; then thousands of random moments."""
    ordered = [
        Case(
            f"{'shared' if on_shared else 'embedded'}/{stage.name}/{target}/{signum.name}",
            stage,
            target,
            signum,
            on_shared,
            n,
        )
        for stage, (target, n), on_shared, signum in itertools.product(STAGES, TARGETS, (False, True), SIGNALS)
        if _is_possible(stage, target, on_shared)
    ]
    random.Random(seed).shuffle(ordered)  # noqa: S311 - must be repeatable
    yield from ordered
    for number in range(RANDOM_CASES):
        yield random_case(seed, number)


CONTROLLERS = ("controller", "controller of workers", "group")
TARGETS = (
    ("controller", 0),
    ("controller of workers", 2),
    ("group", 2),
    ("worker", 2),
    ("postmaster", 0),
    ("backend", 0),
)


def _is_possible(stage: Stage, target: str, on_shared: bool) -> bool:
    if stage.embedded_only and on_shared:
        return False
    in_tests = stage.name in ("mid-test", "mid-query", "own database", "teardown")
    return {
        "controller": True,
        "controller of workers": stage.name in ("migration", "mid-test", "mid-query"),
        "group": stage.name in ("migration", "mid-test"),
        "worker": in_tests or stage.name == "collect",
        "postmaster": stage.name in ("baseline", "migration", "mid-test", "mid-query"),
        "backend": stage.name in ("baseline", "migration", "mid-test", "mid-query"),
    }[target]


def random_case(seed: int, number: int) -> Case:
    """The kill at random moment ``number``. It is the same for the same seed."""
    chooser = random.Random(f"{seed}/{number}")  # noqa: S311 - must be repeatable
    on_shared, workers = chooser.random() < 0.5, chooser.choice((0, 2))
    signum, after = chooser.choice(SIGNALS), chooser.uniform(0.1, LATEST)
    target = chooser.choice(("controller", "group")) if workers else "controller"
    return Case(f"random/{number}", None, target, signum, on_shared, workers, after)


def find(name: str, seed: int) -> Case:
    """The case of this name. Raises KeyError if there is none."""
    if name.startswith("random/"):
        return random_case(seed, int(name.split("/")[1]))
    return {case.name: case for case in itertools.islice(cases(seed), 1000)}[name]


# ------------------------------------------------------------------ one case


class Runner:
    """Runs one case after the other, in a place and with a shared server of its own."""

    def __init__(self, stack: ExitStack, seed: int, result: Result, lock: threading.Lock) -> None:
        self.place: Place = stack.enter_context(new_place())
        self.server: SharedServer = stack.enter_context(shared_server(self.place))
        self.seed, self.result, self._lock = seed, result, lock

    def run(self, case: Case) -> None:
        """Kill a run, check what it leaves, then check the next run."""
        place, options = self.place, ["-q"]
        place.lay_out()
        place.variables = {"ROLECALL_PG_DSN": self.server.dsn} if case.on_shared else {}
        before = self.server.names()
        if case.stage:
            options += case.stage.prepare(place)
            if case.stage.needs_cache:
                case.stage.release(place)
                place.run(*options)
                for mark in place.marks.iterdir():
                    mark.unlink()
        process = place.start(*options, *(["-n", str(case.workers)] if case.workers else []))
        segments: set[Path] = set()
        if not self._signal(case, process, segments):
            self.failed("ends", case, "the run did not reach its stage", place.end(process, 0))
            return
        outcome = place.end(process, LIMIT)
        if case.stage:
            case.stage.release(place)  # for programs that the killed run has left
        if case.on_shared:
            self.server.revive()
        with self._lock:
            self.result.tried("ends")
            self.result.seconds.setdefault(f"until the end, {case.signal.name}", []).append(outcome.seconds)
        self._check_end(case, outcome)
        leftovers = self._leftovers(case, segments, before)
        if case.can_clean_up:
            self._check_leftovers("leaves nothing", case, leftovers, outcome)
        follower = place.run(*options, "test_notes.py", seconds=LIMIT * 2)
        with self._lock:
            self.result.tried("next")
        if follower.status != 0:
            self.failed("next", case, f"the next run ended with {follower.status}", follower)
        leftovers = self._leftovers(case, segments, before)
        self._check_leftovers("sweeps", case, leftovers, follower)
        if leftovers and case.on_shared:
            remove(self.server, sorted(self.server.names() - before))

    def _signal(self, case: Case, process: subprocess.Popen[bytes], segments: set[Path]) -> bool:
        """Send the signal when the run has reached its stage. Returns False if it did not, or without a target."""
        if case.stage is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(case.after)
            segments |= self.place.segments()
            self._send(process.pid, case)
            return True
        reached = case.stage.wait(self.place)
        if reached is None:
            return False
        segments |= self.place.segments()
        target = self._target(case, process.pid, reached)
        if target is None:
            return False
        self._send(target, case)
        if not case.ends_the_run:
            time.sleep(0.05)
            case.stage.release(self.place)
        return True

    def _send(self, pid: int, case: Case) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if case.target == "group" else os.kill)(pid, case.signal)

    def _target(self, case: Case, controller: int, reached: int) -> int | None:
        """The pid of the process that gets the signal."""
        if case.target in CONTROLLERS:
            return controller
        if case.target == "worker":
            workers = [child.pid for child in psutil.Process(controller).children() if "python" in child.name()]
            return reached if reached in workers else next(iter(workers), None)
        postmaster = self.server.pid if case.on_shared else self._postmaster()
        if case.target == "postmaster" or postmaster is None:
            return postmaster
        backends = [
            child for child in psutil.Process(postmaster).children() if "rolecall_" in " ".join(child.cmdline())
        ]
        return backends[-1].pid if backends else None

    def _postmaster(self) -> int | None:
        for process in self.place.processes():
            with suppress(psutil.Error):
                if process.name() == "postgres" and process.parent().name() != "postgres":  # type: ignore[union-attr]
                    return process.pid
        return None

    # -- checks

    def _check_end(self, case: Case, outcome: Outcome) -> None:
        if outcome.status is None:
            self.failed("ends", case, f"still ran {LIMIT:g} s after the signal", outcome)
            return
        if (case.expected == FAILS and outcome.status == 0) or (case.expected == PASSES and outcome.status != 0):
            self.failed(
                "ends",
                case,
                f"ended with {outcome.status}, but the expected status says that it {case.expected}",
                outcome,
            )
        with self._lock:
            self.result.tried("one error")
        lines = len(outcome.output.splitlines())
        if "INTERNALERROR" in outcome.output:
            self.failed("one error", case, "INTERNALERROR", outcome)
        elif "Traceback (most recent call last)" in outcome.output and not case.interrupts_pytest:
            self.failed("one error", case, "a traceback", outcome)
        elif case.target in ("postmaster", "backend", "worker") and lines > MAX_LINES:
            self.failed("one error", case, f"{lines} lines of output", outcome)

    def _leftovers(self, case: Case, segments: set[Path], before: set[str]) -> list[str]:
        leftovers = self.place.leftovers(segments if not case.on_shared else set())
        return leftovers + (sorted(self.server.names() - before) if case.on_shared else [])

    def _check_leftovers(self, promise: str, case: Case, leftovers: list[str], outcome: Outcome) -> None:
        with self._lock:
            self.result.tried(promise)
        if leftovers:
            more = f" and {len(leftovers) - 3} more" if len(leftovers) > 3 else ""
            self.failed(promise, case, f"left {', '.join(leftovers[:3])}{more}", outcome)

    def failed(self, promise: str, case: Case, what: str, outcome: Outcome) -> None:
        """Note a broken promise."""
        command = f'python -m reliability kills --seed {self.seed} --only "{case.name}"'
        with self._lock:
            self.result.fail(promise, f"{case.name}: {promise}: {what} ({outcome.last_line[:100]})", command)


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run as many cases as there is time for, or only the case ``only``."""
    result = Result("kills", TITLE, seed)
    declare(result)
    remaining, lock = iter([find(only, seed)] if only else cases(seed)), threading.Lock()

    def work() -> None:
        with ExitStack() as stack:
            runner = Runner(stack, seed, result, lock)
            while deadline.left > 0:
                with lock:
                    case = next(remaining, None)
                if case is None:
                    return
                progress(f"{case.name} ({len(result.broken)} broken)")
                runner.run(case)
                with lock:
                    result.count("at random" if case.stage is None else "at a stage")

    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(work) for _ in range(1 if only else THREADS)]:
            future.result()
    return result


def declare(result: Result) -> None:
    """Declare the promises that the kills try."""
    how = (
        "A run stops at each stage (initdb, server start, baseline, migration, world, pack, unpack, collect, "
        "first test, in a test, in a query, with databases of its own, teardown, close). Its controller, a worker, "
        "the server or a backend then gets SIGINT, SIGTERM, SIGHUP or SIGKILL, on an embedded and on a shared server. "
        "Others are killed at random moments."
    )
    result.promise("ends", f"A killed run ends within {LIMIT:g} s, and its exit status shows it.", how, "kills")
    result.promise(
        "one error",
        "A killed run prints one short error.",
        f"No traceback, no INTERNALERROR, at most {MAX_LINES} lines.",
        "kills",
    )
    result.promise(
        "leaves nothing",
        "A run leaves nothing after SIGINT, SIGTERM or SIGHUP, or when a worker or the server dies.",
        "Processes, files, shared memory, databases and roles are counted after the run has ended.",
        "kills",
    )
    result.promise("next", "The next run after a killed one works.", "It runs the same project, and must pass.", "runs")
    result.promise("sweeps", "The next run removes what SIGKILL left.", "Everything is counted again after it.", "runs")
