"""The recorder finds the names of functions and views in statements."""

from __future__ import annotations

import pytest

from rolecall.catalog.objects import Object
from rolecall.coverage.recorder import CoverageRecorder


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT * FROM app.note", {"app.note"}),
        ("SELECT app.note.body, app.notes.id FROM app.note, app.notes", {"app.note", "app.notes"}),
        ("SELECT * FROM app.notes", {"app.notes"}),
        ("SELECT * FROM my_app.note", set()),
        ("SELECT * FROM my.app.note$", set()),
        ("SELECT (app.note(1)).body", {"app.note"}),
        ('SELECT * FROM "app"."note", app."notes"', {"app.note", "app.notes"}),
    ],
)
def test_a_name_within_a_longer_name_is_another_object(statement: str, names: set[str]) -> None:
    recorder = CoverageRecorder()
    recorder.watch_for([Object("view", "app", name, "") for name in ("note", "notes")])
    recorder.record_statement(statement, "alice")
    assert recorder.pending == {("ran", name, "alice") for name in names}
