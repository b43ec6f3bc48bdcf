"""The fixtures. Their prefix ``rolecall_`` keeps them apart from the fixtures of other plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # a project that does not use rolecall must not pay for these imports
    from rolecall.access.session import Session
    from rolecall.access.world import World
    from rolecall.catalog.manifest import Manifest
    from rolecall.changes.changes import Changes, FindChanges
    from rolecall.conditions.report import Conditions
    from rolecall.database.scratch import Scratch
    from rolecall.grids.grid import Grid
    from rolecall.process.process import Process
    from rolecall.sql.migrations import Phase

# Fixtures that need a database. The others do not.
SCRATCHES = ("rolecall_scratch", "rolecall_module_scratch", "rolecall_rolled_back_scratch")
DATABASES = (
    *("rolecall_db", "rolecall_changes", "rolecall_conditions", "rolecall_dependencies"),
    *("rolecall_manifest", "rolecall_mismatches", "rolecall_phases"),
    *SCRATCHES,
)
NAMES = (*DATABASES, "rolecall_phase", "rolecall_world", "rolecall_grids")


def needs_database(item: pytest.Item) -> bool:
    """Whether a test uses a fixture that needs a database."""
    return not set(DATABASES).isdisjoint(getattr(item, "fixturenames", ()))


def runs_migrations(item: pytest.Item) -> bool:
    """Whether a test may run migration scripts, in its own databases."""
    return not {*SCRATCHES, "rolecall_phases"}.isdisjoint(getattr(item, "fixturenames", ()))


def hidden_fixture(item: pytest.Item) -> str | None:
    """A fixture of rolecall that another plugin or a conftest.py hides from a test, for a message; None without one.

    A fixture of the same name that requests rolecall's own is no problem: it extends it.
    """
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    for name in set(NAMES) & set(definitions):
        for definition in reversed(definitions[name]):
            # _pytest: parametrize() has replaced the fixture, as the mark rolecall_from_phase does.
            if definition.func.__module__ == __name__ or definition.func.__module__.startswith("_pytest."):
                break
            if name not in definition.argnames:
                return f"{name} of {definition.func.__module__}"
    return None


def _process(config: pytest.Config) -> Process:
    from rolecall.process.process import process_of

    return process_of(config)


@pytest.fixture
def rolecall_phase() -> int | None:
    """The number of the last phase that ``rolecall_db`` has. None: all phases.

    With ``rolecall_after_each_phase``, a test with the mark ``rolecall_from_phase`` runs for each of them::

        @pytest.mark.rolecall_from_phase(2)
        def test_alice_is_notified(rolecall_db):
            ...
    """
    return None


@pytest.fixture
def rolecall_db(pytestconfig: pytest.Config, rolecall_phase: int | None) -> Iterator[Session]:
    """A :class:`~rolecall.Session` on this worker's database: one transaction, rolled back after the test.

    ::

        def test_alice_reads_her_notes(rolecall_db):
            with rolecall_db.acting_as("alice"):
                assert rolecall_db.rows("SELECT title FROM app.notes") == [("Shopping",)]
    """
    with _process(pytestconfig).get_worker().session(rolecall_phase) as session:
        yield session


@pytest.fixture
def rolecall_changes(rolecall_db: Session) -> Iterator[FindChanges]:
    """A function for a ``with`` block: it finds all changes of the block. Compare them with those that you expect.

    ::

        from rolecall import inserted


        def test_a_note_adds_one_row(rolecall_db, rolecall_changes):
            with rolecall_changes() as changed, rolecall_db.acting_as("alice"):
                rolecall_db.execute("SELECT app.add_note('Milk')")
            assert changed == [inserted("app.notes", id=int, author="alice", body="Milk")]

    ``rolecall_changes(database)`` looks at another `Session`, `Scratch` or connection. ``settings=["app.tenant"]``
    names custom settings that no function of the schema mentions. A block whose changes are never compared fails the
    test.
    """
    from rolecall.changes.changes import changes_of

    blocks: list[Changes] = []

    @contextmanager
    def block(on: Any = None, settings: Iterable[str] = ()) -> Iterator[Changes]:
        database: Any = rolecall_db if on is None else on
        with changes_of(getattr(database, "connection", database), settings) as changes:
            yield changes
        blocks.append(changes)

    yield block
    if [each for each in blocks if not each.stated]:
        pytest.fail("the changes of a block are not compared: write `assert changed == […]` after it.", pytrace=False)


@pytest.fixture(scope="session")
def rolecall_world(pytestconfig: pytest.Config) -> World:
    """The :class:`~rolecall.World`: the personas and the named example rows.

    ::

        def test_a_note_has_an_author(rolecall_world):
            assert rolecall_world.row("app.notes", "alice's note")["author"]
    """
    return _process(pytestconfig).world


@pytest.fixture(scope="session")
def rolecall_manifest(pytestconfig: pytest.Config) -> Manifest:
    """The manifest: what the migrations added to the catalog, and the role that ran them.

    ::

        def test_every_view_is_listed(rolecall_manifest):
            assert [view.name for view in rolecall_manifest.of_kind("view")] == ["note_counts"]
    """
    return _process(pytestconfig).get_worker().manifest


@pytest.fixture
def rolecall_grids(request: pytest.FixtureRequest) -> list[Grid]:
    """Every grid in the test modules of the folder of the requesting test.

    A line of ``everyone else`` is a cell for each of its personas.
    """
    from rolecall.grids.grid import Grid

    world = _process(request.config).world
    modules = [
        pytest.Module.from_parent(request.session, path=path).obj
        for path in sorted(request.path.parent.glob("test_*.py"))
    ]
    values = [value for module in modules for value in vars(module).values()]
    return [value.expanded(world) for value in values if isinstance(value, Grid)]


@pytest.fixture
def rolecall_mismatches(pytestconfig: pytest.Config, rolecall_db: Session) -> Callable[[Grid], list[str]]:
    """A function that tries a whole grid on ``rolecall_db``, with the changes that the test has made there.

    It returns the ids of the cells that differ from the grid.
    """
    from rolecall.grids.outcomes import GridOutcomes

    world = _process(pytestconfig).world
    outcomes = GridOutcomes(rolecall_db.connection, world)
    return lambda grid: [cell.id for cell in outcomes.try_grid(grid.expanded(world))]


@pytest.fixture
def rolecall_dependencies(pytestconfig: pytest.Config, rolecall_db: Session) -> Callable[[Grid], list[str]]:
    """A function that tries ``decided_by`` of a grid on ``rolecall_db``, with the changes that the test has made there.

    It returns a text for everything that the access depends on and that the grid does not name. What the grid names
    need not decide.
    """
    from rolecall.grids.decided_by import DECLARED, KINDS
    from rolecall.noninterference import kinds

    connection, world = rolecall_db.connection, _process(pytestconfig).world

    def dependencies(grid: Grid) -> list[str]:
        whole = grid.expanded(world)
        tried = (kinds.check(connection, whole, world, kind) for kind in KINDS if kind != DECLARED)
        return [result.failure for result in tried if result.failure]

    return dependencies


@pytest.fixture
def rolecall_conditions(pytestconfig: pytest.Config) -> Iterator[Conditions]:
    """Checks that the world has a row and a persona for each condition of the SQL: ``Conditions``.

    ::

        def test_every_condition_of_a_policy_decides(rolecall_conditions):
            rolecall_conditions.check("policies")
    """
    from rolecall.catalog.definitions import read
    from rolecall.conditions.report import Conditions

    worker = _process(pytestconfig).get_worker()
    with worker.rolled_back_scratch(migrated=True) as scratch:
        schema = read(scratch.connection, worker.manifest, worker.world, ())
        yield Conditions(scratch.connection, schema, worker.world, worker.recorder.add)


@pytest.fixture
def rolecall_phases(pytestconfig: pytest.Config) -> dict[int, Phase]:
    """The phases of the migrations by number, for tests that read their files."""
    return _process(pytestconfig).get_worker().phases


def _scratch(pytestconfig: pytest.Config) -> Iterator[Callable[..., Scratch]]:
    """A function that creates databases for migration tests. They are dropped when the fixture ends.

    ``rolecall_scratch()`` is at the baseline; ``rolecall_scratch(migrated=True)`` has all phases and the world.

    ::

        def test_phase_1_rolls_back(rolecall_scratch):
            database = rolecall_scratch()
            before = database.dump()
            database.apply(1)
            database.rollback(1)
            assert database.dump() == before
    """
    with ExitStack() as stack:
        worker = _process(pytestconfig).get_worker()
        yield lambda migrated=False: stack.enter_context(worker.scratch(migrated))


rolecall_scratch = pytest.fixture(_scratch, name="rolecall_scratch")
rolecall_module_scratch = pytest.fixture(_scratch, name="rolecall_module_scratch", scope="module")


@pytest.fixture
def rolecall_rolled_back_scratch(pytestconfig: pytest.Config) -> Iterator[Callable[..., Scratch]]:
    """Like ``rolecall_scratch``, but on a reused database, in a transaction that is rolled back after the test.

    It is about ten times as fast. Do not use it if a second connection must see the changes of the test.
    """
    with ExitStack() as stack:
        worker = _process(pytestconfig).get_worker()
        yield lambda migrated=False: stack.enter_context(worker.rolled_back_scratch(migrated))
