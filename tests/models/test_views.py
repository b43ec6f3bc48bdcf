"""The views that join or count show what their models do, for any rows and any reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.models import views as model
from tests.models.lab import Lab, options
from tests.models.reading import differences, prepare, read
from tests.models.terms import Caller, Columns, Ref, Refused, Row, Tables, person, same
from tests.models.values import JSON_VALUES, NOBODY, TEXTS, Picker, pickers, sessions, tables

PROFILES, SALONS, STAFF = "identity.profiles", "organization.salons", "organization.staff_profiles"
APPOINTMENTS, REVIEWS = "scheduling.appointments", "engagement.salon_reviews"
SCHEMAS = ("identity", "organization", "scheduling", "communication", "engagement", "audit")

# The rows that others refer to. The second profile often looks like the first.
PERSONS = tuple(UUID(int=0xA0000000 + n) for n in range(4))
PLACES = tuple(UUID(int=0xB0000000 + n) for n in range(3))
MEMBERS = tuple(UUID(int=0xC0000000 + n) for n in range(3))
VISITS = tuple(UUID(int=0xD0000000 + n) for n in range(3))
REFERRED = (*PERSONS, *PLACES, *MEMBERS, *VISITS)

PERSON_IDS = (*PERSONS, *PERSONS, person("customer"), person("staff"))
PLACE_IDS = (*PLACES, *PLACES, Ref(SALONS, "salon"))
Pools = tuple[Sequence[Any], ...]


def maybe(values: Sequence[Any]) -> Pools:
    """These values, and now and then NULL."""
    return values, values, values, [None]


def row(**columns: Pools | None) -> Callable[[Picker], dict[str, Any]]:
    """A function that makes rows with an id and these columns. None: a time."""

    def pick_all(pick: Picker) -> dict[str, Any]:
        picked = {name: pick(name, *pools) if pools else pick.moment(name) for name, pools in columns.items()}
        return {"id": pick.id(), **picked}

    return pick_all


# A mistake may cut a text: many are long.
SOME_TEXT = (*maybe(TEXTS), [text for text in TEXTS if len(text) > 50])
TIMES: dict[str, Pools | None] = {"created_at": None, "updated_at": None}

profiles = row(username=SOME_TEXT, email=SOME_TEXT, full_name=SOME_TEXT, avatar_url=SOME_TEXT)
salons = row(
    owner_id=maybe(PERSON_IDS),
    name=(("Salon", "salon", "Salon ", "é" * 300),),
    slug=SOME_TEXT,
    description=SOME_TEXT,
    image_url=SOME_TEXT,
)
members = row(salon_id=maybe(PLACE_IDS), user_id=maybe(PERSON_IDS))
visits = row(
    salon_id=maybe(PLACE_IDS),
    customer_id=maybe(PERSON_IDS),
    scheduled_date=maybe((date(2025, 3, 30), date(2024, 2, 29), date(9999, 12, 31))),
)
# In an order in which they can be inserted.
REFERRED_ROWS = {
    PROFILES: (profiles, PERSONS),
    SALONS: (salons, PLACES),
    STAFF: (members, MEMBERS),
    APPOINTMENTS: (visits, VISITS),
}


def referred_rows(pick: Picker) -> dict[str, list[dict[str, Any]]]:
    """The rows that others refer to, by table."""
    return {table: [{**make(pick), "id": key} for key in keys] for table, (make, keys) in REFERRED_ROWS.items()}


class View(NamedTuple):
    """A view: its model, the table whose rows it shows, the tables that it joins, and a row of the first one."""

    model: Callable[[Tables], Any]
    table: str
    joined: tuple[str, ...]
    row: Callable[[Picker], dict[str, Any]]


VIEWS = {
    "audit.audit_logs_view": View(
        model.audit_logs_view,
        "audit.audit_logs",
        (PROFILES,),
        row(
            entity_type=(("salon", "Salon", "x" * 100),),
            entity_id=maybe((*PERSONS, NOBODY)),
            action=(("update", "Update", "delete", "é" * 100),),
            actor_id=maybe(PERSON_IDS),
            created_at=None,
            old_values=maybe(JSON_VALUES),
            new_values=maybe(JSON_VALUES),
            change_summary=SOME_TEXT,
            reason=SOME_TEXT,
            source_system=maybe(("application", "system")),
        ),
    ),
    "engagement.customer_favorites_view": View(
        model.customer_favorites_view,
        "engagement.customer_favorites",
        (SALONS,),
        row(
            customer_id=(PERSON_IDS,),
            salon_id=(PLACE_IDS,),
            notes=SOME_TEXT,
            rating=((1, 3, 5, None),),
            is_favorite=maybe((True, True, False)),
            **TIMES,
        ),
    ),
    "scheduling.view_blocked_times_with_relations": View(
        model.view_blocked_times_with_relations,
        "scheduling.blocked_times",
        (STAFF, PROFILES, APPOINTMENTS),
        row(
            staff_id=maybe(MEMBERS),
            appointment_id=maybe(VISITS),
            reason=SOME_TEXT,
            blocked_from=None,
            blocked_until=None,
            is_deleted=maybe((False, False, False, True)),
            **TIMES,
        ),
    ),
    "communication.view_notifications": View(
        model.view_notifications,
        "communication.notifications",
        (PROFILES,),
        row(
            user_id=maybe(PERSON_IDS),
            message=SOME_TEXT,
            notification_type=maybe(("reminder", "Reminder", "system", "", "é" * 60)),
            metadata=maybe(JSON_VALUES),
            read_at=None,
            **TIMES,
        ),
    ),
}
READERS = ("customer", "staff", "no_subject", "service", "service", "service")


@pytest.fixture
def lab(lab: Lab) -> Lab:
    """The tables of the views: a reader sees all rows of them but the hidden ones."""
    lab.let_anon_in(*SCHEMAS)
    names = {name for view in VIEWS.values() for name in (view.table, *view.joined)}
    prepare(lab, *sorted({*names, REVIEWS}))
    # The reviews of the world would count, too.
    lab.empty(REVIEWS)
    # So that a favourite may come more than once.
    lab.db.execute("DROP INDEX IF EXISTS engagement.idx_customer_favorites_unique")
    return lab


@pytest.mark.parametrize("name", VIEWS)
@options()
@given(data=st.data(), referred=pickers.map(referred_rows), reader=st.sampled_from(READERS), setting=sessions)
def test_a_view_that_joins(
    lab: Lab, name: str, data: st.DataObject, referred: Mapping[str, Any], reader: str, setting: Columns
) -> None:
    view = VIEWS[name]
    table = data.draw(tables(view.row), "table")
    hidden = data.draw(st.lists(st.sampled_from(REFERRED), max_size=4), "hidden")
    caller = Caller(reader)
    with lab.example({**setting, "models.hidden": " ".join(map(str, hidden))}, {**referred, view.table: table}):
        visible = {each: seen(read(lab, caller, each)) for each in (view.table, *view.joined)}
        shown = seen(read(lab, caller, name))
    assert not differences(shown, view.model(visible))


def seen(answer: list[Row] | Refused) -> list[Row]:
    """The rows. Raises AssertionError if the reader was refused."""
    assert not isinstance(answer, Refused), answer
    return answer


@pytest.mark.parametrize("name", [*VIEWS, "engagement.salon_reviews_with_counts_view"])
def test_anon_is_refused(lab: Lab, name: str) -> None:
    answer = read(lab, Caller("anon"), name)
    assert isinstance(answer, Refused)
    assert same(answer, Refused("42501", f"permission denied for view {name.split('.')[1]}"))


@options(40)
@given(
    table=tables(row(entity_type=(["salon"],), action=(["update"],), created_at=None)),
    reader=st.sampled_from(("customer", "service")),
    setting=sessions,
)
def test_the_audit_log_is_newest_first(lab: Lab, table: list[Columns], reader: str, setting: Columns) -> None:
    """An entry without a time comes first: that is what DESC means."""
    query = "SELECT extract(epoch FROM created_at) FROM audit.audit_logs_view"
    with lab.example(setting, {"audit.audit_logs": table}):
        answer = lab.ask(Caller(reader), query)
    assert not isinstance(answer, Refused), answer
    times: list[Decimal | None] = [time for (time,) in answer]
    assert len(times) >= len(table)
    assert times == sorted(times, key=lambda time: (time is None, time or 0), reverse=True)


# ------------------------------------------------------------------ reviews

STARS = (1, 2, 3, 4, 5)
reviews = row(
    salon_id=(PLACES[:1], PLACES[:1], (PLACES[1], Ref(SALONS, "salon"), None)),
    customer_id=maybe(PERSON_IDS),
    rating=(*[STARS] * 40, *[[0, 6, None, None, -3]] * 4, [9, 10, -10, 2_147_483_647]),
    content=SOME_TEXT,
    status=maybe(("published", "Published", "pending", "hidden", "")),
    **TIMES,
)


def rated(*ratings: int | None, **columns: Any) -> list[dict[str, Any]]:
    """Reviews of one salon with these ratings, for an explicit example."""
    return [
        {"id": UUID(int=n), "salon_id": Ref(SALONS, "salon"), "rating": r, **columns} for n, r in enumerate(ratings)
    ]


@options(100)
@given(
    table=tables(reviews),
    referred=pickers.map(referred_rows),
    reader=st.sampled_from(READERS),
    hidden=st.lists(st.integers(0, 9), max_size=3),
)
@example(rated(4, None), {}, "service", [])  # count(rating), or COALESCE(rating, 0) in the average
@example(rated(5, 5, 5, 2, 1, 1, 1, 1), {}, "service", [])  # the average cut off in place of rounded
@example(rated(5, 6, 0), {}, "service", [])  # rating >= 5, rating <= 1
@example(rated(10), {}, "service", [])  # numeric(4, 2): no error
@example(rated(5, 1), {}, "customer", [0])  # the reviews of all, not only those that the reader reads
@example(rated(5, 1, status="pending"), {}, "customer", [])  # only published ones
@example(rated(5, status="é" * 60), {}, "service", [])  # left(status, 50)
@example(rated(*[3] * 150), {}, "service", [])  # LIMIT 100
def test_salon_reviews_with_counts_view(
    lab: Lab, table: list[Columns], referred: Mapping[str, Any], reader: str, hidden: list[int]
) -> None:
    """``hidden`` are the places of reviews that the reader does not read."""
    ids = " ".join(str(each["id"]) for place, each in enumerate(table) if place in hidden)
    name, caller = "engagement.salon_reviews_with_counts_view", Caller(reader)
    with lab.example({"models.hidden": ids}, {**referred, REVIEWS: table}):
        visible = {REVIEWS: seen(read(lab, caller, REVIEWS))}
        shown = read(lab, caller, name)
    expected = model.salon_reviews_with_counts_view(visible)
    if isinstance(shown, Refused) or isinstance(expected, Refused):
        assert isinstance(shown, Refused), expected
        assert isinstance(expected, Refused), shown
        assert same(shown, expected)
    else:
        assert not differences(shown, expected)
