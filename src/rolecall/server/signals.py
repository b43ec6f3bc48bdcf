"""Signals that end a run: each is raised where pytest is, as Ctrl-C is, and waits while something is cleaned up.

A process has one set of handlers, so what is noted here is noted for the process. Only a handler that is the default
one is replaced, only in the main thread, and it is put back.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C has a handler of Python's, which pytest knows how to report: it is only made to wait.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class EndedBySignal(KeyboardInterrupt):
    """A signal that asks the process to end. No ``except Exception`` swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{signal.Signals(number).name} ends this run")
        self.number = number


class _State:
    """What this process was sent, and whether it has to wait."""

    holds = 0
    waiting: list[int] = []  # noqa: RUF012 - there is one state
    raised: list[int] = []  # noqa: RUF012
    once = False


def install(*, once: bool = False) -> bool:
    """Have the signals raised as EndedBySignal in the main thread; :func:`restore` undoes it.

    With ``once`` only the first is: a worker tears down, and whether that takes too long is for the first process to
    say. False where nothing was installed, since somebody else handles them or this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    default = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    if default:
        _State.once = once
        _State.raised.clear()
    for number in default:
        signal.signal(number, _handle)
    return bool(default)


def restore() -> None:
    """Put the default handlers back where ours still are."""
    for number in ENDING:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


def ended_by() -> int | None:
    """The signal, of those that ask to end, that this process was sent first; None if none came."""
    return next((number for number in (*_State.raised, *_State.waiting) if number in ENDING), None)


@contextmanager
def held() -> Iterator[None]:
    """A block that no signal interrupts, Ctrl-C included: the first that came is raised at its end."""
    main = threading.current_thread() is threading.main_thread()
    swapped = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    _State.holds += 1
    if swapped:
        signal.signal(signal.SIGINT, _handle)
    try:
        yield
    finally:
        if swapped:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _State.holds -= 1
        if main and not _State.holds and _State.waiting:
            _State.raised += _State.waiting
            first = _State.waiting[0]
            _State.waiting.clear()
            raise KeyboardInterrupt if first == signal.SIGINT else EndedBySignal(first)


def _handle(number: int, _: FrameType | None) -> None:
    if _State.holds:
        _State.waiting.append(number)
    elif not (_State.once and _State.raised):
        _State.raised.append(number)
        raise EndedBySignal(number)


os.register_at_fork(after_in_child=restore)  # a process that a test forks ends as it would
