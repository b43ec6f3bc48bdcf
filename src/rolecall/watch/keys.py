"""The keys of the terminal, one at a time and without an echo. Without a terminal there are none."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

ALL, END = b"\n", b"q"


@contextmanager
def keys() -> Iterator[int | None]:
    """The descriptor to read keys from, for the block; None if this process has no terminal to read from."""
    descriptor = 0
    if not sys.stdin or not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
        yield None
        return
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)  # Ctrl-C is still a signal
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
