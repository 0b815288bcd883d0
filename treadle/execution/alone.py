"""Clients that run alone, one after another, with nobody beside them and without faults.

There is nothing to schedule then: each operation follows from the one before. What others hold who do not go on is
still in the way, and a timeout that waits for them expires.
"""

from __future__ import annotations

from collections.abc import Callable

from treadle.client.surroundings import Surroundings
from treadle.client.tree import Node, Tree
from treadle.scenario import Client
from treadle.values.outcome import Outcome
from treadle.values.signals import OperationBoundError
from treadle.world.learned import LearnedWorld
from treadle.world.state import WorldState

_FIRST = 1_000_000
"""Positions of clients that the scenario does not have, as the world knows them, start here."""


class Alone:
    """Runs one client to its end, in a learned world.

    Attributes:
        world: where.
    """

    def __init__(self, world: LearnedWorld, surroundings: Surroundings, *, max_operations: int, fork: bool) -> None:
        """Run nothing yet.

        Args:
            world: where.
            surroundings: what clients run in.
            max_operations: how many operations a client may take.
            fork: go on from forked copies of live clients, where that is cheaper than a replay.
        """
        self.world = world
        self._surroundings = surroundings
        self._max_operations = max_operations
        self._fork = fork
        self._sequels: dict[Callable[[], object], tuple[int, Tree]] = {}

    def sequel(self, state: WorldState, run: Callable[[], object]) -> Outcome:
        """Return how one more client ends.

        Args:
            state: where it starts; the state that it leaves is of no interest.
            run: what it does. What is equal is learned once.

        Raises:
            OperationBoundError: it does not end.
            UnreachedError: the world must be led to the state first.
        """
        if run not in self._sequels:
            number = len(self._sequels)
            client = Client(f"sequel {number + 1}", run)
            self._sequels[run] = _FIRST + number, Tree(client, self._surroundings, fork=self._fork)
        position, tree = self._sequels[run]
        node, _ = self.run(state, position, tree)
        assert node.outcome is not None
        return node.outcome

    def run(self, state: WorldState, position: int, tree: Tree) -> tuple[Node, WorldState]:
        """Return how a client ends, and where the world is then, its connections as it left them.

        Args:
            state: where it starts.
            position: of the client, as the world knows it.
            tree: the client.

        Raises:
            OperationBoundError: it does not end.
            UnreachedError: the world must be led to the state first.
        """
        world, node = self.world, tree.root()
        while node.operation is not None:
            if node.depth >= self._max_operations:
                raise OperationBoundError(tree.client.name, self._max_operations, node.operation)
            transition = world.perform(state, (position, node.operation.connection), node.operation)
            state = transition.after
            node = tree.after(node, transition.observation)
        return node, state

    @property
    def live_runs(self) -> int:
        """How often code was started that the scenario's clients do not run."""
        return sum(tree.live_runs for _, tree in self._sequels.values())

    def abandon(self) -> None:
        """Unwind what still runs of that code."""
        for _, tree in self._sequels.values():
            tree.abandon()
