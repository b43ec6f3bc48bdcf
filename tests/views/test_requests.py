"""A view shows the same rows to a role and a subject, whatever other claims, headers and settings the request has."""

from __future__ import annotations

import pytest

from rolecall import Session, World
from rolecall.noninterference.requests import VALUES
from tests.requests import change_request, words_in
from tests.views.test_every_view import COLUMNS

CALLERS = ("customer", "staff")


@pytest.mark.parametrize("name", COLUMNS)
def test_only_the_role_and_the_subject_decide(db: Session, world: World, name: str) -> None:
    words = words_in(db.value("SELECT pg_get_viewdef(%s::regclass)", [name]))
    rows = f"SELECT v::text FROM {name} AS v ORDER BY 1"
    usual = {}
    for caller in CALLERS:
        with db.acting_as(caller):
            usual[caller] = db.rows(rows)
    assert any(usual.values())
    for value in (*VALUES, *words, world.personas["owner"].subject):
        for caller in CALLERS:
            with db.acting_as(caller):
                change_request(db, words, value)
                assert db.rows(rows) == usual[caller], (caller, value)
