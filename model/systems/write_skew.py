"""Doctors of whom one must stay on call, and each looks whether another one does."""

from __future__ import annotations

from sqlalchemy import CursorResult, Engine, func, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

DOCTORS = ("alice", "bob")
"""Who is on call at first."""


class Base(DeclarativeBase):
    """The registry of the tables."""


class Doctor(Base):
    """A doctor, who is on call or not."""

    __tablename__ = "doctor"

    name: Mapped[str] = mapped_column(primary_key=True)
    on_call: Mapped[bool] = mapped_column(default=True)


def seed(engine: Engine) -> None:
    """Write the doctors, all on call."""
    with Session(engine) as session, session.begin():
        session.add_all(Doctor(name=name) for name in DOCTORS)


def go_home(engine: Engine, name: str) -> bool:
    """Count those on call, then write one's own row: each writes a row that only the other has read."""
    with Session(engine) as session, session.begin():
        on_call = session.scalars(select(Doctor).where(Doctor.on_call)).all()
        if len(on_call) <= 1:
            return False
        session.get_one(Doctor, name).on_call = False
    return True


def go_home_if_others_stay(engine: Engine, name: str) -> bool:
    """Count and write in one statement."""
    others = select(func.count()).select_from(Doctor).where(Doctor.on_call, Doctor.name != name)
    with engine.begin() as connection:
        result: CursorResult[object] = connection.execute(
            update(Doctor).where(Doctor.name == name, others.scalar_subquery() > 0).values(on_call=False)
        )
    return result.rowcount == 1
