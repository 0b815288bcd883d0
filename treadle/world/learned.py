"""Learned worlds: the transitions of a real database, each executed once.

Real SQL runs once for each distinct combination of what decides what an operation does: what its own connection holds
(how it came to hold it included), what is committed, and the locks of the other connections. A local operation depends
on its own connection alone, and what SQLite could not say beforehand on the whole state. docs/soundness.md argues why.

To execute in a state other than the one that the live world is in, the world goes back to the nearest state on the
way there in which no connection held anything, and repeats all operations since.
"""

from __future__ import annotations

from typing import NamedTuple

from treadle.values.errors import NondeterminismError
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.signals import UnreachedError
from treadle.world.effects import Effects
from treadle.world.footprint import Footprint, Footprints
from treadle.world.holding import Holding, locks_of
from treadle.world.state import IDLE, Book, Key, Mode, Result, Transition, WorldState
from treadle.world.world import World, holds_something


class _Vanishing(NamedTuple):
    """Connections of a client that vanish.

    Attributes:
        client: its position.
        only_idle: those that hold something stay.
    """

    client: int
    only_idle: bool


_Deed = tuple[Key, Operation, Mode]
"""A connection, an operation on it, and how it is carried out."""

_Action = tuple[_Deed, ...] | _Vanishing
"""What moves a world: operations, one or several that nobody else can notice, or connections that vanish."""


class LearnedWorld:
    """A world as far as it has been learned.

    Attributes:
        root: the state in which nothing has happened.
        repeated: how many operations were executed only to get to a state again.
        results: what operations did, after all that decides it.
    """

    def __init__(self, world: World, book: Book, footprints: Footprints) -> None:
        """Learn from a live world that nothing happened to yet.

        Args:
            world: where operations are executed.
            book: where its states are interned.
            footprints: tells what operations are to others.
        """
        self._footprints = footprints
        self._book = book
        self.root = world.state
        self.repeated = 0
        self._world = world
        self.results: dict[tuple[object, ...], Result] = {}
        self._origins: dict[WorldState, tuple[WorldState, _Action]] = {}

    def effects(self, operation: Operation, held: Holding, schema: int) -> Effects:
        """Return what an operation's statement does; as ``World.effects``."""
        return self._world.effects(operation, held, schema)

    @property
    def executed(self) -> int:
        """How many operations were carried out on the real database."""
        return self._world.executed

    def perform(self, state: WorldState, key: Key, operation: Operation, mode: Mode = Mode.STEP) -> Transition:
        """Return what an operation does in a state, executing it if that is not known.

        Args:
            state: where.
            key: the connection.
            operation: an interned operation.
            mode: how it is carried out.

        Raises:
            UnreachedError: the world must be led to the state first.
        """
        at = self._circumstances(state, key, operation, mode)
        result = self.results.get(at)
        transition = None
        if result is None:
            here = self._world.state is state
            if not here:
                self._retrace(state)
            transition = self._world.perform(key, operation, mode)
            result = self.results[at] = transition.result
        if transition is None:
            if at[-1] is None and result.content is not state.content:  # what does not depend on it does not change it
                result = result._replace(content=state.content)
            transition = self._book.apply(state, key, result)
        self._remember(state, transition.after, ((key, operation, mode),))
        return transition

    def _circumstances(self, state: WorldState, key: Key, operation: Operation, mode: Mode) -> tuple[object, ...]:
        """Return all that decides what an operation does."""
        held = state.holding(key)
        schema = state.content.schema.number
        footprint = self._footprint(held, operation, schema)
        if footprint.opaque:
            return (key, operation, mode, state)
        if footprint.local and mode is Mode.STEP:
            return (held, operation, schema, None)
        locks = locks_of([other_held for other, other_held in state.holdings.items() if other != key])
        return (held, operation, mode, locks, state.content)

    def _footprint(self, held: Holding, operation: Operation, schema: int) -> Footprint:
        return self._footprints.of(held, operation, self.effects(operation, held, schema))

    def vanish(self, state: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Return the state after connections of a client were closed without its doing.

        Nothing is executed: SQLite rolls back what a connection had not committed when it closes, so that only
        what the connection holds goes.
        """
        holdings = {
            key: held
            for key, held in state.holdings.items()
            if key[0] != client or (only_idle and holds_something(held))
        }
        if len(holdings) == len(state.holdings):
            return state
        after = self._book.state(state.content, holdings)
        self._remember(state, after, _Vanishing(client, only_idle))
        return after

    def _remember(self, state: WorldState, after: WorldState, action: _Action) -> None:
        if after is not self.root and after is not state and self.knows(state):  # or ways could run in circles
            self._origins.setdefault(after, (state, action))

    def knows(self, state: WorldState) -> bool:
        """Tell whether the live world can go to a state."""
        return state is self.root or state in self._origins or self._world.reachable_directly(state)

    def _retrace(self, wanted: WorldState) -> None:
        """Do again what led to a state, from the last one in which no connection held anything."""
        world = self._world
        if not self.knows(wanted):
            raise UnreachedError
        way: list[tuple[_Action, WorldState]] = []
        state = wanted
        while state is not world.state and not world.reachable_directly(state):
            origin, action = self._origins[state]
            way.append((action, state))
            state = origin
        if state is not world.state:
            world.restore(state)
        for action, after in reversed(way):
            self._repeat(action, after)

    def _repeat(self, action: _Action, after: WorldState) -> None:
        world = self._world
        if isinstance(action, _Vanishing):
            same = world.vanish(action.client, only_idle=action.only_idle) is after
        else:
            self.repeated += len(action)
            same = world.repeat(action, after)
        if not same:
            raise NondeterminismError(
                "the database", self.repeated, "the same state after the same operations", f"another, at {action}"
            )

    def alone(self, state: WorldState, client: int) -> LocalRun:
        """Return a client's connections, to be asked for operations that no other connection can notice.

        Args:
            state: where.
            client: its position.
        """
        return LocalRun(self, state, client)

    def came_alone(self, state: WorldState, held: dict[Key, Holding | None], deeds: tuple[_Deed, ...]) -> WorldState:
        """Return where a client's operations led to that no other connection noticed.

        Args:
            state: where they began.
            held: what its connections hold now, as far as that may have changed; None for one that is closed.
            deeds: the operations.
        """
        after = self._book.moved(state, held)
        self._remember(state, after, deeds)
        return after

    def perform_alone(self, run: LocalRun, key: Key, held: Holding, operation: Operation) -> Result:
        """Execute an operation that no other connection can notice.

        Args:
            run: where.
            key: the connection.
            held: what it holds there.
            operation: an interned operation.
        """
        world = self._world
        there = world.content.schema is run.schema
        if world.holding(key) is not held or not there:  # otherwise others' locks and contents matter not
            self._retrace(run.world())
        return world.perform_alone(key, operation)

    def close(self) -> None:
        """Close the live world."""
        self._world.close()


class LocalRun:
    """Operations of one client, one after another, that no other connection can notice, and that commit nothing.

    Where they lead to is a state of the world when it is asked for, and not before.

    Attributes:
        schema: under which they run.
    """

    def __init__(self, learned: LearnedWorld, start: WorldState, client: int) -> None:
        """Start in a state."""
        self._learned = learned
        self._start = start
        self._client = client
        self.schema = start.content.schema
        self._held: dict[Key, Holding | None] = {}
        self._deeds: list[_Deed] = []

    def holding(self, connection: int) -> Holding:
        """Return what one of the client's connections holds, given by the client's number for it."""
        key = (self._client, connection)
        if key in self._held:
            return self._held[key] or IDLE
        return self._start.holding(key)

    def perform(self, operation: Operation) -> Observation:
        """Return what is seen of an operation, executing it if that is not known."""
        key = (self._client, operation.connection)
        held = self.holding(operation.connection)
        at = (held, operation, self.schema.number, None)
        results = self._learned.results
        result = results.get(at)
        if result is None:
            result = results[at] = self._learned.perform_alone(self, key, held, operation)
        self._held[key] = result.holding
        self._deeds.append((key, operation, Mode.STEP))
        return result.observation

    def world(self) -> WorldState:
        """Return where the operations have led to by now."""
        if self._deeds:
            self._start = self._learned.came_alone(self._start, self._held, tuple(self._deeds))
            self._held.clear()
            self._deeds.clear()
        return self._start
