"""Canonical forms: equal where values mean the same, in every process."""

from __future__ import annotations

import copy
import datetime as dt
import enum
import functools
import os
import pickle
import subprocess
import sys
import threading
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import ForeignKey, create_engine, literal, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from treadle.values.canonical import canonical, meaning, spoken, without_addresses

ROOT = Path(__file__).parents[2]
INFINITY = float("inf")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    items: Mapped[list[Item]] = relationship(back_populates="order")


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))
    order: Mapped[Order] = relationship(back_populates="items")


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


class Other(Plain):
    pass


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Numbered:
    """One whose repr is where it is, in decimal."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"<Numbered {id(self)}>"


@attrs.frozen
class Value:
    value: Any
    noted: Any = attrs.field(eq=False, factory=object)


@dataclass
class Data:
    value: Any
    noted: Any = field(compare=False, default_factory=object)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


Pair = namedtuple("Pair", ["one", "other"])  # noqa: PYI024  # the untyped kind is a kind of its own


def order(*numbers: int) -> Order:
    """Return an order with items, which refer to it."""
    return Order(id=1, items=[Item(id=number) for number in numbers])


def loop(value: object) -> Plain:
    """Return an object that refers to itself."""
    made = Plain([value])
    made.value.append(made)
    return made


def text_at(number: int) -> str:
    """Return what Python calls an object that has no name."""
    return f"<Item object at {number:#x}>"


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda: 1, lambda: 1.0),
        (lambda: 1, lambda: True),
        (lambda: 1.0, lambda: True),
        (lambda: "1", lambda: b"1"),
        (lambda: b"1", lambda: bytearray(b"1")),
        (lambda: None, lambda: "None"),
        (lambda: float("nan"), lambda: "NaN"),
        (lambda: [(float("nan"), 1)], lambda: [(0.0, 1)]),
        (lambda: (1, 2), lambda: [1, 2]),
        (lambda: [[1], [2]], lambda: [[1, 2]]),
        (lambda: {"a": 1, "b": [1]}, lambda: {"a": 1, "b": [1.0]}),
        (lambda: {1, 2}, lambda: frozenset({1, 2})),
        (lambda: {(1, "a")}, lambda: {(1, "b")}),
        (lambda: Plain(1), lambda: Plain(1.0)),
        (lambda: Plain(1), lambda: Other(1)),
        (lambda: Plain([Plain(1)]), lambda: Plain([Plain(2)])),
        (lambda: Slotted(1), lambda: Slotted(2)),
        (lambda: Numbered(1), lambda: Numbered(2)),
        (lambda: Value(Plain(1)), lambda: Value(Plain(2))),
        (lambda: Data(1), lambda: Data(2)),
        (lambda: Pair(1, 2), lambda: (1, 2)),
        (lambda: Colour.RED, lambda: Colour.BLUE),
        (lambda: Decimal("0.10"), lambda: Decimal("0.11")),
        (lambda: uuid.UUID(int=1), lambda: uuid.UUID(int=2)),
        (lambda: dt.datetime(2026, 1, 1, tzinfo=dt.UTC), lambda: dt.datetime(2026, 1, 1)),  # noqa: DTZ001  # without
        (lambda: Path("a"), lambda: Path("b")),
        (lambda: ValueError("a"), lambda: ValueError("b")),
        (lambda: loop(1), lambda: loop(2)),
        (lambda: functools.partial(print, 1), lambda: functools.partial(print, 2)),
        (lambda: order(1, 2), lambda: order(1, 3)),
        (lambda: order, lambda: loop),
        (lambda: OrderedDict(a=1, b=2), lambda: OrderedDict(b=2, a=1)),
        (lambda: "at 10x", lambda: "at 11x"),
    ],
)
def test_values_that_mean_the_same_are_equal_and_others_differ(
    make: Callable[[], object], other: Callable[[], object]
) -> None:
    """Each is made anew, at another place in memory, and copied."""
    first, second = make(), make()
    assert meaning(first) == meaning(second)
    assert meaning(first) == meaning(copy.deepcopy(first)) == meaning(copy.deepcopy(second))
    assert meaning(first) != meaning(other())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
        (set("abcdefgh"), set("hgfedcba")),
        (Decimal("1.0"), Decimal("1.00")),
        (Decimal("-0"), Decimal("0.000")),
        (Decimal("1E+2"), Decimal(100)),
        (float("nan"), INFINITY - INFINITY),  # which has another sign
        ([(1, float("nan"))], [(1, INFINITY - INFINITY)]),
        (text_at(0x7F1234567890), text_at(0x7F1234567899)),
        ([text_at(1)], [text_at(2)]),
        (threading.Lock(), threading.Lock()),
        (Plain(threading.Lock()), Plain(threading.Lock())),
        ((number for number in [1]), (number for number in [2])),
    ],
)
def test_what_differs_without_a_meaning_is_equal(one: object, other: object) -> None:
    """The order in which something was filled, zeros at the end, signs of no number, places in memory."""
    assert meaning(one) == meaning(other)


def test_rows_of_an_application_are_equal_by_their_values() -> None:
    """Objects of SQLAlchemy by what is loaded, rows by names and values; sessions and engines by their types."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    query = select(Order.id, literal("x").label("what"))
    with Session(engine, expire_on_commit=False) as one, Session(engine) as other:
        one.add(order(1, 2))
        one.commit()
        assert meaning(one.get_one(Order, 1)) == meaning(one.get_one(Order, 1)) != meaning(other.get_one(Order, 1))
        assert meaning(one.execute(query).one()) == meaning(other.execute(query).one())
        assert meaning(one.execute(query).one()) != meaning(other.execute(select(Order.id, literal("x"))).one())
        assert meaning(one) == meaning(other) != meaning(engine)
    engine.dispose()


def test_an_object_that_was_pickled_means_the_same() -> None:
    """A copy of a client tells what it returned over a pipe."""
    for made in (order(1, 2), loop(1), Plain({1, "a", None}), Slotted(1)):
        assert meaning(made) == meaning(pickle.loads(pickle.dumps(made)))  # noqa: S301  # made right here


def test_a_large_value_is_looked_into_less_deep() -> None:
    """It takes less than a second, and what lies high still counts."""
    many: dict[str, Any] = {str(number): {"deep": [Plain(number)]} for number in range(60_000)}
    other = {**many, "0": "another"}
    assert meaning(many) != meaning(other)
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert meaning(deep) == meaning(copy.copy(deep))


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_meaning_is_the_same_in_every_process(seed: str) -> None:
    """Whatever the hash seed is: digests travel."""
    code = (
        "from treadle.values.canonical import meaning, spoken\n"
        "value = {'a': {'x', 'y', 'z', None, 1, (2, 'b')}, 'b': frozenset('stuvw')}\n"
        "print(meaning(value).hex(), spoken(value))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    run = functools.partial(subprocess.run, capture_output=True, text=True, check=True, cwd=ROOT)
    here = run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "0"}).stdout
    assert here == run([sys.executable, "-c", code], env=environment).stdout


def test_what_passes_between_client_and_driver_keeps_every_difference() -> None:
    """Types of numbers, and texts that look like an address; what is no plain value counts by its meaning."""
    assert canonical((1,)) != canonical((1.0,)) != canonical((True,))
    assert canonical([text_at(1)]) != canonical([text_at(2)])
    assert canonical([Plain(text_at(1))]) != canonical([Plain(text_at(2))])
    assert canonical([Plain(1)]) == canonical([Plain(1)])


def test_texts_for_people_have_no_address_and_an_order() -> None:
    """In all that is spoken of an outcome."""
    assert "{'a': <Item object>, 'b': {'x', 1, 2}}" == spoken({"b": {2, 1, "x"}, "a": object_like()})
    assert "[1, [...]]" == spoken(itself()).replace("[1, ...]", "[1, [...]]")
    assert "no <X object> and  here" == without_addresses("no <X object at 0x7f12> and 0x7f1234567890 here")


def object_like() -> object:
    """Return an object whose repr has an address in it."""

    class Named:
        def __repr__(self) -> str:
            return f"<Item object at {id(self):#x}>"

    return Named()


def itself() -> list[Any]:
    """Return a list that contains itself."""
    made: list[Any] = [1]
    made.append(made)
    return made
