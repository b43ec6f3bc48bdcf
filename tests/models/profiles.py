"""Models of the two views of a profile's metadata, phase 4.3 and 4.4. JSON is a text in one form."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from tests.models.terms import Row, Table, Tables
from tests.models.views import part

# ------------------------------------------------------------------ JSON

Json = Any  # a value of loads(), below; the JSON null is NULL, and None is no value


class Null:
    """The JSON null."""


class Number(Decimal):
    """A JSON number."""


def loads(text: str | None) -> Json:
    """The value of a JSON text. Numbers keep their digits, and the JSON null is not None."""
    if text is None:
        return None
    return mark_null(json.loads(text, parse_int=Number, parse_float=Number))


def mark_null(value: Json) -> Json:
    match value:
        case None:
            return Null
        case list():
            return [mark_null(each) for each in value]
        case dict():
            return {key: mark_null(each) for key, each in value.items()}
    return value


def child(value: Json, *path: str) -> Json:
    """The value below a path of keys. None if there is no object or no key on the way."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def as_text(value: Json) -> str | None:
    """The text of a scalar; None for no value and for the JSON null."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case Number():
            return f"{abs(value) if value == 0 else value:f}"
        case str():
            return value
    return None if value is Null else "an array or an object"


# ------------------------------------------------------------------ the views


def view_profile_metadata(tables: Tables) -> list[dict[str, Json]]:
    """Every profile, with the parts of its metadata as values. A profile without a status is active."""
    return [profile_metadata(profile) for profile in tables["identity.profiles"]]


def profile_metadata(profile: Row) -> dict[str, Json]:
    metadata = loads(profile["metadata"])
    status = child(metadata, "status")
    text = as_text(status)
    return {
        **part(profile, "id username email full_name avatar_url created_at updated_at"),
        **{key: child(metadata, key) for key in ("preferences", "tags", "interests", "social_links")},
        "account_status": status if isinstance(status, list | dict) else "active" if text is None else text,
    }


WORDS = {
    **{"true"[:length]: True for length in (1, 2, 3, 4)},
    **{"yes"[:length]: True for length in (1, 2, 3)},
    **{"false"[:length]: False for length in (1, 2, 3, 4, 5)},
    **{"no"[:length]: False for length in (1, 2)},
    "on": True,
    "1": True,
    "off": False,
    "of": False,
    "0": False,
}
BLANK = r"[ \t\n\r\f\v]*"
SWITCHES = {
    "email_notifications_enabled": ("notifications", "email", True),
    "push_notifications_enabled": ("notifications", "push", True),
    "sms_notifications_enabled": ("notifications", "sms", False),
    "booking_auto_confirm": ("booking", "auto_confirm", False),
    "marketing_newsletter_enabled": ("marketing", "newsletter", False),
    "marketing_promotions_enabled": ("marketing", "promotions", False),
    "profile_public": ("privacy", "profile_public", False),
    "show_reviews": ("privacy", "show_reviews", True),
}
A_DAY = 1440


def view_user_preferences(tables: Tables) -> Table:
    """Every profile, with each preference, or its default if it is missing or malformed."""
    for profile in tables["identity.profiles"]:
        preferences = child(loads(profile["metadata"]), "preferences")
        values = {
            column: switch(as_text(child(preferences, section, key)), default)
            for column, (section, key, default) in SWITCHES.items()
        }
        values["booking_reminder_minutes"] = minutes(as_text(child(preferences, "booking", "reminder_minutes")))
        yield {**part(profile, "user_id=id username preferences_updated_at=updated_at"), **values}


def switch(text: str | None, default: bool) -> str:
    """Any spelling that a boolean has, in any case, with blanks around it."""
    found = re.fullmatch(f"{BLANK}([a-z01]+){BLANK}", (text or "").lower())
    return str(WORDS.get(found[1], default) if found else default).lower()


def minutes(text: str | None) -> str:
    """A whole number of at most 18 digits that is an integer of PostgreSQL."""
    found = re.fullmatch(f"{BLANK}([-+]?[0-9]{{1,18}}){BLANK}", text or "")
    number = int(found[1]) if found else A_DAY
    return str(number if -(2**31) <= number < 2**31 else A_DAY)
