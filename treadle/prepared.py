"""A scenario made runnable, for as long as what is taken for granted of it can be believed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field

from treadle.execution.system import Known, Surprise, System, less_known
from treadle.judge import Judge
from treadle.scenario import Scenario
from treadle.values.errors import UnsupportedOperationError
from treadle.world.patience import patience_of

_Made = TypeVar("_Made")


@define(eq=False)
class Prepared(Generic[_Made]):
    """A scenario's clients and world, a judge of its properties, and what was made of both.

    Attributes:
        scenario: what is prepared.
        make: makes of them what is asked then.
        goes_on: says who goes on from what was learned, and what to do where that cannot be.
    """

    scenario: Scenario
    make: Callable[[System, Judge], _Made]
    goes_on: str
    _known: Known = field(factory=Known, init=False)
    _made: _Made | None = field(default=None, init=False)
    _stack: contextlib.ExitStack = field(factory=contextlib.ExitStack, init=False)

    def ready(self) -> _Made:
        """Return what was made, or make it.

        Raises:
            Exception: it cannot be, or something was taken for granted wrongly: see ``start_over``.
        """
        if self._made is None:
            with patience_of(self.scenario):
                system = self._stack.enter_context(System(self.scenario, self._known))
            judge = Judge(self.scenario, system.sequel, system.serial, ends_visible=system.shows_ends)
            judge.start(system.product.root())
            self._made = self.make(system, judge)
        return self._made

    def start_over(self, error: Surprise) -> None:
        """Forget what was learned, and take for granted no more what has turned out not to be so.

        Raises:
            UnsupportedOperationError: something depends on the whole execution.
            Exception: the error itself, where it says nothing of the kind.
        """
        self.close()
        self._known = less_known(self._known, error)
        what = self._known.history
        if what:
            raise UnsupportedOperationError(f"{what} may depend on the whole execution, and {self.goes_on}")

    def close(self) -> None:
        """Close databases, and remove their files."""
        self._made = None
        self._stack.close()
