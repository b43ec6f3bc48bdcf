"""Every rewrite of a trigger, with the exact SQL of its mutants."""

from __future__ import annotations

import pytest

from rolecall.mutants.rewrites import triggers
from rolecall.sql.tree import Rewrite, edit


@pytest.mark.parametrize(
    ("rewrite", "text", "edits"),
    [
        pytest.param(
            triggers.change_event,
            "CREATE TRIGGER x BEFORE UPDATE OF a ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
            [
                ("on INSERT", "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()"),
                ("on DELETE", "CREATE TRIGGER x BEFORE DELETE ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()"),
                (
                    "AFTER instead of BEFORE",
                    "CREATE TRIGGER x AFTER UPDATE OF a ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
                ),
            ],
            id="a trigger BEFORE UPDATE",
        ),
        pytest.param(
            triggers.change_event,
            "CREATE TRIGGER x AFTER INSERT OR DELETE ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
            [
                (f"on {event}", f"CREATE TRIGGER x AFTER {event} ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()")
                for event in ("INSERT", "DELETE", "UPDATE")
            ],
            id="a trigger AFTER two events",
        ),
        pytest.param(
            triggers.drop_condition,
            "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW WHEN (new.a > 0) EXECUTE FUNCTION s.f()",
            [("without WHEN", "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()")],
            id="a trigger's WHEN",
        ),
    ],
)
def test_edits_of_a_trigger(rewrite: Rewrite, text: str, edits: list[tuple[str, str]]) -> None:
    assert [tuple(each) for each in edit(text, [rewrite])] == edits
