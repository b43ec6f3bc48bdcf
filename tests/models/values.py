"""Hypothesis strategies for the values of the models. Most values are at a border, or alike in all but one way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.models.terms import Caller, Ref, person

T = TypeVar("T")

PEOPLE = ("customer", "other_customer", "staff", "owner", "other_owner")
SALONS = tuple(Ref("organization.salons", name) for name in ("salon", "other_salon", "solo_salon"))
NOBODY = UUID("00000000-0000-0000-0000-00000000dead")  # the id of no row

# ------------------------------------------------------------------ times

DAY = 86400
NOW = Decimal(int(time.time()))
INFINITY = Decimal("Infinity")

# In seconds since 1970. Midnight in UTC, in Asia/Kolkata and in Pacific/Kiritimati; the hours that America/St_Johns and
# Europe/Berlin skip and repeat; a leap day; the first and the last moments that Python knows.
MOMENTS = (
    *(Decimal(1748736000), Decimal(1748716200), Decimal(1748685600)),
    *(Decimal(1741498200), Decimal(1762057800), Decimal(1743296400), Decimal(1761440400)),
    *(Decimal(1709164800), Decimal(0), Decimal(-62135596800), Decimal(253402300799)),
)
# From a microsecond to years, back and forth.
STEPS = tuple(
    Decimal(sign * step)
    for step in (Decimal("0.000001"), Decimal("0.001"), 1, 59, 3600, 5 * 3600 + 1800, DAY, 31 * DAY, 400 * DAY)
    for sign in (1, -1)
)

ZONES = ("UTC", "Asia/Kolkata", "Pacific/Kiritimati", "America/St_Johns", "Pacific/Apia", "Europe/Berlin", "Etc/GMT+12")

sessions = st.fixed_dictionaries(
    {
        "TimeZone": st.sampled_from(ZONES),
        "DateStyle": st.sampled_from(("ISO, MDY", "ISO, DMY", "German, DMY", "SQL, DMY", "SQL, MDY", "Postgres, DMY")),
        "IntervalStyle": st.sampled_from(("postgres", "sql_standard", "iso_8601", "postgres_verbose")),
        "lc_time": st.sampled_from(("C", "de_DE.UTF-8", "fr_FR.utf8", "ja_JP.utf8")),
    }
)
"""Settings of a session, as a client or a role may have them."""


def clamped(moment: Decimal) -> Decimal:
    """The nearest moment that has a text in ISO form."""
    return min(max(moment, MOMENTS[-2]), MOMENTS[-1])


# ------------------------------------------------------------------ texts

# Without an ASCII word in any other case or accent. No blanks besides those of ASCII: a locale decides about the rest.
TEXTS = (
    *("Hello", "hello", "HELLO", "Hello ", " Hello", "Hell", "Hello, world", "Hello\n", "H_llo", "H%", "Hello\\"),
    *(
        "",
        " ",
        "   ",
        "\t",
        "\n",
        "\r\n",
        "'",
        "''",
        '"',
        "$$",
        "--",
        ";",
        "{}",
        "null",
        "NULL",
        "0",
        "NaN",
        "infinity",
    ),
    *(
        "Zażółć",
        "zażółć",
        "ZAŻÓŁĆ",
        "é",
        "e\u0301",
        "ß",
        "SS",
        "İ",
        "i",
        "\u200b",
        "🎉",
        "👩\u200d🔬",
        "日本語",
        "\ufeff",
    ),
    *("x" * 50, "x" * 51, "é" * 50, "é" * 51, "x" * 1000 + "a", "x" * 1000 + "b", "🎉" * 255, "🎉" * 256),
)

# ------------------------------------------------------------------ JSON, as texts

JSON_NUMBERS = (
    *("0", "1", "-1", "2", "10", "-0", "1.0", "1440", "30", "30.5", "3e1", "1e-2", "2147483647", "2147483648"),
    *("-2147483648", "-2147483649", "999999999999999999", "1000000000000000000", "9" * 40),
)
JSON_SCALARS = ("null", "true", "false", '""', '"x"', '"true"', '"active"', '"Zażółć 🎉"', '"\\"\\\\/"', *JSON_NUMBERS)

JSON_VALUES = (
    *JSON_SCALARS,
    *("[]", "{}", "[null]", '["a", 1, {"b": null}]', '{"status": "inner"}', '{"b": [1], "aa": {}, "a": 2}'),
)
"""JSON values of each kind."""


# ------------------------------------------------------------------ callers

# What a request may claim and what must not count: only the role of the session and the subject of the token do.
ROLES = ("service_role", "admin", "owner")


def lie(user: Ref, role: str) -> Caller:
    """A caller that claims to be the user, and to have a role, in each place that a mistaken condition may look at."""
    names = {"role": role, "user_role": role, "user_id": user, "id": user, "sub": user, "email": user, role: "true"}
    more = {
        **names,
        "roles": [*ROLES],
        "permissions": [*ROLES],
        "admin": True,
        "is_admin": True,
        "is_staff": True,
        "impersonate": user,
    }
    claims = {**more, "user_metadata": more, "app_metadata": more, "act": {"sub": user}, "aal": "aal2"}
    headers = {f"x-{name.replace('_', '-')}": value for name, value in more.items()}
    del claims["sub"]
    return Caller("", claims, {**headers, "x-forwarded-user": user, "x-internal": "true", "x-service": "true"})


@st.composite
def callers(draw: DrawFn, user: Ref | None = None) -> Caller:
    """Someone who asks about a user: that user, the service, or somebody else, who may claim to be one of the two."""
    own = [user.name] * 8 if user else []
    persona = draw(st.sampled_from([*own, "service", "service", *PEOPLE[:4], "no_subject", "anon"]))
    if draw(st.booleans()):
        return Caller(persona)
    return replace(lie(user or person("owner"), draw(st.sampled_from(ROLES))), persona=persona)


# ------------------------------------------------------------------ tables

# From none to hundreds: a page has 20 rows, and a mistake may look at no more than 100.
SIZES = (0, 1, 2, 3, 5, 8, 13, 30, 30, 400)


class Picker:
    """Picks the values of the columns of one table.

    Of half of the columns any values come; of the others a few, so that rows are alike in them. Ids are in no order, so
    neither they nor the order of the table agree with a time.
    """

    def __init__(self, seed: int) -> None:
        # From a text: the ids of the world may come from the seed of a number, and would be the same.
        self.random = Random(f"models {seed}")  # noqa: S311  # not for secrets
        self._pools: dict[str, Sequence[Any]] = {}

    def __call__(self, column: str, *pools: Sequence[T]) -> T:
        """A value of a column, from one of these pools: each pool is as likely as the others."""
        if column not in self._pools:
            few = [self.random.choice(self.random.choice(pools)) for _ in range(self.random.randint(1, 3))]
            self._pools[column] = self.random.choice([pools, [few]])
        value: T = self.random.choice(self.random.choice(self._pools[column]))
        return value

    def moment(self, column: str) -> Decimal | None:
        """A time or NULL. In some tables, all of them are around one moment."""
        around = [clamped(self.base + step) for step in (*STEPS, Decimal(0))]
        pools: list[Sequence[Decimal | None]] = [around, around, around, [None, INFINITY, -INFINITY], self.anywhere]
        return self(column, *pools)

    @cached_property
    def base(self) -> Decimal:
        return self.random.choice([NOW, NOW, NOW, *MOMENTS])

    @cached_property
    def anywhere(self) -> list[Decimal]:
        return [clamped(moment + step) for moment in (NOW, *MOMENTS) for step in (*STEPS, Decimal(0))]

    def id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128))


pickers = st.integers(0, 2**32).map(Picker)


class Many(list[T]):
    """A list that is shown in a failure by its first values only. Hypothesis warns of a longer text."""

    SHOWN = 20

    def __repr__(self) -> str:
        text = ", ".join(map(repr, self[: self.SHOWN]))
        return f"[{text}, … {len(self)} in all]" if len(self) > self.SHOWN else f"[{text}]"


@st.composite
def tables(draw: DrawFn, row: Callable[[Picker], T], sizes: Sequence[int] = SIZES) -> Many[T]:
    """The rows of a table. ``row`` makes one from a picker."""
    picker = draw(pickers)
    return Many(row(picker) for _ in range(draw(st.sampled_from(sizes))))


@st.composite
def some_ids(draw: DrawFn, known: Sequence[UUID]) -> list[UUID | None] | None:
    """A list of ids: some or all of these, an unknown one, NULL, one of them twice; or no list."""
    random = draw(pickers).random
    count = draw(st.sampled_from((0, 1, 2, 3, 6, 10, len(known) // 2, len(known), len(known), None)))
    if count is None:
        return None
    more = draw(st.lists(st.sampled_from((NOBODY, None, *known[:1])), max_size=3))
    return Many([*more, *random.sample(known, min(count, len(known)))])
