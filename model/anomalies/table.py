"""The table ``test``, with the rows (1, 10) and (2, 20)."""

from __future__ import annotations

from sqlalchemy import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The registry of the table."""


class Test(Base):
    """A row with a value."""

    __tablename__ = "test"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


TABLE = Test.__table__
"""The table itself."""


def seed(engine: Engine) -> None:
    """Write the two rows."""
    with Session(engine) as session, session.begin():
        session.add_all([Test(id=1, value=10), Test(id=2, value=20)])
