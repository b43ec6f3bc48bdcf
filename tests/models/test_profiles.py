"""view_profile_metadata and view_user_preferences show what their models do, whatever JSON the metadata is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.models import profiles as model
from tests.models.lab import Lab, options
from tests.models.profiles import Json, loads
from tests.models.reading import differences, prepare, read
from tests.models.terms import Caller, Columns, Refused, Row, same
from tests.models.values import JSON_NUMBERS, JSON_VALUES, TEXTS, Picker, sessions, tables

PROFILES = "identity.profiles"

# As texts: what a boolean accepts, in several spellings, and what it does not.
SPELLINGS = (
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "of",
    "o",
    "t",
    "f",
    "y",
    "n",
    "1",
    "0",
    "tru",
    "fal",
    "ye",
    "2",
)
CASES = (str.lower, str.upper, str.capitalize)
FORMS = ("@", "@", " @ ", "\\n@\\t", "@ @", "@.", "@e")
SWITCHES = (
    "true",
    "false",
    "0",
    "1",
    "null",
    "[true]",
    "[]",
    "{}",
    '{"true": true}',
    "1.0",
    "10",
    "-0",
    "3e1",
    '"maybe"',
)
# A text of a number, with a sign, zeros, blanks, a unit, and digits that are not those of ASCII.
NUMBER_FORMS = (
    '"@"',
    '"+@"',
    '" @ "',
    '"00@"',
    '"000000000000000000@"',
    '"@ minutes"',
    '"{}\\n"',
    '"@ @"',
    '"٣"',
)


def switch(random: Random) -> str:
    """A JSON value that may mean yes or no."""
    if random.random() < 0.5:
        return random.choice(SWITCHES)
    word = random.choice(CASES)(random.choice(SPELLINGS))
    return f'"{random.choice(FORMS).replace("@", word)}"'


def number(random: Random) -> str:
    """A JSON value that may mean a number of minutes."""
    digits = random.choice(JSON_NUMBERS)
    return random.choice((digits, random.choice(NUMBER_FORMS).replace("@", digits), random.choice(JSON_VALUES)))


def object_of(random: Random, values: dict[str, Callable[[Random], str]]) -> str:
    """A JSON object with most of these keys; sometimes another value in its place."""
    if random.random() < 0.1:
        return random.choice(JSON_VALUES)
    present = {key: value(random) for key, value in values.items() if random.random() < 0.8}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in present.items()) + "}"


def section(*keys: str) -> Callable[[Random], str]:
    return lambda random: object_of(random, dict.fromkeys(keys, switch))


def preferences(random: Random) -> str:
    return object_of(
        random,
        {
            "notifications": section("email", "push", "sms"),
            "booking": lambda random: object_of(random, {"auto_confirm": switch, "reminder_minutes": number}),
            "marketing": section("newsletter", "promotions"),
            "privacy": section("profile_public", "show_reviews"),
            # Keys of other places: they count nowhere.
            "email": switch,
            "reminder_minutes": number,
        },
    )


STATUSES = (*JSON_VALUES, '"active"', '"suspended"', '"Suspended"', '" suspended "', '""', '"' + "x" * 300 + '"')


def metadata(random: Random) -> str | None:
    """The metadata of a profile, mostly an object with the known keys."""
    if random.random() < 0.1:
        return random.choice((None, *JSON_VALUES))
    anything = dict.fromkeys(("tags", "interests", "social_links", "theme"), lambda random: random.choice(JSON_VALUES))
    return object_of(random, {"preferences": preferences, "status": lambda random: random.choice(STATUSES), **anything})


def profile(pick: Picker) -> dict[str, Any]:
    names = {name: pick(name, TEXTS, TEXTS, [None]) for name in ("username", "email", "full_name", "avatar_url")}
    times = {name: pick.moment(name) for name in ("created_at", "updated_at")}
    return {"id": pick.id(), **names, **times, "metadata": metadata(pick.random)}


profiles = tables(profile, (1, 3, 10, 10, 30, 150))
readers = st.sampled_from(("customer", "staff", "no_subject", "service", "service", "service"))


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.let_anon_in("identity")
    prepare(lab, PROFILES)
    return lab


def visible(
    lab: Lab, table: Sequence[Columns], hidden: Iterable[UUID], reader: str, setting: Columns, name: str
) -> tuple[list[Row], list[Row]]:
    """What a reader sees in the table and in the view."""
    caller = Caller(reader)
    with lab.example({**setting, "models.hidden": " ".join(map(str, hidden))}, {PROFILES: table}):
        rows, shown = read(lab, caller, PROFILES), read(lab, caller, name)
    assert not isinstance(rows, Refused), rows
    assert not isinstance(shown, Refused), shown
    return rows, shown


def having(metadata: str | None) -> list[dict[str, Any]]:
    """A profile with this metadata, for an explicit example."""
    return [{"id": UUID(int=1), "username": "somebody", "metadata": metadata}]


def reminding(minutes: str) -> list[dict[str, Any]]:
    """A profile with this JSON value as its minutes."""
    return having(f'{{"preferences": {{"booking": {{"reminder_minutes": {minutes}}}}}}}')


@options()
@given(table=profiles, reader=readers, setting=sessions)
@example(having(None), "service", {})  # WHERE metadata IS NOT NULL
@example(having('{"preferences": {"notifications": {"email": "OFF"}}}'), "service", {})  # without lower()
@example(
    having('{"preferences": {"notifications": {"email": " of\\n"}}}'), "service", {}
)  # without blanks, without "of"
@example(having('{"preferences": {"reminder_minutes": 5}}'), "service", {})  # a value of another place
@example(reminding("2147483647"), "service", {})  # < in place of <=
@example(reminding("-2147483648"), "service", {})  # BETWEEN 0 AND …
@example(reminding('"000000000000000030"'), "service", {})  # at most 17 digits
@example(reminding('"+30"'), "service", {})  # only a minus
@example(reminding("3e1"), "service", {})  # JSON numbers are written out
def test_view_user_preferences(lab: Lab, table: list[Columns], reader: str, setting: Columns) -> None:
    hidden = [each["id"] for each in table[1::4]]
    rows, shown = visible(lab, table, hidden, reader, setting, "identity.view_user_preferences")
    assert not differences(shown, model.view_user_preferences({PROFILES: rows}))


@options()
@given(table=profiles, reader=readers, setting=sessions)
@example(having('{"status": ""}'), "service", {})  # NULLIF(…, '')
@example(having('{"status": "Suspended"}'), "service", {})  # lower()
@example(having('{"tags": null}'), "service", {})  # COALESCE(metadata -> 'tags', '[]')
@example(having('[{"tags": 1}]'), "service", {})  # only objects
def test_view_profile_metadata(lab: Lab, table: list[Columns], reader: str, setting: Columns) -> None:
    hidden = [each["id"] for each in table[1::4]]
    rows, shown = visible(lab, table, hidden, reader, setting, "identity.view_profile_metadata")
    expected = model.view_profile_metadata({PROFILES: rows})
    assert by_id(map(with_values, shown, status_kinds(shown, rows))) == by_id(expected)


PARTS = ("preferences", "tags", "interests", "social_links")


def status_kinds(shown: Sequence[Row], rows: Sequence[Row]) -> list[bool]:
    """For each row of the view, whether its status is an array or an object: that is shown as JSON."""
    statuses = {row["id"]: model.child(loads(row["metadata"]), "status") for row in rows}
    return [isinstance(statuses.get(row["id"]), list | dict) for row in shown]


def with_values(row: Row, is_json: bool) -> dict[str, Json]:
    """A row of the view, with values for its JSON texts."""
    values = {name: loads(row[name]) for name in PARTS}
    return {**row, **values, **({"account_status": loads(row["account_status"])} if is_json else {})}


def by_id(rows: Iterable[dict[str, Json]]) -> list[dict[str, Json]]:
    return sorted(rows, key=lambda row: str(row["id"]))


@pytest.mark.parametrize("name", ["view_user_preferences", "view_profile_metadata"])
def test_anon_is_refused(lab: Lab, name: str) -> None:
    answer = read(lab, Caller("anon"), f"identity.{name}")
    assert isinstance(answer, Refused)
    assert same(answer, Refused("42501", f"permission denied for view {name}"))
