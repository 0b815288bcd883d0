"""Targets that are none, or lead to nothing good."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

from sqlalchemy import Column, Integer, MetaData, Table

from treadle import Client, Database, Scenario, at_end

METADATA = MetaData()
Table("row", METADATA, Column("id", Integer, primary_key=True))
DATABASE = Database(METADATA)


def insert() -> None:
    """Insert a row."""
    with DATABASE.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO row VALUES (1)")


def make(name: str) -> Scenario:
    """Return a small scenario."""
    return Scenario(name, DATABASE, [Client("A", insert)], [at_end("it ends", lambda view: True, name="ends")])


one = make("one")
many = [make(name) for name in ("a/flush", "b/flush", "c")]
long_names = [make(letter * 50_000) for letter in "ab"]
empty: list[Scenario] = []
number = 5
text = "text"
nothing = None
mapping = {"one": one}


def typed(count: int = 1, share: float = 1.0, *, well: bool = False, word: str = "") -> Scenario:
    """Take parameters of several types."""
    return make(f"typed-{count}-{share}-{well}-{word[:5]}")


def required(name: str) -> Scenario:
    """Take a parameter that has no default."""
    return make(name[:5])


def positional(name: str, /) -> Scenario:
    """Take a parameter that has no name to others."""
    return make(name[:5])


def endless() -> Iterator[Scenario]:
    """Lead to scenarios without an end."""
    return itertools.repeat(one)


def strangers() -> Iterator[int]:
    """Lead to things that are no scenarios, without an end."""
    return itertools.count()


def breaks_off() -> Iterator[Scenario]:
    """Lead to one scenario, and then fail."""
    yield one
    raise RuntimeError("broken off")


def raises() -> NoReturn:
    """Fail, with a long text."""
    raise ValueError("x\n" * 100_000)


def raises_base() -> NoReturn:
    """Fail with what is no Exception."""
    raise BaseException("of no kind")  # noqa: TRY002


def leaves() -> NoReturn:
    """End the interpreter."""
    sys.exit("bye")


def recurses() -> Any:
    """Call itself."""
    return recurses()


def holds_none() -> list[None]:
    """Lead to nothing."""
    return [None]


def holds_long() -> list[str]:
    """Lead to a long text."""
    return ["x" * 100_000]


class Unshowable:
    """Something whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Unaskable:
    """Something whose attributes fail."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("no attributes")


class Unending:
    """Something that cannot be gone through."""

    def __iter__(self) -> Iterator[Scenario]:
        raise RuntimeError("no members")


unshowable = Unshowable()
unshowables = [Unshowable()]
unaskable = Unaskable()
unending = Unending()


def gives_unshowable() -> Unshowable:
    """Lead to something whose repr fails."""
    return Unshowable()
