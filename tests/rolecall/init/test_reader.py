"""What policies ask for is read from their parse trees, and from the functions that they call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rolecall.catalog.definitions import Function
from rolecall.catalog.objects import Policy
from rolecall.init.facts import FUTURE, PAST, SET, SUBJECT, TOKEN, ColumnOf, Constant, Facts, Source
from rolecall.init.reader import read
from rolecall.init.shape import Column, Routine, Shape, Table
from rolecall.noninterference.schema import ForeignKey

UID = "SELECT NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'"
JWT = (
    "SELECT COALESCE(NULLIF(current_setting('request.jwt.claim', true), ''),"
    " NULLIF(current_setting('request.jwt.claims', true), ''))::jsonb"
)


def column(name: str, type: str = "uuid", category: str = "U") -> Column:  # noqa: A002 - as the field
    return Column(name, type, category, -1, (), True, False, False, False)


def function(name: str, source: str, language: str = "sql", arguments: Sequence[str] = ()) -> Routine:
    parameters = ", ".join(f"{each} text" for each in arguments)
    definition = f"CREATE FUNCTION {name}({parameters}) RETURNS boolean LANGUAGE {language} AS $f${source}$f$"
    return Routine(Function(name, f"{name}()", language, definition, source, True, "s", False, False), arguments)


def facts(using: str, *functions: Routine) -> Facts:
    """The facts of a policy of public.notes."""
    tables = {
        "public.notes": Table(
            "public.notes",
            {
                each.name: each
                for each in (
                    *(column("id"), column("owner"), column("org"), column("state", "text", "S")),
                    *(column("open", "bool", "B"), column("until", "timestamptz", "D"), column("size", "int4", "N")),
                )
            },
        ),
        "public.members": Table(
            "public.members",
            {each.name: each for each in (column("org"), column("user_id"), column("role", "text", "S"))},
        ),
        "public.users": Table("public.users", {"id": column("id")}),
    }
    key = ForeignKey("public.notes", "public.users", ["owner"], ["id"])
    tables["public.notes"].foreign_keys.append(key)
    own = [function("auth.uid", UID), function("auth.jwt", JWT), *functions]
    policy = Policy("public.notes", "p", True, "all", ["public"], using, None)
    return read(Shape(tables, [policy], {each.function.full_name: [each] for each in own}))


def values(of: Facts, name: str, table: str = "public.notes") -> list[Any]:
    return [each.value for each in of.values.get(ColumnOf(table, name), [])]


OWNER, USER = ColumnOf("public.notes", "owner"), ColumnOf("public.members", "user_id")


@pytest.mark.parametrize(
    "using",
    [
        "owner = auth.uid()",
        "(SELECT auth.uid() AS uid) = owner",
        "owner IS NOT DISTINCT FROM (auth.uid())::uuid",
        "(owner)::text = (auth.jwt() ->> 'sub'::text)",
        "owner = ANY (ARRAY[auth.uid()])",
        "auth.uid() IN (owner, org)",
        "owner = (current_setting('request.jwt.claim.sub'::text, true))::uuid",
    ],
)
def test_a_column_is_compared_with_the_subject(using: str) -> None:
    found = facts(using)
    assert found.named[OWNER] == SUBJECT
    assert found.named[ColumnOf("public.users", "id")] == SUBJECT  # the key that it refers to


def test_settings_and_claims() -> None:
    found = facts("org = current_setting('app.org')::uuid AND owner = (auth.jwt() #>> '{app_metadata,tenant}')::uuid")
    assert found.named[ColumnOf("public.notes", "org")] == Source("setting", "app.org")
    assert found.named[OWNER] == Source("claim", "app_metadata.tenant")


@pytest.mark.parametrize(
    ("using", "subject"),
    [
        ("owner = current_setting('app.user_id')::uuid", Source("setting", "app.user_id")),
        (
            "owner = (auth.jwt() ->> 'userId')::uuid AND org = current_setting('app.org')::uuid",
            Source("claim", "userId"),
        ),
        ("owner = current_setting('app.user_id')::uuid AND org = auth.uid()", TOKEN),  # a token says it
        (
            "owner = current_setting('app.user_id')::uuid AND org = current_setting('app.customer')::uuid",
            TOKEN,
        ),  # or who?
        ("org = current_setting('app.user_tenant_id')::uuid", TOKEN),
        ("state = current_setting('app.user_role')", TOKEN),
    ],
)
def test_a_setting_or_a_claim_may_say_who_the_user_is(using: str, subject: Source) -> None:
    found = facts(using)
    assert found.subject == subject
    assert (found.named.get(OWNER) == SUBJECT) == (subject != TOKEN)


def test_a_lookup_for_the_user_that_a_setting_says() -> None:
    me = function("public.me", "SELECT current_setting('app.user_id')::uuid")
    found = facts("EXISTS (SELECT FROM public.members AS m WHERE m.user_id = me() AND m.role = 'boss')", me)
    assert found.of_users == {"public.members"}


def test_what_a_claim_is_compared_with() -> None:
    found = facts("(auth.jwt() ->> 'aal') = 'aal2' AND ((auth.jwt() -> 'app_metadata') ->> 'is_admin')::boolean")
    assert found.asked == {Source("claim", "aal"): ["aal2"], Source("claim", "app_metadata.is_admin"): [True]}


def test_what_a_column_is_compared_with() -> None:
    found = facts("state IN ('new', 'done') AND open AND until > now() AND size >= 3 AND org IS NULL")
    assert values(found, "state") == ["new", "done"]
    assert values(found, "open") == [True, False]
    assert values(found, "until") == [PAST.value, FUTURE.value]
    assert values(found, "size") == [2, 3, 4]
    assert values(found, "org") == [SET.value]
    assert not found.inside


def test_a_subquery_looks_something_up() -> None:
    found = facts("org IN (SELECT m.org FROM public.members AS m WHERE m.user_id = auth.uid() AND m.role = 'admin')")
    assert found.named[USER] == SUBJECT
    assert (ColumnOf("public.notes", "org"), ColumnOf("public.members", "org")) in found.linked
    assert values(found, "role", "public.members") == ["admin"]
    assert found.inside == {ColumnOf("public.members", "role")}
    assert list(found.looked_up) == ["public.members"]


def test_the_result_of_a_subquery_is_compared() -> None:
    found = facts("(SELECT m.role FROM public.members AS m WHERE m.user_id = auth.uid()) = 'admin'")
    assert found.inside == {ColumnOf("public.members", "role")}


SQL = "SELECT EXISTS (SELECT 1 FROM members WHERE user_id = _user AND role = _role)"
PLPGSQL = f"BEGIN IF _role IS NULL THEN RETURN false; END IF; RETURN ({SQL}); END"


@pytest.mark.parametrize(
    ("language", "body"), [("sql", SQL), ("plpgsql", PLPGSQL), ("sql", SQL.replace("_role", "$2"))]
)
def test_the_arguments_of_a_function_take_the_place_of_its_parameters(language: str, body: str) -> None:
    has_role = function("public.has_role", body, language, ["_user", "_role"])
    found = facts("public.has_role(auth.uid(), 'admin'::text)", has_role)
    assert found.named[USER] == SUBJECT
    assert values(found, "role", "public.members") == ["admin"]


def test_a_function_without_an_end() -> None:
    found = facts("public.again(owner)", function("public.again", "SELECT public.again(_x)", "sql", ["_x"]))
    assert found.named == {}


def test_a_body_that_cannot_be_read_says_nothing() -> None:
    found = facts("public.odd() AND owner = auth.uid()", function("public.odd", "BEGIN not sql", "plpgsql"))
    assert found.named[OWNER] == SUBJECT


def test_the_first_part_of_a_path() -> None:
    found = facts("(storage.foldername(state))[1] = auth.uid()::text")
    assert found.folders == {ColumnOf("public.notes", "state"): SUBJECT}


def test_a_constant_that_reads_like_a_mark() -> None:
    assert facts("state = 'set'").values[ColumnOf("public.notes", "state")] == [Constant("set")]
