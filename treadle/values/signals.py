"""Signals between the parts of Treadle. They never reach a user."""

from __future__ import annotations

from typing import Self

from treadle.values.display import quoted
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
            f"client {quoted(client)} took {max_operations} operations without finishing; its last one was {last}. If "
            "it retries without end, give it an end; if it is that long, raise the scenario's max_operations"
        )


class NamesMatterError(SignalError):
    """Clients taken for interchangeable drew random numbers, seeded by name: the check starts over without that."""


class LogsNeededError(SignalError):
    """More than settings outlives what a connection held, as a changed schema: the check starts over, keeping logs."""


class HistoryNeededError(SignalError):
    """Something may depend on the whole execution: the check starts over, and runs every schedule from its start.

    Attributes:
        what: what is on no list of what is known.
        operation: where it was met.
    """

    def __init__(self, what: str, operation: Operation) -> None:
        super().__init__(f"{what} in {operation}")
        self.what = what
        self.operation = operation

    def __reduce__(self) -> tuple[type[HistoryNeededError], tuple[str, Operation]]:
        """Let it travel between processes."""
        return type(self), (self.what, self.operation)


class NotLocalError(SignalError):
    """What was taken for local was not: the check starts over, and takes nothing for local."""


class EndsMatterError(SignalError):
    """A property of every committed state looks at how clients have ended: the check starts over, and shows it that."""


class CopyLostError(SignalError):
    """The process of a client could not be copied: the client must be run again from its start."""


class UnreachedError(SignalError):
    """The world was never in the state in which it is to execute something, and cannot be brought there directly."""
