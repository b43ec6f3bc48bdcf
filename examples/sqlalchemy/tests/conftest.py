"""The world of rolecall, and the fixtures of SQLAlchemy, which use a database with the same world."""

from collections.abc import Callable

import psycopg
import pytest
from documents.database import session_of
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from rolecall import World

PEOPLE = {"ada": 1, "ben": 2, "eve": 3}


def pytest_rolecall_world() -> World:
    world = World()
    for name, number in PEOPLE.items():
        world.persona(name, "documents_app", settings={"app.user_id": number})
        world.add("public.users", name, id=number, name=name.title())
        world.alias(f"{name}_id", number)
    world.persona("nobody", "documents_app")

    world.add("public.documents", "ada's plan", id=101, owner_id=PEOPLE["ada"], title="Plan")
    world.add("public.documents", "ada's diary", id=102, owner_id=PEOPLE["ada"], title="Diary")
    world.add("public.documents", "ben's plan", id=103, owner_id=PEOPLE["ben"], title="Budget")
    world.add("public.shares", "ada's plan with ben", document_id=101, user_id=PEOPLE["ben"])
    return world


@pytest.fixture
def engine(rolecall_scratch) -> Engine:
    """An engine for a database of its own: what the application commits stays there, until the end of the test."""
    database = rolecall_scratch(migrated=True)
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.conninfo))
    yield engine
    engine.dispose()


@pytest.fixture
def session_for(engine: Engine) -> Callable[[str], Session]:
    """A function that opens a session of the application for a person."""
    sessions = []

    def session_for(person: str) -> Session:
        sessions.append(session_of(PEOPLE[person], engine))
        return sessions[-1]

    yield session_for
    for session in sessions:
        session.close()
