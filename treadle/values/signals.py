"""Signals between the parts of Treadle. They never reach a user."""

from __future__ import annotations

from typing import Self

from treadle.values.operation import Operation


class SignalError(Exception):
    """Base class of all signals."""


class OperationBoundError(SignalError):
    """A client took as many operations as it may: the run is inconclusive."""

    @classmethod
    def of(cls, client: str, max_operations: int, last: Operation) -> Self:
        """Say so.

        Args:
            client: its name.
            max_operations: how many it may take.
            last: the one that would be too many.
        """
        return cls(
            f"client {client!r} took {max_operations} operations without finishing; its last one was {last}. If it "
            "retries without end, give it an end; if it is that long, raise the scenario's max_operations"
        )


class NamesMatterError(SignalError):
    """Clients taken for interchangeable drew random numbers, seeded by name: the check starts over without that."""


class LogsNeededError(SignalError):
    """A statement asks what earlier statements of its connection did: the check starts over, and keeps logs."""


class ForkLostError(SignalError):
    """A forked continuation of a client cannot tell what comes next: the client must be replayed."""


class UnreachedError(SignalError):
    """The world was never in the state in which it is to execute something, and cannot be brought there directly."""
