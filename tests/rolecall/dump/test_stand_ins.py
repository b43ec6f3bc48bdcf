"""Each stand-in loads, and does what schemas expect of it."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rolecall.database.run import Run
from rolecall.dump.stand_ins import all_stand_ins, needed
from rolecall.grids.probe import prepare
from rolecall.sql.script import Statement, parse
from tests.rolecall.dump.conftest import Load
from tests.rolecall.dump.texts import NOTES, PROLOGUE

# What a dump says that makes rolecall use the stand-in, for those that are no extension.
MENTIONS = {
    "auth": "ALTER TABLE public.notes ADD FOREIGN KEY (author) REFERENCES auth.users (id);",
    "auth_email": "CREATE POLICY p ON public.notes USING (auth.email() = body);",
    "realtime": "CREATE POLICY p ON realtime.messages USING (realtime.topic() = 'x');",
    "storage": "CREATE POLICY p ON storage.objects USING (storage.extension(name) = 'png');",
    "supabase_functions": (
        "CREATE TRIGGER t AFTER INSERT ON public.notes FOR EACH ROW "
        "EXECUTE FUNCTION supabase_functions.http_request('https://a.example', 'POST', '{}', '{}', '1000');"
    ),
    "supabase_realtime": "ALTER PUBLICATION supabase_realtime ADD TABLE ONLY public.notes;",
}


def asks_for(name: str) -> str:
    """A statement that needs the stand-in of this name."""
    return MENTIONS.get(name, f'CREATE EXTENSION IF NOT EXISTS "{name}" WITH SCHEMA extensions;')


@pytest.fixture(scope="module")
def made(platform: Run) -> Iterator[Connection[Any]]:
    """A connection to a database with all stand-ins, also those of extensions that the server has."""
    with closing(platform.connect(platform.baseline)) as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA extensions; SET LOCAL search_path = pg_catalog")
        for stand_in in all_stand_ins().values():
            connection.execute(stand_in.sql("extensions").encode())
        yield connection


@pytest.mark.parametrize("name", all_stand_ins())
def test_a_dump_that_needs_it_gets_it_and_says_so(load: Load, connection: Connection[Any], name: str) -> None:
    query = "SELECT count(*) FROM pg_available_extensions WHERE name = %s"
    ((available,),) = connection.execute(query, [name]).fetchall()
    left_out = load(PROLOGUE + NOTES + asks_for(name))
    assert [each.group for each in left_out] == ([] if available else ["stand-in"])
    assert [each.place for each in left_out] == ([] if available else ["dump.sql:8"])


@pytest.mark.parametrize("name", all_stand_ins())
def test_it_is_not_made_for_a_dump_that_does_not_need_it(name: str) -> None:
    statements = parse(PROLOGUE + NOTES + "CREATE TABLE public.users (id uuid);").statements
    assert name not in {stand_in.name for stand_in, _ in needed(statements, ())}


@pytest.mark.parametrize("name", all_stand_ins())
def test_it_is_not_made_if_the_dump_or_the_database_has_its_objects(name: str) -> None:
    stand_in = all_stand_ins()[name]
    statements = [Statement(0, " ".join(f"{made}(" for made in stand_in.makes), None)]
    assert stand_in.mentions_in(statements).keys() == stand_in.makes
    assert name not in {other.name for other, _ in needed(statements, stand_in.makes)}


def test_it_is_not_made_beside_some_of_its_objects() -> None:
    """A platform file that makes auth.users makes the rest of auth, too, or an error names what it lacks."""
    statements = [Statement(0, "auth.users auth.mfa_factors", None)]
    assert [stand_in.name for stand_in, _ in needed(statements, ())] == ["auth"]
    assert [stand_in.name for stand_in, _ in needed(statements, {"auth.users"})] == []


def test_the_functions_of_extensions_are_found_without_create_extension(load: Load) -> None:
    """As in a dump of the schema public alone."""
    left_out = load(PROLOGUE + "CREATE TABLE public.t (id uuid DEFAULT extensions.uuid_generate_v4());")
    assert [each.what for each in left_out] == ["extensions.uuid_generate_v4"]


def test_the_roles_of_the_api_may_use_the_schema_of_extensions(load: Load, connection: Connection[Any]) -> None:
    """A function that runs as its caller may call them, as on Supabase."""
    load(PROLOGUE + NOTES + asks_for("uuid-ossp") + "CREATE SCHEMA app;")
    may_use = "SELECT has_schema_privilege('authenticated', 'extensions', 'USAGE')"
    assert connection.execute(may_use).fetchone() == (True,)
    assert connection.execute(may_use.replace("extensions", "app")).fetchone() == (False,)


def value(connection: Connection[Any], expression: str) -> Any:
    """The value of an expression."""
    row = connection.execute(f"SELECT {expression}".encode()).fetchone()
    assert row
    return row[0]


DATA = "'what do ya want for nothing?'"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("extensions.uuid_generate_v4() <> extensions.uuid_generate_v4()", True),
        ("extensions.uuid_nil()::text", "00000000-0000-0000-0000-000000000000"),
        # RFC 9562, and Python's uuid.uuid3(NAMESPACE_DNS, "python.org").
        (
            "extensions.uuid_generate_v3(extensions.uuid_ns_dns(), 'python.org')::text",
            "6fa459ea-ee8a-3ca4-894e-db77e160355e",
        ),
        ("substr(extensions.uuid_generate_v5(extensions.uuid_ns_url(), 'x')::text, 15, 1)", "5"),
        ("length(extensions.gen_random_bytes(20))", 20),
        ("length(extensions.gen_random_bytes(16))", 16),
        (
            "encode(extensions.digest('abc', 'sha256'), 'hex')",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        # RFC 4231, test case 2.
        (
            f"encode(extensions.hmac({DATA}, 'Jefe', 'sha256'), 'hex')",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        ("extensions.vector_dims('[1,2,3]')", 3),
        ("'[3,4]'::extensions.vector OPERATOR(extensions.<->) '[0,0]'", 5.0),
        ("'[1,0]'::extensions.vector OPERATOR(extensions.<=>) '[0,1]'", 1.0),
        ("'[1,2]'::extensions.vector OPERATOR(extensions.<#>) '[3,4]'", -11.0),
        ("'[1,2]'::extensions.vector(2)::text", "[1,2]"),
        ("net.http_post('https://a.example', '{\"a\": 1}')", 1),
        ("cron.schedule('nightly', '0 3 * * *', 'SELECT 1')", 1),
        ("graphql_public.graphql(query := '{ a }') ? 'errors'", True),
        ("convert_from(pgsodium.crypto_aead_det_decrypt('secret', '', gen_random_uuid()), 'UTF8')", "secret"),
        ("storage.filename('a/b/c.tar.gz')", "c.tar.gz"),
        ("storage.extension('a/b/c.tar.gz')", "gz"),
        ("auth.email()", None),
        ("realtime.topic()", None),
    ],
)
def test_its_functions_return_what_the_original_returns(made: Connection[Any], expression: str, expected: Any) -> None:
    assert value(made, expression) == expected


def test_personas_may_share_plans(made: Connection[Any]) -> None:
    """No stand-in may hinder that: each grid would take more than twice as long."""
    prepare(made)
    assert value(made, "pg_temp.rolecall_may_share_plans()") is True


@pytest.mark.parametrize("secret", ["short", "k" * 100], ids=["a short key", "a key that is longer than a block"])
def test_a_token_is_signed_as_rfc_7515_says(made: Connection[Any], secret: str) -> None:
    def encoded(data: bytes) -> str:
        return urlsafe_b64encode(data).rstrip(b"=").decode()

    payload = '{"sub": "ann", "name": "Ünü?>"}'
    text = encoded(b'{"alg":"HS256","typ":"JWT"}') + "." + encoded(payload.encode())
    token = f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"
    assert made.execute("SELECT extensions.sign(%s, %s)", [payload, secret]).fetchone() == (token,)
    verify = "SELECT payload::text, valid FROM extensions.verify(%s, %s)"
    assert made.execute(verify, [token, secret]).fetchone() == (payload, True)
    assert made.execute(verify, [token, "another"]).fetchone() == (payload, False)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("extensions.digest('abc', 'sha1')", 'the stand-in for pgcrypto has no digest "sha1"'),
        ("extensions.crypt('a', extensions.gen_salt('bf'))", "the stand-in for pgcrypto has no gen_salt"),
        ("extensions.sign('{}', 'key', 'HS512')", 'the stand-in for pgjwt has no algorithm "HS512"'),
    ],
)
def test_what_it_cannot_do_is_an_error(made: Connection[Any], expression: str, message: str) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match=message), made.transaction():
        value(made, expression)


def test_secrets_and_requests_are_recorded(made: Connection[Any]) -> None:
    made.execute("SELECT vault.create_secret('s3cret', 'mail')")
    assert made.execute("SELECT name, decrypted_secret FROM vault.decrypted_secrets").fetchall() == [("mail", "s3cret")]
    made.execute("SELECT net.http_delete('https://a.example/1')")
    query = "SELECT method, url FROM net.http_request_queue WHERE method = 'DELETE'"
    assert made.execute(query).fetchall() == [("DELETE", "https://a.example/1")]
    made.execute("SELECT cron.schedule('weekly', '0 3 * * 1', 'SELECT 1'); SELECT cron.unschedule('weekly')")
    assert made.execute("SELECT count(*) FROM cron.job WHERE jobname = 'weekly'").fetchone() == (0,)
    made.execute("SELECT realtime.send('{}', 'news', 'topic')")
    assert made.execute("SELECT event, topic FROM realtime.messages").fetchall() == [("news", "topic")]
