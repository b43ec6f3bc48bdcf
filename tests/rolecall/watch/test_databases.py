"""What is built again: the result is the same as that of a build from nothing."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rolecall import World
from rolecall.catalog import objects
from rolecall.database.cleanup import owned
from rolecall.database.provision import Provisioner
from rolecall.errors import SqlError
from rolecall.server.choose import Server
from rolecall.watch import databases
from rolecall.watch.databases import Kept, KeptProvisioner, NewServerError
from tests.rolecall.conftest import lay_out, settings_of

FIRST, SECOND = "1_1_notes.sql", "1_2_count_notes.sql"


class Builds:
    """The databases of the toy project, built again after each change."""

    def __init__(self, folder: Path, kept: Kept) -> None:
        self.folder, self.kept = folder, kept
        self.names: list[str] = []

    def path(self, name: str) -> Path:
        return self.folder / "migrations" / "phase_1_notes" / name

    def change(self, name: str, old: str, new: str) -> None:
        text = self.path(name).read_text()
        assert old in text
        self.path(name).write_text(text.replace(old, new))

    def build(self, world: World | None = None) -> list[str]:
        """Build in a new process's way. Returns the steps that ran."""
        self.names = []
        provisioner = KeptProvisioner(self.kept, world or self.world(), self._keep)
        with closing(provisioner):
            provisioner.build(lambda step: self.names.append(step.what))
        return self.names

    def world(self) -> World:
        world: World = runpy.run_path(str(self.folder / "conftest.py"))["pytest_rolecall_world"](1)
        return world

    def _keep(self, kept: Kept) -> None:
        self.kept = kept

    def names_of_objects(self) -> set[str]:
        with self.kept.run.connect(self.kept.run.template) as connection:
            return {f"{item.kind} {item.full_name}" for item in objects.objects(connection)}

    def bodies(self) -> list[str]:
        with self.kept.run.connect(self.kept.run.template) as connection:
            return [body for (body,) in connection.execute("SELECT body FROM shop.notes ORDER BY id")]


@pytest.fixture
def builds(pytestconfig: pytest.Config, toy_server: Server, tmp_path: Path) -> Iterator[Builds]:
    lay_out(tmp_path)
    server = replace(toy_server, cluster=None)  # others use it
    provisioner = Provisioner(server, settings_of(pytestconfig, tmp_path), World())
    with owned(provisioner.run):
        yield Builds(tmp_path, databases.start(provisioner))


ROWS = "the rows of the world"


def test_nothing_has_changed(builds: Builds) -> None:
    assert builds.build() == [ROWS]
    assert builds.bodies() == ["hers", "his"]
    assert builds.build() == []


def test_only_the_later_steps_run_again(builds: Builds) -> None:
    builds.build()
    builds.change(SECOND, "titles", "headings")
    assert builds.build() == [FIRST, SECOND, ROWS]
    assert builds.kept.copied == 1
    builds.change(SECOND, "headings", "words")
    assert builds.build() == [SECOND, ROWS]
    names = builds.names_of_objects()
    assert {"view shop.words", "table shop.notes"} <= names
    assert "view shop.headings" not in names
    assert builds.kept.manifest
    assert {item.full_name for item in builds.kept.manifest.of_kind("view")} == {"shop.words"}


def test_the_copy_is_left_when_an_earlier_step_changes(builds: Builds) -> None:
    builds.change(SECOND, "titles", "headings")
    builds.build()
    builds.change(FIRST, "<= 10", "<= 11")
    assert builds.build() == [FIRST, SECOND, ROWS]
    assert builds.kept.copied is None
    builds.change(SECOND, "headings", "words")
    assert builds.build() == [FIRST, SECOND, ROWS]


def test_another_world(builds: Builds) -> None:
    builds.build()
    world = builds.world()
    world.rows["shop.notes"]["bob's note"] = {**world.rows["shop.notes"]["bob's note"], "body": "ours"}
    assert builds.build(world) == [ROWS]
    assert builds.bodies() == ["hers", "ours"]
    assert builds.build(world) == []


def test_a_world_that_cannot_be_compared_is_loaded_each_time(builds: Builds) -> None:
    for _ in range(2):
        world = builds.world()
        world.later = lambda: None  # type: ignore[attr-defined]
        assert builds.build(world) == [ROWS]


def test_an_error_and_its_correction(builds: Builds) -> None:
    builds.build()
    builds.change(SECOND, "CREATE VIEW", "CREATE VIWE")
    for _ in range(2):
        with pytest.raises(SqlError, match="VIWE"):
            builds.build()
    builds.change(SECOND, "CREATE VIWE", "CREATE VIEW")
    assert builds.build()[-1] == ROWS
    assert "view shop.titles" in builds.names_of_objects()


@pytest.mark.parametrize("change", ["baseline", "roles", "age"])
def test_what_needs_a_server_without_roles(builds: Builds, change: str) -> None:
    """This one is a running server, where only the end of a run drops its roles."""
    builds.build()
    if change == "baseline":
        (builds.folder / "baseline.sql").write_text((builds.folder / "baseline.sql").read_text() + "SELECT 1;")
    elif change == "roles":
        builds.change(SECOND, "CREATE VIEW", "CREATE ROLE toy_x; CREATE VIEW")
    else:
        builds.kept = replace(builds.kept, since=builds.kept.since - 3601)
    with pytest.raises(NewServerError):
        builds.build()


def test_the_databases_of_a_killed_run_are_dropped(builds: Builds) -> None:
    builds.kept.run.create(f"{builds.kept.run.name}_main")
    builds.build()
    with builds.kept.run.cursor() as cursor:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1"
        found = [name for (name,) in cursor.execute(query, [builds.kept.run.name])]
    assert found == [f"{builds.kept.run.name}_{each}" for each in ("baseline", "copy", "migrated")]
