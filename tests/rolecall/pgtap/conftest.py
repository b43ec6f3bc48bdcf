"""pgTAP for a database: the real one where it is installed, and a stand-in for the functions that scripts call."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any

import pytest
from psycopg import Connection

from league.programs import ToolError, installed

# The league has pgTAP's SQL from a package of npm.
ARCHIVE = "@electric-sql/pglite-pgtap/dist/pgtap.tar.gz"
STAND_IN = """
CREATE TEMP SEQUENCE tap;
GRANT USAGE ON SEQUENCE tap TO PUBLIC;
CREATE FUNCTION public.plan(tests integer) RETURNS text LANGUAGE sql AS $$ SELECT '1..' || tests $$;
CREATE FUNCTION public.is(have text, want text, name text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN have = want THEN '' ELSE 'not ' END || format('ok %s - %s', nextval('tap'), name)
    || CASE WHEN have = want THEN '' ELSE format(E'\\n#         have: %s\\n#         want: %s', have, want) END
$$;
CREATE FUNCTION public.finish() RETURNS SETOF text LANGUAGE sql AS $$ SELECT NULL::text WHERE false $$;
"""

Tap = Callable[[Connection[Any], str], list[str]]


def real() -> str | None:
    """The SQL of pgTAP, or the statement that creates it; None if it is not installed."""
    try:
        with tarfile.open(installed(ARCHIVE)) as archive:
            name = next(name for name in archive.getnames() if name.endswith("/pgtap.sql"))
            file = archive.extractfile(name)
            assert file
            return TextIOWrapper(file, encoding="utf-8").read()
    except ToolError:
        return None


def run(connection: Connection[Any], library: str, script: str) -> list[str]:
    """Run a script in a transaction, which is rolled back. Returns the lines that it prints: TAP."""
    _, begin, inside = script.partition("BEGIN;\n")
    inside, end, rest = inside.rpartition("ROLLBACK;\n")
    assert (begin, end, rest) == ("BEGIN;\n", "ROLLBACK;\n", "")
    with connection.transaction(force_rollback=True):
        connection.execute(library.encode())
        cursor = connection.execute(inside.encode())
        rows = [row for result in cursor.results() if result.description for row in result.fetchall()]
        return [line for (text,) in rows for line in str(text).splitlines()]


@pytest.fixture
def stand_in() -> Tap:
    """A function that runs a script with the stand-in, and returns what it prints."""
    return lambda connection, script: run(connection, STAND_IN, script)


@pytest.fixture(params=["the stand-in", "pgTAP"])
def tap(request: pytest.FixtureRequest) -> Tap:
    """A function that runs a script, and returns what it prints."""
    library = STAND_IN if request.param == "the stand-in" else real()

    def with_library(connection: Connection[Any], script: str) -> list[str]:
        found = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'pgtap'").fetchone()
        if not library and not found:
            pytest.skip("pgTAP is not installed: make league installs it")
        return run(connection, library or "CREATE EXTENSION pgtap", script)

    return with_library


def failing(lines: list[str]) -> list[str]:
    """The names of the tests that are not ok."""
    return [line.split(" - ", 1)[1] for line in lines if line.startswith("not ok ")]
