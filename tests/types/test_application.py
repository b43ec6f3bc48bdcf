"""The new type errors of an application, by object: tried on the small application in ``application/``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.types import node

SOURCE = Path(__file__).parent / "application"
TYPES = """
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]
export type Database = { public: { Tables: {}; Views: {}; Functions: {} } }
"""
# An error that several objects cause is listed under each: 9 lines, 8 new errors.
NEW = """
audit.audit_logs (table): 3 errors
  src/audit.ts:4:60 TS2353
  src/audit.ts:7:37 TS2339
  src/messages.ts:9:14 TS2322
communication.message_threads (table): 2 errors
  src/messages.ts:4:73 TS2353
  src/messages.ts:9:14 TS2322
communication.view_notifications (view): 1 error
  src/notifications.ts:8:59 TS2353
communication.get_unread_counts (function): 1 error
  src/notifications.ts:9:21 TS2339
communication.send_notification (function): 1 error
  src/notifications.ts:5:50 TS2353
several objects together: 1 error
  src/messages.ts:13:14 TS2322
gone: 1 error
  src/notifications.ts:16:56 TS2345
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A copy of the application, with npm's packages."""
    folder = tmp_path / "application"
    shutil.copytree(SOURCE, folder)
    folder.joinpath("node_modules").symlink_to(node.FOLDER / "node_modules")
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    """All files of a folder, except npm's packages."""
    return {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "node_modules" not in path.parts
    }


def report(*arguments: Path | str) -> CompletedProcess[str]:
    """Run the report on an application."""
    return node.run("app/main.ts", *map(str, arguments))


def test_the_new_errors_by_object(application: Path) -> None:
    before = contents(application)
    done = report(application)
    assert done.returncode == 1, done.stderr
    assert contents(application) == before  # it is the application's, and nothing is written there
    lines = [re.sub(r"( TS\d+) .*", r"\1", line) for line in done.stdout.splitlines() if line]
    states = {line.split()[0]: line for line in lines if re.match(r" +\d+ ", line)}
    assert states["2"].endswith("as it is: audit.log_action, communication.get_unread_count")
    assert "in another shape: audit.audit_logs, " in states["5"]
    assert "not at all: audit.audit_logs_view, " in states["13"]
    summary = "2 errors with the application's own types, 9 with the merged ones: 8 new, 1 gone."
    assert lines[lines.index(summary) + 1 :] == NEW.strip().splitlines()


def test_an_application_that_has_these_types_gets_no_new_error(application: Path) -> None:
    shutil.copy(node.FOLDER / "database.types.ts", application / "lib" / "database.types.ts")
    done = report(application)
    assert done.returncode == 0, done.stderr
    assert " 20 as it is: " in done.stdout
    assert done.stdout.rstrip().endswith("0 new, 0 gone.")


def test_a_typescript_without_an_api_is_replaced(tmp_path: Path) -> None:
    """TypeScript 7 exports its version, and no function that compiles."""
    for name, text in {
        "node_modules/typescript/index.js": 'exports.version = "7.0.2"\n',
        "types.ts": TYPES,
        "tsconfig.json": '{"compilerOptions": {"types": []}, "files": ["types.ts"]}',
    }.items():
        tmp_path.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(name).write_text(text, encoding="utf-8")
    done = report(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The application's TypeScript 7.0.2 cannot be called: " in done.stdout
    assert "0 errors with the application's own types, 0 with the merged ones" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["src"], "src has no tsconfig.json"),
        (["referring.json"], "has no files of its own: name the tsconfig"),
        (["broken.json"], "Unknown compiler option 'no_such_option'"),
        (["without.json"], "no file of .* declares Database as `supabase gen types` writes it"),
        (["twice.json"], "several files of .* declare Database .*: name one with APP_TYPES"),
        (["twice.json", "lib/other.ts"], "lib/other.ts is no file of"),
    ],
    ids=["no folder", "no tsconfig", "references only", "wrong option", "no types", "two types", "another file"],
)
def test_an_application_that_cannot_be_compared(tmp_path: Path, arguments: list[str], message: str) -> None:
    for name, text in {
        "src/empty.ts": "export {}\n",
        "lib/one.ts": TYPES,
        "lib/two.ts": TYPES,
        "referring.json": '{"files": [], "references": [{"path": "./twice.json"}]}',
        "broken.json": '{"compilerOptions": {"no_such_option": true}, "include": ["src"]}',
        "without.json": '{"include": ["src"]}',
        "twice.json": '{"include": ["lib/one.ts", "lib/two.ts"]}',
    }.items():
        tmp_path.joinpath(name).parent.mkdir(exist_ok=True)
        tmp_path.joinpath(name).write_text(text, encoding="utf-8")
    done = report(tmp_path / arguments[0], *arguments[1:])
    assert done.returncode == 2, done.stdout
    assert re.match(f"ERROR: .*{message}", done.stderr)
