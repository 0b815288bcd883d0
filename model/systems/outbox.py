"""An outbox of events, and a poller that delivers those after its position.

The poller relies on this: once it has seen an id, no lower one commits any more. Where INSERT itself
assigns the ids, a database with many writers breaks that; SQLite does not, for it has one writer at a time,
from its first write to its COMMIT, so ids commit in their order. But where an id is taken in an earlier
transaction, as from a table of numbers, SQLite breaks it too: that is the mistake here.
"""

from __future__ import annotations

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The registry of the tables."""


class LastId(Base):
    """The number that was handed out last."""

    __tablename__ = "last_id"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class Event(Base):
    """An event to deliver."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Delivery(Base):
    """An event that was delivered."""

    __tablename__ = "delivery"

    event_id: Mapped[int] = mapped_column(primary_key=True)


class Position(Base):
    """How far the poller is: it has delivered every event up to this id, or so it believes."""

    __tablename__ = "position"

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(default=0)


def seed(engine: Engine) -> None:
    """Write an empty outbox, with the poller at its start."""
    with Session(engine) as session, session.begin():
        session.add_all([LastId(id=1), Position(id=1)])


def _next_id(session: Session) -> int:
    return session.scalars(update(LastId).values(value=LastId.value + 1).returning(LastId.value)).one()


def publish_with_id_taken_before(engine: Engine, text: str) -> int:
    """Take an id in one transaction, write the event in the next."""
    with Session(engine) as session, session.begin():
        event_id = _next_id(session)
    with Session(engine) as session, session.begin():
        session.add(Event(id=event_id, text=text))
    return event_id


def publish_in_one_transaction(engine: Engine, text: str) -> int:
    """Take the id and write the event in one transaction: the write lock is kept in between."""
    with Session(engine) as session, session.begin():
        event_id = _next_id(session)
        session.add(Event(id=event_id, text=text))
    return event_id


def publish(engine: Engine, text: str) -> int:
    """Let INSERT assign the id."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        event = Event(text=text)
        session.add(event)
    return event.id


def poll(engine: Engine) -> list[int]:
    """Deliver the events after the position, and move it to the last of them."""
    with Session(engine) as session, session.begin():
        position = session.get_one(Position, 1)
        after = select(Event.id).where(Event.id > position.event_id).order_by(Event.id)
        delivered = list(session.scalars(after))
        session.add_all(Delivery(event_id=event_id) for event_id in delivered)
        if delivered:
            position.event_id = delivered[-1]
    return delivered
