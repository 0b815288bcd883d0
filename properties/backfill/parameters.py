"""The parameters of the create-backfill scenarios, as the command line gives them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from attrs import Attribute, field, fields, frozen

from model.backfill import ALGORITHMS, Reprocess
from treadle import UsageError

ALL = "all"
"""The value that stands for one scenario for each."""

JOURNALS = ("wal", "delete")
"""The journal modes."""

TRANSACTIONS = ("legacy", "begin", "immediate", "autocommit-off")
"""The driver's transaction modes."""

DEFAULT_ALGORITHMS = ("shipped-3.2.2", "flush", "immediate")
"""The algorithms that are checked unless others are asked for: the bug, a half of the fix, and a fix."""

LARGEST = 26
"""How many requests there may be: each is called by one letter."""


def _whole(name: str, low: int, high: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        text = str(value).strip()
        if not text.isdecimal() or not low <= int(text) <= high:
            raise UsageError(
                f"{name}={value!r}: it must be a whole number from {low} to {high}. Correct -p {name}=..."
            )
        return int(text)

    return convert


def _choice(name: str, allowed: tuple[str, ...]) -> Callable[[object], str]:
    def convert(value: object) -> str:
        if str(value) not in allowed:
            raise UsageError(
                f"{name}={value!r}: it must be one of {', '.join(allowed)}. Correct -p {name}=..."
            )
        return str(value)

    return convert


def _algorithms(value: object) -> tuple[str, ...]:
    if value == ALL:
        return tuple(ALGORITHMS)
    names = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
    if not isinstance(names, tuple | list) or not names or not set(names) <= set(ALGORITHMS):
        raise UsageError(
            f"algorithms={value!r}: it must be '{ALL}', or names from {', '.join(ALGORITHMS)} with commas between "
            "them. Correct -p algorithms=..."
        )
    return tuple(dict.fromkeys(names))


def _within_range(instance: Parameters, attribute: Attribute[int], value: int) -> None:
    if value > instance.runs:
        raise UsageError(
            f"{attribute.name}={value!r}: a range of {instance.runs} dates has at most {instance.runs} with a "
            f"finished run. Lower {attribute.name}, or raise runs."
        )


@frozen(kw_only=True)
class Parameters:
    """What a set of scenarios is made from.

    Attributes:
        requests: how many clients send the same request at the same time.
        runs: how many dates it asks for.
        reprocess: which existing runs it wants to run again: none, failed or completed.
        history: how many of its dates, from the first, have a run that the workflow's scheduler created before
            and that is finished (success). The day before the range always has one.
        journal: wal or delete; or all, for one scenario for each.
        transactions: legacy, begin, immediate or autocommit-off; or all, for one scenario for each that this
            Python has.
        locked: how many ``database is locked`` faults one execution may contain.
        log: 1 if each request also writes the audit log, in a transaction of its own; else 0.
        algorithms: names, with commas between them; or all.

    Raises:
        UsageError: a value is not one of those allowed.
    """

    requests: int = field(default=2, converter=_whole("requests", 1, LARGEST))
    runs: int = field(default=2, converter=_whole("runs", 1, 1096))
    reprocess: str = field(default="none", converter=_choice("reprocess", tuple(Reprocess)))
    history: int = field(default=0, converter=_whole("history", 0, 1096), validator=_within_range)
    journal: str = field(default="wal", converter=_choice("journal", (*JOURNALS, ALL)))
    transactions: str = field(default="legacy", converter=_choice("transactions", (*TRANSACTIONS, ALL)))
    locked: int = field(default=1, converter=_whole("locked", 0, 99))
    log: int = field(default=0, converter=_whole("log", 0, 1))
    algorithms: tuple[str, ...] = field(default=DEFAULT_ALGORITHMS, converter=_algorithms)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Parameters:
        """Check the names, then the values.

        Raises:
            UsageError: there is no parameter of such a name, or a value is not one of those allowed.
        """
        known = [attribute.name for attribute in fields(cls)]
        for name, value in given.items():
            if name not in known:
                raise UsageError(
                    f"{name}={value!r}: create-backfill has no such parameter; it has {', '.join(known)}. "
                    f"Correct or drop -p {name}=..."
                )
        return cls(**given)

    @property
    def journals(self) -> tuple[str, ...]:
        """The journal modes to check."""
        return JOURNALS if self.journal == ALL else (self.journal,)

    @property
    def modes(self) -> tuple[str, ...]:
        """The transaction modes to check. What an older Python lacks is left out of ``all``, and only there."""
        if self.transactions != ALL:
            return (self.transactions,)
        return TRANSACTIONS if sys.version_info >= (3, 12) else TRANSACTIONS[:-1]

    def suffix(self, journal: str, mode: str) -> str:
        """Return what tells a scenario from the others of its algorithm; nothing if there are no others."""
        parts = [journal] * (self.journal == ALL) + [mode] * (self.transactions == ALL)
        return f"[{','.join(parts)}]" if parts else ""
