"""Statements and values, shortened for people.

A statement is never parsed. What is shown of it is a piece of its beginning and a piece of its end, with an
ellipsis for what is left out between them, so that nothing is shown which the statement does not say.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

ELLIPSIS = "…"

_TAILS = {
    "SELECT": (" FROM ",),
    "UPDATE": (" WHERE ",),
    "DELETE": (" WHERE ",),
    "INSERT": (" SELECT ", " ON CONFLICT ", " RETURNING "),
}
"""Where a reader would like the piece of the end to start, by the statement's first word."""

_HEAD_MIN = 14
"""How much of the beginning is shown before the end is shortened as well: ``SELECT count(``."""

_WIDE = 40
"""From how many characters on two lines are enough for a statement."""

_WORD_MIN = 6
"""A piece is cut between two words unless that would leave less than this many characters."""

NO_BREAK = "\u00a0"
"""A space at which no line is broken."""


def one_line(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return " ".join(text.split())


def shorten(sql: str, limit: int) -> str:
    """Return a statement in at most ``limit`` characters: a piece of its beginning and a piece of its end."""
    text = one_line(sql)
    if len(text) <= limit:
        return text
    for tail in _TAILS.get(text.partition(" ")[0].upper(), ()):
        at = text.find(tail)
        if at >= 0:
            return _around(text, at, limit)
    return _beginning(text, limit)


def _around(text: str, at: int, limit: int) -> str:
    """Return a piece before this place, and what is after it; both shortened if need be."""
    before, end = text[:at], text[at:]
    room = max(limit - len(end) - 2, _HEAD_MIN)
    shown = before if len(before) <= room else f"{_head(before, room)} {ELLIPSIS}"
    return f"{shown}{_beginning(end, limit - len(shown))}"


def _beginning(text: str, limit: int) -> str:
    """Return a text, or as much of its beginning as there is room for, and an ellipsis."""
    return text if len(text) <= limit else f"{_head(text, limit - 2)} {ELLIPSIS}"


def _head(text: str, room: int) -> str:
    """Return the beginning of a text, cut between two words if possible."""
    cut = text[: room + 1]
    at = cut.rfind(" ")
    return cut[:at] if at >= _WORD_MIN else cut[:room]


def wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """Return a text as lines of at most ``width`` characters; all but the first are indented."""
    found = textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=True)
    return [line.replace(NO_BREAK, " ") for line in found] or [""]


def together(items: Iterable[str], width: int) -> list[str]:
    """Return items as lines, none of them broken over two lines if it fits on one."""
    return wrap("   ".join(item.replace(" ", NO_BREAK) for item in items), width)


def fit(sql: str, width: int, *, indent: str = "  ") -> list[str]:
    """Return a statement as few lines, with something left out if need be.

    An INSERT gets one line: the columns that do not fit say little, and its parameters are shown.
    """
    lines = 1 if sql[:6].upper() == "INSERT" else 2 if width >= _WIDE else 3
    limit = width + (width - len(indent)) * (lines - 1)
    while True:
        wrapped = wrap(shorten(sql, limit), width, indent=indent)
        if len(wrapped) <= lines or limit <= width:
            return wrapped[:lines]
        limit -= 1


def literal(value: Any, *, limit: int | None = None) -> str:
    """Return a value as SQL would write it; only the beginning of a text that is longer than the limit."""
    match value:
        case None:
            return "NULL"
        case str() if not _is_utf8(value):  # as it was read from the database, see treadle.values.view.View
            return f"CAST(x'{_cut(value.encode('utf-8', 'surrogateescape').hex(), limit)}' AS TEXT)"
        case str():
            return f"'{_cut(value, limit)}'".replace("\n", "\\n")
        case bytes():
            return f"x'{_cut(value.hex(), limit)}'"
        case _:
            return _cut(one_line(repr(value)), limit)


def _is_utf8(text: str) -> bool:
    return not any("\udc80" <= letter <= "\udcff" for letter in text)


def _cut(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}{ELLIPSIS}"


def row(values: Any, *, limit: int | None = None) -> str:
    """Return the values of one row, or of one set of parameters, in parentheses."""
    match values:
        case Mapping():
            inside: Iterable[str] = (f"{name}={literal(value, limit=limit)}" for name, value in values.items())
        case list() | tuple():
            inside = (literal(value, limit=limit) for value in values)
        case _:
            inside = (literal(values, limit=limit),)
    return f"({', '.join(inside)})"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 row``, ``1,096 rows``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


_EXACT_MAX = 10**15
"""Up to here a number is written in full."""


def number(value: int) -> str:
    """Return a number for people: in full, or its magnitude if it is astronomic."""
    if value <= _EXACT_MAX:
        return f"{value:,}"
    digits = str(value)
    return f"{digits[0]}.{digits[1]}e{len(digits) - 1}"
