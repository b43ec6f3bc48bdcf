"""The written files: the grids, the roles, and nothing that exists is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolecall import World
from rolecall.errors import RolecallError
from rolecall.grids.grid import grid
from rolecall.init.grid_text import grid_lines, ini, module
from rolecall.init.observe import Observed
from rolecall.init.roles import named
from rolecall.init.write import configured_by, require_room, write

YES, NO, REFUSED = ({"select": word, "insert": word, "update": word, "delete": word} for word in ("yes", "-", "!"))
PERSONAS = ["alice", "bob", "carol", "anon", "a_persona_with_a_long_name"]


def observed(**cells: dict[str, str]) -> Observed:
    return Observed("app.notes", "body = 'x'", {}, ["id"], {("a note", name): each for name, each in cells.items()})


def test_personas_with_equal_verdicts_share_a_line() -> None:
    of = observed(alice=YES, bob=NO, carol=NO, anon=REFUSED, a_persona_with_a_long_name=YES)
    assert grid_lines(of, PERSONAS) == [
        "                               select   insert   update   delete",
        "a note",
        "  alice,",
        "  a_persona_with_a_long_name   yes?     yes?     yes?     yes?",
        "  anon                         !?       !?       !?       !?",
        "  everyone else                -?       -?       -?       -?",
    ]


def test_everyone_else_has_no_access_unless_all_have_the_same() -> None:
    two = dict.fromkeys(PERSONAS, YES) | {"anon": NO}
    assert not any("everyone else" in line for line in grid_lines(observed(**two), PERSONAS))
    same = dict.fromkeys(PERSONAS, YES)
    assert grid_lines(observed(**same), PERSONAS)[2].split() == ["everyone", "else", *["yes?"] * 4]


def test_the_module_is_the_grid(tmp_path: Path) -> None:
    cells = dict.fromkeys(PERSONAS, NO) | {"alice": YES | {"insert": "yes/!", "delete": "23503"}}
    path = tmp_path / "test_notes.py"
    path.write_text(module(observed(**cells), "notes", PERSONAS))
    names: dict[str, object] = {"grid": grid}
    exec(compile(path.read_text().replace("from rolecall import grid", ""), str(path), "exec"), names)  # noqa: S102
    read = names["test_notes"]
    world = World()
    for name in PERSONAS:
        world.persona(name, "app")
    world.add("app.notes", "a note", id=1)
    whole = read.expanded(world)  # type: ignore[attr-defined]
    whole.validate(world)
    assert {(cell.persona, cell.command): cell.expected for cell in whole.cells} == {
        (persona, command): word for persona, of in cells.items() for command, word in of.items()
    }
    assert not any(cell.decided for cell in whole.cells)


def test_reasons_are_one_line_each() -> None:
    text = ini("tests/access", {"rolecall_platform": "neon"}, {"app.a": "TODO: an error\nDETAIL: more"})
    assert text.splitlines()[-2:] == ["rolecall_tables_without_grid =", "    app.a: TODO: an error DETAIL: more"]


def test_roles_that_are_named_and_not_made() -> None:
    texts = [
        "CREATE ROLE made; GRANT SELECT ON a TO made, reader; CREATE POLICY p ON a TO writer, public USING (true);",
        "ALTER TABLE a OWNER TO boss; GRANT reader TO CURRENT_USER;",
        "this is no SQL",
        "\\connect booking\nGRANT made TO admin; this is no SQL;",
    ]
    assert named(texts) == ["reader", "writer", "boss", "admin"]


@pytest.mark.parametrize("name", ["conftest.py", "seed.sql", "roles.sql", "test_mine.py"])
def test_a_folder_with_tests_is_left_alone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "tests"
    require_room(tmp_path, folder)
    folder.mkdir()
    (folder / name).write_text("")
    with pytest.raises(RolecallError, match=rf"^tests/{name} exists, and nothing is overwritten: .*--into"):
        require_room(tmp_path, folder)


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.py"
    write({path: "new"})
    with pytest.raises(RolecallError, match="cannot be written: File exists"):
        write({path: "newer"})
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("name", "text", "configures"),
    [
        ("pytest.ini", "", True),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", True),
        ("pyproject.toml", "[project]\ndependencies = ['pytest']\n", False),
        ("setup.cfg", "[tool:pytest]\n", True),
        ("package.json", "{}", False),
    ],
)
def test_the_file_that_configures_pytest(tmp_path: Path, name: str, text: str, configures: bool) -> None:
    (tmp_path / name).write_text(text)
    assert configured_by(tmp_path) == (tmp_path / name if configures else None)
