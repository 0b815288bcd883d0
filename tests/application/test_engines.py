from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import MetaData, create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

from treadle.application.engines import metadata_near, name_of_engine, places_near
from treadle.application.metadata import place_of


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)


class Nobody:
    """Stands for another object, and does not know which, as the proxies of web frameworks do."""

    @property  # type: ignore[misc]  # as such proxies do
    def __class__(self) -> Any:
        raise RuntimeError("there is no request")

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("there is no request")


request = Nobody()
engine = create_engine("sqlite:////nowhere/one.db")


class Holder:
    """Has an engine, and a method."""

    def __init__(self, path: str) -> None:
        self.session = scoped_session(sessionmaker(create_engine(f"sqlite:///{path}")))

    def sell(self) -> None:
        """Do nothing."""


def paths(function: Any) -> set[str]:
    """Return the files that a function is near to, but for that of this module."""
    return {place.path for place in places_near([function])} - {"/nowhere/one.db"}


def test_engines_are_found_where_functions_have_them() -> None:
    """In a closure, a default, an argument that is bound, and an attribute of the object of a method."""
    sessions = async_sessionmaker(create_async_engine("sqlite+aiosqlite:////nowhere/two.db"))

    def closes_over() -> object:
        return sessions

    def defaults(maker: object = sessionmaker(create_engine("sqlite:////nowhere/three.db"))) -> object:
        return maker

    bound = functools.partial(defaults, create_engine("sqlite:////nowhere/four.db"))

    assert {"/nowhere/two.db"} == paths(closes_over)
    assert {"/nowhere/three.db"} == paths(defaults)
    assert {"/nowhere/three.db", "/nowhere/four.db"} == paths(bound)
    assert {"/nowhere/five.db"} == paths(Holder("/nowhere/five.db").sell)
    assert "/nowhere/one.db" in {place.path for place in places_near([paths])}


def test_names_are_where_modules_have_them() -> None:
    """The name of metadata is that of a class which has it; what nothing leads to has none."""
    assert f"{__name__}:Base.metadata" == place_of(Base.metadata)
    assert f"{__name__}:engine" == name_of_engine(engine)
    assert "" == place_of(MetaData()) == name_of_engine(create_engine("sqlite:////nowhere/six.db"))
    assert [Base.metadata] == metadata_near([paths])
