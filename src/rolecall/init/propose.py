"""Proposes a project's tests: builds the database, makes personas and rows, and tries the grids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from psycopg import Connection

from rolecall import platforms
from rolecall.access import loading
from rolecall.access.custom_settings import custom_settings, initialize
from rolecall.access.persona import anonymous_roles
from rolecall.access.world import World
from rolecall.catalog.manifest import Manifest
from rolecall.database import scripts
from rolecall.database.run import Run
from rolecall.database.templates import manifest_of
from rolecall.drift import expected
from rolecall.dump.rules import PLATFORM_SCHEMAS
from rolecall.errors import RolecallError, SqlError
from rolecall.grids.probe import prepare
from rolecall.init import reader, roles, shape
from rolecall.init.cast import Actor, Cast, persona_of
from rolecall.init.keys import number_rows
from rolecall.init.observe import Leak, Observed, Observer
from rolecall.init.proposed_row import ProposedRow
from rolecall.init.roles import NoClientError
from rolecall.init.rows import Rows
from rolecall.init.shape import Shape
from rolecall.server.choose import Server
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.sql.phases import Script, Transaction

USERS = "auth.users"
GRANTED = "granted"
GRANTING = (platforms.NAMES["supabase"], platforms.NAMES["neon"])  # these may grant every new table to clients
NO_DATABASE = "3D000"  # SQLSTATE of "database … does not exist"
OTHER_DATABASE = """

The databases of the tests have other names. Write the statement for the database in which it runs:
    DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO my_role', current_database()); END $$;"""
SEQUENCES = """
SELECT format('SELECT setval(%L, %s, %L)', format('%I.%I', schemaname, sequencename),
              COALESCE(last_value, start_value), last_value IS NOT NULL)
FROM pg_sequences WHERE schemaname !~ '^pg_'
"""

# The grids are those of whole tables.
PARTITION = "TODO: a partition with policies of its own: who may use it, past its table?"


@dataclass
class Proposal:
    """What was found and tried.

    ``without_grid`` has the tables without a grid, with the reasons. ``open`` are the tables and views that clients may
    use without row-level security. ``unsure`` are the policies that did not both admit and refuse a row.
    """

    actors: Sequence[Actor]
    rows: Mapping[str, Sequence[ProposedRow]]
    aliases: Mapping[str, tuple[ProposedRow, str]]
    grids: list[Observed] = field(default_factory=list)
    without_grid: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    policies: int = 0
    unsure: list[tuple[str, str]] = field(default_factory=list)
    default_privileges: str = ""
    seed: str = ""  # SQL that runs before the world is loaded
    roles: str = ""  # SQL that makes roles before the migrations


def propose(server: Server, settings: Settings) -> Proposal:
    """Build the database of the settings, and propose its tests. Roles that the migrations do not make are made first.

    Raises RolecallError if there is nothing to test, and SqlError if a file fails.
    """
    script = ""
    unused: NoClientError | None = None
    while True:
        try:
            with roles.before(settings, script) as used:
                proposal = _built(server, used)
        except (SqlError, NoClientError) as error:
            if unused and isinstance(error, SqlError) and error.sqlstate == roles.EXISTS:
                raise unused from None  # the migrations make the role themselves
            unused = error if isinstance(error, NoClientError) else unused
            more = "" if settings.baseline else roles.missing(server, settings, error)
            if isinstance(error, SqlError) and error.sqlstate == NO_DATABASE:
                raise RolecallError(f"{error}{OTHER_DATABASE}") from None
            if not more or more in script:
                raise
            script += more
        else:
            proposal.roles = script
            return proposal


def _built(server: Server, settings: Settings) -> Proposal:
    with expected.database(server, settings) as (run, connection, role):
        found = shape.read(connection)
        if settings.platform not in GRANTING or not _needs_grants(connection, found):
            return _propose(_Build(run, connection, role), found)
    # An older project: its migrations grant nothing, or little, because the platform grants every new table.
    with expected.database(server, replace(settings, default_privileges=GRANTED)) as (run, connection, role):
        proposal = _propose(_Build(run, connection, role), shape.read(connection))
        proposal.default_privileges = GRANTED
        return proposal


def _needs_grants(connection: Connection[Any], found: Shape) -> bool:
    """Whether no client may use any table, or a table that has a policy."""
    own = _own(found)
    with_policy = {policy.table for policy in found.policies} & set(own)
    return not shape.roles(connection, own) or not all(shape.roles(connection, [name]) for name in with_policy)


def _own(found: Shape) -> list[str]:
    return [name for name in found.tables if name.partition(".")[0] not in PLATFORM_SCHEMAS]


def tested(connection: Connection[Any], found: Shape) -> list[str]:
    """The tables that need a grid: those with row-level security or a policy, and those that clients may use."""
    own = set(_own(found))
    with_policy = {policy.table for policy in found.policies}
    used = {name for name in own if shape.roles(connection, [name])}
    return [
        name
        for name, table in found.tables.items()
        if name in with_policy or (name in own and (table.is_protected or name in used))
    ]


class _Build(NamedTuple):
    """The database that was built, and the role that ran the migrations."""

    run: Run
    connection: ServerConnection
    role: str | None

    def run_seed(self, text: str) -> None:
        """Run a seed as a run does. Raises SqlError."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "seed.sql"
            path.write_text(text, encoding="utf-8")
            scripts.run_script(self.run, self.connection, Script(path, transaction=Transaction.OWN), self.role)


def _propose(built: _Build, found: Shape) -> Proposal:
    connection = built.connection
    tables = tested(connection, found)
    if not tables:
        raise RolecallError(
            "no table has row-level security, and no role but the owner may use one: there is nothing to test yet.\n"
            "A table needs ENABLE ROW LEVEL SECURITY, or a GRANT to the role of your application."
        )
    clients = shape.roles(connection, tables)
    if not clients:
        raise NoClientError(
            "no role but the owner may use a table with row-level security: there is no access to try.\n"
            "GRANT the tables to the role of your application.",
            dict.fromkeys(role for policy in found.policies for role in policy.roles if role != "public"),
        )
    asked = reader.read(found)
    cast = Cast(found, asked, clients, USERS if USERS in found.tables else None)
    rows = Rows(connection, found, asked, cast)
    sequences = [text for (text,) in connection.execute(SEQUENCES)]
    with connection.transaction(force_rollback=True):
        rows.propose(tables)
    for name, of_table in rows.rows.items():
        number_rows(found.tables[name], of_table)
    for statement in sequences:  # the rows get the numbers that they get in the tests
        connection.execute(statement)
    seed = "".join(f"{statement};\n" for statement in rows.existing_rows.seed)
    if seed:
        built.run_seed(seed)
    world = _world(cast.actors, rows.rows)
    reasons = dict(rows.failed) | _load(connection, world, rows.rows)
    personas = [each for each in cast.actors if each.is_persona]
    observer = Observer(connection, found, asked, cast, world, rows.rows)
    proposal = Proposal(personas, rows.rows, observer.aliases, policies=len(found.policies))
    proposal.seed = seed
    for name in tables:
        _observe(proposal, observer, name, reasons)
    _add_unprotected(proposal, manifest_of(built.run))
    proposal.unsure = list(observer.undecided_policies())
    return proposal


def _observe(proposal: Proposal, observer: Observer, name: str, reasons: Mapping[str, str]) -> None:
    """Add the grid of a table, or the reason why it has none."""
    try:
        if not observer.rows.get(name):
            raise RolecallError(f"no row could be made: {reasons.get(name, 'a table that it refers to has no row')}")
        observed = observer.observe(name)
    except RolecallError as error:
        proposal.without_grid[name] = f"TODO: {error}"
        return
    proposal.grids.append(observed)
    proposal.leaks += observer.leaks(observed)


def _add_unprotected(proposal: Proposal, manifest: Manifest) -> None:
    """Note what clients may use though row-level security does not protect it. A view has no grid yet."""
    roles = {actor.role for actor in proposal.actors}
    found, anonymous = manifest.unprotected, anonymous_roles(map(persona_of, proposal.actors))
    callable_ = [name for name, users in found.functions.items() if anonymous & set(users)]
    open_functions = list(dict.fromkeys(map(manifest.without_arguments, callable_)))
    for name in open_functions:
        proposal.without_grid[name] = "TODO: SECURITY DEFINER, and callable without signing in: what may it do?"
    proposal.open = [name for name, users in found.relations.items() if roles & set(users)] + open_functions
    tried = {each.table for each in proposal.grids}
    for name in proposal.open:
        if name not in tried:
            proposal.without_grid.setdefault(name, "TODO: row-level security does not protect it: who may read it?")
    for name in manifest.protected:
        if name not in tried:
            proposal.without_grid.setdefault(name, PARTITION)
    needed = {*manifest.protected, *proposal.open}
    proposal.without_grid = {name: why for name, why in proposal.without_grid.items() if name in needed}


def _world(actors: Sequence[Actor], rows: Mapping[str, Sequence[ProposedRow]]) -> World:
    world = World()
    world.personas |= {each.name: persona_of(each) for each in actors if each.is_persona}
    for proposed in _all(rows):
        if proposed.maker:
            world.add_as(proposed.maker, proposed.table, proposed.name, **proposed.columns)
        else:
            (world.existing if proposed.exists else world.add)(proposed.table, proposed.name, **proposed.columns)
    return world


def _all(rows: Mapping[str, Sequence[ProposedRow]]) -> Iterator[ProposedRow]:
    return (proposed for table in rows.values() for proposed in table)


def _load(connection: Any, world: World, rows: dict[str, list[ProposedRow]]) -> dict[str, str]:
    """Load the world as a run does, and prepare the connection. Rows that cannot be loaded are taken out.

    Returns the reasons by table.
    """
    missing = loading.load(connection, world)
    for table, name in missing:
        rows[table] = [proposed for proposed in rows[table] if proposed.name != name]
        del world.rows[table][name]
    for table in [name for name, proposed in rows.items() if not proposed]:
        del rows[table], world.rows[table]
    connection.execute("SET plan_cache_mode = force_custom_plan")
    initialize(connection, {*custom_settings(connection), *world.settings})
    prepare(connection)
    return {table: reason for (table, _), reason in missing.items()}
