"""A ledger whose store is opened, and whose tables are made, when the module is imported; each thread has a session."""

from __future__ import annotations

import os
import threading

import uuid6
from sqlalchemy import Integer, String, create_engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The ledger's tables."""


class Account(Base):
    """An account."""

    __tablename__ = "account"
    name: Mapped[str] = mapped_column(String, primary_key=True)
    balance: Mapped[int] = mapped_column(Integer, default=0)


class Entry(Base):
    """A booking."""

    __tablename__ = "entry"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account: Mapped[str]
    amount: Mapped[int]


class Store:
    """The database: an engine, and a session for each thread."""

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self._local = threading.local()
        Base.metadata.create_all(self.engine)
        with Session(self.engine) as session, session.begin():
            if session.get(Account, "cash") is None:
                session.add(Account(name="cash", balance=0))

    @property
    def session(self) -> Session:
        """The session of this thread."""
        if not hasattr(self._local, "session"):
            self._local.session = Session(self.engine)
        session: Session = self._local.session
        return session

    def pay_in(self, amount: int) -> int:
        """Book an amount, and return the balance that was read and written."""
        with self.session.begin():
            account = self.session.get_one(Account, "cash")
            account.balance += amount
            self.session.add(Entry(id=str(uuid6.uuid6()), account="cash", amount=amount))
            return account.balance

    def pay_in_atomically(self, amount: int) -> int:
        """Book an amount, and let the database add."""
        with self.session.begin():
            added = update(Account).where(Account.name == "cash").values(balance=Account.balance + amount)
            balance: int | None = self.session.scalar(added.returning(Account.balance))
            self.session.add(Entry(id=str(uuid6.uuid6()), account="cash", amount=amount))
            assert balance is not None
            return balance


store = Store(os.environ.get("LEDGER_URL", "sqlite:////var/lib/ledger/ledger.db"))


def pay_in() -> int:
    """Pay 5 in."""
    return store.pay_in(5)


def pay_in_atomically() -> int:
    """Pay 5 in."""
    return store.pay_in_atomically(5)
