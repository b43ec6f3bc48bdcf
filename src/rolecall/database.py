"""Databases: baseline and migrations built once into templates, and a clone for each worker.

All of them are named ``rolecall_<run>_…``; nothing else on the server is touched.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_postgresql.janitor import DatabaseJanitor

from rolecall import catalog, migrations, sqlfile
from rolecall.errors import RolecallError, SqlError, UnavailableError
from rolecall.server import Server, embedded
from rolecall.session import Witness
from rolecall.settings import Settings
from rolecall.world import World

MARK = "made by rolecall for its databases; dropped when the last of them is"
PATIENCE = 5.0  # seconds a worker waits for the templates: no test is handed to it before they stand


class Janitor(DatabaseJanitor):
    """pytest-postgresql's janitor, connecting with the whole conninfo (TLS and all), not a part of it.

    With ``copy_files`` a template is copied file by file: half the time, but for two checkpoints of the whole
    server, which costs nothing where nothing has to reach a disk, and much on a server that others use.
    """

    def __init__(self, conninfo: str, dbname: str, template: str | None = None, *, copy_files: bool = False) -> None:
        self.conninfo, self.copy_files = conninfo, copy_files
        given = conninfo_to_dict(conninfo)
        super().__init__(
            user=str(given.get("user", "")),
            host=str(given.get("host", "")),
            port=str(given.get("port", "")),
            dbname=dbname,
            template_dbname=template,
            maintenance_dbname=str(given.get("dbname", "postgres")),
        )

    def _build_create_database_sql(self) -> sql.Composed:
        query = super()._build_create_database_sql()
        return query + sql.SQL(" STRATEGY file_copy") if self.copy_files else query

    @contextmanager
    def cursor(self, dbname: str | None = None) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor of the maintenance database (or another), outside of a transaction."""
        conninfo = make_conninfo(self.conninfo, **({"dbname": dbname} if dbname else {}))
        with psycopg.connect(conninfo, autocommit=True) as connection, connection.cursor() as cursor:
            yield cursor


@dataclass(frozen=True)
class Run:
    """The server of this run and the names of its databases: all that a worker has to be told."""

    conninfo: str
    name: str
    server: str
    bin: str | None
    ours: bool  # started by rolecall, and used by nobody else

    @property
    def baseline(self) -> str:
        return self.name + "_baseline"

    @property
    def template(self) -> str:
        return self.name + "_migrated"

    def connect(self, database: str) -> Connection[Any]:
        """A connection as the superuser, outside of a transaction."""
        return psycopg.connect(make_conninfo(self.conninfo, dbname=database), autocommit=True)

    @contextmanager
    def clone(self, template: str, suffix: str) -> Iterator[str]:
        """A database made from a template for the block; gives its name."""
        with self.janitor(f"{self.name}_{suffix}", template) as janitor:
            yield janitor.dbname

    def janitor(self, database: str, template: str | None = None) -> Janitor:
        """Who makes a database and drops it again."""
        return Janitor(self.conninfo, database, template, copy_files=self.ours)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run_on(server: Server) -> Run:
    """Names for the databases of one run on a server."""
    name, binaries = f"rolecall_{secrets.token_hex(4)}", str(server.bin or "") or None
    return Run(server.conninfo, name, str(server), binaries, server.cluster is not None)


@dataclass(frozen=True)
class Built:
    """What stands in the templates: the migration role, and what the migrations added to the catalog."""

    role: str | None
    added: list[catalog.Object]
    tables: list[str]  # every table that the migrations made, or put a policy on
    phases: list[str]  # names of the folders, in order

    @classmethod
    def of(cls, text: str) -> Built:
        data = json.loads(text)
        return cls(data["role"], [catalog.Object(*item) for item in data["added"]], data["tables"], data["phases"])

    def of_kind(self, *kinds: str) -> list[catalog.Object]:
        """The added objects of these kinds."""
        return [item for item in self.added if item.kind in kinds]


def build(run: Run, settings: Settings, world: World) -> Built:
    """Make the two templates: the baseline, and with the migrations and the world on top of it.

    Raises RolecallError or SqlError for the first thing that fails, before any test has run.
    """
    role = migration_role(run, settings.migration_roles)
    phases = migrations.read(settings.migrations) if settings.migrations else ()
    run.janitor(run.baseline).init()
    with run.connect(run.baseline) as connection:
        _lay_baseline(connection, settings, role)
        before = catalog.objects(connection)
    run.janitor(run.template, run.baseline).init()
    with run.connect(run.template) as connection:
        for phase in phases:
            phase.apply(connection, role)
        after = catalog.objects(connection)
        with connection.transaction():
            _load_world(connection, world)
        connection.execute("ANALYZE")
    new = catalog.added(before, after)
    tables = {item.owner for item in new if item.kind == "policy"}
    tables |= {item.full_name for item in new if item.kind == "table"}
    built = Built(role, new, sorted(tables), [phase.rollback.parent.name for phase in phases])
    _announce(run, built)
    return built


def _lay_baseline(connection: Connection[Any], settings: Settings, role: str | None) -> None:
    roles = set(_roles(connection))
    for name, value in (("rolecall.grants", settings.grants), ("rolecall.migration_role", role or "")):
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    if settings.platform:
        sqlfile.run(connection, settings.platform)
        _mark_roles(connection, set(_roles(connection)) - roles)
    if settings.baseline:
        sqlfile.run(connection, settings.baseline, role=role)
    if settings.requires:
        try:
            sqlfile.run(connection, settings.requires, role=role)
        except SqlError as error:
            message = error.__cause__.diag.message_primary if isinstance(error.__cause__, psycopg.Error) else error
            raise RolecallError(f"{settings.baseline} is not a baseline for these migrations: {message}") from None


def _load_world(connection: Connection[Any], world: World) -> None:
    try:
        world.load(connection)
    except psycopg.Error as error:
        raise RolecallError(f"the world cannot be loaded: {error}") from error


def _announce(run: Run, built: Built) -> None:
    """Let the workers know: the template is one from now on, and says what it holds."""
    said = json.dumps(asdict(built))
    name = sql.Identifier(run.template)
    with run.janitor(run.template).cursor() as cursor:
        cursor.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(said)))
        cursor.execute(sql.SQL("ALTER DATABASE {} WITH is_template true").format(name))


def built(run: Run) -> Built:
    """What stands in the templates, once they do. Raises UnavailableError if they do not come."""
    deadline = time.monotonic() + PATIENCE
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s AND datistemplate"
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), run.janitor(run.template).cursor() as cursor:
            for _ in range(100):
                found = cursor.execute(query, [run.template]).fetchone()
                if found:
                    return Built.of(found[0])
                time.sleep(0.02)
        time.sleep(0.02)
    raise UnavailableError(f"the databases were not there in {PATIENCE:.0f} s: look at what the first process said.")


def migration_role(run: Run, candidates: tuple[str, ...]) -> str | None:
    """The first candidate that is no superuser on this server; it need not exist yet."""
    with run.janitor("").cursor() as cursor:
        found = cursor.execute("SELECT rolname FROM pg_roles WHERE rolsuper AND rolname = ANY (%s)", [list(candidates)])
        superusers = {name for (name,) in found}
    able = [name for name in candidates if name not in superusers]
    if candidates and not able:
        raise RolecallError(
            f"every role of rolecall_migration_role ({', '.join(candidates)}) is a superuser here, and what "
            "a superuser may do proves nothing for the role that migrates in production. Add a name to it."
        )
    return able[0] if able else None


def _roles(connection: Connection[Any]) -> list[str]:
    return [name for (name,) in connection.execute("SELECT rolname FROM pg_roles")]


def _mark_roles(connection: Connection[Any], made: set[str]) -> None:
    for name in made:
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(name), sql.Literal(MARK)))


# ------------------------------------------------------------------ leaving nothing behind


@contextmanager
def keeping(run: Run) -> Iterator[None]:
    """Own the run's databases on a server that others use: drop them at the end, and what a killed
    run left before. A run lives as long as its session with its name in ``application_name``."""
    with psycopg.connect(run.conninfo, autocommit=True, application_name=run.name) as connection:
        _sweep(connection, run.conninfo)
        try:
            yield
        finally:
            _drop(connection, run.conninfo, run.name)


def _sweep(connection: Connection[Any], conninfo: str) -> None:
    left = connection.execute(
        """
        SELECT DISTINCT substring(datname from '^rolecall_[0-9a-f]{8}') FROM pg_database
        WHERE datname ~ '^rolecall_[0-9a-f]{8}_' AND pg_get_userbyid(datdba) = current_user
          AND substring(datname from '^rolecall_[0-9a-f]{8}') NOT IN (SELECT application_name FROM pg_stat_activity)
        """
    ).fetchall()
    for (name,) in left:
        _drop(connection, conninfo, name)


def _drop(connection: Connection[Any], conninfo: str, name: str) -> None:
    ours = "SELECT datname, datistemplate FROM pg_database WHERE starts_with(datname, %s)"
    for database, is_template in connection.execute(ours, [name + "_"]).fetchall():
        if is_template:
            connection.execute(sql.SQL("ALTER DATABASE {} WITH is_template false").format(sql.Identifier(database)))
        Janitor(conninfo, database).drop()
    if not connection.execute(OTHERS, [name]).fetchall():
        _drop_roles(connection)


# Other runs that are alive: they may be about to use the roles.
OTHERS = """
SELECT application_name FROM pg_stat_activity
WHERE application_name ~ '^rolecall_[0-9a-f]{8}$' AND application_name <> %s AND pid <> pg_backend_pid()
"""


def _drop_roles(connection: Connection[Any]) -> None:
    made = "SELECT rolname FROM pg_roles WHERE shobj_description(oid, 'pg_authid') = %s"
    for (role,) in connection.execute(made, [MARK]).fetchall():
        with suppress(psycopg.errors.DependentObjectsStillExist):  # somebody else uses it by now
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


# ------------------------------------------------------------------ databases for migration tests


class Scratch:
    """A database in which migrations are applied, verified and rolled back for real, through ``connection``."""

    def __init__(
        self,
        run: Run,
        name: str,
        connection: Connection[Any],
        phases: Mapping[int, migrations.Phase],
        role: str | None,
        witness: Witness,
    ) -> None:
        self.run, self.name, self.connection = run, name, connection
        self.phases, self.role, self._witness = phases, role, witness

    def apply(self, *numbers: int) -> None:
        """Apply the phases of these numbers (none: all), in the order given."""
        for number in numbers or self.phases:
            for step in self.phases[number].steps:
                self.execute(step.path)

    def execute(self, path: Path) -> None:
        """Run a file as the migration role. Raises SqlError."""
        sqlfile.run(self.connection, path, role=self.role)
        self._witness.add("script", f"{path.parent.name}/{path.name}")

    def verify(self, number: int) -> None:
        """Run a phase's verify.sql. Raises SqlError where something is missing or different."""
        self.execute(self.phases[number].verify)

    def rollback(self, number: int) -> None:
        """Run a phase's rollback.sql. Raises SqlError where it stops."""
        script = self.phases[number].rollback
        self.execute(script)
        self._witness.add("rolled back", script.parent.name)

    def dump(self) -> str:
        """The schema as pg_dump writes it: ACLs, policies, bodies, defaults and comments included."""
        program = self._pg_dump()
        conninfo = make_conninfo(self.run.conninfo, dbname=self.name)
        done = subprocess.run(
            [program, "--schema-only", "--restrict-key=rolecall", "--lock-wait-timeout=10s", "--dbname", conninfo],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RolecallError(f"{program} failed: {done.stderr.strip()}")
        return done.stdout

    def _pg_dump(self) -> Path:
        """The server's own, which knows what its vendor added; else the newest, which can dump them all.

        Before August 2025 it has no ``--restrict-key``, and its dumps differ by a random one.
        """
        own = Path(self.run.bin or "") / "pg_dump"
        if (
            own.is_file()
            and b"--restrict-key" in subprocess.run([own, "--help"], capture_output=True, check=True).stdout
        ):
            return own
        return embedded(18) / "pg_dump"
