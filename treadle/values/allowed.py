"""What values are allowed as arguments, and how an error shows one that is not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from attrs import Attribute

from treadle.values.display import quoted
from treadle.values.errors import UsageError

MOST = 10**15
"""The largest whole number that is allowed anywhere: far more than anything can be counted to here."""


def require_whole(name: str, value: object, *, least: int, remedy: str, most: int = MOST) -> None:
    """Require a whole number.

    Args:
        name: of the argument.
        value: what was given.
        least: the smallest that is allowed.
        remedy: a sentence.
        most: the largest that is allowed.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UsageError(f"{name}={quoted(value)}: it must be a whole number from {least:,} to {most:,}. {remedy}")


def require_number(name: str, value: object, *, remedy: str, above_zero: bool = False) -> None:
    """Require a number that is finite, and not below zero.

    Args:
        name: of the argument.
        value: what was given.
        remedy: a sentence.
        above_zero: zero is not allowed either.

    Raises:
        UsageError: it is something else.
    """
    well = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MOST
    if not well or (above_zero and value == 0):
        rule = "greater than 0" if above_zero else "not less than 0"
        raise UsageError(f"{name}={quoted(value)}: it must be a number {rule}, and at most {MOST:,}. {remedy}")


def require_one_of(name: str, value: object, allowed: Collection[str]) -> None:
    """Require one of some words.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, str) or value not in allowed:
        raise UsageError(f"{name}={quoted(value)}: it must be one of {', '.join(allowed)}. Choose one of these.")


_Validator = Callable[[Any, "Attribute[Any]", Any], None]


def whole(*, least: int) -> _Validator:
    """Return an attrs validator that requires a whole number, at least this one."""

    def require(_: object, attribute: Attribute[Any], value: object) -> None:
        require_whole(attribute.name, value, least=least, remedy="Correct it, or leave it out.")

    return require


def above_zero() -> _Validator:
    """Return an attrs validator that requires a number greater than zero."""

    def require(_: object, attribute: Attribute[Any], value: object) -> None:
        require_number(attribute.name, value, above_zero=True, remedy="Correct it, or leave it out.")

    return require


def listed(name: str, values: Iterable[Any]) -> tuple[Any, ...]:
    """Return what is given as a list, or in another collection.

    Args:
        name: of the argument.
        values: what was given.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise UsageError(f"{name}={quoted(values)}: it must be a list. Write {name}=[...].")
    return tuple(values)


def named(name: str, values: Iterable[Any]) -> tuple[str, ...]:
    """Return what is given as a list of names.

    Args:
        name: of the argument.
        values: what was given.

    Raises:
        UsageError: it is something else.
    """
    names = listed(name, values)
    for one in names:
        if not isinstance(one, str):
            raise UsageError(f"{name} has {quoted(one)}: it must be a list of names. Write {name}=['name'].")
    return names
