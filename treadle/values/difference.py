"""The one value in which two operations, or two outcomes, differ that ought to be the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from treadle.values.display import beginning, how_long, on_one_line, quoted
from treadle.values.operation import Operation
from treadle.values.origin import Source, source_of
from treadle.values.outcome import Outcome, Raised, Returned

_AROUND = 24
"""How many characters are shown on each side of what differs."""

_OPEN, _CLOSE = "«", "»"
"""The marks of what differs."""

_COLUMNS = re.compile(r"\(([^()]*)\)\s*VALUES\s*\(", re.IGNORECASE)
_NAMED_BEFORE = re.compile(r"([\w.\"]+)\s*(?:=|<>|!=|<=|>=|<|>|LIKE|IS|IN\s*\()\s*$", re.IGNORECASE)

_STATEMENT = 60
"""How many characters of a statement say which one it is."""


@frozen
class Difference:
    """What differs.

    Attributes:
        place: which value it is.
        expected: what it was, marked where it differs.
        got: what it is now, likewise.
        source: what it looks like; None if it looks like nothing that is known.
        others: how many more values differ.
    """

    place: str
    expected: str
    got: str
    source: Source | None
    others: int = 0

    def __str__(self) -> str:
        """Return what is to be said of it."""
        more = f" ({self.others} more differ)" if self.others else ""
        text = f"{self.place} was {self.expected}, and is {self.got} when it runs again{more}."
        if self.source is None:
            return text
        return f"{text} This looks like {self.source.name}: {self.source.remedy}."


def difference_of(expected: Operation | Outcome, got: Operation | Outcome) -> Difference | None:
    """Return the one value that differs, or None where it is not one value, but something else that is done.

    Args:
        expected: what was done before.
        got: what is done now.
    """
    if isinstance(expected, Operation) and isinstance(got, Operation):
        return _of_operations(expected, got)
    if isinstance(expected, Returned) and isinstance(got, Returned):
        return _of_values("what it returns", expected.value, got.value)
    if isinstance(expected, Raised) and isinstance(got, Raised):
        one, other = expected.exception, got.exception
        if type(one) is type(other):
            return _of_values(f"the text of its {type(one).__name__}", str(one), str(other))
    return None


def difference_of_rows(
    expected: Mapping[str, Sequence[Mapping[str, Any]]], got: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Difference | None:
    """Return the one value in which committed rows differ, or None where there are others or more of them.

    Args:
        expected: the rows of each table, each with its columns.
        got: likewise.
    """
    pairs = list(_differing(expected, got, ()))
    if not pairs or any(len(way) != len(("table", "row", "column")) for way, _, _ in pairs):
        return None
    (table, _, column), one, other = pairs[0]
    shown = _marked(quoted(one), quoted(other))
    return Difference(f"column {column} of a row of {table}", *shown, source_of(one, other), len(pairs) - 1)


def _of_operations(expected: Operation, got: Operation) -> Difference | None:
    if (expected.kind, expected.connection, expected.cursor) != (got.kind, got.connection, got.cursor):
        return None
    if expected.sql == got.sql:
        names = _names(expected.sql or "", expected.arguments)
        statement = f" of {_head(expected)}"
        found = _of_values("", expected.arguments, got.arguments, names, statement)
        if found is None and expected.clock_s != got.clock_s:
            return _of_values("the client's clock", expected.clock_s, got.clock_s)
        return found
    if expected.sql is None or got.sql is None:
        return None
    one, other = on_one_line(expected.sql), on_one_line(got.sql)
    start, end = _common(one, other)
    if start + end < max(len(one), len(other)) // 2:  # it is another statement
        return None
    source = source_of(_word(one, start, end), _word(other, start, end))
    return Difference("the text of a statement", *_marked(one, other), source)


def _head(operation: Operation) -> str:
    text = on_one_line(str(operation))
    return repr(text if len(text) <= _STATEMENT else f"{text[: _STATEMENT // 2]}…{text[-_STATEMENT // 4 :]}")


def _names(sql: str, arguments: Any) -> dict[int, str]:
    """Return the columns that parameters belong to, by their positions, as far as the text shows them."""
    if not isinstance(arguments, (list, tuple)):
        return {}
    found = _COLUMNS.search(sql)
    columns = [column.strip(' "`[]') for column in found.group(1).split(",")] if found else []
    if columns and len(arguments) % len(columns) == 0:
        return {place: columns[place % len(columns)] for place in range(len(arguments))}
    before = [_NAMED_BEFORE.search(part) for part in sql.split("?")[:-1]]
    return {place: match.group(1).strip('"') for place, match in enumerate(before) if match}


def _of_values(
    place: str, expected: Any, got: Any, names: Mapping[int, str] | None = None, of: str = ""
) -> Difference | None:
    pairs = list(_differing(expected, got, ()))
    if not pairs:
        return None
    way, one, other = pairs[0]
    shown = _marked(quoted(one), quoted(other))
    return Difference(f"{place or _spoken(way, names or {})}{of}", *shown, source_of(one, other), len(pairs) - 1)


def _spoken(way: tuple[Any, ...], names: Mapping[int, str]) -> str:
    if not way:
        return "the parameters"
    *before, last = way
    row = "".join(f", row {place + 1}" for place in before if isinstance(place, int))
    if isinstance(last, int):
        name = names.get(last) if not before else None
        return f"parameter {last + 1}{f' ({name})' if name else ''}{row}"
    return f"parameter {last!r}{row}"


def _differing(one: Any, other: Any, way: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Yield the innermost values that differ, each with the way there."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys():
        for key in one:
            yield from _differing(one[key], other[key], (*way, key))
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        if len(one) > 1 and all(each in one for each in other) and one != other:
            yield way, one, other  # the same in another order
            return
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from _differing(*pair, (*way, place))
    elif type(one) is not type(other) or one != other:
        yield way, one, other


def _common(one: str, other: str) -> tuple[int, int]:
    """Return how many characters two texts have in common at their beginnings, and then at their ends."""
    start = _same(one, other)
    return start, _same(one[start:][::-1], other[start:][::-1])


def _same(one: str, other: str) -> int:
    """Return at which character two texts part."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def _word(text: str, start: int, end: int) -> str:
    """Return the word around what differs."""
    before = re.search(r"\w*$", text[:start])
    after = re.search(r"^\w*", text[len(text) - end :] if end else "")
    return f"{before.group() if before else ''}{text[start : len(text) - end]}{after.group() if after else ''}"


def _marked(one: str, other: str) -> tuple[str, str]:
    """Return two texts with what differs marked, and of what is around it the nearest."""
    start, end = _common(one, other)
    return _window(one, start, len(one) - end), _window(other, start, len(other) - end)


def _window(text: str, start: int, stop: int) -> str:
    left, right = max(0, start - _AROUND), min(len(text), stop + _AROUND)
    middle = beginning(text[start:stop]) if stop - start <= 4 * _AROUND else _short(text[start:stop])
    ellipses = "…" if left else "", "…" if right < len(text) else ""
    return f"{ellipses[0]}{text[left:start]}{_OPEN}{middle}{_CLOSE}{text[stop:right]}{ellipses[1]}"


def _short(text: str) -> str:
    return f"{text[: 2 * _AROUND]}… ({how_long(len(text), 'character')})"
