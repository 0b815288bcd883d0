"""The small protocol behind which workers stand, wherever they are."""

from __future__ import annotations

from typing import Protocol

from treadle.parallel.part import Harvest, Options, Parcel, Report
from treadle.values.signals import SignalError


class LostWorkerError(SignalError):
    """The worker of a part died, and what the part knew is gone.

    Attributes:
        part: its number.
    """

    def __init__(self, part: int) -> None:
        super().__init__(f"the worker of part {part} died")
        self.part = part


class Crew(Protocol):
    """Workers, each with one part. What is asked of a part is answered later, in any order between parts."""

    @property
    def size(self) -> int:
        """How many parts there are."""

    def begin(self, part: int, options: Options) -> None:
        """Begin a part, or begin it anew. If it fails, what is asked of it next raises the error.

        Raises:
            LostWorkerError: its worker died.
        """

    def advance(self, part: int, arrivals: list[Parcel], *, states: int | None, seconds: float) -> None:
        """Ask a part to go on; ``wait`` gives the answer."""

    def wait(self) -> tuple[int, Report]:
        """Return the next answer of some part, and which.

        Raises:
            LostWorkerError: the worker of a part died.
        """

    def harvest(self, part: int) -> Harvest:
        """Return what a part found.

        Raises:
            LostWorkerError: its worker died.
        """

    def close(self) -> None:
        """End all parts."""
