"""How a request uses the database. No query has a WHERE about the user: the policies have it."""

from sqlalchemy import Connection, Engine, event, select, text
from sqlalchemy.orm import Session, SessionTransaction

from documents.models import Document, Share

SIGN_IN = text("SELECT set_config('role', 'documents_app', true), set_config('app.user_id', :user, true)")


def session_of(user_id: int, engine: Engine) -> Session:
    """A session in which every transaction is that of a user. The role and the setting end with the transaction."""
    session = Session(engine)

    @event.listens_for(session, "after_begin")
    def sign_in(_session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
        connection.execute(SIGN_IN, {"user": str(user_id)})

    return session


def titles(session: Session) -> list[str]:
    """The titles of all documents that the user may read."""
    return list(session.scalars(select(Document.title).order_by(Document.title)))


def write(session: Session, title: str) -> Document:
    """A new document of the user."""
    document = Document(title=title)
    session.add(document)
    session.commit()
    return document


def share(session: Session, document_id: int, user_id: int) -> None:
    """Let another user read a document. Only its owner may."""
    session.add(Share(document_id=document_id, user_id=user_id))
    session.commit()
