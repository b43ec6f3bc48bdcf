"""Writes the proposed files. Nothing that exists is overwritten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from rolecall.errors import RolecallError
from rolecall.init import grid_text
from rolecall.init.propose import Proposal
from rolecall.init.world_text import WorldText

ROLES = "roles.sql"
ROLES_HEAD = """\
-- Roles that the migrations do not make. This file runs before them.
"""
SEED = "seed.sql"
SEED_HEAD = """\
-- Users, and what the trigger that makes their rows does not set. It runs before the world of conftest.py is loaded.
"""
# The files in which pytest looks for its settings, in its order, and the section that each must have.
CONFIGURATIONS = {
    **dict.fromkeys(("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"), ""),
    "pyproject.toml": r"^\[tool\.pytest\b",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}


def files(proposal: Proposal, root: Path, folder: Path, settings: Mapping[str, str]) -> dict[Path, str]:
    """The files of a proposal by path. ``folder`` is that of the tests, ``settings`` are pytest's, in ``root``."""
    personas = [each.name for each in proposal.actors]
    reasons = {name: text for name, text in proposal.without_grid.items() if name not in proposal.rows}
    texts = {
        root / "pytest.ini": grid_text.ini(folder.relative_to(root).as_posix(), settings, proposal.without_grid),
        folder / "conftest.py": WorldText(proposal.actors, proposal.rows, proposal.aliases, reasons).render(),
    }
    if proposal.roles:
        texts[folder / ROLES] = ROLES_HEAD + proposal.roles
    if proposal.seed:
        texts[folder / SEED] = SEED_HEAD + proposal.seed
    schemas = {each.table.partition(".")[0] for each in proposal.grids}
    for observed in proposal.grids:
        schema, _, table = observed.table.partition(".")
        name = _word(table) if len(schemas) == 1 else f"{_word(schema)}_{_word(table)}"
        while folder / f"test_{name}.py" in texts:  # two names that differ in what a file's name cannot have
            name += "_2"
        texts[folder / f"test_{name}.py"] = grid_text.module(observed, name, personas)
    return texts


def require_room(root: Path, folder: Path) -> None:
    """Raises RolecallError if the folder of the tests has something already."""
    existing = [
        path
        for path in (*(folder / name for name in ("conftest.py", ROLES, SEED)), *sorted(folder.glob("test_*.py")))
        if path.exists()
    ]
    if existing:
        raise RolecallError(
            f"{existing[0].relative_to(root)} exists, and nothing is overwritten: name another folder with --into, or "
            "move the file."
        )


def configured_by(root: Path) -> Path | None:
    """The file in which a project configures pytest; None without one."""
    for name, section in CONFIGURATIONS.items():
        path = root / name
        if path.is_file() and re.search(section, path.read_text("utf-8"), re.MULTILINE):
            return path
    return None


def write(texts: Mapping[Path, str]) -> None:
    """Write the files. Raises RolecallError if one exists, or cannot be written."""
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise RolecallError(f"{path} cannot be written: {error.strerror}.") from None


def _word(text: str) -> str:
    return re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "table"
