"""Outcomes: how a client ended."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import types
import uuid
from typing import Any

from attrs import field, frozen

from treadle.values.canonical import canonical, digest, in_short, meaning, spoken, type_name, without_addresses
from treadle.values.display import FULL, in_part, name, prose, text_of

OutcomeKey = tuple[str, bytes]
"""What makes two outcomes the same outcome."""

_UNCHANGING = frozenset(
    {types.NoneType, bool, int, float, complex, str, bytes, decimal.Decimal, uuid.UUID}
    | {dt.datetime, dt.date, dt.time, dt.timedelta}
)
"""Types whose values nobody can change."""


def _is_unchanging(value: object) -> bool:
    kind = type(value)
    return kind in _UNCHANGING or kind is object or (kind is tuple and all(map(_is_unchanging, value)))  # type: ignore[call-overload]  # a tuple


def _copied(value: Any) -> Any:
    """Return a copy of a value, as deep as it goes; the value itself if it cannot be changed, or not be copied."""
    if _is_unchanging(value):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  # what cannot be copied says so in many ways
        return value


@frozen(eq=False, init=False, repr=False)
class Returned:
    """The client's callable returned a value.

    Two of them are equal if their values mean the same: see ``treadle.values.canonical.meaning``.
    """

    __match_args__ = ("value",)

    _value: Any
    key: OutcomeKey = field(repr=False)

    def __init__(self, value: Any) -> None:
        """Note a value."""
        self.__attrs_init__(value, ("returned", meaning(value)))

    @classmethod
    def with_key(cls, value: Any, key: OutcomeKey) -> Returned:
        """Note a value that comes from another process, where it meant what the key says."""
        made = cls.__new__(cls)
        made.__attrs_init__(value, key)
        return made

    @property
    def value(self) -> Any:
        """The value. What can be changed is given as a copy: nobody can change what was returned.

        What cannot be copied (a lock, an open cursor) is given as it is.
        """
        return _copied(self._value)

    def __eq__(self, other: object) -> bool:
        """Compare what the values mean."""
        return self.key == other.key if isinstance(other, Returned) else NotImplemented

    def __hash__(self) -> int:
        """Hash what the value means."""
        return hash(self.key)

    def __repr__(self) -> str:
        """Return an expression that makes it, if it is not long."""
        return f"Returned(value={in_part(self._value)[0]})"

    def __str__(self) -> str:
        """Return the value."""
        return f"returned {spoken(self._value, self.key[1])}"


_MOST_LINKS = 100
"""How many exceptions of a chain are looked at."""


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception, followed by its causes and contexts, the members of groups among them."""
    found: list[BaseException] = []
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue and len(found) < _MOST_LINKS:
        link = queue.pop(0)
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        found.append(link)
        members = link.exceptions if isinstance(link, BaseExceptionGroup) else ()
        queue += [link.__cause__, link.__context__, getattr(link, "orig", None), *members]
        queue = [other for other in queue if other is None or isinstance(other, BaseException)]
    return found


def _link(error: BaseException) -> tuple[str, str, bytes]:
    """Return what a property can tell of one exception."""
    attributes = {name: value for name, value in vars(error).items() if not isinstance(value, BaseException)}
    return type_name(type(error)), without_addresses(text_of(error)), meaning(attributes)


@frozen(eq=False)
class Raised:
    """The client's callable raised an exception.

    Two of them are equal if a property cannot tell them apart: the exceptions, and those in their chains of causes and
    contexts, have the same types, texts and attributes (SQLite's codes among them). An address in memory is no part of
    a text.
    """

    exception: Exception = field(repr=lambda error: in_part(error)[0])

    @property
    def key(self) -> OutcomeKey:
        """What makes two outcomes the same outcome."""
        return ("raised", in_short(canonical([_link(error) for error in _chain(self.exception)])))

    def __eq__(self, other: object) -> bool:
        """Compare what properties can tell: exceptions themselves compare by identity."""
        return self.key == other.key if isinstance(other, Raised) else NotImplemented

    def __hash__(self) -> int:
        """Hash what properties can tell."""
        return hash(self.key)

    def __str__(self) -> str:
        """Return the exception's type and the first line of its text."""
        line = text_of(self.exception).partition("\n")[0]
        text = prose(without_addresses(line)) if len(line) <= FULL.most else f"{prose(line)} {digest(self.key[1])}"
        return f"raised {name(type(self.exception).__name__)}" + (f": {text}" if text else "")


@frozen
class Crashed:
    """The client's process died."""

    @property
    def key(self) -> OutcomeKey:
        """What makes two outcomes the same outcome."""
        return ("crashed", b"")

    def __str__(self) -> str:
        """Return the word."""
        return "crashed"


Outcome = Returned | Raised | Crashed
"""How a client ended."""


class ProcessEnded(Exception):  # noqa: N818  # it tells what happened, as an error of the application would
    """The client's process ended before its callable did: a signal killed it, or it left Python on another way."""


def is_success(outcome: Outcome) -> bool:
    """Tell whether a client did what it was asked to do: it returned, or ended its process with exit code 0."""
    if isinstance(outcome, Raised):
        return isinstance(outcome.exception, SystemExit) and (outcome.exception.code or 0) == 0
    return isinstance(outcome, Returned)
