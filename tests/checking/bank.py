"""A small application for tests: accounts, and clients that read and write them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine, MetaData, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from treadle import Client, Database, Scenario, View, at_end


class Base(DeclarativeBase):
    """The base class of the tables."""


class Account(Base):
    """An account with a balance."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


METADATA: MetaData = Base.metadata


def seed(engine: Engine) -> None:
    """Open one account."""
    with Session(engine) as session:
        session.add(Account(id=1, balance=0))
        session.commit()


def read_then_write(engine: Engine) -> int:
    """Add one in Python: an update may be lost."""
    with Session(engine) as session:
        account = session.get_one(Account, 1)
        account.balance += 1
        session.commit()
        return 1


def add_in_place(engine: Engine) -> int:
    """Add one in SQL: no update is lost."""
    with Session(engine) as session:
        session.execute(update(Account).values(balance=Account.balance + 1))
        session.commit()
        return 1


def read_times(engine: Engine, times: int) -> list[int]:
    """Read the balance again and again, each time in a transaction of its own."""
    with engine.connect() as connection:
        return [connection.execute(select(Account.balance)).scalar_one() for _ in range(times)]


def write_once(engine: Engine) -> None:
    """Write one statement through the driver, without SQLAlchemy's pool events."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("UPDATE account SET balance = balance + 1")
        connection.commit()
    finally:
        connection.close()


def counts(view: View) -> bool:
    """Tell whether the balance is the number of clients that returned."""
    return bool(view.rows("account")[0]["balance"] == len(view.returned()))


def bank(run: Callable[..., object], *arguments: object, clients: int = 2, **options: object) -> Scenario:
    """Return a scenario in which clients do the same."""
    database = Database(METADATA, seed, **options)  # type: ignore[arg-type]
    names = "ABCDEFG"[:clients]
    properties = [at_end("every increment counts", counts, name="every-increment-counts")]
    return Scenario(
        f"bank/{run.__name__}",
        database,
        [Client(name, partial(run, database.engine, *arguments)) for name in names],
        properties,
    )
