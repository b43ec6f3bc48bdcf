"""Signals that end a run. They are raised as exceptions, like Ctrl-C, and deferred during cleanup.

A process has one set of handlers, so the state of this module is for the whole process. Only default handlers are
replaced, only in the main thread, and :func:`restore` puts them back.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# SIGINT is not among them: Python handles it, and pytest reports it. It is only deferred.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class EndedBySignal(KeyboardInterrupt):
    """A signal asked this process to end. ``except Exception`` does not catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{signal.Signals(number).name} ends this run")
        self.number = number


class _State:
    """The signals that this process got."""

    blocks = 0  # how many blocks defer signals now
    deferred: list[int] = []  # noqa: RUF012 - there is one state
    raised: list[int] = []  # noqa: RUF012
    once = False


def install(*, once: bool = False) -> bool:
    """Raise the signals as EndedBySignal in the main thread, until :func:`restore`.

    With ``once``, only the first signal is raised: a worker then tears down, and the first process decides whether
    that takes too long. Returns False if nothing was installed, because another handler is set or this is not the
    main thread.
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
    """Put back the default handlers in place of ours."""
    for number in ENDING:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_DFL)


def ended_by() -> int | None:
    """The first signal that asked this process to end; None if there was none."""
    return next((number for number in (*_State.raised, *_State.deferred) if number in ENDING), None)


@contextmanager
def deferred() -> Iterator[None]:
    """A block that no signal interrupts, not even Ctrl-C. The first signal that arrives is raised at its end."""
    main = threading.current_thread() is threading.main_thread()
    swapped = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    _State.blocks += 1
    if swapped:
        signal.signal(signal.SIGINT, _handle)
    try:
        yield
    finally:
        if swapped:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        _State.blocks -= 1
        if main and not _State.blocks and _State.deferred:
            _State.raised += _State.deferred
            first = _State.deferred[0]
            _State.deferred.clear()
            raise KeyboardInterrupt if first == signal.SIGINT else EndedBySignal(first)


def _handle(number: int, _: FrameType | None) -> None:
    if _State.blocks:
        _State.deferred.append(number)
    elif not (_State.once and _State.raised):
        _State.raised.append(number)
        raise EndedBySignal(number)


os.register_at_fork(after_in_child=restore)  # a process that a test forks has the default handlers
