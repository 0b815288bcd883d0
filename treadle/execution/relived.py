"""The product without learning: every schedule is run live, from its start."""

from __future__ import annotations

import contextlib

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.system import System
from treadle.execution.taken import Taken
from treadle.values.errors import NondeterminismError
from treadle.values.schedule import Choice, Fail


class Relived:
    """A product that a search can walk like any other, though its clients and database only go forward.

    Going on from the state where the live execution is costs one operation; from any other, a new live execution
    that first takes the way there again.
    """

    def __init__(self, system: System) -> None:
        """Run the clients of a system."""
        self._system = system
        self._stack = contextlib.ExitStack()
        self._live: Product | None = None
        self._tip: State | None = None
        self._ways: dict[State, tuple[State, Choice]] = {}
        self._root: State | None = None

    def product(self) -> Product:
        """Return the product to walk."""
        system = self._system

        class _Product(Product):
            def root(here) -> State:  # noqa: N805  # two objects in one scope
                return self._start()

            def take(here, state: State, choice: Choice) -> Taken:  # noqa: N805  # two objects in one scope
                return self._take(state, choice)

            def go_alone(here, state: State, client: int) -> tuple[State, int]:  # noqa: N805  # two objects in one scope
                del client
                return state, 0  # one operation after another

        return system.another_product(_Product)

    def _start(self) -> State:
        if self._root is None or self._tip != self._root:
            self._stack.close()
            self._live = self._stack.enter_context(self._system.live())
            self._tip = self._live.root()
            self._root = self._root or self._tip
        return self._root

    def _take(self, state: State, choice: Choice) -> Taken:
        if self._tip != state:
            self._go_to(state)
        assert self._live is not None
        assert self._tip is not None
        before, self._tip = self._tip, None
        taken = self._live.take(before, choice)
        self._tip = taken.after
        if taken.after != self._root:
            self._ways.setdefault(taken.after, (state, choice))
        self._note(taken)
        return taken

    def _note(self, taken: Taken) -> None:
        """Let the learned world know the way, for what properties run after the end of an execution."""
        world, client = self._system.world, taken.choice.client
        here = self._system.at(taken.before)
        if taken.transition is not None and taken.operation is not None:
            key = (client, taken.operation.connection)
            outside = isinstance(taken.choice, Fail)
            world.note(here, taken.transition.after, key, taken.operation, variant=outside)
            here = taken.transition.after
        after = self._system.at(taken.after)
        if here is not after:
            ended = taken.operation is not None
            world.note(here, after, (client, 0), None, variant=ended)

    def _go_to(self, wanted: State) -> None:
        way: list[tuple[Choice, State]] = []
        state = wanted
        while state != self._root:
            origin, choice = self._ways[state]
            way.append((choice, state))
            state = origin
        here = self._start()
        assert self._live is not None
        for choice, after in reversed(way):
            here = self._live.take(here, choice).after
            if here != after:
                raise NondeterminismError(
                    self._system.scenario.clients[choice.client].name,
                    here.locals[choice.client].node.depth,
                    "the same state after the same choices",
                    "another",
                )
        self._tip = here

    def close(self) -> None:
        """End the live execution."""
        self._stack.close()
