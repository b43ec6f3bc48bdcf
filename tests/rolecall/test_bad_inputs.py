"""Each input gives a result or a RolecallError of a few lines. There is no other error, and nothing hangs or is lost.

The short form tries the same few hundred inputs each time. ``RELIABILITY_EXAMPLES=3000`` tries 3000 inputs, different
ones for each ``--hypothesis-seed``. This long form is part of ``make torture``.
"""

from __future__ import annotations

import ast
import itertools
import os
import re
import runpy
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from psycopg.pq import TransactionStatus

from rolecall import Grid, World
from rolecall import settings as rolecall_settings
from rolecall.defects.files import Defect
from rolecall.errors import RolecallError
from rolecall.grids.grid import fill, grid
from rolecall.mutants import since
from rolecall.mutants.declarations import Declarations
from rolecall.settings import Names, options
from rolecall.sql import files, migrations
from rolecall.worker import Worker
from tests.rolecall import strategies

EXAMPLES = int(os.environ.get("RELIABILITY_EXAMPLES", "0"))
SHORT = 250
PATIENCE = 20.0  # seconds for one input; the slowest takes a hundredth of that

Check = Callable[..., None]


class Tries:
    """Runs a check on many inputs. Counts the inputs, and the refused ones among them."""

    def __init__(self) -> None:
        self.tried = self.refused = 0

    def __call__(self, check: Check) -> None:
        """Run a check that is decorated with ``given``."""
        options = settings(
            max_examples=EXAMPLES or SHORT,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        options(check)()

    @contextmanager
    def one(self) -> Iterator[list[str]]:
        """A block that handles one input. If it raises RolecallError, the yielded list has the message after it.

        Any other error is a failure, and so is a timeout.
        """
        self.tried += 1
        messages: list[str] = []
        with _within(PATIENCE):
            try:
                yield messages
            except RolecallError as error:
                messages.append(str(error))
                self.refused += 1
        for text in messages:
            assert text.strip()
            assert len(text.splitlines()) <= 5, f"an error of {len(text.splitlines())} lines:\n{text}"
            assert "Traceback" not in text


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    def stop(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"no answer after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def tries(record_property: Callable[[str, object], None]) -> Iterator[Tries]:
    """The counts are recorded for ``make torture``. A test must have refused inputs, or it proves nothing."""
    tries = Tries()
    yield tries
    record_property("tried", tries.tried)
    record_property("refused", tries.refused)


@pytest.fixture
def world() -> World:
    world = World()
    for number, name in enumerate(("alice", "bob")):
        world.persona(name, "toy_member", subject=name)
        world.add("shop.notes", f"{name}'s note", id=number, author=name)
    return world


def check_place(path: Path, message: str) -> None:
    """Check that an error begins with the path of the file, and a line that the file has."""
    match = re.match(re.escape(str(path)) + r":(\d+):", message)
    assert match, f"no file and line at the beginning: {message}"
    # A line ends with LF, CR or both, but not with the other characters of str.splitlines().
    ends = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
    assert 1 <= int(match[1]) <= ends + 1


# ------------------------------------------------------------------ grids


def write_module(path: Path, text: str, update: str) -> None:
    """Write a test module with a grid, if possible as a literal of several lines."""
    literal = f'"""\\\n{text}"""'
    with suppress(SyntaxError, ValueError):
        if ast.literal_eval(literal) != text:
            raise ValueError("needs other quotes")
        path.write_text(_MODULE.format(text=literal, update=update), encoding="utf-8")
        return
    path.write_text(_MODULE.format(text=repr(text), update=update), encoding="utf-8")


_MODULE = """\
from rolecall import grid

notes = grid(
    "shop.notes",
    {text},
    update={update!r},
    moves={{"hand over": "author = {{bob}}"}},
)
"""


def test_a_grid_is_read_or_refused(tmp_path: Path, world: World, tries: Tries) -> None:
    number = itertools.count()  # a new name each time, because Python caches the lines of a file by its name

    @given(strategies.grids)
    def check(text: str) -> None:
        path = tmp_path / f"test_{next(number)}.py"
        write_module(path, text, "body = NULL")
        with tries.one() as messages:
            notes: Grid = runpy.run_path(str(path))["notes"]
            notes.validate(world)
            for cell in notes.cells:
                assert notes.checks(cell, world)
        for message in messages:
            check_place(path, message)

    tries(check)
    assert 0 < tries.refused < tries.tried


def test_placeholders_of_an_assignment_are_filled_in_or_refused(world: World, tries: Tries) -> None:
    @given(strategies.assignments)
    def check(text: str) -> None:
        with tries.one():
            assert isinstance(fill(text, world), str)

    tries(check)
    assert 0 < tries.refused < tries.tried


def test_the_table_of_a_grid_is_accepted_or_refused(world: World, tries: Tries) -> None:
    @given(strategies.tables)
    def check(table: str) -> None:
        with tries.one():
            small = grid(table, strategies.SMALL_GRID, update="body = NULL")
            small.validate(world)
            assert all(small.checks(cell, world) for cell in small.cells)

    tries(check)
    assert 0 < tries.refused < tries.tried


# ------------------------------------------------------------------ SQL files


@pytest.fixture
def database(toy_built: Worker) -> Iterator[str]:
    """A database for the files. It has a row that must not be lost, and a table that shows whether a file ran to its
    end."""
    with toy_built.run.clone(toy_built.run.template, "inputs") as name:
        with toy_built.run.connect(name) as connection:
            connection.execute("CREATE TABLE shop.important AS SELECT 1 AS id; CREATE TABLE shop.reached (id int)")
            connection.execute("GRANT ALL ON shop.reached TO toy_migrator; GRANT ALL ON SCHEMA shop TO toy_migrator")
            connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '15s'".encode())
        yield name


CLEANUP = "DROP TABLE IF EXISTS shop.a; DROP FUNCTION IF EXISTS shop.f, shop.g, shop.h; TRUNCATE shop.reached"
STATE = "SELECT current_user = session_user, current_setting('search_path'), (SELECT count(*) FROM shop.important)"
EFFECTS = "SELECT (SELECT count(*) FROM shop.reached), to_regclass('shop.a') IS NULL AND to_regproc('shop.f') IS NULL"


def test_an_sql_file_runs_to_its_end_or_is_refused(
    toy_built: Worker, database: str, tmp_path: Path, tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused file has no effect, and the connection has its former state after it."""
    monkeypatch.chdir(tmp_path)
    path = Path("x.sql")
    end = b"\n;\nINSERT INTO shop.reached VALUES (1);\n"

    @given(strategies.sql_files)
    def check(data: bytes) -> None:
        path.write_bytes(data + end)
        with toy_built.run.connect(database) as connection:
            with tries.one() as messages:
                files.run(connection, path, role="toy_migrator")
            for message in messages:
                check_place(path, message)
            assert connection.info.transaction_status == TransactionStatus.IDLE
            assert connection.execute(STATE).fetchone() == (True, '"$user", public', 1)
            reached, no_effect = connection.execute(EFFECTS).fetchone() or (None, None)
            assert no_effect or not messages, "a refused file has changed something"
            assert reached == (0 if messages else 1)
            connection.execute(CLEANUP)

    tries(check)
    assert 0 < tries.refused < tries.tried


def test_the_objects_of_a_changed_file_are_listed_or_it_is_refused(tmp_path: Path, tries: Tries) -> None:
    path = tmp_path / "x.sql"

    @given(strategies.sql_files)
    def check(data: bytes) -> None:
        path.write_bytes(data)
        with tries.one() as messages:
            assert isinstance(since.defined_in(path), list)
        for message in messages:
            check_place(path, message)

    tries(check)
    assert 0 < tries.refused < tries.tried


# ------------------------------------------------------------------ other files


def test_a_file_of_equivalents_is_read_or_refused(tmp_path: Path, tries: Tries) -> None:
    path = tmp_path / "equivalents.txt"

    @given(strategies.equivalents_files)
    def check(data: bytes) -> None:
        path.write_bytes(data)
        with tries.one() as messages:
            declarations = Declarations.read(path, None)
            assert all(mutant and each.reason for mutant, each in declarations.by_id.items())
            declarations.check(["shop.notes | rls-off | RLS off"])
        for message in messages:
            check_place(path, message)

    tries(check)
    assert tries.refused > 0


def test_a_defect_is_read_or_refused(tmp_path: Path, tries: Tries) -> None:
    path, script = tmp_path / "f10.sql", tmp_path / "migrations/phase_1_notes/rollback.sql"
    script.parent.mkdir(parents=True)
    script.touch()

    @given(strategies.defect_files)
    def check(data: bytes) -> None:
        path.write_bytes(data)
        with tries.one() as messages:
            defect = Defect.read(path, tmp_path)
            assert defect.title
            assert all(defect.caught_by)
        for message in messages:
            check_place(path, message)

    tries(check)
    assert 0 < tries.refused < tries.tried


# ------------------------------------------------------------------ settings


class FakeConfig:
    """The part of pytest.Config from which settings are read."""

    def __init__(self, folder: Path, arguments: dict[str, str], lines: dict[str, str]) -> None:
        self.rootpath = folder
        self.invocation_params = pytest.Config.InvocationParams(args=(), plugins=None, dir=folder)
        self._arguments, self._lines = arguments, lines

    def getoption(self, name: str, default: object = None) -> object:
        return self._arguments.get(name, default)

    def getini(self, name: str) -> str | None:
        return self._lines.get(name)


def test_settings_are_read_or_refused(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tries: Tries) -> None:
    monkeypatch.delenv("ROLECALL_PG_DSN")
    (toy.path / "loop").symlink_to("loop")
    on_command_line = [Names.of(name).ini for name, option in options().items() if option.cli]
    arguments, variables, lines = zip(*map(Names.of, options()), strict=True)

    @given(
        strategies.settings(on_command_line),
        strategies.settings(list(variables)),
        strategies.settings(list(lines)),
    )
    def check(options: dict[str, str], environment: dict[str, str], configuration: dict[str, str]) -> None:
        with monkeypatch.context() as patch, tries.one() as messages:
            for name, value in environment.items():
                with suppress(ValueError, UnicodeEncodeError):  # a variable cannot have such a value
                    patch.setenv(name, value)
            config = cast(pytest.Config, FakeConfig(toy.path, options, configuration))
            assert rolecall_settings.read(config)
        for message in messages:
            # Only for settings that are a connection string: for others, the text is a value like any other.
            assert "secret" not in message or not re.match("--rolecall-pg-dsn|ROLECALL_PG_DSN|rolecall_pg_dsn", message)
            assert message.startswith((*arguments, *variables, *lines)), f"names no setting: {message}"

    tries(check)
    assert 0 < tries.refused < tries.tried


# ------------------------------------------------------------------ the world


def test_a_world_is_loaded_or_refused(toy_worker: Worker, tries: Tries) -> None:
    connection = toy_worker.connection
    connection.execute("SET LOCAL statement_timeout = '15s'")

    @given(strategies.rows)
    def check(row: tuple[str, str, dict[str, Any]]) -> None:
        table, name, columns = row
        with connection.transaction(force_rollback=True), tries.one() as messages:
            world = World()
            world.add(table, name, **columns)
            assert world.row(table, name) == columns
            connection.execute("DELETE FROM shop.notes")
            with connection.transaction():  # a savepoint: the transaction must go on after an error
                world.load(connection)
            assert connection.execute("SELECT count(*) FROM shop.notes").fetchone() == (1,)
        for message in messages:
            assert repr(name)[:50] in message, f"names no row: {message}"
        assert connection.info.transaction_status == TransactionStatus.INTRANS

    tries(check)
    assert tries.refused > 0


# ------------------------------------------------------------------ folders of migrations


@pytest.mark.parametrize("entries", [strategies.entries, strategies.other_entries], ids=["phases", "other layouts"])
def test_a_folder_of_migrations_is_read_or_refused(tmp_path: Path, tries: Tries, entries: strategies.Entries) -> None:
    number = itertools.count()

    @given(entries)
    def check(entries: list[tuple[str, str, str]]) -> None:
        folder = tmp_path / str(next(number))
        folder.mkdir()
        for parent, name, kind in entries:
            with suppress(OSError, UnicodeEncodeError):  # the file system does not allow the name, or it exists
                (folder / parent).mkdir(exist_ok=True)
                create_entry(folder / parent / name, kind)
        with tries.one() as messages:
            for phase in migrations.read(folder):
                assert all(stat.S_ISREG(script.path.stat().st_mode) for script in phase.scripts)
        for message in messages:
            assert str(folder) in message, f"names no path: {message}"

    tries(check)
    assert tries.refused > 0


def create_entry(path: Path, kind: str) -> None:
    """Create a file, folder, link or pipe, if the path does not exist."""
    if os.path.lexists(path):
        return
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "link to itself":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(TEXTS.get(kind, "SELECT 1;\n"), encoding="utf-8")


TEXTS = {
    "empty file": "\n",
    "file with parts": "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n",
    "plan": "%project=x\na 2024\n@v1 2024\na [a@v1] 2024\n",
}
