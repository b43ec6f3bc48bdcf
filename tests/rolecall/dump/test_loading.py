"""Dumps load: what no test needs is left out, and what is missing and needed stops the load, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rolecall.dump import loading
from rolecall.server.choose import Server
from rolecall.server.connection import connect
from rolecall.sql import files
from tests.rolecall.dump.conftest import Load
from tests.rolecall.dump.texts import NOTES, PROLOGUE, ROLE

Refused = Callable[..., list[str]]


def owners(connection: Connection[Any]) -> dict[str, str]:
    """The owner of each table of the schema public."""
    query = "SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    return dict(connection.execute(query).fetchall())


# ------------------------------------------------------------------ forms of a file


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((PROLOGUE + NOTES).replace("\n", "\r\n").encode(), id="lines that end with CR LF"),
        pytest.param(b"\xef\xbb\xbf" + (PROLOGUE + NOTES).encode(), id="a byte order mark"),
        pytest.param("\\restrict abc\n" + PROLOGUE + NOTES + "\\unrestrict abc\n", id="\\restrict"),
        pytest.param(PROLOGUE + NOTES + "RESET ALL;\n", id="RESET ALL"),
    ],
)
def test_it_loads_without_a_word(load: Load, connection: Connection[Any], text: str | bytes) -> None:
    assert load(text) == []
    assert owners(connection) == {"notes": ROLE}


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        pytest.param("\\connect shop\n" + PROLOGUE + NOTES, ("session", "\\connect shop", 1), id="\\connect"),
        pytest.param("BEGIN;\n" + PROLOGUE + NOTES, ("session", "transactions", 1), id="BEGIN"),
        pytest.param(PROLOGUE + NOTES + "COMMIT;", ("session", "transactions", 8), id="COMMIT"),
        pytest.param(
            PROLOGUE.replace("UTF8", "LATIN1") + NOTES, ("session", "client_encoding", 2), id="another encoding"
        ),
        pytest.param(
            PROLOGUE + "SET transaction_patience = 0;\n" + NOTES,
            ("session", "transaction_patience", 7),
            id="a setting that the server does not know",
        ),
        pytest.param(
            PROLOGUE + "CREATE DATABASE shop WITH TEMPLATE = template0;\n" + NOTES,
            ("session", "databases", 7),
            id="CREATE DATABASE",
        ),
        pytest.param(
            PROLOGUE + "SET SESSION AUTHORIZATION 'postgres';\n" + NOTES,
            ("owner", "SET SESSION AUTHORIZATION", 7),
            id="SET SESSION AUTHORIZATION",
        ),
        pytest.param(
            PROLOGUE + NOTES + "ALTER TABLE public.notes OWNER TO team_ops;", ("owner", "team_ops", 8), id="OWNER TO"
        ),
        pytest.param(
            PROLOGUE + NOTES + "GRANT ALL ON TABLE public.notes TO team_ops;", ("grant", "team_ops", 8), id="GRANT"
        ),
        pytest.param(
            PROLOGUE + NOTES + "ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin GRANT ALL ON TABLES TO anon;",
            ("grant", "supabase_admin", 8),
            id="default privileges",
        ),
        pytest.param(PROLOGUE + NOTES + "ALTER ROLE anon SET role = 'x';", ("role", "anon", 8), id="ALTER ROLE"),
        pytest.param(PROLOGUE + NOTES + "CREATE ROLE anon;", ("role", "anon", 8), id="CREATE ROLE"),
        pytest.param(
            PROLOGUE + NOTES + "GRANT anon TO authenticator;", ("role", "authenticator", 8), id="a membership"
        ),
        *(
            pytest.param(PROLOGUE + NOTES + statement, (group, what, 8), id=statement)
            for statement, group, what in (
                ("GRANT ALL ON DATABASE postgres TO anon;", "session", "databases"),
                ("ALTER DATABASE postgres OWNER TO anon;", "session", "databases"),
                ("ALTER DATABASE postgres SET work_mem = '1MB';", "session", "databases"),
                ("ALTER DATABASE postgres RENAME TO mine;", "session", "databases"),
                ("COMMENT ON DATABASE postgres IS 'mine';", "session", "databases"),
                ("DROP DATABASE postgres;", "session", "databases"),
                ("COMMENT ON ROLE anon IS 'mine';", "role", "comments and names"),
                ("ALTER ROLE anon RENAME TO mine;", "role", "comments and names"),
                ("DROP ROLE anon;", "role", "DROP ROLE"),
                ("REASSIGN OWNED BY postgres TO anon;", "owner", "REASSIGN OWNED"),
                ("DROP OWNED BY anon;", "role", "DROP OWNED"),
                ("ALTER SYSTEM SET work_mem = '1MB';", "session", "settings of the server"),
                ("GRANT SET ON PARAMETER work_mem TO anon;", "session", "settings of the server"),
                ("CREATE TABLESPACE fast LOCATION '/tmp/fast';", "session", "tablespaces"),
                ("COPY public.notes TO PROGRAM 'cat';", "session", "files of the server"),
                ("LOAD 'auto_explain';", "session", "files of the server"),
            )
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p WITH (connect = false);",
            ("needless", "subscriptions", 8),
            id="a subscription",
        ),
        pytest.param(
            PROLOGUE + NOTES + "ALTER PUBLICATION news ADD TABLE ONLY public.notes;",
            ("needless", "publications", 8),
            id="a publication that does not exist",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION extensions.watch();",
            ("platform", "event triggers", 8),
            id="an event trigger of the platform",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE FOREIGN DATA WRAPPER w HANDLER extensions.wasm_handler;",
            ("needless", "foreign data", 8),
            id="a foreign data wrapper",
        ),
        pytest.param(
            PROLOGUE + NOTES + "COMMENT ON EXTENSION pg_net IS 'net';",
            ("needless", "comments on extensions", 8),
            id="a comment on an extension",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE INDEX i ON public.notes USING hnsw (body);",
            ("needless", "indexes", 8),
            id="an index of an unknown kind",
        ),
        pytest.param(PROLOGUE + NOTES + "CREATE SCHEMA auth;", ("platform", "schema auth", 8), id="a schema"),
        pytest.param(
            PROLOGUE + NOTES + "CREATE TABLE storage.objects (id uuid);", ("platform", "storage", 8), id="its table"
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE TRIGGER t BEFORE UPDATE ON storage.objects FOR EACH ROW "
            "EXECUTE FUNCTION storage.nothing();",
            ("platform", "storage", 8),
            id="its trigger",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE EXTENSION IF NOT EXISTS plpgsql_check WITH SCHEMA extensions;",
            ("extension", "plpgsql_check", 8),
            id="an extension",
        ),
    ],
)
def test_what_cannot_run_here_is_left_out(
    load: Load, connection: Connection[Any], text: str, left_out: tuple[str, str, int]
) -> None:
    group, what, line = left_out
    assert [(each.group, each.what, each.place) for each in load(text)] == [(group, what, f"dump.sql:{line}")]
    assert owners(connection) == {"notes": ROLE}


def test_what_only_a_superuser_may_own_is_kept(load: Load, connection: Connection[Any]) -> None:
    trigger = """
    CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
    CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch();
    CREATE PUBLICATION news FOR ALL TABLES;
    CREATE FOREIGN DATA WRAPPER files;
    """
    assert load(PROLOGUE + NOTES + trigger) == []
    assert connection.execute("SELECT count(*) FROM pg_event_trigger WHERE evtname = 'watch'").fetchone() == (1,)
    assert connection.execute("SELECT pubname FROM pg_publication").fetchall() == [("news",)]
    assert connection.execute("SELECT fdwname FROM pg_foreign_data_wrapper").fetchall() == [("files",)]


def test_a_grant_to_a_known_and_an_unknown_role_is_made_to_the_known_one(
    load: Load, connection: Connection[Any]
) -> None:
    assert load(PROLOGUE + NOTES + "GRANT SELECT, MAINTAIN ON TABLE public.notes TO team_ops, anon;") == []
    query = "SELECT has_table_privilege('anon', 'public.notes', 'SELECT')"
    assert connection.execute(query).fetchone() == (True,)


def test_rows_are_loaded(load: Load, connection: Connection[Any]) -> None:
    rows = 'COPY public.notes (id, author, body) FROM stdin;\n1\t\\N\tit\'s "x" $$\n2\t\\N\t\\\\.\n\\.\n\n'
    assert load(PROLOGUE + NOTES + rows + "SELECT pg_catalog.set_config('a.b', '', false);") == []
    assert connection.execute("SELECT id, body FROM public.notes").fetchall() == [(1, 'it\'s "x" $$'), (2, "\\.")]


# ------------------------------------------------------------------ owners and roles


def test_the_objects_belong_to_the_role_and_nothing_is_left_of_who_loaded_them(
    load: Load, connection: Connection[Any]
) -> None:
    before = connection.execute("SELECT count(*) FROM pg_roles").fetchone()
    load(f"{PROLOGUE}CREATE SCHEMA app;{NOTES}CREATE VIEW app.v AS SELECT 1;ALTER VIEW app.v OWNER TO authenticator;")
    assert owners(connection) == {"notes": ROLE}
    query = """
    SELECT nspowner::regrole::text, relowner::regrole::text FROM pg_namespace n JOIN pg_class ON relnamespace = n.oid
    WHERE nspname = 'app'
    """
    assert connection.execute(query).fetchall() == [(ROLE, "authenticator")]
    assert connection.execute("SELECT count(*) FROM pg_roles").fetchone() == before
    assert connection.execute("SELECT session_user = current_user").fetchone() == (True,)


def test_an_owner_that_is_a_superuser_here_is_left_out(load: Load, connection: Connection[Any]) -> None:
    """Its views would show every row, as in no production."""
    (name,) = connection.execute("SELECT session_user").fetchone() or ("",)
    (left_out,) = load(f'{PROLOGUE}{NOTES}ALTER TABLE public.notes OWNER TO "{name}";')
    assert left_out.group == "owner"
    assert owners(connection) == {"notes": ROLE}


def test_a_role_that_the_dump_makes_is_made(load: Load, connection: Connection[Any]) -> None:
    text = "CREATE ROLE dump_team;\nALTER ROLE dump_team WITH BYPASSRLS;\nGRANT anon TO dump_team;\n"
    assert load(PROLOGUE + NOTES + text + "GRANT SELECT ON public.notes TO dump_team;") == []
    query = "SELECT rolbypassrls, pg_has_role(oid, 'anon', 'MEMBER') FROM pg_roles WHERE rolname = 'dump_team'"
    assert connection.execute(query).fetchone() == (True, True)


def test_roles_of_the_platform_are_made_without_a_login(load: Load, connection: Connection[Any]) -> None:
    connection.execute("DROP ROLE IF EXISTS supabase_auth_admin")
    left_out = load(PROLOGUE + NOTES + "CREATE POLICY p ON public.notes TO supabase_auth_admin USING (true);")
    assert [(each.group, each.what) for each in left_out] == [("stand-in", "role supabase_auth_admin")]
    query = "SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'supabase_auth_admin'"
    assert connection.execute(query).fetchone() == (False, False)


def test_without_a_role_the_objects_belong_to_the_connected_role(load: Load, connection: Connection[Any]) -> None:
    assert load(PROLOGUE + NOTES, role=None) == []
    ((user,),) = connection.execute("SELECT current_user").fetchall()
    assert owners(connection) == {"notes": user}


@pytest.fixture
def limited(running_server: Server) -> Iterator[Connection[Any]]:
    """A connection of a role that is no superuser and may become ``dump_limited``."""
    with psycopg.connect(running_server.conninfo, autocommit=True) as superuser:
        superuser.execute("CREATE ROLE dump_boss LOGIN CREATEDB CREATEROLE BYPASSRLS; CREATE ROLE dump_limited")
        superuser.execute("GRANT dump_limited TO dump_boss; GRANT CREATE ON SCHEMA public TO dump_limited")
        with closing(connect(running_server.conninfo.to(user="dump_boss"))) as connection:
            yield connection
        superuser.execute("DROP OWNED BY dump_limited, dump_boss; DROP ROLE dump_limited, dump_boss")


def test_without_a_superuser_the_role_itself_runs_the_dump(
    limited: Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("dump.sql")
    path.write_text(PROLOGUE + NOTES + "COMMENT ON SCHEMA public IS 'x';\n")
    left_out = loading.load(limited, path, files.read(path), "dump_limited")
    assert [(each.group, each.what) for each in left_out] == [("needless", "comments")]
    assert owners(limited) == {"notes": "dump_limited"}


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(
            PROLOGUE + "CREATE TABLE public.t (a int DEFAULT :number);",
            ["dump.sql:7: :number is a variable of psql, and the file runs without psql: write its value."],
            id="a variable of psql",
        ),
        pytest.param(
            PROLOGUE + "\\i other.sql\n",
            ["dump.sql:7: \\i is a command of psql, and the file runs without psql: write SQL, or remove it."],
            id="\\i",
        ),
        pytest.param(
            PROLOGUE + NOTES + "ROLLBACK;",
            ["dump.sql:8: the file ends the transaction that it runs in: remove BEGIN, COMMIT and ROLLBACK."],
            id="ROLLBACK",
        ),
        pytest.param(
            PROLOGUE + "COPY public.notes (id) FROM stdin;\n1\n\\.\n",
            [
                "dump.sql:7: the dump has rows and no tables, as with --data-only. "
                "Dump the schema: supabase db dump, or pg_dump --schema-only."
            ],
            id="only rows, with COPY",
        ),
        pytest.param(
            PROLOGUE + "INSERT INTO public.notes VALUES (1);",
            [
                "dump.sql:7: the dump has rows and no tables, as with --data-only. "
                "Dump the schema: supabase db dump, or pg_dump --schema-only."
            ],
            id="only rows, with INSERT",
        ),
        pytest.param(
            "SET default_transaction_read_only = off;\nALTER ROLE anon SET statement_timeout = '3s';\nRESET ALL;\n",
            [
                "dump.sql:2: the dump has only roles. Give the dump of the schema: supabase db dump, "
                "or pg_dump --schema-only. Roles are made in the file of rolecall_platform."
            ],
            id="only roles",
        ),
        pytest.param(
            PROLOGUE + NOTES + PROLOGUE + NOTES,
            [
                'dump.sql:14:1: relation "notes" already exists (42P07)',
                "    CREATE TABLE public.notes (id integer NOT NULL, author uuid, body text);",
                "    ^",
                "HINT: The file has 2 dumps, and the second begins at dump.sql:11: keep one.",
            ],
            id="two dumps in one file",
        ),
        pytest.param(
            PROLOGUE + NOTES + NOTES,
            [
                'dump.sql:8:1: relation "notes" already exists (42P07)',
                "    CREATE TABLE public.notes (id integer NOT NULL, author uuid, body text);",
                "    ^",
                "HINT: The file of rolecall_platform makes it too, or the dump has it twice: keep one.",
            ],
            id="the same table twice",
        ),
        pytest.param(
            PROLOGUE + NOTES + "COPY public.notes (id, author) FROM stdin;\n1\t\\N\n2\tnobody\n\\.\n",
            [
                'dump.sql:10:1: invalid input syntax for type uuid: "nobody" (22P02)',
                "    2\tnobody",
                "    ^",
            ],
            id="a row that does not fit",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE POLICY p ON public.notes TO team USING (true);",
            [
                'dump.sql:8:1: role "team" does not exist (42704)',
                "    CREATE POLICY p ON public.notes TO team USING (true);",
                "    ^",
                "HINT: A dump has no roles: make it in the file of rolecall_platform.",
            ],
            id="a policy for an unknown role",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE VIEW public.tenants AS SELECT id FROM auth.tenants;",
            [
                'dump.sql:8:46: relation "auth.tenants" does not exist (42P01)',
                "    CREATE VIEW public.tenants AS SELECT id FROM auth.tenants;",
                "                                                 ^",
                "HINT: It is of the platform: make it in the file of rolecall_platform.",
            ],
            id="an object of the platform",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE POLICY p ON storage.objects USING (public.nothing());",
            [
                "dump.sql:8:1: function public.nothing() does not exist (42883)",
                "    CREATE POLICY p ON storage.objects USING (public.nothing());",
                "    ^",
                "HINT: No function matches the given name and argument types. You might need to add explicit type "
                "casts.",
                "HINT: The dump does not make it. If it is in another schema, dump that schema too.",
            ],
            id="a policy on a table of the platform",
        ),
        pytest.param(
            PROLOGUE + NOTES + "CREATE TRIGGER t BEFORE UPDATE ON storage.objects FOR EACH ROW "
            "EXECUTE FUNCTION public.nothing();",
            [
                "dump.sql:8:1: function public.nothing() does not exist (42883)",
                "    CREATE TRIGGER t BEFORE UPDATE ON storage.objects FOR EACH ROW EXECUTE FUNCTION public.nothing();",
                "    ^",
                "HINT: The dump does not make it. If it is in another schema, dump that schema too.",
            ],
            id="a trigger on a table of the platform",
        ),
        pytest.param(
            PROLOGUE + NOTES + "ALTER TABLE public.notes ADD FOREIGN KEY (id) REFERENCES billing.accounts (id);",
            [
                'dump.sql:8:1: schema "billing" does not exist (3F000)',
                "    ALTER TABLE public.notes ADD FOREIGN KEY (id) REFERENCES billing.accounts (id);",
                "    ^",
                "HINT: The dump does not make it. If it is in another schema, dump that schema too.",
            ],
            id="a schema that was not dumped",
        ),
        pytest.param(
            "-- Dumped from database version 19.1\n" + PROLOGUE + "CREATE TABLE public.t (a int) WITHOUT WORRIES;",
            [
                'dump.sql:8:39: syntax error at or near "WORRIES" (42601)',
                "    CREATE TABLE public.t (a int) WITHOUT WORRIES;",
                "                                          ^",
                "HINT: The dump is of PostgreSQL 19, and this server is {version}: use a server of that version, with "
                "--rolecall-pg, --rolecall-pg-bin or --rolecall-pg-dsn.",
            ],
            id="a newer server",
        ),
        pytest.param(
            PROLOGUE + NOTES + "COMMENT ON TABLE public.notes IS 'it;\n",
            [
                "dump.sql:8:34: unterminated quoted string (42601)",
                "    COMMENT ON TABLE public.notes IS 'it;",
                "                                     ^",
                "HINT: Close the quote: write ' at its end, and '' for a quote inside it.",
            ],
            id="cut off in a quote",
        ),
    ],
)
def test_what_is_needed_and_fails_is_an_error(
    refused: Refused, connection: Connection[Any], text: str, lines: list[str]
) -> None:
    version = connection.info.server_version // 10000
    assert refused(text) == [line.format(version=version) if "{version}" in line else line for line in lines]


PLACES = """\
CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA extensions;
CREATE TABLE public.places (
  id integer,
  at extensions.geography(Point,4326)
);
ALTER TABLE public.places ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON public.places USING (true);
CREATE TABLE public.visits (place integer REFERENCES public.places);
CREATE VIEW public.last_visits AS SELECT * FROM public.visits;
GRANT SELECT ON TABLE public.places TO anon;
CREATE POLICY nobody ON public.towns USING (false);
"""


def test_all_errors_are_shown_at_once_and_what_follows_from_one_is_counted(refused: Refused) -> None:
    """The view fails because of the second table, which fails because of the first."""
    assert refused(PROLOGUE + PLACES) == [
        "dump.sql: 2 statements of the dump fail:",
        "",
        'dump.sql:10:6: type "extensions.geography" does not exist (42704)',
        "      at extensions.geography(Point,4326)",
        "         ^",
        "HINT: This server lacks extensions of the dump: postgis (dump.sql:7). If it is of these, use a server that "
        "has it, with --rolecall-pg-bin or --rolecall-pg-dsn, or take both out of the dump.",
        "4 later statements need it.",
        "",
        'dump.sql:17:1: relation "public.towns" does not exist (42P01)',
        "    CREATE POLICY nobody ON public.towns USING (false);",
        "    ^",
        "HINT: The dump does not make it. If it is in another schema, dump that schema too.",
    ]


def test_no_more_than_ten_errors_are_shown(refused: Refused) -> None:
    text = "".join(f"CREATE TABLE public.t{number} (id a{number});\n" for number in range(12))
    lines = refused(PROLOGUE + text)
    assert lines[0] == "dump.sql: 12 statements of the dump fail:"
    assert sum(line.startswith("dump.sql:") for line in lines[1:]) == 10
    assert lines[-1] == "and 2 more"
