"""A shop that tries again when SQLite is locked, checked: ``treadle check sqlalchemy_pool:scenario``."""

from sqlalchemy import create_engine, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from treadle import Client, Database, FaultBudget, Scenario, at_end


class Base(DeclarativeBase):
    """The registry."""


class Order(Base):
    """One book."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)


engine = create_engine("sqlite:///orders.db")


def order() -> str:
    """Order one book, and try once more if the database is locked."""
    for _ in range(2):
        try:
            with Session(engine) as session:
                session.add(Order())
                session.commit()
            return "ordered"
        except OperationalError:
            continue
    return "sorry"


def report() -> int:
    """Count the orders."""
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(Order))


@at_end("a book is ordered once for each customer who was told so")
def ordered_once(view):
    """Compare what is there with what was answered."""
    return len(view.rows("orders")) == list(view.returned().values()).count("ordered")


scenario = Scenario(
    "orders",
    Database(Base.metadata, engine=engine, journal="delete"),
    [Client("customer", order), Client("report", report)],
    [ordered_once],
    faults=FaultBudget(locked=1),
    faults_at="reachable",
    expect_violated=["ordered-once"],
)
