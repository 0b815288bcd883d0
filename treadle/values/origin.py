"""What two values that ought to be one look like: where they may come from, and what helps.

A client did the same twice, and one value came out differently. Which source it has cannot be known, and its looks are
the best hint there is.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from attrs import frozen

from treadle.values.display import AT_ADDRESS


@frozen
class Source:
    """Where a value may come from.

    Attributes:
        name: what it looks like.
        remedy: what to do about it.
    """

    name: str
    remedy: str


ADDRESS = Source(
    "an address in memory",
    "id(), hash() and the default repr() of an object are others in each process; store something of the object's own",
)
UUID = Source(
    "a UUID",
    "those of uuid and of packages that draw from os.urandom, random or secrets are given; let it be made of these, or "
    "pass a function that makes ids",
)
TIME = Source(
    "a time",
    "Python's clocks are given, and the system's own are not (the times of files, C extensions, other services): take "
    "the time from time or datetime",
)
SET_ORDER = Source(
    "the order of a set",
    "objects that are told apart by where they are in memory come in another order in each process: sort them",
)
COUNTER = Source(
    "a counter",
    "it outlives a run: leave --no-isolate out, or keep it in the database and in no file or other service",
)
RANDOM = Source(
    "a random value",
    "random, secrets, uuid, os.urandom and os.getrandom are given, and other sources are not: draw it from one of them",
)

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[1-8][0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d")
_HEX_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TOKEN = re.compile(r"[\w+/=-]{8,}")

_MEMORY = (2**26, 2**48)
"""Between these, objects are in memory on the machines that Python runs on."""

_HASHED = 16
"""How much smaller the hash of an object is than its address."""

_SECONDS = (1.0e9, 4.2e9)
"""The seconds since 1970 are between these, from 2001 to 2103."""

_UNITS = (1, 10**3, 10**6, 10**9)
_COUNTED = 1000
"""Two numbers that are not further apart may have been counted."""


def source_of(one: Any, other: Any) -> Source | None:
    """Return where two values may come from that differ where they should not, or None.

    Args:
        one: plain values.
        other: likewise.
    """
    if _are_numbers(one, other):
        return _source_of_numbers(one, other)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return SET_ORDER if Counter(map(repr, one)) == Counter(map(repr, other)) else None
    if isinstance(one, bytes) and isinstance(other, bytes):
        return _source_of_texts(one.hex(), other.hex())
    return _source_of_texts(str(one), str(other))


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _source_of_texts(one: str, other: str) -> Source | None:
    if _UUID.sub("", one) == _UUID.sub("", other):
        return UUID
    for pattern in (AT_ADDRESS, _HEX_ADDRESS):
        if pattern.sub("", one) == pattern.sub("", other):
            return ADDRESS
    if len(one) == len(other) and _words(one) == _words(other):
        return SET_ORDER
    if _DATE.search(one) and _DATE.search(other):
        return TIME
    if _NUMBER.sub("", one) == _NUMBER.sub("", other):
        pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
        differing = [(float(left), float(right)) for left, right in pairs if left != right]
        return _source_of_numbers(*differing[0])
    return RANDOM if _TOKEN.fullmatch(one) and _TOKEN.fullmatch(other) and _looks_drawn(one, other) else None


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def _looks_drawn(one: str, other: str) -> bool:
    """Tell whether texts of about one length have nearly nothing in common."""
    same = sum(left == right for left, right in zip(one, other, strict=False))
    return abs(len(one) - len(other)) <= len(one) // 4 and same <= len(one) // 2


def _source_of_numbers(one: float, other: float) -> Source | None:
    low, high = sorted((one, other))
    if any(_SECONDS[0] * unit <= low and high <= _SECONDS[1] * unit for unit in _UNITS):
        return TIME
    is_whole = float(one).is_integer() and float(other).is_integer()
    if is_whole and abs(one - other) <= _COUNTED and low < _MEMORY[0]:
        return COUNTER
    if is_whole and _MEMORY[0] / _HASHED <= low and high < _MEMORY[1]:
        return ADDRESS
    return RANDOM
