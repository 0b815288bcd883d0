"""Clients that run alone, one after another, with nobody beside them and without faults.

There is nothing to schedule then: each operation follows from the one before. What others hold who do not go on is
still in the way, and a timeout that waits for them expires.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from treadle.client.forkserver import ForkServer
from treadle.client.process import Process
from treadle.client.tree import Node, Tree
from treadle.execution.product import ANSWERED
from treadle.interning import intern_operation
from treadle.scenario import Client
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation
from treadle.values.outcome import Outcome
from treadle.values.signals import OperationBoundError
from treadle.world.holding import StopKind
from treadle.world.learned import LearnedWorld
from treadle.world.state import Mode, WorldState
from treadle.world.world import World

_FIRST = 1_000_000
"""Positions of clients that the scenario does not have, as the world knows them, start here."""


@frozen
class Noted:
    """One run of a client with nobody beside it.

    Attributes:
        steps: what it asked for, and what it was told.
        outcome: how it ended.
        changes: what is committed is not what it was before.
        seconds: how long it took, the start of its process included.
    """

    steps: tuple[tuple[Operation, Observation], ...]
    outcome: Outcome
    changes: bool
    seconds: float


def run_to_end(
    run: Process,
    world: World,
    position: int,
    max_operations: int,
    note: Callable[[Operation, Observation], None] = lambda *_: None,
) -> Outcome:
    """Run live code of a client to its end, in a live world.

    Args:
        run: the client, which has just been started.
        world: where.
        position: of the client, as the world knows it.
        max_operations: how many operations it may take.
        note: told each operation, and what was observed.

    Raises:
        OperationBoundError: it does not end.
    """
    stop = run.first()
    operations = 0
    while isinstance(stop, Operation):
        if operations >= max_operations:
            raise OperationBoundError.of(run.name, max_operations, stop)
        operations += 1
        if stop.kind is Kind.ANSWER:
            stop = run.resume(ANSWERED)
            continue
        operation, mode = intern_operation(stop), Mode.STEP
        result = world.perform((position, operation.connection), operation).result
        while result.stop is not None:  # nobody else lets go of anything, so that what waits has waited long enough
            mode = Mode.EXPIRE if result.stop.kind is StopKind.WAITS else Mode.STEP
            result = world.perform((position, operation.connection), operation, mode).result
        note(operation, result.observation)
        stop = run.resume(result.observation)
    return stop


class Alone:
    """Runs one client to its end, in a learned world."""

    def __init__(self, world: LearnedWorld, server: ForkServer, *, max_operations: int) -> None:
        """Run nothing yet.

        Args:
            world: where.
            server: starts clients.
            max_operations: how many operations a client may take.
        """
        self._world = world
        self._server = server
        self._max_operations = max_operations
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
            self._sequels[run] = _FIRST + number, Tree(client, self._server)
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
        expired = False
        while node.operation is not None:
            operation, key = node.operation, (position, node.operation.connection)
            if node.depth >= self._max_operations:
                raise OperationBoundError.of(tree.client.name, self._max_operations, operation)
            if operation.kind is Kind.ANSWER:
                node = tree.after(node, ANSWERED)
                continue
            transition = world.perform(state, key, operation, Mode.EXPIRE if expired else Mode.STEP)
            state, stop = transition.after, transition.result.stop
            expired = stop is not None and stop.kind is StopKind.WAITS
            if stop is None:
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
