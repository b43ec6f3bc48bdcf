"""view_user_preferences: the user's own preferences from the metadata; a missing or malformed one has its default."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from rolecall import Session, World

PROFILES = "identity.profiles"
MINUTES = "booking_reminder_minutes"

# For each column, in the view's order: section and key of its value, the default, and another value.
PREFERENCES: dict[str, tuple[str, str, Any, Any]] = {
    "email_notifications_enabled": ("notifications", "email", True, False),
    "push_notifications_enabled": ("notifications", "push", True, False),
    "sms_notifications_enabled": ("notifications", "sms", False, True),
    "booking_auto_confirm": ("booking", "auto_confirm", False, True),
    MINUTES: ("booking", "reminder_minutes", 1440, 30),
    "marketing_newsletter_enabled": ("marketing", "newsletter", False, True),
    "marketing_promotions_enabled": ("marketing", "promotions", False, True),
    "profile_public": ("privacy", "profile_public", False, True),
    "show_reviews": ("privacy", "show_reviews", True, False),
}
DEFAULTS = {column: default for column, (_, _, default, _) in PREFERENCES.items()}
OTHERS = {column: other for column, (_, _, _, other) in PREFERENCES.items()}
SWITCHES = [column for column in PREFERENCES if column != MINUTES]

OWN = (
    *("customer", "other_customer", "staff", "other_staff", "owner", "other_owner"),
    *("former_staff", "owner_on_staff", "staff_customer", "staff_of_both"),
)
VISIBLE: dict[str, set[str]] = {
    **{person: {person} for person in OWN},
    "no_subject": set(),
    "granted_anon": set(),
    "service": set(OWN),
}

# The mistaken grants of granted_anon.
MISTAKE = """
    GRANT USAGE ON SCHEMA identity TO anon;
    GRANT ALL ON identity.view_user_preferences, identity.profiles TO anon
"""

READ = """
    SELECT email_notifications_enabled, push_notifications_enabled, sms_notifications_enabled,
           booking_auto_confirm, booking_reminder_minutes,
           marketing_newsletter_enabled, marketing_promotions_enabled, profile_public, show_reviews
    FROM identity.view_user_preferences
"""

# The inputs that PostgreSQL's boolean accepts, as JSON and as text; every other value is neither yes nor no.
YES = {
    "JSON true": True,
    "number 1": 1,
    "true": "true",
    "yes": "yes",
    "on": "on",
    "1": "1",
    "shortened": "tr",
    "letter t": "t",
    "letter y": "y",
    "upper case": "TRUE",
    "capital": "Yes",
    "spaces": " on ",
}
NO = {
    "JSON false": False,
    "number 0": 0,
    "false": "false",
    "no": "no",
    "off": "off",
    "0": "0",
    "shortened": "fal",
    "letter f": "f",
    "letter n": "n",
    "upper case": "FALSE",
    "capital": "No",
    "spaces": " off ",
}
NEITHER: dict[str, Any] = {
    "maybe": "maybe",
    "empty text": "",
    "space": " ",
    "o, of on or off": "o",
    "too long": "truely",
    "twice": "yes yes",
    "the word null": "null",
    "JSON null": None,
    "number 2": 2,
    "number -1": -1,
    "number 1.0": 1.0,
    "number 10": 10,
    "empty array": [],
    "array": [True],
    "array of text": ["true"],
    "empty object": {},
    "object": {"true": True},
}
VALID_MINUTES: dict[str, tuple[Any, int]] = {
    "none": (0, 0),
    "one": (1, 1),
    "negative": (-15, -15),
    "the default": (1440, 1440),
    "highest": (2147483647, 2147483647),
    "lowest": (-2147483648, -2147483648),
    "text": ("30", 30),
    "spaces": (" 30 ", 30),
    "plus": ("+30", 30),
    "minus": ("-30", -30),
    "zeros": ("0030", 30),
}
INVALID_MINUTES: dict[str, Any] = {
    "soon": "soon",
    "empty text": "",
    "space": " ",
    "with a unit": "30 minutes",
    "two numbers": "3 0",
    "text with a fraction": "30.5",
    "text with an exponent": "1e3",
    "two signs": "--30",
    "only a sign": "+",
    "JSON true": True,
    "JSON null": None,
    "fraction": 30.5,
    "too high": 2147483648,
    "too low": -2147483649,
    "text too high": "2147483648",
    "beyond bigint": 2**63,
    "thirty digits": 10**30,
    "text of forty digits": "9" * 40,
    "empty array": [],
    "array": [30],
    "empty object": {},
    "object": {"minutes": 30},
}
MALFORMED: dict[str, Any] = {"soon": "soon", "maybe": "maybe", "array": [1], "object": {"on": True}}


def as_metadata(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Values of the columns of the view, in the form of the metadata: by section and key."""
    sections: dict[str, dict[str, Any]] = {}
    for column, value in values.items():
        section, key, _, _ = PREFERENCES[column]
        sections.setdefault(section, {})[key] = value
    return sections


def preferences_for(db: Session, world: World, metadata: Any) -> dict[str, Any]:
    """Set the metadata of the customer's profile; returns the row that the customer reads in the view."""
    customer = world.row(PROFILES, "customer")["id"]
    db.execute("UPDATE identity.profiles SET metadata = %s WHERE id = %s", [metadata, customer])
    with db.reading_as("customer"):
        return dict(zip(PREFERENCES, db.row(READ), strict=True))


def test_every_persona_is_listed(world: World) -> None:
    assert {*VISIBLE, "anon"} == world.personas.keys()
    assert set(OWN) == world.rows[PROFILES].keys()


@pytest.mark.parametrize("persona", VISIBLE)
def test_shows_what_the_table_shows(persona: str, db: Session, world: World) -> None:
    if persona == "granted_anon":
        db.execute(MISTAKE)
    with db.reading_as(persona):
        view_rows = db.rows("SELECT user_id::text, username FROM identity.view_user_preferences")
        table_rows = db.rows("SELECT id::text, username FROM identity.profiles")
    expected = [
        (world.row(PROFILES, person)["id"], world.row(PROFILES, person)["username"]) for person in VISIBLE[persona]
    ]
    assert sorted(view_rows) == sorted(table_rows) == sorted(expected)


def test_anon_is_refused(db: Session) -> None:
    db.execute("GRANT USAGE ON SCHEMA identity TO anon")  # then it is the view that refuses
    with db.reading_as("anon"), db.raises("42501", message="permission denied for view view_user_preferences"):
        db.rows("SELECT user_id FROM identity.view_user_preferences")


def test_every_column_is_the_stored_value(db: Session) -> None:
    key, updated = UUID("00000000-0000-4000-8000-000000000042"), datetime(2024, 3, 2, 9, 30, tzinfo=UTC)
    db.execute(
        """
        INSERT INTO identity.profiles (id, username, metadata, created_at, updated_at)
        VALUES (%s, 'somebody', %s, '2024-03-01 09:30Z', %s)
        """,
        [key, Jsonb({"preferences": as_metadata(OTHERS)}), updated],
    )
    with db.reading_as("service"):
        row = db.row("SELECT * FROM identity.view_user_preferences WHERE user_id = %s", [key])
    assert row == (key, "somebody", False, False, True, True, 30, True, True, True, False, updated)


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(None, id="no metadata"),
        pytest.param(Jsonb(None), id="JSON null"),
        pytest.param(Jsonb({}), id="empty object"),
        pytest.param(Jsonb([]), id="empty array"),
        pytest.param(Jsonb([{"preferences": as_metadata(OTHERS)}]), id="array"),
        pytest.param(Jsonb("preferences"), id="text"),
        pytest.param(Jsonb(5), id="number"),
        pytest.param(Jsonb(True), id="boolean"),
        pytest.param(Jsonb(as_metadata(OTHERS)), id="not under preferences"),
        pytest.param(Jsonb({"preferences": None}), id="preferences of JSON null"),
        pytest.param(Jsonb({"preferences": {}}), id="no preferences"),
        pytest.param(Jsonb({"preferences": "dark"}), id="preferences as text"),
        pytest.param(Jsonb({"preferences": 5}), id="preferences as number"),
        pytest.param(Jsonb({"preferences": [as_metadata(OTHERS)]}), id="preferences as array"),
        pytest.param(Jsonb({"preferences": OTHERS}), id="preferences in no section"),
        pytest.param(Jsonb({"preferences": dict.fromkeys(as_metadata(OTHERS), "all")}), id="sections as text"),
        pytest.param(Jsonb({"preferences": dict.fromkeys(as_metadata(OTHERS))}), id="sections of JSON null"),
        pytest.param(
            Jsonb({"preferences": {name: [section] for name, section in as_metadata(OTHERS).items()}}),
            id="sections as array",
        ),
        pytest.param(Jsonb({"preferences": as_metadata(dict.fromkeys(PREFERENCES))}), id="values of JSON null"),
    ],
)
def test_a_missing_value_has_its_default(metadata: Any, db: Session, world: World) -> None:
    assert preferences_for(db, world, metadata) == DEFAULTS


@pytest.mark.parametrize("column", PREFERENCES)
def test_a_stored_value_replaces_only_its_own_default(column: str, db: Session, world: World) -> None:
    preferences = as_metadata({column: OTHERS[column]})
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {**DEFAULTS, column: OTHERS[column]}


@pytest.mark.parametrize("column", PREFERENCES)
def test_a_stored_default_is_shown_among_other_values(column: str, db: Session, world: World) -> None:
    preferences = as_metadata({**OTHERS, column: DEFAULTS[column]})
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {**OTHERS, column: DEFAULTS[column]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(value, expected, id=name)
        for words, expected in ((YES, True), (NO, False))
        for name, value in words.items()
    ],
)
def test_a_switch_is_on_or_off_in_any_spelling(value: Any, expected: bool, db: Session, world: World) -> None:
    preferences = as_metadata(dict.fromkeys(SWITCHES, value))
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {
        **DEFAULTS,
        **dict.fromkeys(SWITCHES, expected),
    }


@pytest.mark.parametrize("value", NEITHER.values(), ids=NEITHER)
def test_a_switch_that_is_neither_on_nor_off_has_its_default(value: Any, db: Session, world: World) -> None:
    preferences = as_metadata({**dict.fromkeys(SWITCHES, value), MINUTES: 30})
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {**DEFAULTS, MINUTES: 30}


@pytest.mark.parametrize(("value", "expected"), VALID_MINUTES.values(), ids=VALID_MINUTES)
def test_minutes_are_a_whole_number(value: Any, expected: int, db: Session, world: World) -> None:
    preferences = as_metadata({MINUTES: value})
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {**DEFAULTS, MINUTES: expected}


@pytest.mark.parametrize("value", INVALID_MINUTES.values(), ids=INVALID_MINUTES)
def test_invalid_minutes_become_a_day(value: Any, db: Session, world: World) -> None:
    preferences = as_metadata({**OTHERS, MINUTES: value})
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {**OTHERS, MINUTES: 1440}


@pytest.mark.parametrize("column", PREFERENCES)
@pytest.mark.parametrize("value", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_value_changes_no_other_value(value: Any, column: str, db: Session, world: World) -> None:
    preferences = as_metadata({**OTHERS, column: value})
    assert preferences_for(db, world, Jsonb({"preferences": preferences})) == {**OTHERS, column: DEFAULTS[column]}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param("true", OWN, id="no condition"),
        pytest.param("booking_reminder_minutes = 30", ("staff",), id="minutes"),
        pytest.param("NOT email_notifications_enabled", ("staff",), id="switch"),
        pytest.param("booking_reminder_minutes > 60 AND show_reviews", set(OWN) - {"staff"}, id="both"),
    ],
)
def test_a_malformed_profile_does_not_break_the_view(
    condition: str, expected: tuple[str, ...], db: Session, world: World
) -> None:
    malformed = as_metadata({**dict.fromkeys(SWITCHES, "maybe"), MINUTES: "soon"})
    for person, preferences in (("customer", malformed), ("owner", ["malformed"]), ("staff", as_metadata(OTHERS))):
        db.execute(
            "UPDATE identity.profiles SET metadata = %s WHERE id = %s",
            [Jsonb({"preferences": preferences}), world.row(PROFILES, person)["id"]],
        )
    with db.reading_as("service"):
        rows = db.rows("SELECT user_id::text FROM identity.view_user_preferences WHERE " + condition)
    assert sorted(rows) == sorted((world.row(PROFILES, person)["id"],) for person in expected)
