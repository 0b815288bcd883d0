"""A daemon that sends queued mail: a scoped session at module level, a retry decorator, and ids from uuid7."""

from __future__ import annotations

import os

import uuid6
from sqlalchemy import ForeignKey, String, create_engine, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

engine = create_engine(os.environ.get("MAIL_URL", "sqlite:////var/lib/mail/mail.db"))
Session = scoped_session(sessionmaker(engine))

patiently = retry(
    retry=retry_if_exception_type(OperationalError),
    wait=wait_random_exponential(multiplier=0.1, max=2),
    stop=stop_after_attempt(4),
    reraise=True,
)


class Base(DeclarativeBase):
    """The daemon's tables."""


class Message(Base):
    """A mail that waits or was sent."""

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    state: Mapped[str] = mapped_column(default="queued")


class Delivery(Base):
    """That a message was handed to the mail server."""

    __tablename__ = "delivery"
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=lambda: str(uuid6.uuid7()))
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id"))


def queue_one() -> None:
    """Put a first message into an empty database."""
    Base.metadata.create_all(engine)
    Session.add(Message(recipient="ann@example.org"))
    Session.commit()
    Session.remove()


@patiently
def send_next() -> int | None:
    """Send the first message that waits; return its number. Two daemons can choose the same one."""
    try:
        message = Session.scalars(select(Message).where(Message.state == "queued").order_by(Message.id)).first()
        if message is None:
            return None
        message.state = "sent"
        Session.add(Delivery(message_id=message.id))
        Session.commit()
        return message.id
    finally:
        Session.remove()


@patiently
def send_next_claimed() -> int | None:
    """Send the first message that waits, once it is this daemon's: only one of them changes its state."""
    try:
        number = Session.scalar(select(Message.id).where(Message.state == "queued").order_by(Message.id).limit(1))
        Session.rollback()
        if number is None:
            return None
        mine = update(Message).where(Message.id == number, Message.state == "queued").values(state="sent")
        if Session.scalar(mine.returning(Message.id)) is None:
            return None
        Session.add(Delivery(message_id=number))
        Session.commit()
        return number
    finally:
        Session.remove()
