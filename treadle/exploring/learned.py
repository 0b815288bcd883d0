"""A scenario that is gone through by hand: what was learned of it, for as long as it can be believed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Self, TypeVar

from attrs import define, field

from treadle.execution.product import Product
from treadle.execution.system import Known, System, less_known
from treadle.judge import Judge
from treadle.scenario import Scenario
from treadle.values.errors import NondeterminismError, TreadleError, UnsupportedOperationError, UsageError
from treadle.values.signals import OperationBoundError, SignalError
from treadle.world.patience import patience_of
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


@define
class Learned:
    """What is asked of a scenario, again from the start where something was taken for granted wrongly.

    A context manager that leaves nothing behind.

    Attributes:
        scenario: the scenario.
    """

    scenario: Scenario
    _known: Known = field(factory=Known, init=False)
    _ready: Ready | None = field(default=None, init=False)
    _stack: contextlib.ExitStack = field(factory=contextlib.ExitStack, init=False)

    def __enter__(self) -> Self:
        """Prepare nothing yet."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close databases, and remove their files."""
        self._close()

    def ask(self, question: Callable[[Ready], _Answer]) -> _Answer:
        """Return the answer to a question.

        Raises:
            UnsupportedOperationError: something depends on the whole execution.
            TreadleError: the scenario cannot be run.
        """
        while True:
            try:
                with lacks_named():
                    return question(self._made_ready())
            except UsageError:  # what was asked for cannot be done, and nothing was
                raise
            except OperationBoundError as error:
                self._close()
                raise TreadleError(str(error)) from error
            except (SignalError, NondeterminismError) as error:
                self._close()
                self._known = less_known(self._known, error)
                self._require_no_history()
            except BaseException:
                self._close()
                raise

    def _made_ready(self) -> Ready:
        if self._ready is None:
            with patience_of(self.scenario):
                system = self._stack.enter_context(System(self.scenario, self._known))
            judge = Judge(self.scenario, system.sequel, system.serial, ends_visible=system.shows_ends)
            judge.start(system.product.root())
            self._ready = Ready(system, judge, system.unreduced())
        return self._ready

    def _require_no_history(self) -> None:
        if self._known.history:
            raise UnsupportedOperationError(
                f"{self._known.history} may depend on the whole execution, and what is explored by hand goes on from "
                "what was learned. Leave it out of what clients run, or use treadle check, which then runs every "
                "schedule from its start."
            )

    def _close(self) -> None:
        self._ready = None
        self._stack.close()
