"""Checks and lengths of audit.audit_logs: accepted and refused values."""

import pytest

from rolecall import Session
from tests.constraints.rows import InsertParent, InsertValid

TABLE = "audit.audit_logs"


@pytest.mark.parametrize("column", ["entity_type", "action"])
@pytest.mark.parametrize("text", ["x", " update "], ids=["one letter", "a word between spaces"])
def test_text_that_is_not_blank_is_stored_unchanged(insert_valid: InsertValid, column: str, text: str) -> None:
    assert insert_valid(**{column: text})[column] == text


@pytest.mark.parametrize("column", ["entity_type", "action"])
@pytest.mark.parametrize("text", ["", " ", "\t", "\n"], ids=["no text", "a space", "a tab", "a line break"])
def test_blank_text_is_refused(db: Session, insert_valid: InsertValid, column: str, text: str) -> None:
    with db.raises("23514", constraint="valid_action"):
        insert_valid(**{column: text})


@pytest.mark.parametrize("column", ["entity_type", "action", "source_system"])
def test_100_characters_are_accepted(insert_valid: InsertValid, column: str) -> None:
    assert insert_valid(**{column: "é" * 100})[column] == "é" * 100


@pytest.mark.parametrize("column", ["entity_type", "action", "source_system"])
def test_101_characters_are_too_long(db: Session, insert_valid: InsertValid, column: str) -> None:
    with db.raises("22001", message="character varying(100)"):
        insert_valid(**{column: "é" * 101})


def test_the_log_outlives_the_actor(db: Session, insert_valid: InsertValid, insert_parent: InsertParent) -> None:
    profiles, actor = insert_parent("actor_id")
    row = insert_valid(actor_id=actor)
    assert str(row["actor_id"]) == actor
    assert db.execute(f"DELETE FROM {profiles} WHERE id = %s", [actor]).rowcount == 1
    remaining = db.row("SELECT * FROM audit.audit_logs WHERE id = %s", [row["id"]])
    assert remaining == tuple({**row, "actor_id": None}.values())
