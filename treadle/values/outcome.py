"""Outcomes: how a client ended."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from treadle.values.operation import canonical


@frozen
class Returned:
    """The client's callable returned a value."""

    value: Any

    @property
    def key(self) -> tuple[str, bytes]:
        """What makes two outcomes the same outcome."""
        return ("returned", canonical(self.value))

    def __str__(self) -> str:
        """Return the value."""
        return f"returned {self.value!r}"


@frozen(eq=False)
class Raised:
    """The client's callable raised an exception."""

    exception: Exception

    @property
    def key(self) -> tuple[str, bytes]:
        """What makes two outcomes the same outcome."""
        return ("raised", canonical((type(self.exception).__qualname__, str(self.exception))))

    def __eq__(self, other: object) -> bool:
        """Compare type and text: exceptions themselves compare by identity."""
        return self.key == other.key if isinstance(other, Raised) else NotImplemented

    def __hash__(self) -> int:
        """Hash type and text."""
        return hash(self.key)

    def __str__(self) -> str:
        """Return the exception's type and the first line of its text."""
        text = str(self.exception).partition("\n")[0]
        return f"raised {type(self.exception).__name__}" + (f": {text}" if text else "")


@frozen
class Crashed:
    """The client's process died."""

    @property
    def key(self) -> tuple[str, bytes]:
        """What makes two outcomes the same outcome."""
        return ("crashed", b"")

    def __str__(self) -> str:
        """Return the word."""
        return "crashed"


Outcome = Returned | Raised | Crashed


def is_success(outcome: Outcome) -> bool:
    """Tell whether a client did what it was asked to do: it returned, or ended its process with exit code 0."""
    if isinstance(outcome, Raised):
        return isinstance(outcome.exception, SystemExit) and (outcome.exception.code or 0) == 0
    return isinstance(outcome, Returned)
