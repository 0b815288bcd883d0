"""Schedules: frozen lists of the scheduler's choices, and their tokens.

A token is the version, then one item for each choice, joined by dots. Clients are lettered in the order in
which the scenario lists them. If it is known what was done under the schedule, a last item has the digests of that::

    t2.A12.B30.A-locked.A5.B-crash.7kq2m09xv4ec18yz
    │  │       │           │       │       │   └ check of all letters before
    │  │       │           │       │       └ of all that was done: four letters
    │  │       │           │       └ of what was done by the end of A12, of B30, of A-locked and of A5: two letters each
    │  │       │           └ the process of client B dies
    │  │       └ client A's pending operation fails with "database is locked"
    │  └ client A takes 12 operations
    └ version of this format: t1 without the last item, as one writes it by hand, and t2 with it

Each digest is of all that was done up to there (``treadle.values.record``): the first that differs tells where, and
the last, of 20 bits, whether.

Letters and digits, dots and dashes only: a token survives a shell, a URL and a file name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from attrs import Attribute, field, frozen

from treadle.values.display import quoted
from treadle.values.errors import TokenError
from treadle.values.fault import Fault

VERSION = "t2"
"""The format of a token that tells what was done."""

BARE_VERSION = "t1"
"""The format of a token that tells nothing but the choices."""

DIGEST_LENGTH = 4
"""The letters of the digest of all that was done."""

_STEP_LENGTH = 2
_CHECK_LENGTH = 4

LENGTH_MAX = 100_000
"""The longest token that is read, in characters."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's 32 (https://www.crockford.com/base32.html): none is taken for another, and none is a client's letter."""

_ITEM = re.compile(r"([A-Z]{1,4})(?:([1-9][0-9]{0,8})|-(locked|crash))")
_DIGESTS = re.compile(f"[{_ALPHABET}]+")


def short(digest: bytes, length: int) -> str:
    """Return the beginning of a digest, with so many letters of five bits."""
    number = int.from_bytes(digest[: 5 * length // 8 + 1])
    number >>= 8 * (5 * length // 8 + 1) - 5 * length
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


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


def _as_written(digests: Iterable[str]) -> tuple[str, ...]:
    """Return digests with as many letters as a token has room for: all for the last one."""
    given = tuple(digests)
    return (*(digest[:_STEP_LENGTH] for digest in given[:-1]), *given[-1:])


@frozen
class Schedule:
    """A frozen list of choices. Neighbouring steps of one client are one choice.

    Attributes:
        choices: the choices.
        digests: for each choice a digest of all that was done by its end, if that is known.

    Raises:
        TokenError: from ``parse``, for a text that is no token.
    """

    choices: tuple[Choice, ...] = field(default=(), converter=merged)
    digests: tuple[str, ...] = field(default=(), converter=_as_written)

    @digests.validator
    def _require_all(self, _: Attribute[tuple[str, ...]], digests: Sequence[str]) -> None:
        assert len(digests) in {0, len(self.choices)}, f"{len(digests)} digests of {len(self.choices)} choices"

    @property
    def token(self) -> str:
        """The short text that replays this schedule; of version t1 where it is not known what was done."""
        if not self.digests:
            return ".".join([BARE_VERSION, *map(str, self.choices)])
        text = ".".join([VERSION, *map(str, self.choices), "".join(self.digests)])
        return text + _check_letters(text)

    @classmethod
    def parse(cls, token: str) -> Schedule:
        """Read a token.

        Raises:
            TokenError: the text is malformed, too long, or of another version.
        """
        if not isinstance(token, str):
            raise TokenError(
                f"{quoted(token)} is no schedule token: a token is a text, as '{BARE_VERSION}.A3.B2'. Copy the whole "
                "token from the report."
            )
        token = token.strip()
        if len(token) > LENGTH_MAX:
            raise TokenError(
                f"{quoted(token)} is no schedule token: none is longer than {LENGTH_MAX:,} characters. "
                "Copy one token from the report."
            )
        version, *items = token.split(".")
        if not re.fullmatch(r"t[0-9]+", version):
            raise TokenError(
                f"{quoted(token)} is no schedule token: a token starts with its version, as in "
                f"'{BARE_VERSION}.A3.B2'. Copy the whole token from the report."
            )
        if version == BARE_VERSION:
            return cls(_choices(items, token))
        if version == VERSION:
            return cls._with_digests(items, token)
        raise TokenError(
            f"{quoted(token)} is a token of format {quoted(version)}; this version reads {BARE_VERSION!r} and "
            f"{VERSION!r}. Replay it with the version of treadle that wrote it, or search again."
        )

    @classmethod
    def _with_digests(cls, items: list[str], token: str) -> Schedule:
        written = items.pop() if items and _DIGESTS.fullmatch(items[-1]) else ""
        choices = _choices(items, token)
        last = _STEP_LENGTH * (len(choices) - 1)
        whole = choices and len(written) == last + DIGEST_LENGTH + _CHECK_LENGTH and merged(choices) == choices
        if not whole or _check_letters(token[:-_CHECK_LENGTH]) != token[-_CHECK_LENGTH:]:
            raise TokenError(
                f"{quoted(token)} is not as it was written: the letters at its end do not belong to the rest. "
                "Copy the whole token from the report; in one that you write by hand, leave them out and "
                f"begin with '{BARE_VERSION}.'."
            )
        steps = [written[at : at + _STEP_LENGTH] for at in range(0, last, _STEP_LENGTH)]
        return cls(choices, (*steps, written[last:-_CHECK_LENGTH]))

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


def _choices(items: Iterable[str], token: str) -> tuple[Choice, ...]:
    """Read the items of a token that are choices."""
    choices: list[Choice] = []
    for item in items:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise TokenError(
                f"{quoted(item)} in token {quoted(token)} is no choice: a choice is a client's letters (four at most), "
                "then a number of operations (nine digits at most), '-locked' or '-crash', as in 'A12' or 'B-locked'. "
                "Copy the whole token from the report."
            )
        name, operations, fault = match.groups()
        client = position(name)
        choices.append(Step(client, int(operations)) if operations else Fail(client, Fault(fault)))
    return tuple(choices)


def _check_letters(text: str) -> str:
    """Return the letters that tell whether a token is as it was written."""
    return short(blake2b(text.encode("utf-8", "surrogatepass")).digest(), _CHECK_LENGTH)
