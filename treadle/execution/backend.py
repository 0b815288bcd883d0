"""Backends: where a client's next operation comes from, and what an operation does.

The same rules drive learned and live executions (``treadle.execution.product``); only their backends differ.
"""

from __future__ import annotations

from typing import Protocol

from treadle.client.forkserver import ForkServer
from treadle.client.tree import LiveRun, Node, Tree
from treadle.execution.state import State
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.source import Source
from treadle.world.effects import Effects
from treadle.world.holding import Holding
from treadle.world.learned import LearnedWorld, LocalRun
from treadle.world.state import Book, Key, Mode, Transition, WorldState
from treadle.world.world import World


class Backend(Protocol):
    """Where operations and their results come from."""

    @property
    def learns(self) -> bool:
        """Whether any state can be gone on from, and what was done once need not be done again."""

    def roots(self) -> tuple[Node, ...]:
        """Return where the clients start."""

    def start(self) -> WorldState:
        """Return where the world starts."""

    def after(self, client: int, node: Node, observation: Observation) -> Node:
        """Return where a client is after an observation."""

    def stay(self, client: int, node: Node) -> None:
        """Let a client stay where it is for another observation than the next one, if that saves anything."""

    def effects(self, operation: Operation, held: Holding, schema: int) -> Effects:
        """Return what a statement does on a connection that holds this, under the schema with this number."""

    def came_to(self, state: State, world: WorldState) -> None:
        """Note where the world is in a state, which is asked for next as a rule."""

    def at(self, state: State) -> WorldState:
        """Return where the world is in a state."""

    def alone(self, state: State, client: int) -> LocalRun:
        """Return a client's connections in a state, for operations that no other connection can notice."""

    def perform(self, world: WorldState, key: Key, operation: Operation, mode: Mode = Mode.STEP) -> Transition:
        """Return what an operation does."""

    def vanish(self, world: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Return where the world is after connections of a client were closed without its doing."""

    def knows(self, world: WorldState) -> bool:
        """Tell whether operations can be performed in a state of the world."""

    def source(self, client: int) -> Source | None:
        """Return the line of the application at which a client stands, where that is known."""


class Learned:
    """The backend that asks what was learned, and learns what was not."""

    learns = True

    def __init__(self, trees: tuple[Tree, ...], world: LearnedWorld, book: Book) -> None:
        """Join clients and a world.

        Args:
            trees: the clients.
            world: the world.
            book: where its states are interned.
        """
        self._trees = trees
        self._world = world
        self._book = book
        self.perform = world.perform
        self.vanish = world.vanish
        self.effects = world.effects
        self.knows = world.knows
        self._came_to: tuple[State, WorldState] | None = None

    def roots(self) -> tuple[Node, ...]:
        """Return where the clients start."""
        return tuple(tree.root() for tree in self._trees)

    def start(self) -> WorldState:
        """Return where the world starts."""
        return self._world.root

    def stay(self, client: int, node: Node) -> None:
        """Let a client stay where it is for another observation than the next one, if a replay would be costly."""
        self._trees[client].stay(node)

    def came_to(self, state: State, world: WorldState) -> None:
        """Note where the world is in a state, which is asked for next as a rule."""
        self._came_to = state, world

    def at(self, state: State) -> WorldState:
        """Return where the world is in a state."""
        if self._came_to is not None and self._came_to[0] is state:
            return self._came_to[1]
        holdings = {
            (client, number): held for client, local in enumerate(state.locals) for number, held in local.holdings
        }
        return self._book.state(state.content, holdings)

    def source(self, client: int) -> Source | None:
        """Return nothing: what was learned is of many runs."""

    def alone(self, state: State, client: int) -> LocalRun:
        """Return a client's connections, for operations that no other connection can notice."""
        return self._world.alone(self.at(state), client)

    def after(self, client: int, node: Node, observation: Observation) -> Node:
        """Return where a client is after an observation."""
        return self._trees[client].after(node, observation)


class Live:
    """The backend that runs everything: the clients' real code, interleaved, on a fresh real database.

    It goes forward only: an operation can be performed in the present state, and in no other. What the clients
    do is compared with their trees.
    """

    learns = False

    def __init__(
        self, trees: tuple[Tree, ...], world: World, server: ForkServer, *, fresh: bool = True, sources: bool = False
    ) -> None:
        """Start nothing yet.

        Args:
            trees: what is known of the clients.
            world: where they run.
            server: starts them.
            fresh: in fresh processes in any case.
            sources: the lines of the application that ask for operations are told.
        """
        self._fresh = fresh
        self._sources = sources
        self._trees = trees
        self._world = world
        self._server = server
        self._runs: tuple[LiveRun, ...] = ()

    def roots(self) -> tuple[Node, ...]:
        """Start the clients, and return where they start; once, for they only go forward."""
        if self._runs:
            return tuple(run.node.root for run in self._runs)
        self._runs = tuple(
            LiveRun(tree, self._server, fresh=self._fresh, sources=self._sources) for tree in self._trees
        )
        return tuple(run.node for run in self._runs)

    def start(self) -> WorldState:
        """Return where the world is."""
        return self._world.state

    def after(self, client: int, node: Node, observation: Observation) -> Node:
        """Let a client go on, and return where it is."""
        run = self._runs[client]
        assert run.node is node
        run.resume(observation)
        return run.node

    def stay(self, client: int, node: Node) -> None:
        """Do nothing: an execution goes forward only."""

    def effects(self, operation: Operation, held: Holding, schema: int) -> Effects:
        """Return what a statement does on a connection that holds this, under the schema with this number."""
        return self._world.effects(operation, held, schema)

    def came_to(self, state: State, world: WorldState) -> None:
        """Do nothing: the world is where it is."""

    def at(self, state: State) -> WorldState:
        """Return where the world is: always in the state that an execution has come to."""
        assert state.content is self._world.content
        return self._world.state

    def source(self, client: int) -> Source | None:
        """Return the line of the application at which a client stands, if that is told."""
        return self._runs[client].source if self._runs else None

    def knows(self, world: WorldState) -> bool:
        """Tell whether operations can be performed in a state of the world."""
        return world is self._world.state

    def alone(self, state: State, client: int) -> LocalRun:
        """Refuse: each operation is performed in a state of its own."""
        raise AssertionError(f"nothing of client {client} in {state} is learned here")

    def perform(self, world: WorldState, key: Key, operation: Operation, mode: Mode = Mode.STEP) -> Transition:
        """Execute an operation."""
        assert world is self._world.state
        return self._world.perform(key, operation, mode)

    def vanish(self, world: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Close connections of a client without its doing."""
        assert world is self._world.state
        return self._world.vanish(client, only_idle=only_idle)

    def close(self) -> None:
        """End the clients, and close the world."""
        for run in self._runs:
            run.abandon()
        self._world.close()
