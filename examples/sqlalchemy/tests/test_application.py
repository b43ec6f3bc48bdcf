"""What the application makes of it: it signs in for each transaction, and handles what the policies refuse."""

import pytest
from documents.database import share, titles, write
from documents.models import Document
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm.exc import StaleDataError

TITLES = {"ada": ["Diary", "Plan"], "ben": ["Budget", "Plan"], "eve": []}


@pytest.mark.parametrize("person", TITLES)
def test_titles(session_for, person):
    assert titles(session_for(person)) == TITLES[person]


def test_who_writes_a_document_is_its_owner(session_for):
    with session_for("eve") as session:
        assert write(session, "Poem").owner_id == 3
        assert titles(session) == ["Poem"]  # in the next transaction, too


def test_a_shared_document_can_be_read(session_for):
    share(session_for("ada"), 102, user_id=3)
    assert titles(session_for("eve")) == ["Diary"]


def test_only_the_owner_shares_a_document(session_for):
    with session_for("ben") as session, pytest.raises(ProgrammingError, match="row-level security policy"):
        share(session, 101, user_id=3)


def test_a_reader_cannot_change_a_document(session_for):
    with session_for("ben") as session:
        session.get(Document, 101).title = "Mine"
        with pytest.raises(StaleDataError):
            session.commit()
