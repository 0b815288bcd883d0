"""Schedules: frozen lists of the scheduler's choices, and their tokens.

A token is the version, then one item for each choice, joined by dots. Clients are lettered in the order in
which the scenario lists them::

    t1.A12.B30.A-locked.A5.B-crash
    │  │       │           └ the process of client B dies
    │  │       └ client A's pending operation fails with "database is locked"
    │  └ client A takes 12 operations
    └ version of this format

Letters and digits, dots and dashes only: a token survives a shell, a URL and a file name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from attrs import field, frozen

from treadle.values.errors import TokenError
from treadle.values.fault import Fault

VERSION = "t1"
"""The format written and read by this version of Treadle."""

_ITEM = re.compile(r"([A-Z]+)(?:([1-9][0-9]*)|-(locked|crash))")


def letters(client: int) -> str:
    """Return the letters of the client at this position: A, B, ..., Z, AA, AB, ..."""
    text = ""
    client += 1
    while client:
        client, rest = divmod(client - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def position(text: str) -> int:
    """Return the position of the client with these letters; the inverse of ``letters``."""
    total = 0
    for letter in text:
        total = total * 26 + ord(letter) - ord("A") + 1
    return total - 1


@frozen
class Step:
    """Let a client take a number of operations."""

    client: int
    operations: int = 1

    def __str__(self) -> str:
        """Return the token item."""
        return f"{letters(self.client)}{self.operations}"


@frozen
class Fail:
    """Do a fault to a client: fail its pending operation, or crash it."""

    client: int
    fault: Fault = Fault.LOCKED

    def __str__(self) -> str:
        """Return the token item."""
        return f"{letters(self.client)}-{self.fault}"


Choice = Step | Fail


def merged(choices: Iterable[Choice]) -> tuple[Choice, ...]:
    """Join neighbouring steps of the same client."""
    found: list[Choice] = []
    for choice in choices:
        last = found[-1] if found else None
        if isinstance(choice, Step) and isinstance(last, Step) and last.client == choice.client:
            found[-1] = Step(choice.client, last.operations + choice.operations)
        else:
            found.append(choice)
    return tuple(found)


@frozen
class Schedule:
    """A frozen list of choices. Neighbouring steps of one client are one choice.

    Raises:
        TokenError: from ``parse``, for a text that is no token of this version.
    """

    choices: tuple[Choice, ...] = field(default=(), converter=merged)

    @property
    def token(self) -> str:
        """The short text that replays this schedule."""
        return ".".join([VERSION, *map(str, self.choices)])

    @classmethod
    def parse(cls, token: str) -> Schedule:
        """Read a token.

        Raises:
            TokenError: the text is malformed, or of another version.
        """
        version, *items = token.strip().split(".")
        if not re.fullmatch(r"t[0-9]+", version):
            raise TokenError(
                f"{token!r} is no schedule token: a token starts with its version, as in '{VERSION}.A3.B2'. "
                "Copy the whole token from the report."
            )
        if version != VERSION:
            raise TokenError(
                f"{token!r} is a token of format {version!r}; this version reads {VERSION!r}. "
                "Replay it with the version of treadle that wrote it, or search again."
            )
        choices: list[Choice] = []
        for item in items:
            match = _ITEM.fullmatch(item)
            if match is None:
                raise TokenError(
                    f"{item!r} in token {token!r} is no choice: a choice is a client's letters, then a number of "
                    "operations, '-locked' or '-crash', as in 'A12' or 'B-locked'. "
                    "Copy the whole token from the report."
                )
            name, operations, fault = match.groups()
            client = position(name)
            choices.append(Step(client, int(operations)) if operations else Fail(client, Fault(fault)))
        return cls(tuple(choices))

    @property
    def faults(self) -> int:
        """The number of faults."""
        return sum(isinstance(choice, Fail) for choice in self.choices)

    @property
    def switches(self) -> int:
        """The number of context switches: how often another client than the one before goes on."""
        clients = [choice.client for choice in self.choices]
        return sum(left != right for left, right in itertools.pairwise(clients))

    def __len__(self) -> int:
        """Return the number of choices."""
        return len(self.choices)

    def __str__(self) -> str:
        """Return the token."""
        return self.token
