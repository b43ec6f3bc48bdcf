"""Sessions: the settings are PostgREST's, reading is rolled back, and only the expected refusal passes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from psycopg import sql

from rolecall import RolecallError, Session, World
from rolecall.access.persona import Persona
from rolecall.coverage.recorder import CoverageRecorder
from rolecall.worker import Worker

REQUEST = ("role", "request.jwt.claims", "request.method", "request.path", "request.headers")
BETWEEN_REQUESTS = dict.fromkeys(REQUEST, "") | {"role": "none"}


@pytest.fixture
def world() -> World:
    world = World()
    world.persona("alice", "toy_member", subject="alice", email="alice@example.test", app_metadata={"admin": True})
    world.persona("bob", "toy_member", subject="bob")
    world.persona("visitor", "toy_visitor", setup="GRANT SELECT ON {table} TO toy_visitor")
    return world


@pytest.fixture
def recorder() -> CoverageRecorder:
    return CoverageRecorder()


@pytest.fixture
def toy_db(toy_worker: Worker, world: World, recorder: CoverageRecorder) -> Session:
    return Session(toy_worker.connection, world.personas, recorder)


def settings(session: Session) -> dict[str, str | None]:
    return {name: session.value("SELECT current_setting(%s, true)", [name]) for name in REQUEST}


def bodies(session: Session) -> list[str]:
    return [body for (body,) in session.rows("SELECT body FROM shop.notes WHERE id = 1")]


def test_the_settings_are_those_of_postgrest(toy_db: Session) -> None:
    claims = {"sub": "alice", "email": "alice@example.test", "app_metadata": {"admin": True}, "role": "toy_member"}
    with toy_db.acting_as("alice") as persona:
        current = settings(toy_db)
        assert toy_db.value("SELECT current_user") == "toy_member"
        assert toy_db.persona is persona
    assert json.loads(current.pop("request.jwt.claims") or "") == claims
    assert current == {"role": "toy_member", "request.method": "POST", "request.path": "/", "request.headers": "{}"}


def test_a_persona_without_a_subject_has_only_the_claim_role(toy_db: Session) -> None:
    with toy_db.acting_as("visitor"):
        assert json.loads(settings(toy_db)["request.jwt.claims"] or "") == {"role": "toy_visitor"}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_the_method_is_set(toy_db: Session, method: Any) -> None:
    with toy_db.acting_as("alice", method=method):
        assert settings(toy_db)["request.method"] == method


def test_between_two_requests_the_settings_are_empty_and_not_null(toy_db: Session) -> None:
    """As on a connection of PostgREST's pool: current_setting(…, true)::jsonb fails there."""
    with toy_db.acting_as("alice"):
        pass
    assert settings(toy_db) == BETWEEN_REQUESTS
    assert toy_db.value("SELECT current_user = session_user") is True
    assert toy_db.persona is None


def test_writes_stay_for_the_rest_of_the_test(toy_db: Session) -> None:
    with toy_db.acting_as("alice"):
        toy_db.execute("UPDATE shop.notes SET body = 'changed'")
    assert bodies(toy_db) == ["changed"]


def test_reading_as_cannot_write(toy_db: Session) -> None:
    with toy_db.reading_as("alice"):
        assert settings(toy_db)["request.method"] == "GET"
        assert bodies(toy_db) == ["hers"]
        with toy_db.raises("25006", message="cannot execute UPDATE in a read-only transaction"):
            toy_db.execute("UPDATE shop.notes SET body = 'changed'")
        assert bodies(toy_db) == ["hers"]


def test_reading_as_is_rolled_back(toy_db: Session) -> None:
    toy_db.execute("SELECT set_config('shop.mood', 'calm', true)")
    with toy_db.reading_as("alice"):
        toy_db.execute("SELECT set_config('shop.mood', 'excited', true)")
    assert toy_db.value("SELECT current_setting('shop.mood')") == "calm"
    assert toy_db.value("SELECT current_setting('transaction_read_only')") == "off"
    assert {name: value or "" for name, value in settings(toy_db).items()} == BETWEEN_REQUESTS
    assert toy_db.persona is None
    toy_db.execute("UPDATE shop.notes SET body = 'changed'")


def test_signing_in_can_be_nested(toy_db: Session) -> None:
    with toy_db.acting_as("alice", method="PATCH") as alice:
        before = settings(toy_db)
        with toy_db.acting_as("bob"):
            assert settings(toy_db)["request.method"] == "POST"
            with toy_db.reading_as("visitor"):
                assert settings(toy_db)["role"] == "toy_visitor"
            assert json.loads(settings(toy_db)["request.jwt.claims"] or "")["sub"] == "bob"
        assert toy_db.persona is alice
        assert settings(toy_db) == before


@pytest.mark.parametrize("method", ["acting_as", "reading_as"])
def test_the_persona_is_restored_after_an_error_of_the_test(toy_db: Session, method: str) -> None:
    with toy_db.acting_as("alice") as alice:
        before = settings(toy_db)
        with pytest.raises(KeyError), getattr(toy_db, method)("bob"):
            raise KeyError
        assert (toy_db.persona, settings(toy_db)) == (alice, before)


@pytest.mark.parametrize("method", ["acting_as", "reading_as"])
def test_the_persona_is_restored_after_a_refusal(toy_db: Session, method: str) -> None:
    with toy_db.acting_as("alice") as alice:
        before = settings(toy_db)
        with toy_db.raises("22012"), getattr(toy_db, method)("bob"):
            toy_db.execute("SELECT 1 / 0")
        assert (toy_db.persona, settings(toy_db)) == (alice, before)


def test_the_persona_is_restored_after_a_refused_block(toy_db: Session) -> None:
    """The block ends while a persona is signed in, and the rollback removes its settings."""
    with toy_db.raises("22012"), toy_db.acting_as("alice"):
        toy_db.execute("SELECT 1 / 0")
    assert toy_db.persona is None
    assert {name: value or "" for name, value in settings(toy_db).items()} == BETWEEN_REQUESTS


def test_setup_runs_for_the_given_table(toy_db: Session) -> None:
    with toy_db.acting_as("visitor", on="shop.notes"):
        assert bodies(toy_db) == []


def test_setup_runs_for_a_read(toy_db: Session) -> None:
    with toy_db.reading_as("visitor", on="shop.notes"):
        assert bodies(toy_db) == []
    with toy_db.reading_as("visitor"), toy_db.raises("42501"):
        bodies(toy_db)


@pytest.mark.parametrize("method", ["acting_as", "reading_as"])
def test_a_setup_that_names_no_table_always_runs(toy_db: Session, method: str) -> None:
    setup = "SET LOCAL app.tenant = '{{table}}'"
    toy_db.personas = {**toy_db.personas, "tenant": Persona("tenant", "toy_member", {}, setup)}
    with getattr(toy_db, method)("tenant"):
        assert toy_db.value("SELECT current_setting('app.tenant')") == "{table}"


def test_setup_does_not_run_without_a_table(toy_db: Session) -> None:
    with toy_db.acting_as("visitor"), toy_db.raises("42501", message="permission denied for table notes"):
        bodies(toy_db)


def test_an_unknown_persona_is_an_error_with_the_known_ones(toy_db: Session) -> None:
    message = re.escape("unknown persona 'carol': the world has alice, bob, visitor.")
    with pytest.raises(RolecallError, match=f"^{message}$"), toy_db.acting_as("carol"):
        pass


# ------------------------------------------------------------------ refusals

TOO_LONG = "UPDATE shop.notes SET body = 'much too long'"
OTHER_REASON = (
    'refused for another reason\n  expected: {}\n  got:      23514, constraint short_body, "new row for relation '
    '"notes" violates check constraint "short_body""'
)


@pytest.mark.parametrize(
    ("expected", "reason"),
    [
        pytest.param({"sqlstate": "23505"}, "23505", id="SQLSTATE"),
        pytest.param({"sqlstate": "23514", "constraint": "long_body"}, "23514, constraint long_body", id="constraint"),
        pytest.param(
            {"sqlstate": "23514", "constraint": "short"}, "23514, constraint short", id="part of the constraint's name"
        ),
        pytest.param({"sqlstate": "23514", "column": "body"}, "23514, column body", id="column"),
        pytest.param({"sqlstate": "23514", "message": "too long"}, '23514, "too long"', id="message"),
    ],
)
def test_a_refusal_for_another_reason_fails(toy_db: Session, expected: dict[str, str], reason: str) -> None:
    with pytest.raises(AssertionError) as caught, toy_db.raises(**expected):
        toy_db.execute(TOO_LONG)
    assert str(caught.value) == OTHER_REASON.format(reason)
    assert bodies(toy_db) == ["hers"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param(TOO_LONG, {"sqlstate": "23514"}, id="SQLSTATE alone"),
        pytest.param(TOO_LONG, {"sqlstate": "23514", "constraint": "short_body"}, id="constraint"),
        pytest.param(TOO_LONG, {"sqlstate": "23514", "message": "violates check"}, id="part of the message"),
        pytest.param("UPDATE shop.notes SET author = NULL", {"sqlstate": "23502", "column": "author"}, id="column"),
        pytest.param(
            "INSERT INTO shop.notes VALUES (1, 'bob')", {"sqlstate": "23505", "constraint": "notes_pkey"}, id="key"
        ),
    ],
)
def test_the_expected_refusal_passes(toy_db: Session, statement: str, expected: dict[str, str]) -> None:
    with toy_db.raises(**expected):
        toy_db.execute("UPDATE shop.notes SET body = 'before'")
        toy_db.execute(statement)
    assert bodies(toy_db) == ["hers"], "the block is rolled back"


def test_a_block_without_a_refusal_fails(toy_db: Session) -> None:
    message = "nothing was refused; expected: 23514, constraint short_body"
    with pytest.raises(AssertionError, match=f"^{message}$"), toy_db.raises("23514", constraint="short_body"):
        toy_db.execute("UPDATE shop.notes SET body = 'short'")


def test_an_error_of_the_test_is_no_refusal(toy_db: Session) -> None:
    with pytest.raises(KeyError), toy_db.raises("23514"):
        raise KeyError
    assert bodies(toy_db) == ["hers"], "the session still works"


def test_an_error_of_the_driver_is_no_refusal(toy_db: Session) -> None:
    with pytest.raises(AssertionError, match="got:      no SQLSTATE"), toy_db.raises("42601"):
        toy_db.execute("SELECT %s", [])


def test_a_refusal_by_name_is_recorded(toy_db: Session, recorder: CoverageRecorder) -> None:
    with toy_db.raises("23514", constraint="short_body"):
        toy_db.execute(TOO_LONG)
    with toy_db.raises("23502", column="author"):
        toy_db.execute("UPDATE shop.notes SET author = NULL")
    with toy_db.raises("23505"):  # without a name, the constraint is not checked
        toy_db.execute("INSERT INTO shop.notes VALUES (1, 'bob')")
    with pytest.raises(AssertionError), toy_db.raises("23514", constraint="long_body"):
        toy_db.execute(TOO_LONG)
    assert recorder.pending == {("refused", "shop.notes", "short_body"), ("refused", "shop.notes", "author")}


# ------------------------------------------------------------------ results


@pytest.mark.parametrize(
    ("query", "count"),
    [pytest.param("SELECT 1 WHERE false", 0, id="none"), pytest.param("SELECT generate_series(1, 2)", 2, id="several")],
)
def test_row_requires_exactly_one_row(toy_db: Session, query: str, count: int) -> None:
    with pytest.raises(AssertionError, match=re.escape(f"expected one row, got {count}: {query}")):
        toy_db.row(query)


def test_statements_are_text_or_composed_and_may_hold_percent_signs(toy_db: Session) -> None:
    assert toy_db.value("SELECT 7 % 4") == 3
    assert toy_db.value("SELECT %(a)s || %(b)s", {"a": "1 ", "b": "%"}) == "1 %"
    assert toy_db.value(sql.SQL("SELECT {}").format(sql.Literal("it's"))) == "it's"
