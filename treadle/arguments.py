"""Arguments of the command line: numbers that are what they look like, and errors that stay readable."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import click
from attrs import frozen

from treadle.values.display import on_one_line, quoted, replaced

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


def number(rule: Rule) -> Callable[[click.Context, click.Parameter, str | None], int | float | None]:
    """Return a callback that reads the value of an option, a number that keeps to a rule."""

    def read(context: click.Context, option: click.Parameter, value: str | None) -> int | float | None:
        if value is None:
            return None
        found = rule.kind(value) if re.fullmatch(rule.pattern, value) else None
        if found is None or found < rule.least or (rule.open and found == rule.least):
            raise click.BadParameter(
                f"{quoted(value)} is not {rule.says}, with {_DIGITS_MAX} digits at most. Write for instance "
                f"{option.opts[0]} {rule.example}.",
                context,
                option,
            )
        return found

    return read


def readable(message: str) -> str:
    """Return an error's text with its middle left out, if it is very long; the rule and the remedy stand at its end."""
    if len(message) <= _ERROR_MAX:
        return message
    left_out = len(message) - _HEAD - _TAIL
    return f"{message[:_HEAD]} ... ({left_out:,} characters are left out) ... {message[-_TAIL:]}"


def faults(context: click.Context, option: click.Parameter, value: str | None) -> dict[str, int] | None:
    """Read locked=N,crash=N."""
    if value is None:
        return None
    found: dict[str, int] = {}
    for item in value.split(","):
        match = re.fullmatch(r"\s*(locked|crash)\s*=\s*([0-9]{1,9})\s*", item)
        if match is None or match[1] in found:
            raise click.BadParameter(
                f"{quoted(value)} is no fault budget: each kind, 'locked' or 'crash', is given once, with a whole "
                "number of nine digits at most. Write for instance --faults locked=1,crash=0.",
                context,
                option,
            )
        found[match[1]] = int(match[2])
    return found


def shell_word(word: str) -> str:
    """Return an argument as a shell reads it; what cannot be shown as it is, by its bytes, in ``$'...'``."""
    if on_one_line(word) == word:
        return shlex.quote(word)
    inside = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{replaced(inside, _octal)}'"


def _octal(letters: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in letters.encode("utf-8", "surrogateescape"))
