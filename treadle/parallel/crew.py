"""The small interface behind which workers stand, wherever they are."""

from __future__ import annotations

import abc
from typing import Any

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


class Crew(abc.ABC):
    """Workers, each with one part. What is asked of a part is answered later, in any order between parts.

    Attributes:
        size: how many parts there are.
        is_here: whether all workers are on this machine, and share its memory.
    """

    size: int
    is_here: bool

    @abc.abstractmethod
    def begin(self, part: int, options: Options) -> None:
        """Begin a part, or begin it anew. If it fails, what is asked of it next raises the error.

        Raises:
            LostWorkerError: its worker died.
        """

    def advance(
        self,
        part: int,
        arrivals: list[Parcel],
        owners: dict[str, int],
        offers: list[str],
        *,
        states: int | None,
        seconds: float,
    ) -> None:
        """Ask a part to go on, as ``Part.advance`` says; ``wait`` gives the answer.

        Raises:
            LostWorkerError: its worker died.
        """
        self._ask(part, "advance", arrivals, owners, offers, states=states, seconds=seconds)

    def wait(self) -> tuple[int, Report]:
        """Return the next answer of some part, and which.

        Raises:
            LostWorkerError: the worker of a part died.
        """
        part = self._next()
        report: Report = self._answer(part)
        return part, report

    def finish(self, part: int) -> None:
        """Ask a part for what it found, as ``Part.harvest`` says; ``harvest`` gives the answer.

        Raises:
            LostWorkerError: its worker died.
        """
        self._ask(part, "harvest")

    def harvest(self, part: int) -> Harvest:
        """Return what a part found that was asked for it.

        Raises:
            LostWorkerError: its worker died.
        """
        found: Harvest = self._answer(part)
        return found

    @abc.abstractmethod
    def dismiss(self) -> None:
        """Let all parts begin to end: nothing more is asked of them."""

    @abc.abstractmethod
    def _ask(self, part: int, name: str, *arguments: Any, **options: Any) -> None:
        """Send a request to a part."""

    @abc.abstractmethod
    def _next(self) -> int:
        """Return a part that has answered, or whose worker died."""

    @abc.abstractmethod
    def _answer(self, part: int) -> Any:
        """Return what a part answers."""

    @abc.abstractmethod
    def close(self) -> None:
        """End all parts."""
