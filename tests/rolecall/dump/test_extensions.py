"""A migration creates and drops extensions as on Supabase, whose migration role is no superuser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from rolecall.dump.extensions import Extensions, for_migrations
from rolecall.errors import SqlError
from rolecall.sql import files
from tests.rolecall.dump.texts import ROLE

Run = Callable[[str], None]


@pytest.fixture
def run(connection: Connection[Any]) -> Run:
    """A function that runs a text as a migration."""

    def run(text: str) -> None:
        path = Path("step.sql")
        path.write_text(text)
        files.run(connection, path, role=ROLE, privileged=for_migrations(connection, ROLE))

    return run


def installed(connection: Connection[Any]) -> set[str]:
    """The extensions of the database, without plpgsql."""
    return {name for (name,) in connection.execute("SELECT extname FROM pg_extension")} - {"plpgsql"}


def untrusted(connection: Connection[Any]) -> str:
    """An extension of the server that only a superuser may install."""
    names = ["pg_stat_statements", "vector"]
    query = "SELECT name FROM pg_available_extensions WHERE name = ANY (%s)"
    row = connection.execute(query, [names]).fetchone()
    if not row:
        pytest.skip("this server has no such extension")
    return str(row[0])


def test_an_extension_that_only_a_superuser_may_create_is_created_and_dropped(
    run: Run, connection: Connection[Any]
) -> None:
    name = untrusted(connection)
    run(f"CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA extensions;\nCREATE TABLE public.t (id int);")
    assert installed(connection) == {name}
    query = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'"
    assert connection.execute(query).fetchone() == (ROLE,)
    run(f"CREATE EXTENSION IF NOT EXISTS {name};")
    run(f"DROP EXTENSION {name};")
    assert installed(connection) == set()


def test_an_extension_that_the_server_lacks_gets_its_stand_in(run: Run, connection: Connection[Any]) -> None:
    run("CREATE EXTENSION IF NOT EXISTS \"pg_net\";\nSELECT net.http_get('https://a.example');")
    assert connection.execute("SELECT method FROM net.http_request_queue").fetchall() == [("GET",)]


def test_an_extension_that_cannot_be_installed_gets_its_stand_in(
    run: Run, connection: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As uuid-ossp without libuuid, or pg_cron on a server that was not started with it."""
    monkeypatch.setattr(Extensions, "_is_available", lambda *_: True)
    run('CREATE EXTENSION "pg_net";')
    assert installed(connection) == set()
    assert connection.execute("SELECT count(*) FROM net.http_request_queue").fetchone() == (0,)


@pytest.mark.parametrize("name", ["adminpack", "file_fdw"])
def test_another_extension_is_refused_as_the_server_does(run: Run, name: str) -> None:
    with pytest.raises(SqlError, match=r"step\.sql:1:1: .*(42501|0A000)"):
        run(f"CREATE EXTENSION {name};")


def test_on_another_platform_the_server_decides(run: Run, connection: Connection[Any]) -> None:
    name = untrusted(connection)
    connection.execute("ALTER FUNCTION auth.uid() RENAME TO who")
    with pytest.raises(SqlError, match=r"permission denied|\(42501\)"):
        run(f"CREATE EXTENSION {name};")
    assert installed(connection) == set()


def lacks_vector(connection: Connection[Any]) -> None:
    if connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
        pytest.skip("this server has the extension")


def test_on_another_platform_what_the_server_lacks_has_its_stand_in(run: Run, connection: Connection[Any]) -> None:
    lacks_vector(connection)
    connection.execute("ALTER FUNCTION auth.uid() RENAME TO who")
    run("CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE public.t (v vector(3));")
    run("CREATE EXTENSION IF NOT EXISTS vector; DROP EXTENSION vector CASCADE;")
    assert connection.execute("SELECT to_regtype('public.vector')").fetchone() == (None,)


@pytest.mark.parametrize("kind", ["hnsw (v vector_cosine_ops) WITH (m = 16)", "ivfflat (v vector_l2_ops)"])
@pytest.mark.parametrize("unless", ["", "IF NOT EXISTS "])
def test_an_index_of_a_stand_ins_type(run: Run, connection: Connection[Any], kind: str, unless: str) -> None:
    lacks_vector(connection)
    run("CREATE EXTENSION vector; CREATE TABLE public.t (v vector(3));")
    run(f"CREATE INDEX {unless}i ON public.t USING {kind};\nCOMMENT ON INDEX public.i IS 'for searches';")
    run("INSERT INTO public.t VALUES ('[1,2,3]'); DROP INDEX public.i;")
    with pytest.raises(SqlError, match=r'step\.sql:2:1: relation "public.none" does not exist'):
        run(f"SELECT 1;\nCREATE INDEX i ON public.none USING {kind};")


def test_the_rest_of_the_file_runs_as_the_role(run: Run, connection: Connection[Any]) -> None:
    name = untrusted(connection)
    with pytest.raises(SqlError, match="permission denied"):
        run(f"CREATE EXTENSION {name};\nCREATE TABLE pg_catalog.t (id int);")
    assert installed(connection) == set()
