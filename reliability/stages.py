"""The stages of a run, and how a run stops at each: a process reports that it has reached the stage, and waits.

The code of the stage itself waits: SQL during the build, hooks and fixtures in pytest, wrappers of PostgreSQL's
programs. Only the first process that reaches the stage waits.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from reliability.place import Place
from rolecall.server import choose
from rolecall.server.cluster import reachable
from rolecall.server.directories import server_user

PATIENCE = 60.0  # seconds for a run to reach a stage


@dataclass(frozen=True)
class Stage:
    """A stage of a run. ``files`` are appended to those of the project; ``programs`` come first in the PATH."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    wraps: dict[str, str] = field(default_factory=dict)  # programs of --rolecall-pg-bin
    has_cache: bool = False  # with --rolecall-cache-dir
    needs_cache: bool = False  # an earlier run fills the cache
    embedded_only: bool = False

    def prepare(self, place: Place) -> list[str]:
        """Write the code that waits into a new project; returns the options for the run."""
        marks = {"reached": place.marks / "reached", "go": place.marks / "go"}
        for mark in marks.values():
            mark.unlink(missing_ok=True)
        write(place.project / "hold.py", HOLD.format(**marks))
        append(place.project / "platform.sql", SQL_HOLD.format(**marks))
        for name, text in self.files.items():
            append(place.project / name, text)
        for name, text in self.programs.items():
            program(place.bin / name, text.format(hold=SHELL_HOLD.format(**marks)))
        options = [f"--rolecall-cache-dir={place.path / 'kept'}"] if self.has_cache else []
        if self.wraps:
            folder = place.path / "wrapped"
            folder.mkdir(exist_ok=True)
            copy = place.path / "postgres" / "pginstall18" / "bin"
            real = copy if copy.is_dir() else reachable(choose.embedded(18), place.path, server_user())
            for name in ("postgres", "initdb", "pg_dump"):
                text = self.wraps.get(name, 'exec "{real}" "$@"')
                program(folder / name, text.format(real=real / name, hold=SHELL_HOLD.format(**marks)))
            options += [f"--rolecall-pg-bin={folder}"]
        return options

    def wait(self, place: Place) -> int | None:
        """Wait for the first process that reaches the stage; returns its pid, or None if none does in time."""
        deadline, mark = time.monotonic() + PATIENCE, place.marks / "reached"
        while time.monotonic() < deadline:
            if mark.exists() and (text := mark.read_text(encoding="utf-8").strip()):
                return int(text)
            time.sleep(0.005)
        return None

    def release(self, place: Place) -> None:
        """Let all waiting processes continue, now and later."""
        (place.marks / "reached").touch()
        (place.marks / "go").touch()


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def append(path: Path, text: str) -> None:
    existing = path.read_text(encoding="utf-8") if path.exists() else ""
    write(path, existing + text)


def program(path: Path, text: str) -> None:
    write(path, f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


HOLD = '''\
import os
import pathlib
import time


def hold():
    """Report that this process has reached the stage, and wait. Only the first process does."""
    try:
        mark = os.open("{reached}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return
    os.write(mark, str(os.getpid()).encode())
    os.close(mark)
    while not pathlib.Path("{go}").exists():
        time.sleep(0.01)
'''
SQL_HOLD = """
CREATE FUNCTION public.hold() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $hold$
BEGIN
  IF (pg_stat_file('{reached}', true)).size IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE 'COPY (SELECT pg_backend_pid()) TO ''{reached}''';
  WHILE (pg_stat_file('{go}', true)).size IS NULL LOOP
    PERFORM pg_sleep(0.01);
  END LOOP;
END
$hold$;
"""
SHELL_HOLD = 'if [ ! -e "{reached}" ]; then echo $$ > "{reached}"; while [ ! -e "{go}" ]; do sleep 0.01; done; fi'

IMPORT = """
import sys
sys.path.insert(0, __file__.rsplit("/", 1)[0])
from hold import hold
"""
NOTES = "migrations/phase_1_notes/1_2_count_notes.sql"

STAGES = (
    Stage("initdb", wraps={"initdb": '"{real}" "$@" || exit 1\n{hold}'}, embedded_only=True),
    Stage(
        "server start",
        wraps={"postgres": 'if [ "$1" != --version ]; then {hold}; fi\nexec "{real}" "$@"'},
        embedded_only=True,
    ),
    Stage("baseline", {"baseline.sql": "\nSELECT public.hold();\n"}),
    Stage("migration", {NOTES: "\nSELECT public.hold();\n"}),
    Stage(
        "world",
        {
            NOTES: "\nCREATE FUNCTION shop.held() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$\n"
            "BEGIN\n  PERFORM public.hold();\n  RETURN NULL;\nEND\n$$;\n"
            "CREATE TRIGGER held AFTER INSERT ON shop.notes FOR EACH STATEMENT EXECUTE FUNCTION shop.held();\n"
        },
    ),
    Stage(
        "pack",
        programs={
            "tar": 'if [ "$1" = -c ]; then /bin/tar "$@" | head -c 1000000; {hold}; fi\nexec /bin/tar "$@"',
        },
        has_cache=True,
        embedded_only=True,
    ),
    Stage(
        "unpack",
        programs={"tar": 'if [ "$1" = -x ]; then {hold}; fi\nexec /bin/tar "$@"'},
        has_cache=True,
        needs_cache=True,
        embedded_only=True,
    ),
    Stage("collect", {"conftest.py": IMPORT + "\n\ndef pytest_collection_modifyitems():\n    hold()\n"}),
    Stage("first test", {"conftest.py": IMPORT + "\n\ndef pytest_runtest_setup():\n    hold()\n"}),
    Stage("mid-test", {"test_held.py": IMPORT + "\n\ndef test_held(db):\n    db.value('SELECT 1')\n    hold()\n"}),
    Stage("mid-query", {"test_held.py": "def test_held(db):\n    db.value('SELECT public.hold()::text')\n"}),
    Stage(
        "own database",
        {
            "test_held.py": IMPORT
            + "\n\ndef test_held(scratch):\n    one, two = scratch(), scratch(migrated=True)\n    hold()\n"
        },
    ),
    Stage(
        "teardown",
        {
            "test_held.py": "import pytest\n"
            + IMPORT
            + "\n\n@pytest.fixture\ndef held(db):\n    yield db\n    hold()\n\n\n"
            "def test_held(held):\n    held.value('SELECT 1')\n"
        },
    ),
    Stage("close", {"conftest.py": IMPORT + "\n\ndef pytest_unconfigure(config):\n    hold()\n"}),
)
