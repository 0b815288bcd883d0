"""Statements and values, shortened for people.

A statement is never parsed. What is shown of it is a piece of its beginning and a piece of its end, with an
ellipsis for what is left out between them, so that nothing is shown which the statement does not say. Of a value that
is long, the beginning is shown, and how long it is.
"""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from treadle.values.display import ELLIPSIS, USUAL, Measure, distinct, how_long, in_part, name, on_one_line

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


_ESCAPE = re.compile(r"\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")

_ESCAPE_MAX = 10
"""The longest escape, in characters."""


class _Wrapper(textwrap.TextWrapper):
    """Breaks a word that is too long for a line, but not in the middle of an escape."""

    def _handle_long_word(self, reversed_chunks: list[str], cur_line: list[str], cur_len: int, width: int) -> None:
        word, room = reversed_chunks[-1], width - cur_len
        near = _ESCAPE.finditer(word, max(room - _ESCAPE_MAX, 0), room + _ESCAPE_MAX)
        inside = [match.start() for match in near if match.start() < room < match.end()]
        room = inside[0] if inside else room
        if room > 0:
            cur_line.append(word[:room])
            reversed_chunks[-1] = word[room:]
        elif not cur_line:
            super()._handle_long_word(reversed_chunks, cur_line, cur_len, width)


def wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """Return a text as lines of at most ``width`` characters; all but the first are indented."""
    found = _Wrapper(width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=True).wrap(text)
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


def page(lines: Iterable[str]) -> str:
    """Return lines as the text of a report.

    All texts of reports are made here. What is in a line stays on it, and there is nothing in it that acts, whatever
    has been forgotten where the line was made.
    """
    return "\n".join(map(on_one_line, lines))


def literal(value: Any, *, limit: int | None = None, measure: Measure = USUAL) -> str:
    """Return a value as SQL would write it, on one line.

    Args:
        value: any value.
        limit: only the beginning is shown of a value that is longer, in characters.
        measure: how much is shown of one that is really long, which then says how long it is.
    """
    match value:
        case None:
            return "NULL"
        case str():
            return _text(str.__str__(value), limit, measure)
        case bytes() | bytearray() | memoryview():
            return _blob(bytes(value[: measure.most + 1]), len(value), limit, measure)
        case _:
            return _cut(in_part(value, measure)[0], limit)


def _blob(blob: bytes, length: int, limit: int | None, measure: Measure) -> str:
    if length <= measure.most:
        return f"x'{_cut(blob[:limit].hex(), limit)}'"
    return f"x'{blob[: min(measure.head, limit or measure.head) // 2].hex()}{ELLIPSIS}' {how_long(length, 'byte')}"


_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""What stands for a byte that does not fit, see ``treadle.values.view.View``."""


def _text(text: str, limit: int | None, measure: Measure) -> str:
    whole = len(text) <= measure.most
    head = text if whole else text[: min(measure.head, limit or measure.head)]
    more = "" if whole else ELLIPSIS
    shown = f"'{_cut_to(head, limit)}{more}'"
    if _NO_UTF8.search(head):
        with contextlib.suppress(UnicodeEncodeError):  # There are other lone surrogates in it.
            shown = f"CAST(x'{_cut(head.encode('utf-8', 'surrogateescape').hex(), limit)}{more}' AS TEXT)"
    return shown if whole else f"{shown} {how_long(len(text), 'character')}"


def _cut_to(text: str, limit: int | None) -> str:
    """Return a text from which it can be told what it was, as far as there is room for it; no escape is cut."""
    if limit is None:
        return distinct(text)
    whole = distinct(text[: limit + 1])
    if len(whole) <= limit:
        return whole
    room = limit - 1
    while len(distinct(text[:room])) >= limit:
        room -= 1
    return f"{distinct(text[:room])}{ELLIPSIS}"


def _cut(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[: limit - 1]}{ELLIPSIS}"


def row(values: Any, *, limit: int | None = None, measure: Measure = USUAL) -> str:
    """Return the values of one row, or of one set of parameters, in parentheses; the first, if there are very many."""
    if isinstance(values, Mapping):
        return f"({pairs(values, '=', limit=limit, measure=measure)})"
    items = values if isinstance(values, (list, tuple)) else (values,)
    shown = [literal(value, limit=limit, measure=measure) for value in _some(items, measure)]
    return f"({_enumerated(shown, len(items))})"


def pairs(values: Mapping[str, Any], sign: str, *, limit: int | None = None, measure: Measure = USUAL) -> str:
    """Return the values of one row with their names; the first, if there are very many."""
    some = _some(list(values), measure)
    shown = [f"{name(str(key))}{sign}{literal(values[key], limit=limit, measure=measure)}" for key in some]
    return _enumerated(shown, len(values))


def _some(items: Sequence[Any], measure: Measure) -> Sequence[Any]:
    return items if len(items) <= measure.most_items else items[: measure.items]


def _enumerated(shown: list[str], number: int) -> str:
    more = [f"{ELLIPSIS} {how_long(number, 'value')}"] if len(shown) < number else []
    return ", ".join([*shown, *more])


_EXACT_MAX = 10**15
"""Up to here a number is written in full."""


def number(value: int) -> str:
    """Return a number for people: in full, or its magnitude if it is astronomic."""
    if value <= _EXACT_MAX:
        return f"{value:,}"
    digits = f"{Decimal(value):.16e}"  # Python itself refuses to write more than 4,300 digits.
    return f"{digits[0]}.{digits[2]}e{digits.partition('e+')[2]}"


def count(things: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 row``, ``1,096 rows``."""
    return f"{number(things)} {noun if things == 1 else plural or noun + 's'}"
