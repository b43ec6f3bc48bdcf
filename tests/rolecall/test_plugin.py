"""What a run pays at its start: nothing for what it does not ask for."""

from __future__ import annotations

import subprocess
import sys

SELDOM = ("postgast", "google.protobuf", "rolecall.mutants", "rolecall.coverage.columns")


def test_the_parser_and_the_mutants_are_not_imported_before_they_are_asked_for() -> None:
    program = "import sys, rolecall.plugin; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = done.stdout.splitlines()
    assert "rolecall.worker" in imported
    assert [name for name in imported if name.startswith(SELDOM)] == []
