"""An account that is created where none with that address is found."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The registry of the tables."""


class Account(Base):
    """An account. Nothing in the schema keeps two from having one address."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]


class UniqueAccount(Base):
    """The same, with a unique address."""

    __tablename__ = "unique_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


def get_or_create(engine: Engine, email: str) -> int:
    """Look for the account, and insert it if it is not there."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        account = session.scalar(select(Account).where(Account.email == email).limit(1))
        if account is None:
            account = Account(email=email)
            session.add(account)
    return account.id


def get_or_create_unique(engine: Engine, email: str) -> int:
    """Do the same under the constraint, and look again if it refuses."""
    of_email = select(UniqueAccount).where(UniqueAccount.email == email)
    try:
        with Session(engine, expire_on_commit=False) as session, session.begin():
            account = session.scalar(of_email)
            if account is None:
                account = UniqueAccount(email=email)
                session.add(account)
    except IntegrityError:
        with Session(engine) as session:
            return session.scalars(of_email).one().id
    return account.id


def create_or_get(engine: Engine, email: str) -> int:
    """Insert the account unless it is there, then look."""
    with engine.begin() as connection:
        connection.execute(insert(UniqueAccount).values(email=email).on_conflict_do_nothing())
        return connection.scalars(select(UniqueAccount.id).where(UniqueAccount.email == email)).one()
