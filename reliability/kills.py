"""Kills: a run is held at a stage and one of its processes gets a signal; then we look at what is left."""

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

from reliability.place import Ended, Place, place
from reliability.results import Deadline, Result
from reliability.shared import Shared, clear, shared
from reliability.stages import STAGES, Stage

TITLE = "Kills"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
LIMIT = 20.0  # seconds for a run to end after its signal
LINES = 80  # of output of a run that lost its server; the project has 43 tests
AT_ONCE = 2
RANDOM = 10_000  # more than any budget has time for
USUAL = 3.0  # seconds: random moments lie in so long a time after the start

# What the exit status has to be after a signal: 0, not 0, or whatever it is.
PASSES, FAILS, EITHER = "passes", "fails", "either"


@dataclass(frozen=True)
class Case:
    """One kill. ``stage`` is None for a moment chosen at random, ``after`` seconds from the start."""

    name: str
    stage: Stage | None
    target: str
    signal: signal.Signals
    on_shared: bool
    workers: int
    after: float = 0.0

    @property
    def interrupts_pytest(self) -> bool:
        """Whether Ctrl-C comes while pytest closes the plugins of the project, which it does not catch itself."""
        at_close = self.stage is None or self.stage.name == "close"
        return at_close and self.target in CONTROLLERS and self.signal == signal.SIGINT

    @property
    def expected(self) -> str:
        """What the run's exit status should say."""
        if self.target in CONTROLLERS:
            return EITHER if self.stage is None or self.stage.name == "close" else FAILS
        if self.target == "worker" and self.stage and self.stage.name == "collect":
            return EITHER  # xdist starts another, and no test is lost
        if self.signal == signal.SIGHUP and self.target in ("postmaster", "backend"):
            return PASSES  # they read their configuration again
        if (self.target, self.signal) in (("postmaster", signal.SIGTERM), ("backend", signal.SIGINT)):
            return EITHER  # waits for those who are connected; cancels a query where one runs
        return FAILS

    @property
    def ends_it(self) -> bool:
        """Whether the run is over after this signal, and not only one of its processes."""
        return self.target in CONTROLLERS

    @property
    def can_clear(self) -> bool:
        """Whether the run is alive to clear away what it made, on a server that is alive to do it."""
        killed = self.ends_it and self.signal == signal.SIGKILL
        return not killed and not (self.on_shared and self.target == "postmaster")


def cases(seed: int) -> Iterator[Case]:
    """Every stage, process and signal, in an order by the seed; then moments by the seed, without an end."""
    ordered = [
        Case(
            f"{'shared' if on_shared else 'embedded'}/{stage.name}/{target}/{sent.name}",
            stage,
            target,
            sent,
            on_shared,
            n,
        )
        for stage, (target, n), on_shared, sent in itertools.product(STAGES, TARGETS, (False, True), SIGNALS)
        if _is_one(stage, target, on_shared)
    ]
    random.Random(seed).shuffle(ordered)  # noqa: S311 - has to come again
    yield from ordered
    for number in range(RANDOM):
        yield at_random(seed, number)


CONTROLLERS = ("controller", "controller of workers", "group")
TARGETS = (
    ("controller", 0),
    ("controller of workers", 2),
    ("group", 2),
    ("worker", 2),
    ("postmaster", 0),
    ("backend", 0),
)


def _is_one(stage: Stage, target: str, on_shared: bool) -> bool:
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


def at_random(seed: int, number: int) -> Case:
    """The moment of this number: it is the same for the same seed."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - has to come again
    on_shared, workers = chance.random() < 0.5, chance.choice((0, 2))
    sent, after = chance.choice(SIGNALS), chance.uniform(0.1, USUAL)
    target = chance.choice(("controller", "group")) if workers else "controller"
    return Case(f"random/{number}", None, target, sent, on_shared, workers, after)


def find(name: str, seed: int) -> Case:
    """The case of this name. Raises KeyError if there is none."""
    if name.startswith("random/"):
        return at_random(seed, int(name.split("/")[1]))
    return {case.name: case for case in itertools.islice(cases(seed), 1000)}[name]


# ------------------------------------------------------------------ one case


class Bench:
    """A place and a shared server, for one case after the other."""

    def __init__(self, stack: ExitStack, seed: int, result: Result, lock: threading.Lock) -> None:
        self.place: Place = stack.enter_context(place())
        self.shared: Shared = stack.enter_context(shared(self.place))
        self.seed, self.result, self._lock = seed, result, lock

    def run(self, case: Case) -> None:
        """Kill a run, and look at what is left and at the next one."""
        here, options = self.place, ["-q"]
        here.lay_out()
        here.given = {"ROLECALL_PG_DSN": self.shared.dsn} if case.on_shared else {}
        before = self.shared.names()
        if case.stage:
            options += case.stage.prepare(here)
            if case.stage.run_before:
                case.stage.release(here)
                here.run(*options)
                for mark in here.marks.iterdir():
                    mark.unlink()
        process = here.start(*options, *(["-n", str(case.workers)] if case.workers else []))
        segments: set[Path] = set()
        if not self._signal(case, process, segments):
            self.failed("ends", case, "the run did not come to its stage", here.end(process, 0))
            return
        ended = here.end(process, LIMIT)
        if case.stage:
            case.stage.release(here)  # for programs that the dead have left behind
        if case.on_shared:
            self.shared.revive()
        with self._lock:
            self.result.tried("ends")
            self.result.seconds.setdefault(f"until the end, {case.signal.name}", []).append(ended.seconds)
        self._judge(case, ended)
        left = self._left(case, segments, before)
        if case.can_clear:
            self._held("leaves nothing", case, left, ended)
        follower = here.run(*options, "test_notes.py", seconds=LIMIT * 2)
        with self._lock:
            self.result.tried("next")
        if follower.status != 0:
            self.failed("next", case, f"the next run ended with {follower.status}", follower)
        left = self._left(case, segments, before)
        self._held("sweeps", case, left, follower)
        if left and case.on_shared:
            clear(self.shared, sorted(self.shared.names() - before))

    def _signal(self, case: Case, process: subprocess.Popen[bytes], segments: set[Path]) -> bool:
        """Send the signal once the run is where it should be."""
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
        if not case.ends_it:
            time.sleep(0.05)
            case.stage.release(self.place)
        return True

    def _send(self, pid: int, case: Case) -> None:
        with suppress(ProcessLookupError):
            (os.killpg if case.target == "group" else os.kill)(pid, case.signal)

    def _target(self, case: Case, controller: int, reached: int) -> int | None:
        """The number of the process that gets the signal."""
        if case.target in CONTROLLERS:
            return controller
        if case.target == "worker":
            workers = [child.pid for child in psutil.Process(controller).children() if "python" in child.name()]
            return reached if reached in workers else next(iter(workers), None)
        postmaster = self.shared.pid if case.on_shared else self._postmaster()
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

    # -- what came of it

    def _judge(self, case: Case, ended: Ended) -> None:
        if ended.status is None:
            self.failed("ends", case, f"still ran {LIMIT:g} s after the signal", ended)
            return
        if (case.expected == FAILS and ended.status == 0) or (case.expected == PASSES and ended.status != 0):
            self.failed("ends", case, f"ended with {ended.status}, and should say that it {case.expected}", ended)
        with self._lock:
            self.result.tried("one error")
        lines = len(ended.output.splitlines())
        if "INTERNALERROR" in ended.output:
            self.failed("one error", case, "INTERNALERROR", ended)
        elif "Traceback (most recent call last)" in ended.output and not case.interrupts_pytest:
            self.failed("one error", case, "a traceback", ended)
        elif case.target in ("postmaster", "backend", "worker") and lines > LINES:
            self.failed("one error", case, f"{lines} lines of output", ended)

    def _left(self, case: Case, segments: set[Path], before: set[str]) -> list[str]:
        left = self.place.leftovers(segments if not case.on_shared else set())
        return left + (sorted(self.shared.names() - before) if case.on_shared else [])

    def _held(self, promise: str, case: Case, left: list[str], ended: Ended) -> None:
        with self._lock:
            self.result.tried(promise)
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            self.failed(promise, case, f"left {', '.join(left[:3])}{more}", ended)

    def failed(self, promise: str, case: Case, what: str, ended: Ended) -> None:
        """Note what was not as promised."""
        again = f'python -m reliability kills --seed {self.seed} --only "{case.name}"'
        with self._lock:
            self.result.fail(promise, f"{case.name}: {promise}: {what} ({ended.last_line[:100]})", again)


def run(deadline: Deadline, seed: int, only: str = "", progress: Callable[[str], None] = lambda _: None) -> Result:
    """As many cases as there is time for, or the one of this name."""
    result = Result("kills", TITLE, seed)
    how = (
        "A run is held at each stage (initdb, server start, baseline, migration, world, pack, unpack, collect, "
        "first test, in a test, in a query, with databases of its own, teardown, close) and its controller, a worker, "
        "the server or one of its processes gets SIGINT, SIGTERM, SIGHUP or SIGKILL; on an embedded server and on a "
        "shared one. And at moments chosen at random."
    )
    result.promise("ends", f"A killed run ends within {LIMIT:g} s, and its exit status says so.", how, "kills")
    result.promise(
        "one error",
        "What ends a run is one short error.",
        f"No traceback, no INTERNALERROR, at most {LINES} lines.",
        "kills",
    )
    result.promise(
        "leaves nothing",
        "SIGINT, SIGTERM and SIGHUP leave nothing, nor does the death of a worker or a server.",
        "Processes, files, shared memory, databases and roles are counted after the run has ended.",
        "kills",
    )
    result.promise("next", "The run after a killed one is clean.", "It runs the same project, and has to pass.", "runs")
    result.promise("sweeps", "It sweeps what SIGKILL left.", "The same are counted once more after it.", "runs")
    waiting, lock = iter([find(only, seed)] if only else cases(seed)), threading.Lock()

    def work() -> None:
        with ExitStack() as stack:
            bench = Bench(stack, seed, result, lock)
            while deadline.left > 0:
                with lock:
                    case = next(waiting, None)
                if case is None:
                    return
                progress(f"{case.name} ({len(result.broken)} broken)")
                bench.run(case)
                with lock:
                    result.count("at random" if case.stage is None else "at a stage")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(work) for _ in range(1 if only else AT_ONCE)]:
            future.result()
    return result
