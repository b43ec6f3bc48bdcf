"""The command `rolecall pgtap`: what it writes and leaves alone, and its errors."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from rolecall.pgtap import folder

Command = Callable[..., pytest.RunResult]
SCRIPT = "sql/rolecall_shop_notes.sql"


@pytest.fixture
def command(toy: pytest.Pytester) -> Command:
    """A function that runs the command in the folder of the toy project."""
    return lambda *arguments: toy.run(sys.executable, "-m", "rolecall", "pgtap", *arguments)


def test_it_writes_a_script_for_each_grid(toy: pytest.Pytester, command: Command) -> None:
    (toy.path / "sql").mkdir()
    own = toy.path / "sql/rolecall_own.sql"
    own.write_text("-- mine\n")
    gone = toy.path / "sql/rolecall_shop_gone.sql"
    gone.write_text(f"-- {folder.MARK}test_gone.py::test_grid.\n")
    result = command("sql")
    assert (result.ret, result.errlines) == (0, [])
    assert result.outlines == ["wrote 1 scripts with 104 tests into sql"]
    assert own.read_text() == "-- mine\n"
    assert not gone.exists()
    first, *_ = lines = (toy.path / SCRIPT).read_text().splitlines()
    assert first == "-- Written by `rolecall pgtap` from test_notes.py::test_grid."
    assert sum(line.startswith("SELECT is(") for line in lines) == 104
    assert command("--check", "sql").outlines == ["every script is up to date"]


def test_check_fails_if_a_script_is_out_of_date_and_writes_nothing(toy: pytest.Pytester, command: Command) -> None:
    command("sql")
    script = toy.path / SCRIPT
    script.write_text(script.read_text().replace("'alice: select", "'Alice: select"))
    (toy.path / "sql/rolecall_gone.sql").write_text(f"-- {folder.MARK}test_gone.py::test_grid.\n")
    before = {path.name: path.read_text() for path in (toy.path / "sql").iterdir()}
    result = command("--check", "sql")
    assert result.ret == 1
    assert result.outlines == [
        f"{SCRIPT} differs from its grid",
        "sql/rolecall_gone.sql has no grid any more",
        "Run: rolecall pgtap sql",
    ]
    assert {path.name: path.read_text() for path in (toy.path / "sql").iterdir()} == before
    assert command("--check", "other").outlines[0] == "other/rolecall_shop_notes.sql is missing"


def test_it_says_which_cells_fail_now_and_what_pgtap_does_not_test(toy: pytest.Pytester, command: Command) -> None:
    step = toy.path / "migrations/phase_1_notes/1_2_count_notes.sql"
    step.write_text(f"{step.read_text()}GRANT SELECT (body) ON shop.notes TO toy_visitor;\n")
    test = toy.path / "test_notes.py"
    test.write_text(test.read_text().replace("alice             yes", "alice             -  ", 1))
    assert command("sql").outlines[1:] == [
        "not in the scripts:",
        "  test_notes.py::test_grid: visitor: select on alice's note: what single columns allow",
        "  test_notes.py::test_grid: visitor: select on bob's note: what single columns allow",
        "pytest fails at these cells now:",
        "  test_notes.py::test_grid: alice: select on alice's note",
        "  test_notes.py::test_grid: visitor: select on alice's note",
        "  test_notes.py::test_grid: visitor: select on bob's note",
    ]


def test_a_file_in_the_way_is_an_error(toy: pytest.Pytester, command: Command) -> None:
    (toy.path / "sql").mkdir()
    (toy.path / SCRIPT).write_text("-- mine\n")
    result = command("sql")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["ERROR: sql/rolecall_shop_notes.sql exists, and was not written by rolecall*Move it*"])
    assert (toy.path / SCRIPT).read_text() == "-- mine\n"
    result = command("pytest.ini")
    assert result.ret == 2
    assert result.errlines == ["ERROR: pytest.ini is not a folder: name one, such as supabase/tests."]


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("test_notes.py", "def test_nothing():\n    pass\n", "*the tests of this folder have no grid: *"),
        (
            "test_notes.py",
            "import nothing_at_all\n",
            "*pytest cannot collect the tests of this folder:*",
        ),
        (
            "pytest.ini",
            "[pytest]\n",
            "*rolecall has nothing to build: set rolecall_baseline or rolecall_migrations in *pytest.ini.",
        ),
        ("migrations/phase_1_notes/1_1_notes.sql", "CREATE TABEL x ();\n", '*syntax error at or near "TABEL"*'),
    ],
)
def test_grids_that_cannot_be_exported(
    toy: pytest.Pytester, command: Command, file: str, text: str, error: str
) -> None:
    (toy.path / file).write_text(text)
    result = command("sql")
    assert result.ret == 2
    result.stderr.fnmatch_lines([error])
    assert not (toy.path / "sql").exists()


def test_two_grids_of_one_table_have_a_name_each() -> None:
    assert folder.names(["app.notes", "app.Notes", "app.notes", "app.no tes"]) == [
        "rolecall_app_notes.sql",
        "rolecall_app_Notes_2.sql",
        "rolecall_app_notes_3.sql",
        "rolecall_app_no_tes.sql",
    ]
