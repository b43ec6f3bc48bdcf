"""The databases of the league: the migrated schema on a throwaway server, and a clone with one change for each tool."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.enorae import Project
from league.cases import Case
from league.programs import installed, run
from rolecall.errors import SqlError
from rolecall.server import choose
from rolecall.sql import files

# The schemas of the migrations. storage belongs to Supabase, but the policies of its objects are ours.
SCHEMAS = ("audit", "catalog", "communication", "engagement", "identity", "organization", "scheduling", "storage")
PGTAP = "@electric-sql/pglite-pgtap/dist/pgtap.tar.gz"


@dataclass(frozen=True)
class Database:
    """A database, as the tools connect to it: on a socket, as the superuser of the throwaway server.

    ``concerns`` are the objects that a tool should look at first. It finds the same, and sooner.
    """

    name: str
    host: str
    user: str
    concerns: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The connection string of libpq."""
        return f"postgresql://{self.user}@/{self.name}?host={self.host}"

    @property
    def encoded_url(self) -> str:
        """The connection string of programs that take the socket's folder for the host."""
        return f"postgresql://{self.user}@{quote(self.host, safe='')}/{self.name}"


class Lab:
    """Clones of the migrated database, with or without pgTAP."""

    def __init__(self, project: Project) -> None:
        self.project, self.run = project, project.run
        self.role = project.worker.manifest.role
        self.binaries = choose.binaries_of(project.settings)
        self._number = itertools.count(1)
        self._with_pgtap = self.run.name + "_pgtap"
        self.run.create(self._with_pgtap, self.run.template)
        with TemporaryDirectory() as folder:
            run(["tar", "-xzf", installed(PGTAP), "-C", folder], expected=[0])
            script = next(Path(folder).rglob("pgtap.sql"))
            self.psql(self._database(self._with_pgtap), "-f", script)
            control = script.with_name("pgtap.control").read_text(encoding="utf-8")
        self.pgtap_version = control.partition("default_version = '")[2].partition("'")[0]

    def _database(self, name: str, concerns: tuple[str, ...] = ()) -> Database:
        server = conninfo_to_dict(self.run.conninfo)
        return Database(name, str(server["host"]), str(server["user"]), concerns)

    @contextmanager
    def clone(self, case: Case | None = None, *, pgtap: bool = False) -> Iterator[Database]:
        """A clone of the migrated database for the block, changed by the case."""
        template = self._with_pgtap if pgtap else self.run.template
        with self.run.clone(template, f"case_{next(self._number)}") as name:
            with self.run.connect(name) as connection:
                # Which schemas the API serves. On Supabase, this setting is there; its linter reads it.
                setting = sql.SQL('ALTER DATABASE {} SET "pgrst.db_schemas" = {}')
                connection.execute(setting.format(sql.Identifier(name), sql.Literal(", ".join(SCHEMAS))))
                if case:
                    self.apply(connection, case)
            yield self._database(name, case.concerns if case else ())

    def apply(self, connection: Connection[Any], case: Case) -> None:
        """Run the SQL of a case as the migration role. Raises SqlError."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "case.sql"
            path.write_text(case.sql, encoding="utf-8")
            files.run(connection, path, role=self.role)

    def problem(self, case: Case) -> str | None:
        """Why the SQL of a case cannot run; None if it can."""
        connection = self.project.connection
        with connection.transaction(force_rollback=True):
            try:
                self.apply(connection, case)
            except SqlError as error:
                return str(error)
        return None

    def psql(self, database: Database, *arguments: str | Path) -> str:
        """What psql prints, and then the errors. It stops at the first error."""
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database.url]
        done = run([self.binaries / "psql", *options, *arguments], expected=[0, 3])
        return done.stdout + done.stderr
