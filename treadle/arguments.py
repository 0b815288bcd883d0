"""Arguments as they are typed: numbers that are what they look like, and errors that stay readable."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import TypeVar

import click
from attrs import frozen

from treadle.parallel.crews import ADDRESS, WORKERS_MAX
from treadle.search.memory import bytes_of
from treadle.values.display import on_one_line, quoted, replaced
from treadle.values.errors import UsageError

_DIGITS_MAX = 15
"""Far more than anything can be counted to here, and far less than Python refuses to read."""

_ERROR_MAX = 2000
_HEAD = 500
_TAIL = 1000


@frozen
class Rule:
    """What a number must look like.

    Attributes:
        pattern: its spelling: ASCII digits, and no more than are of use.
        least: what it must be at least; with ``open``, more than that.
        open: the least itself is not allowed.
        kind: what it becomes.
        says: the rule, in words.
        example: what one could write.
    """

    pattern: str
    least: float
    open: bool
    kind: type[int | float]
    says: str
    example: str


WHOLE = Rule(rf"[0-9]{{1,{_DIGITS_MAX}}}", 1, open=False, kind=int, says="a whole number, at least 1", example="1000")
SECONDS = Rule(
    r"[0-9]{1,9}(?:\.[0-9]{1,9})?",
    0,
    open=True,
    kind=float,
    says="a decimal number greater than 0",
    example="60, or 0.5",
)
SEED = Rule(rf"-?[0-9]{{1,{_DIGITS_MAX}}}", -float("inf"), open=False, kind=int, says="a whole number", example="7")


Value = TypeVar("Value")

Reader = Callable[[str, str], Value]
"""Takes the text of an argument and the option that it is given to; returns the value, or raises a ``UsageError``."""

Callback = Callable[[click.Context, click.Parameter, str | None], Value | None]


def by(read: Reader[Value]) -> Callback[Value]:
    """Return a callback for click that reads the value of an option, if it is given."""

    def called(context: click.Context, option: click.Parameter, value: str | None) -> Value | None:
        if value is None:
            return None
        try:
            return read(value, option.opts[0])
        except UsageError as error:
            raise click.BadParameter(str(error), context, option) from None

    return called


def number(rule: Rule) -> Reader[int | float]:
    """Return what reads a number that keeps to a rule."""

    def read(value: str, option: str) -> int | float:
        found = rule.kind(value) if re.fullmatch(rule.pattern, value) else None
        if found is None or found < rule.least or (rule.open and found == rule.least):
            raise UsageError(
                f"{quoted(value)} is not {rule.says}, with {_DIGITS_MAX} digits at most. Write for instance "
                f"{option} {rule.example}."
            )
        return found

    return read


def readable(message: str) -> str:
    """Return an error's text with its middle left out, if it is very long; the rule and the remedy stand at its end."""
    if len(message) <= _ERROR_MAX:
        return message
    left_out = len(message) - _HEAD - _TAIL
    return f"{message[:_HEAD]} ... ({left_out:,} characters are left out) ... {message[-_TAIL:]}"


def faults(value: str, option: str) -> dict[str, int]:
    """Read locked=N,crash=N."""
    found: dict[str, int] = {}
    for item in value.split(","):
        match = re.fullmatch(r"\s*(locked|crash)\s*=\s*([0-9]{1,9})\s*", item)
        if match is None or match[1] in found:
            raise UsageError(
                f"{quoted(value)} is no fault budget: each kind, 'locked' or 'crash', is given once, with a whole "
                f"number of nine digits at most. Write for instance {option} locked=1,crash=0."
            )
        found[match[1]] = int(match[2])
    return found


def workers(value: str, option: str) -> int | str:
    """Read N or ADDRESS."""
    if re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= WORKERS_MAX:
        return int(value)
    if ADDRESS.fullmatch(value):
        return value
    raise UsageError(
        f"{quoted(value)} is neither a number of processes, from 1 to {WORKERS_MAX:,}, nor the address of a Dask "
        f"scheduler. Write for instance {option} 4, or {option} tcp://localhost:8786."
    )


def challenge(value: str, option: str) -> tuple[float, int]:
    """Read SHARE or SHARE,N."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:,([0-9]{1,9}))?", value)
    if match is None:
        raise UsageError(
            f"{quoted(value)} is neither a share of the search's time, 0 or more, nor one with a number of executions. "
            f"Write for instance {option} 0.1, or {option} 0.5,100."
        )
    return float(match[1]), int(match[2] or 20)


def memory(value: str, option: str) -> int:
    """Read SIZE."""
    size = bytes_of(value)
    if size is None:
        raise UsageError(
            f"{quoted(value)} is no size: it is a whole number greater than zero, of bytes or with one of the units K, "
            f"M, G and T after it. Write for instance {option} 500M, or {option} 2G."
        )
    return size


def shell_word(word: str) -> str:
    """Return an argument as a shell reads it; what cannot be shown as it is, by its bytes, in ``$'...'``."""
    if on_one_line(word) == word:
        return shlex.quote(word)
    inside = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{replaced(inside, _octal)}'"


def _octal(letters: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in letters.encode("utf-8", "surrogateescape"))
