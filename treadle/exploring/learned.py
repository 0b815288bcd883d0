"""A scenario that is gone through by hand: what was learned of it, for as long as it can be believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self, TypeVar

from attrs import define

from treadle.execution.product import Product
from treadle.execution.system import System
from treadle.judge import Judge
from treadle.prepared import Prepared
from treadle.scenario import Scenario
from treadle.values.errors import NondeterminismError, TreadleError, UsageError
from treadle.values.signals import OperationBoundError, SignalError
from treadle.world.room import lacks_named

_Answer = TypeVar("_Answer")


@define
class Ready:
    """A scenario made runnable, and its judge.

    Attributes:
        system: the clients and the world.
        judge: of its properties.
        unreduced: the product in which each operation is a choice.
    """

    system: System
    judge: Judge
    unreduced: Product


class Learned:
    """What is asked of a scenario, again from the start where something was taken for granted wrongly.

    A context manager that leaves nothing behind.

    Attributes:
        scenario: the scenario.
    """

    def __init__(self, scenario: Scenario) -> None:
        """Prepare nothing yet."""
        self.scenario = scenario
        self._prepared = Prepared(
            scenario,
            lambda system, judge: Ready(system, judge, system.unreduced()),
            "what is explored by hand goes on from what was learned. Leave it out of what clients run, or use treadle "
            "check, which then runs every schedule from its start.",
        )

    def __enter__(self) -> Self:
        """Prepare nothing yet."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close databases, and remove their files."""
        self._prepared.close()

    def ask(self, question: Callable[[Ready], _Answer]) -> _Answer:
        """Return the answer to a question.

        Raises:
            UnsupportedOperationError: something depends on the whole execution.
            TreadleError: the scenario cannot be run.
        """
        while True:
            try:
                with lacks_named():
                    return question(self._prepared.ready())
            except UsageError:  # what was asked for cannot be done, and nothing was
                raise
            except OperationBoundError as error:
                self._prepared.close()
                raise TreadleError(str(error)) from error
            except (SignalError, NondeterminismError) as error:
                self._prepared.start_over(error)
            except BaseException:
                self._prepared.close()
                raise
