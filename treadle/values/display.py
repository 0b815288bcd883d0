"""Texts for people: names, prose and values, with nothing in them that acts, and none of them endless.

All that is shown is data. A row, a name or the text of an error may have anything in it: a character that a terminal
obeys, one that turns around the order in which others are read, one that nobody can see, or half of one. Here, and
nowhere else, is decided how such a character is shown, and how much of a long value is::

    name, literal          one line each, and no two texts look the same
    prose                  of clauses, reasons and messages: white space is one space, escapes stay as they are
    quoted, spoken         any value at all, as errors quote it and as outcomes tell it
    harmless               what is left to do where text leaves the program, whoever wrote it

What has nothing of the kind in it stays as it is.
"""

from __future__ import annotations

import copy
import re
import types
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, frozen

ELLIPSIS = "…"

MARKS = "▶◀✗■→…"
"""The signs of reports that are no ASCII."""


# --- Characters --------------------------------------------------------------------------------------

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U0001d159\U00016fe4"
    "\U000e0100-\U000e01ef]"
    # The last of the variation selectors makes a symbol an emoji, and has no other use.
    "|(?<![\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff])\ufe0f(?!\u20e3)"
)
"""What Python takes for printable, and nobody sees (Default_Ignorable_Code_Point, and two blanks)."""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_BLANKS = re.compile(r"[\t\n\v\f\r]")

_WHITE_SPACE = re.compile(r"[ \t\n\v\f\r]+")

_READS_LIKE_ESCAPE = re.compile(r"[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}")

_BACKSLASHES = re.compile(r"\\+")


def escape(letter: str) -> str:
    """Return what stands for a character that is not shown itself, as Python would write it."""
    if letter in _NAMED:
        return _NAMED[letter]
    code = ord(letter)
    if code < 0x100:  # noqa: PLR2004  # so many have two digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004  # likewise, four


def _is_harmless(text: str) -> bool:
    return text.isprintable() and (text.isascii() or _INVISIBLE.search(text) is None)


def replaced(text: str, spell: Callable[[str], str]) -> str:
    """Return a text in which each character that cannot be shown is spelled otherwise."""
    if _is_harmless(text):
        return text
    seen = text if text.isascii() else _INVISIBLE.sub(lambda match: spell(match[0]), text)
    return "".join([letter if letter.isprintable() else spell(letter) for letter in seen])


def harmless(text: str) -> str:
    """Return a text with nothing in it that acts: an escape for each character that nobody could see, or trust.

    Lines stay lines. Escapes that are there already stay as they are.
    """
    return "\n".join([replaced(line, escape) for line in text.split("\n")])


def on_one_line(text: str) -> str:
    """Return a text as one line, with nothing in it that acts; likewise."""
    return replaced(text, escape)


def distinct(text: str) -> str:
    r"""Return a text as one line, from which it can be told what it was.

    A backslash before what reads like an escape is doubled, so that ``\x1b`` is one character, and ``\\x1b`` are four.
    """
    return on_one_line(_BACKSLASHES.sub(_told_apart, text) if "\\" in text else text)


def _told_apart(match: re.Match[str]) -> str:
    after = match.string[match.end() : match.end() + 1]
    ambiguous = _READS_LIKE_ESCAPE.match(match.string, match.end()) or not _is_harmless(after)
    return match[0] * (2 if ambiguous else 1)


# --- Length ------------------------------------------------------------------------------------------


@frozen
class Measure:
    """How much of a value is shown.

    Attributes:
        most: the longest that is shown whole, in characters or bytes.
        head: of one that is longer, how many are shown.
        most_items: the most items that are all shown.
        items: where there are more, how many are shown.
    """

    most: int
    head: int
    most_items: int
    items: int


USUAL = Measure(1_000, 100, 100, 10)
"""For values in a report."""

FULL = Measure(10_000, 200, 10_000, 50)
"""For prose and statements, and for all that is shown in full."""

_BRIEF = Measure(500, 60, 60, 10)
"""For values in the text of an error."""

_TAIL = 100


def how_long(number: int, noun: str) -> str:
    """Return how long a shortened value is."""
    return f"({number:,} {noun}s)"


def beginning(text: str, measure: Measure = FULL) -> str:
    """Return a text, or the beginning of one that is long, and how long it is."""
    if len(text) <= measure.most:
        return text
    return f"{text[: measure.head]}{ELLIPSIS} {how_long(len(text), 'character')}"


def prose(text: str) -> str:
    """Return prose as one line, with nothing in it that acts; the beginning, if it is endless."""
    return on_one_line(_BLANKS.sub(" ", beginning(text)))


def name(text: str) -> str:
    """Return a name as one line, from which it can be told what it was; the beginning, if it is endless."""
    return distinct(beginning(text, USUAL))


def names(texts: Iterable[str]) -> str:
    """Return names as an enumeration."""
    return ", ".join(map(name, texts))


def statement(sql: str) -> str:
    """Return a statement as one line, each run of white space as one space; its ends, if it is endless."""
    if len(sql) > FULL.most:
        ends = f"{statement(sql[: FULL.head])} {ELLIPSIS} {statement(sql[-_TAIL:])}"
        return f"{ends} {how_long(len(sql), 'character')}"
    return distinct(_WHITE_SPACE.sub(" ", sql).strip(" "))


def message(text: str) -> str:
    """Return what is told in lines, as a traceback; of an endless one, both ends."""
    if len(text) > 2 * FULL.most:
        left = len(text) - 2 * FULL.most
        text = f"{text[: FULL.most]}\n{ELLIPSIS} {how_long(left, 'character')} {ELLIPSIS}\n{text[-FULL.most :]}"
    return harmless(text)


# --- Values ------------------------------------------------------------------------------------------

AT_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
"""How Python's own texts name an object that has no better name."""

_DEPTH_MAX = 60
"""How deep containers are looked into."""

_BITS_MAX = 14_000
"""Up to here Python writes a number in decimal: it refuses what has more than 4,300 digits."""

_HEAD_BITS = 64

_ROOM_MIN = 20
"""The least room for an item, in characters."""

_ROOM_IN_ERROR = 500
"""The room for a value in the text of an error, and for what an object of no plain class says of itself."""


def quoted(value: object) -> str:
    """Return a value as an error shows it: its ``repr``, on one line, and of a long one the beginning."""
    return _spelled(value, _Speaker(_BRIEF, _ROOM_IN_ERROR))[0]


def in_part(value: object, measure: Measure = FULL) -> tuple[str, bool]:
    """Return a ``repr`` of any value that is the same in every process, and whether nothing was left out of it.

    Addresses are, and sets and dicts are in order.
    """
    return _spelled(value, _Speaker(measure, measure.most))


def _spelled(value: object, speaker: _Speaker) -> tuple[str, bool]:
    text = AT_ADDRESS.sub("", speaker.say(value, ()))
    return on_one_line(text), speaker.whole


def number(value: int, measure: Measure = FULL) -> str:
    """Return a whole number; of one that is endless, the beginning."""
    if value.bit_length() <= _BITS_MAX:
        text = int.__repr__(value)
        return text if len(text) <= measure.most else f"{text[: measure.head]}{ELLIPSIS} {how_long(len(text), 'digit')}"
    bits = value.bit_length()
    head = f"{'-' * (value < 0)}0x{abs(value) >> (bits - _HEAD_BITS):x}"
    return f"{head}{ELLIPSIS} {how_long(bits, 'bit')}"


def text_of(error: BaseException) -> str:
    """Return the text of an error, which may be of any class."""
    try:
        return str.__str__(str(error))  # not what a subclass of str makes of itself
    except Exception as other:  # noqa: BLE001  # code of the application's own classes
        return f"(its text raises {type(other).__name__})"


def said(error: BaseException) -> str:
    """Return the class and the text of an error, as prose."""
    text = prose(text_of(error))
    return f"{name(type(error).__name__)}: {text}" if text else name(type(error).__name__)


@define
class _Speaker:
    """Spells one value, in so much room.

    Attributes:
        measure: how much of each part is shown.
        room: for all parts together, in characters.
        whole: nothing was left out.
    """

    measure: Measure
    room: int
    whole: bool = True

    def say(self, value: Any, inside: tuple[int, ...]) -> str:
        """Return a value; where it is inside itself, dots."""
        if id(value) in inside:
            return "..."
        kind = type(value)
        if kind in _BRACKETS and value:
            if len(inside) >= _DEPTH_MAX:
                self.whole = False
                return ELLIPSIS
            return self._items(value, (*inside, id(value)))
        text = self._plain(value)
        self.room -= len(text) + 2
        return text

    def _items(self, value: Any, inside: tuple[int, ...]) -> str:
        opened, closed = _BRACKETS[type(value)]
        ordered = isinstance(value, (list, tuple))
        items = self._in_order(value, inside) if ordered else self._sorted(value, inside)
        if len(items) < len(value):
            self.whole = False
            items.append(f"{ELLIPSIS} {how_long(len(value), 'item')}")
        last = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"{opened}{', '.join(items)}{last}{closed}"

    def _in_order(self, value: list[Any] | tuple[Any, ...], inside: tuple[int, ...]) -> list[str]:
        items: list[str] = []
        for item in value if len(value) <= self.measure.most_items else value[: self.measure.items]:
            if self.room <= 0:
                break
            items.append(self.say(item, inside))
        return items

    def _sorted(self, value: Any, inside: tuple[int, ...]) -> list[str]:
        """Return the items of a set or a dict; each has as much room, whatever the order in which they come."""
        if len(value) > self.measure.most_items:
            return []
        found = []
        for item in value:
            part = _Speaker(self.measure, max(self.room // len(value), _ROOM_MIN))
            text = part.say(item, inside)
            found.append(f"{text}: {part.say(value[item], inside)}" if type(value) in _MAPPINGS else text)
            self.whole = self.whole and part.whole
        self.room -= sum(map(len, found))
        return sorted(found)

    def _plain(self, value: Any) -> str:
        kind = type(value)
        measure = self.measure
        if kind is int:
            text = number(value, measure)
            self.whole = self.whole and ELLIPSIS not in text
            return text
        if kind in _TEXTS:
            if len(value) <= measure.most:
                return repr(value)
            self.whole = False
            text = repr(value[: measure.head])
            return f"{text[:-1]}{ELLIPSIS}{text[-1]} {how_long(len(value), _TEXTS[kind])}"
        text = _own_repr(value)
        if _is_response(kind):
            text = f"{text}{self._body(value)}"
        if len(text) <= max(measure.most, _ROOM_IN_ERROR):
            return text
        self.whole = False
        return f"{text[: measure.head]}{ELLIPSIS} {how_long(len(text), 'character')}"

    def _body(self, response: Any) -> str:
        """Return what a response says, if it was read."""
        try:
            text = str.__str__(copy.copy(response).text)  # what it makes of its body it keeps, and then is another one
        except Exception:  # noqa: BLE001  # it was not, or is no text
            return ""
        if len(text) > self.measure.head:
            self.whole = False
            text = f"{text[: self.measure.head]}{ELLIPSIS}"
        return f" {text!r}" if text else ""


_BRACKETS: dict[type, tuple[str, str]] = {
    types.MappingProxyType: ("mappingproxy({", "})"),
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}

_MAPPINGS = frozenset({dict, types.MappingProxyType})

_RESPONSES = frozenset(
    {("httpx", "Response"), ("httpx2", "Response"), ("requests", "Response"), ("werkzeug", "TestResponse")}
)
"""Classes whose ``repr`` says how it went, and not what was said: their package, and their name."""


def _is_response(kind: type[Any]) -> bool:
    return any((base.__module__.partition(".")[0], base.__name__) in _RESPONSES for base in kind.__mro__)


_TEXTS: dict[type, str] = {str: "character", bytes: "byte"}


def _own_repr(value: object) -> str:
    """Return what an object says of itself, if it can."""
    try:
        return str.__str__(repr(value))
    except Exception as error:  # noqa: BLE001  # code of the application's own classes, or a number without end
        return f"<{type(value).__qualname__}, whose repr raises {type(error).__name__}>"
