"""Runs the commands of one Python program in one process: ``python driver.py pgrls``.

It runs in the league's own environment. Each line of its input is a JSON list of arguments. For each it prints a line:
the exit status, the output and the errors as JSON. So the program's imports are paid for once.
"""

from __future__ import annotations

import io
import json
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import entry_points
from typing import Any


def main(name: str) -> None:
    """Read commands until the input ends."""
    (entry,) = entry_points(group="console_scripts", name=name)
    command, terminal = entry.load(), sys.stdout
    for line in sys.stdin:
        sys.argv = [name, *json.loads(line)]
        print(json.dumps(run(command)), file=terminal, flush=True)


def run(command: Callable[[], Any]) -> tuple[int, str, str]:
    """The exit status of a command, its output and its errors."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            status = command() or 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(bool(end.code))
        except Exception:
            traceback.print_exc()
            status = 2
    return status if isinstance(status, int) else 0, output.getvalue(), errors.getvalue()


if __name__ == "__main__":
    main(sys.argv[1])
