"""Databases: baseline and migrations built once into templates, and a clone for each worker.

All of them are named ``rolecall_<run>_…`` and carry the run's mark; nothing else on the server is touched.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from pytest_postgresql.janitor import DatabaseJanitor

from rolecall import catalog, cleanup, marks, migrations, sqlfile
from rolecall.connection import Identity, OtherServerError, ServerConnection, connect, run_program
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError, SqlError, UnavailableError
from rolecall.server import Server, embedded
from rolecall.session import Witness
from rolecall.settings import Settings
from rolecall.world import World

PATIENCE = 5.0  # seconds a worker waits for the templates: no test is handed to it before they stand


class Janitor(DatabaseJanitor):
    """pytest-postgresql's janitor, whose connections are a run's own, and whose databases carry the run's mark."""

    def __init__(self, run: Run, dbname: str, template: str | None = None) -> None:
        self.run, self._oid = run, 0
        super().__init__(user="", host="", port="", dbname=dbname, template_dbname=template)

    def init(self) -> None:
        """Make the database. It has its mark from the same statement on: see :mod:`rolecall.marks`."""
        if not self.run.token:
            super().init()
            return
        for oid in marks.database_oids(self.run.token, self.dbname):
            self._oid = oid
            with suppress(psycopg.errors.InvalidParameterValue):  # the oid is taken
                super().init()
                self.comment()
                return
        raise RolecallError(f"the database {self.dbname} could not be made: all oids for it are taken.")

    def comment(self, **more: Any) -> None:
        """Say what the database is, and what else there is to tell of it."""
        text = sql.Literal(marks.database_comment(self.run.token, **more))
        with self.cursor() as cursor:
            cursor.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(self.dbname), text))

    def _build_create_database_sql(self) -> sql.Composed:
        query = super()._build_create_database_sql()
        if self._oid:
            query += sql.SQL(" OID {}").format(sql.Literal(self._oid))
        # File by file it takes half the time, but for two checkpoints of the whole server, which cost nothing
        # where nothing has to reach a disk, and much on a server that others use.
        return query + sql.SQL(" STRATEGY file_copy") if self.run.ours else query

    @contextmanager
    def cursor(self, dbname: str | None = None) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor of the database that the DSN names (or another), outside of a transaction."""
        with closing(self.run.maintain(dbname)) as connection, connection.cursor() as cursor:
            yield cursor


@dataclass(frozen=True)
class Run:
    """The server of this run and the names of its databases: all that a worker has to be told.

    ``token`` marks what it makes on a server that others use; empty on one that is thrown away.
    """

    conninfo: Conninfo
    name: str
    server: str
    bin: str | None
    ours: bool  # started by rolecall, and used by nobody else
    token: str = ""
    identity: Identity = field(default_factory=Identity)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conninfo", Conninfo(self.conninfo))

    @property
    def baseline(self) -> str:
        return self.name + "_baseline"

    @property
    def template(self) -> str:
        return self.name + "_migrated"

    def connect(self, database: str) -> ServerConnection:
        """A connection to one of the run's databases as the superuser, outside of a transaction."""
        return self._connect(database, own=True)

    def maintain(self, database: str | None = None) -> ServerConnection:
        """A connection to the database that the DSN names, or to another."""
        return self._connect(database or self.conninfo.params.get("dbname"), own=False)

    def _connect(self, database: str | None, *, own: bool) -> ServerConnection:
        return connect(self.conninfo, own=own, identity=self.identity, application_name=self.name, dbname=database)

    @contextmanager
    def clone(self, template: str, suffix: str) -> Iterator[str]:
        """A database made from a template for the block; gives its name."""
        janitor = self.janitor(f"{self.name}_{suffix}", template)
        janitor.init()
        try:
            yield janitor.dbname
        finally:
            # Where that is not possible, the end of the run tries again, and says what it could not do.
            with suppress(psycopg.OperationalError, OtherServerError):
                janitor.drop()

    def janitor(self, database: str, template: str | None = None) -> Janitor:
        """Who makes a database and drops it again."""
        return Janitor(self, database, template)

    def marking(self, connection: ServerConnection) -> AbstractContextManager[None]:
        """A transaction in which the roles that the block makes are marked; none where marks are not needed."""
        if not self.token:
            return nullcontext()
        return marks.marking(connection, lambda: closing(self.maintain()), self.token, connection.identity.system)

    def as_json(self) -> dict[str, Any]:
        """For another process, which has the settings too: the password is not in it."""
        return {**asdict(self), "conninfo": self.conninfo.bare}

    @classmethod
    def of(cls, data: Mapping[str, Any], settings: Settings) -> Run:
        """The run that :meth:`as_json` describes; the password is the one of this process's settings."""
        secrets = settings.pg_dsn.secrets if settings.pg_dsn else {}
        conninfo = Conninfo(data["conninfo"]).to(**secrets)
        return cls(**{**data, "conninfo": conninfo, "identity": Identity(**data["identity"])})


def run_on(server: Server) -> Run:
    """Names for the databases of one run on a server."""
    return Run(
        Conninfo(server.conninfo),
        f"rolecall_{secrets.token_hex(4)}",
        str(server),
        str(server.bin or "") or None,
        ours=server.cluster is not None,
        token=secrets.token_hex(16),
        identity=server.identity,
    )


@dataclass(frozen=True)
class Built:
    """What stands in the templates: the migration role, and what the migrations added to the catalog."""

    role: str | None
    added: list[catalog.Object]
    tables: list[str]  # every table that the migrations made, or put a policy on
    phases: list[str]  # names of the folders, in order
    notes: list[str]  # on the migrations' files, for whoever reads the summary

    @classmethod
    def of(cls, text: str) -> Built:
        data = json.loads(text)["built"]
        added = [catalog.Object(*item) for item in data["added"]]
        return cls(data["role"], added, data["tables"], data["phases"], data["notes"])

    def of_kind(self, *kinds: str) -> list[catalog.Object]:
        """The added objects of these kinds."""
        return [item for item in self.added if item.kind in kinds]


def build(run: Run, settings: Settings) -> Built:
    """Make the two databases that become templates: the baseline, and with the migrations on top of it.

    Raises RolecallError or SqlError for the first thing that fails, before any test has run.
    """
    role = migration_role(run, settings.migration_roles)
    phases = migrations.read(settings.migrations) if settings.migrations else ()
    run.janitor(run.baseline).init()
    with run.connect(run.baseline) as connection:
        _lay_baseline(run, connection, settings, role)
        before = catalog.objects(connection)
    run.janitor(run.template, run.baseline).init()
    with run.connect(run.template) as connection:
        for step in (step for phase in phases for step in phase.steps):
            run_file(run, connection, step.path, role)
        after = catalog.objects(connection)
    new = catalog.added(before, after)
    tables = {item.owner for item in new if item.kind == "policy"}
    tables |= {item.full_name for item in new if item.kind == "table"}
    notes = [note for phase in phases for note in phase.staying()]
    built = Built(role, new, sorted(tables), [phase.rollback.parent.name for phase in phases], notes)
    run.janitor(run.template).comment(built=asdict(built))
    return built


def load(run: Run, world: World) -> None:
    """Put the world into the migrated database, and let the workers know that it is a template from now on.

    Each run does so: rows with ``DEFAULT now()`` would age in a database that is kept.
    Raises RolecallError where a row cannot be loaded.
    """
    with run.connect(run.template) as connection:
        try:
            with connection.transaction():
                world.load(connection)
        except psycopg.Error as error:
            raise RolecallError(f"the world cannot be loaded: {error}") from error
        connection.execute("ANALYZE")
    with run.janitor(run.template).cursor() as cursor:
        cursor.execute(sql.SQL("ALTER DATABASE {} WITH is_template true").format(sql.Identifier(run.template)))


# A file without any of these words makes no role.
ABOUT_ROLES = re.compile(r"\b(role|user|group)\b", re.IGNORECASE)


def run_file(run: Run, connection: ServerConnection, path: Path, role: str | None = None) -> None:
    """Run an SQL file; the roles that it makes are marked in the same transaction. Raises SqlError."""
    about_roles = ABOUT_ROLES.search(sqlfile.read(path))
    with run.marking(connection) if about_roles else nullcontext():
        sqlfile.run(connection, path, role=role)


def _lay_baseline(run: Run, connection: ServerConnection, settings: Settings, role: str | None) -> None:
    for name, value in (("rolecall.grants", settings.grants), ("rolecall.migration_role", role or "")):
        connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    if settings.platform:
        run_file(run, connection, settings.platform)
    if settings.baseline:
        run_file(run, connection, settings.baseline, role)
    if settings.requires:
        try:
            run_file(run, connection, settings.requires, role)
        except SqlError as error:
            message = error.__cause__.diag.message_primary if isinstance(error.__cause__, psycopg.Error) else error
            raise RolecallError(f"{settings.baseline} is not a baseline for these migrations: {message}") from None


def description(run: Run) -> Built:
    """What the migrated database says it holds. Raises RolecallError if it is not there."""
    query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with run.janitor(run.template).cursor() as cursor:
        found = cursor.execute(query, [run.template]).fetchone()
    if not found or not found[0]:
        raise RolecallError(f"there is no database {run.template} with a description.")
    return Built.of(found[0])


def built(run: Run) -> Built:
    """What stands in the templates, once both do and have the world. Raises UnavailableError if they do not come."""
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


@contextmanager
def keeping(run: Run) -> Iterator[None]:
    """Own the run's databases and roles on a server that others use: see :func:`rolecall.cleanup.keeping`."""
    with cleanup.keeping(run.maintain, run.name, run.token):
        yield


# ------------------------------------------------------------------ databases for migration tests


class Scratch:
    """A database in which migrations are applied, verified and rolled back for real, through ``connection``."""

    def __init__(
        self,
        run: Run,
        name: str,
        connection: ServerConnection,
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
        run_file(self.run, self.connection, path, self.role)
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
        arguments = ["--schema-only", "--restrict-key=rolecall", "--lock-wait-timeout=10s"]
        done = run_program(program, arguments, self.run.conninfo.to(dbname=self.name))
        if done.returncode:
            raise RolecallError(f"{program} failed: {self.run.conninfo.scrub(done.stderr.strip())}")
        return done.stdout

    def _pg_dump(self) -> Path:
        """The server's own, which knows what its vendor added; else the newest, which can dump them all.

        Before August 2025 it has no ``--restrict-key``, and its dumps differ by a random one.
        """
        if self.run.bin:
            own = Path(self.run.bin) / "pg_dump"
            known = own.is_file() and subprocess.run([own, "--help"], capture_output=True, check=True).stdout
            if known and b"--restrict-key" in known:
                return own
        return embedded(18) / "pg_dump"
