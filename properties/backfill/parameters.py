"""The parameters of the create-backfill scenarios, as the command line gives them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import Attribute, field, frozen

from model.backfill import ALGORITHMS, Reprocess
from properties.backfill.others import OTHERS
from treadle import Placement, UsageError
from treadle.scenario import DEFAULT_BUSY_TIMEOUT_MS

ALL = "all"
"""The value that stands for one scenario for each."""

JOURNALS = ("wal", "delete")
"""The journal modes."""

TRANSACTIONS = ("legacy", "begin", "immediate", "autocommit-off")
"""The driver's transaction modes."""

DEFAULT_ALGORITHMS = ("shipped-3.2.2", "flush", "immediate")
"""The algorithms that are checked unless others are asked for: the bug, a half of the fix, and a fix."""

Parser = Callable[[str, object], Any]
"""Takes a parameter's name and the value given for it, and returns the value meant."""

LARGEST = 26
"""How many requests there may be: each is called by one letter."""


def _whole(low: int, high: int) -> Parser:
    def parse(name: str, value: object) -> int:
        text = str(value).strip()
        if not text.isdecimal() or not low <= int(text) <= high:
            raise UsageError(f"{name}={value!r}: it must be a whole number from {low} to {high}. Correct -p {name}=...")
        return int(text)

    return parse


def _choice(*allowed: str) -> Parser:
    def parse(name: str, value: object) -> str:
        if str(value) not in allowed:
            raise UsageError(f"{name}={value!r}: it must be one of {', '.join(allowed)}. Correct -p {name}=...")
        return str(value)

    return parse


def _names(allowed: Iterable[str], *, or_none: bool = False) -> Parser:
    allowed = tuple(allowed)
    words = f"'{ALL}', 'none'" if or_none else f"'{ALL}'"

    def parse(name: str, value: object) -> tuple[str, ...]:
        given = [part.strip() for part in value.split(",")] if isinstance(value, str) else []
        if given == [ALL]:
            return allowed
        if or_none and given == ["none"]:
            return ()
        if not given or not set(given) <= set(allowed):
            raise UsageError(
                f"{name}={value!r}: it must be {words}, or names from {', '.join(allowed)}, with commas. "
                f"Correct -p {name}=..."
            )
        return tuple(part for part in allowed if part in given)

    return parse


PARSERS: dict[str, Parser] = {
    "requests": _whole(1, LARGEST),
    "runs": _whole(1, 1096),
    "reprocess": _choice(*Reprocess),
    "history": _whole(0, 1096),
    "journal": _choice(*JOURNALS, ALL),
    "transactions": _choice(*TRANSACTIONS, ALL),
    "busy_timeout": _whole(0, 3_600_000),
    "locked": _whole(0, 99),
    "crash": _whole(0, 99),
    "faults_at": _choice(*Placement),
    "log": _whole(0, 1),
    "actors": _names(OTHERS, or_none=True),
    "algorithms": _names(ALGORITHMS),
}
"""How the text or number that is given for each parameter is read."""


def _within_range(instance: Parameters, attribute: Attribute[int], value: int) -> None:
    if value > instance.runs:
        raise UsageError(
            f"{attribute.name}={value!r}: with runs={instance.runs} it can be {instance.runs} at most. "
            f"Lower {attribute.name}, or raise runs."
        )


@frozen(kw_only=True)
class Parameters:
    """What a set of scenarios is made from.

    Attributes:
        requests: how many clients send the same request at the same time.
        runs: how many dates it asks for.
        reprocess: which existing runs it wants to run again: none, failed or completed.
        history: how many of its dates, from the first, have a run beforehand: one that was scheduled (by no
            backfill) and has succeeded. The day before the range always has one.
        journal: wal or delete; or all, for one scenario for each.
        transactions: legacy, begin, immediate or autocommit-off; or all, for one scenario for each that this
            Python has.
        busy_timeout: how long a connection waits for a lock, in milliseconds; with 0 it fails at once.
        locked: how many ``database is locked`` faults one execution may contain.
        crash: how many clients may die in one execution.
        faults_at: where ``database is locked`` may strike: reachable, savepoint or statement.
        log: 1 if each request also writes the audit log, in a transaction of its own; else 0.
        actors: the clients beside the requests: names from scheduler, cancel and task, with commas between
            them; or none; or all.
        algorithms: names, with commas between them; or all.

    Raises:
        UsageError: history is larger than runs.
    """

    requests: int = 2
    runs: int = 2
    reprocess: str = "none"
    history: int = field(default=0, validator=_within_range)
    journal: str = "wal"
    transactions: str = "legacy"
    busy_timeout: int = DEFAULT_BUSY_TIMEOUT_MS
    locked: int = 1
    crash: int = 0
    faults_at: str = Placement.SAVEPOINT
    log: int = 0
    actors: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Parameters:
        """Read what was given, by name.

        Raises:
            UsageError: there is no parameter of such a name, or a value is not one of those allowed.
        """
        unknown = sorted(set(given) - set(PARSERS))
        if unknown:
            name = unknown[0]
            raise UsageError(
                f"{name}={given[name]!r}: there is no such parameter, but there are {', '.join(PARSERS)}. "
                f"Correct or drop -p {name}=..."
            )
        return cls(**{name: PARSERS[name](name, value) for name, value in given.items()})

    @property
    def journals(self) -> tuple[str, ...]:
        """The journal modes to check."""
        return JOURNALS if self.journal == ALL else (self.journal,)

    @property
    def modes(self) -> tuple[str, ...]:
        """The transaction modes to check; ``all`` leaves out what an older Python does not have."""
        if self.transactions != ALL:
            return (self.transactions,)
        return TRANSACTIONS if sys.version_info >= (3, 12) else TRANSACTIONS[:-1]

    def suffix(self, journal: str, mode: str) -> str:
        """Return what tells a scenario from the others of its algorithm; nothing if there are no others."""
        parts = [journal] * (self.journal == ALL) + [mode] * (self.transactions == ALL)
        return f"[{','.join(parts)}]" if parts else ""
