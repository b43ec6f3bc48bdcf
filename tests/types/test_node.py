"""Node.js and npm's packages: found, or an error that says what to run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.types import node
from tests.types.node import NodeError


def put(folder: Path, name: str, text: str) -> None:
    """A program that prints something."""
    program = folder / name
    program.write_text(f"#!/bin/sh\necho {text}\n", encoding="utf-8")
    program.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH; it is empty, and there is no wheel."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    return tmp_path


def test_a_node_that_is_new_enough_is_used(path: Path) -> None:
    put(path, "node", "v22.18.0")
    put(path, "npm", "11.0.0")
    assert node.find() == (str(path / "node"), (str(path / "npm"),))


@pytest.mark.parametrize(
    "programs",
    [{}, {"node": "v22.18.0"}, {"node": "v22.17.9", "npm": "11.0.0"}, {"node": "broken", "npm": "11.0.0"}],
    ids=["none", "without npm", "too old", "without a version"],
)
def test_no_usable_node_is_an_error_that_says_what_to_run(path: Path, programs: dict[str, str]) -> None:
    for name, text in programs.items():
        put(path, name, text)
    with pytest.raises(NodeError, match=r"no Node\.js 22\.18 or newer with npm here\. Run: make types"):
        node.find()


def test_missing_packages_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "FOLDER", tmp_path / "types")
    with pytest.raises(NodeError, match=r"types/node_modules is missing\. Run: make types"):
        node.check_packages()


def test_other_versions_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "FOLDER", tmp_path)
    own = {"": {"devDependencies": {"pg": "2.0.0"}}, "node_modules/pg": {"version": "2.0.0"}}
    tmp_path.joinpath("package-lock.json").write_text(json.dumps({"packages": own}), encoding="utf-8")
    tmp_path.joinpath("node_modules").mkdir()
    installed = tmp_path / "node_modules" / ".package-lock.json"
    installed.write_text(json.dumps({"packages": {"node_modules/pg": {"version": "1.0.0"}}}), encoding="utf-8")
    with pytest.raises(NodeError, match=r"node_modules/pg: not the version of .*package-lock\.json"):
        node.check_packages()
    installed.write_text(json.dumps({"packages": {"node_modules/pg": {"version": "2.0.0"}}}), encoding="utf-8")
    node.check_packages()
