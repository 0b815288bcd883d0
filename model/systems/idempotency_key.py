"""A payment that is sent twice with one idempotency key, and a provider who must be called once."""

from __future__ import annotations

from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

PENDING = "pending"
PAID = "paid"
DUPLICATE = "duplicate"


class Base(DeclarativeBase):
    """The registry of the tables."""


class Payment(Base):
    """A payment that we know of, by its idempotency key."""

    __tablename__ = "payment"

    key: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]


class ProviderCall(Base):
    """A call that the provider got: a row stands for what happens outside of the database."""

    __tablename__ = "provider_call"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]


def call_provider(engine: Engine, key: str) -> None:
    """Call the provider, in a transaction of its own: whatever becomes of the caller, the call was made."""
    with Session(engine) as session, session.begin():
        session.add(ProviderCall(key=key))


def pay(engine: Engine, key: str) -> str:
    """Look whether the payment is known, call the provider, make the payment known.

    Raises:
        IntegrityError: by then it is known. The provider has been called all the same.
    """
    with Session(engine) as session:
        known = session.get(Payment, key) is not None
    if known:
        return DUPLICATE
    call_provider(engine, key)
    with Session(engine) as session, session.begin():
        session.add(Payment(key=key, status=PAID))
    return PAID


def pay_insert_first(engine: Engine, key: str) -> str:
    """Make the payment known, and call the provider only if that was new."""
    try:
        with Session(engine) as session, session.begin():
            session.add(Payment(key=key, status=PENDING))
    except IntegrityError:
        return DUPLICATE
    call_provider(engine, key)
    with Session(engine) as session, session.begin():
        session.execute(update(Payment).where(Payment.key == key).values(status=PAID))
    return PAID
