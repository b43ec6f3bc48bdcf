import pytest

from rolecall import updated

PUBLIC, ADAS, BENS = (1, "Books", 1, 1), (2, "Gifts", 1, 0), (3, "Food", 1, 0)


@pytest.mark.parametrize(
    ("persona", "lists"), [("ada", [PUBLIC, ADAS]), ("ben", [PUBLIC, BENS]), ("visitor", [PUBLIC])]
)
def test_progress_shows_what_the_persona_may_see(rolecall_db, persona, lists):
    with rolecall_db.reading_as(persona):
        assert rolecall_db.rows("SELECT * FROM api.progress ORDER BY id") == lists


def test_finish_changes_the_open_items_of_a_list(rolecall_db, rolecall_changes):
    with rolecall_changes() as changed, rolecall_db.acting_as("ada"):
        assert rolecall_db.value("SELECT api.finish(2)") == 1
    assert changed == [updated("data.items", 2, done=True)]


def test_finish_does_nothing_with_the_lists_of_others(rolecall_db, rolecall_changes):
    with rolecall_changes() as changed, rolecall_db.acting_as("ben"):
        assert rolecall_db.value("SELECT api.finish(2)") == 0
    assert changed == []


def test_visitors_may_not_call_finish(rolecall_db):
    with rolecall_db.acting_as("visitor"), rolecall_db.raises("42501", message="finish"):
        rolecall_db.execute("SELECT api.finish(1)")


@pytest.mark.parametrize(("persona", "plan"), [("ada", "paid"), ("ben", "free"), ("visitor", None)])
def test_a_claim_of_the_token(rolecall_db, persona, plan):
    with rolecall_db.acting_as(persona):
        assert rolecall_db.value("SELECT data.claim('plan')") == plan
