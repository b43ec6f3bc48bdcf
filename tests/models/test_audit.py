"""log_action writes what its model does, for any texts and any caller, also if it is called twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.models import audit as model
from tests.models.audit import NO_PROFILE
from tests.models.lab import Lab, options
from tests.models.terms import Caller, Columns, Refused, Rows, one_form, person, same
from tests.models.values import JSON_VALUES, NOBODY, TEXTS, callers, lie, sessions
from tests.models.words import json_of, words_of

TABLE = "audit.audit_logs"
COLUMNS = """
    id, entity_type, entity_id, action, actor_id, old_values::text, new_values::text, reason,
    change_summary, source_system, ip_address::text, user_agent, metadata::text, extract(epoch FROM created_at)
"""

# Blank, and at the limit of 100 characters: spaces at the end may be cut off, and nothing else.
NAMES = (
    *("salon", "Salon", " salon ", "x" * 99, "x" * 100, "x" * 101, "é" * 100, "é" * 101, "🎉" * 100),
    *("x" * 100 + " ", "x" * 99 + " " * 9, "x" * 100 + "\t", "x" * 100 + "   y", " " * 100, " " * 101, " " * 101 + "x"),
    *("", " ", "\t", " \n\r\f\v", "\n x", "_", "\u200b", "%", "null"),
)
GOOD_NAMES = ("salon", "Salon", " salon ", "x" * 100, "x" * 100 + " ", "é" * 100)
names = st.sampled_from((*GOOD_NAMES * 25, *NAMES, *(text for text in TEXTS if len(text) < 120), None, None))
json_texts = st.sampled_from((*JSON_VALUES, None, None, None))
ENTITIES = (NOBODY, person("customer"), None)
entities = st.sampled_from(ENTITIES)


@st.composite
def writers(draw: st.DrawFn) -> Caller:
    """Any caller; sometimes with another subject: the service has one too if its token names it."""
    caller: Caller = draw(callers())
    subject = draw(st.sampled_from((None, None, None, person("owner"), NO_PROFILE)))
    return caller if caller.is_anon else replace(caller, subject=subject)


NOTHING: tuple[None, None, None] = (None, None, None)
LIAR = lie(person("owner"), "admin")


@pytest.fixture
def lab(lab: Lab) -> Lab:
    lab.let_anon_in("audit")
    lab.know(NO_PROFILE, UUID(int=0xDEAD0))
    return lab


@options(120)
@given(
    kind=names,
    action=names,
    entity=entities,
    values=st.tuples(json_texts, json_texts, st.sampled_from((*TEXTS, None, None))),
    caller=writers(),
    setting=sessions,
)
@example("x" * 100 + " ", "update", None, NOTHING, Caller("customer"), {})  # a space more is cut off, no error
@example("x" * 101, "update", None, NOTHING, Caller("customer"), {})  # left(p_entity_type, 100)
@example("salon", "é" * 100, None, NOTHING, Caller("customer"), {})  # octet_length() in place of the length
@example(" Salon ", " Update ", None, NOTHING, Caller("customer"), {})  # lower(), btrim()
@example("salon", "update", None, ("null", "{}", " \n"), Caller("customer"), {})  # nullif(…), btrim(p_reason)
@example("salon", "update", None, ("null", None, ""), Caller("customer"), {})  # nullif(p_reason, '')
@example("salon", "update", None, ('{"a": null}', None, "x" * 1001), Caller("owner"), {})  # jsonb_strip_nulls(), left()
@example("salon", "update", None, ("1", "1", None), Caller("customer"), {})  # no entry if nothing has changed
@example("salon", "update", None, NOTHING, Caller("service"), {})  # the service without a subject
@example("salon", "update", None, NOTHING, replace(LIAR, persona="customer"), {})  # the subject of user_metadata
@example("salon", "update", None, NOTHING, Caller("customer", subject=NO_PROFILE), {})  # the error is swallowed
def test_log_action(
    lab: Lab,
    kind: str | None,
    action: str | None,
    entity: Any,
    values: tuple[str | None, str | None, str | None],
    caller: Caller,
    setting: Columns,
) -> None:
    check(lab, kind, action, entity, values, caller, setting)


def test_log_action_with_the_words_of_its_code(lab: Lab) -> None:
    words = words_of(lab, "audit.log_action")
    calls: list[tuple[Any, ...]] = [(word, word, entity, NOTHING) for word in words for entity in ENTITIES]
    calls += [("salon", word, None, (None, None, word)) for word in words]
    calls += [(word, "update", None, NOTHING) for word in words]
    calls += [("salon", "update", None, (text, text, None)) for text in json_of(words)]
    for kind, action, entity, values in calls:
        check(lab, kind, action, entity, values, Caller("customer"), {})


def check(
    lab: Lab,
    kind: str | None,
    action: str | None,
    entity: Any,
    values: tuple[str | None, str | None, str | None],
    caller: Caller,
    setting: Columns,
) -> None:
    """Call the function twice, and compare what it does with the model."""
    query, params = "SELECT audit.log_action(%s, %s, %s, %s, %s, %s)", [kind, entity, action, *values]
    with lab.example(setting, {}):
        before = entries(lab)
        answers = [lab.ask(caller, query, params, write=True) for _ in range(2)]
        after = entries(lab)
    expected = model.log_action(kind, entity, action, *values, caller)
    for answer in answers:
        if isinstance(expected, Refused):
            assert same(answer, expected), answer
        else:
            assert not isinstance(answer, Refused), answer
            ((key,),) = answer
            assert key not in before
            assert key in after, f"no entry {key}"
            assert after.pop(key) == {**expected, "created_at": lab.now}
    assert after == before


def entries(lab: Lab) -> dict[Any, dict[str, Any]]:
    """All entries by id, as the model has them."""
    cursor = lab.db.execute(f"SELECT {COLUMNS} FROM {TABLE}")
    columns = [
        *("entity_type", "entity_id", "action", "actor_id", "old_values", "new_values", "reason"),
        *("change_summary", "source_system", "ip_address", "user_agent", "metadata", "created_at"),
    ]
    rows: Rows = [tuple(lab.shown(value) for value in row) for row in cursor]
    return {key: in_one_form(dict(zip(columns, rest, strict=True))) for key, *rest in rows}


def in_one_form(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, **{name: one_form(entry[name]) for name in ("old_values", "new_values", "metadata")}}
