"""Clients that run alone, one after another, with nobody beside them and without faults.

There is nothing to schedule then: each operation follows from the one before. What others hold who do not go on is
still in the way, and a timeout that waits for them expires.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from treadle.client.surroundings import Surroundings
from treadle.client.tree import Node, Tree
from treadle.scenario import Client
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Outcome
from treadle.values.signals import OperationBoundError
from treadle.world.learned import LearnedWorld
from treadle.world.state import Transition, WorldState

_FIRST = 1_000_000
"""Positions of clients that the scenario does not have, as the world knows them, start here."""


_Glance = tuple[tuple[Operation, Observation], ...]
"""A read, and all that is fetched of it: what a client asks and sees until its connection holds what it held before.

Nothing else may come in between: what that sees does not depend on the rows that the read looks at alone.
"""


class _Glanced(NamedTuple):
    """A glance that is under way.

    Attributes:
        at: all that decides what it sees.
        start: the state in which it began.
        read: the statement.
        steps: its operations so far, each with what was seen.
    """

    at: Hashable
    start: WorldState
    read: Operation
    steps: list[tuple[Operation, Observation]]


class Alone:
    """Runs one client to its end, in a learned world."""

    def __init__(self, world: LearnedWorld, surroundings: Surroundings, *, max_operations: int, memory: bool) -> None:
        """Run nothing yet.

        Args:
            world: where.
            surroundings: what clients run in.
            max_operations: how many operations a client may take.
            memory: tell from memory what was read before, from the same rows.
        """
        self._world = world
        self._surroundings = surroundings
        self._max_operations = max_operations
        self._memory = memory
        self._glances: dict[Hashable, _Glance] = {}
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
            self._sequels[run] = _FIRST + number, Tree(client, self._surroundings)
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
        world, node = self._world, tree.root()
        glanced: _Glanced | None = None
        while node.operation is not None:
            operation, key = node.operation, (position, node.operation.connection)
            if node.depth >= self._max_operations:
                raise OperationBoundError.of(tree.client.name, self._max_operations, operation)
            at = world.glance(state, key, operation) if self._memory else None
            if at is not None:
                after = self._again(tree, node, self._glances.get(at, ()))
                if after is not None:
                    node, glanced = after, None
                    continue
                glanced = _Glanced(at, state, operation, [])
            transition = world.perform(state, key, operation)
            state = transition.after
            node = tree.after(node, transition.observation)
            if glanced is not None:
                glanced = self._note(glanced, operation, transition)
        return node, state

    def _again(self, tree: Tree, node: Node, glance: _Glance) -> Node | None:
        """Return where a client is after it read what was read before; None if it does something else."""
        if not glance or node.depth + len(glance) > self._max_operations:
            return None
        for operation, seen in glance:
            if node.operation is not operation:
                return None
            node = tree.after(node, seen)
        return node

    def _note(self, glanced: _Glanced, operation: Operation, transition: Transition) -> _Glanced | None:
        """Note the next operation of a glance, and return it if it goes on."""
        if glanced.steps and not operation.goes_on_with(glanced.read):
            return None
        glanced.steps.append((operation, transition.observation))
        if transition.after is not glanced.start:
            return glanced
        self._glances[glanced.at] = tuple(glanced.steps)
        return None

    @property
    def live_runs(self) -> int:
        """How often code was started that the scenario's clients do not run."""
        return sum(tree.live_runs for _, tree in self._sequels.values())

    def abandon(self) -> None:
        """Unwind what still runs of that code."""
        for _, tree in self._sequels.values():
            tree.abandon()
