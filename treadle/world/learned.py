"""Learned worlds: the transitions of a real database, each executed once.

Real SQL runs once for each distinct (state, connection, operation). To execute in a state other than the one the
live world is in, the live world goes back to the nearest state on the way there in which no connection held
anything, and repeats the operations since; what it then sees must be what it saw before.
"""

from __future__ import annotations

from attrs import frozen

from treadle.values.errors import NondeterminismError
from treadle.values.operation import Operation
from treadle.world.effects import Effects
from treadle.world.state import Key, Transition, WorldState
from treadle.world.world import World


@frozen
class _Action:
    """What moves a world: an operation on a connection, or connections that vanish."""

    key: Key
    operation: Operation | None
    variant: bool


class LearnedWorld:
    """A world as far as it has been learned.

    Attributes:
        root: the state in which nothing has happened.
        repeated: how many operations were executed only to get to a state again.
    """

    def __init__(self, world: World) -> None:
        """Learn from a live world that nothing happened to yet."""
        self.root = world.state
        self.repeated = 0
        self._world = world
        self._transitions: dict[WorldState, dict[tuple[Key, Operation, bool], Transition]] = {}
        self._vanished: dict[tuple[WorldState, int, bool], WorldState] = {}
        self._origins: dict[WorldState, tuple[WorldState, _Action]] = {}

    @property
    def journal(self) -> str:
        """The journal mode."""
        return self._world.journal

    def effects(self, state: WorldState, operation: Operation) -> Effects:
        """Return what an operation's statement does to locks in a state."""
        return self._world.effects(operation, state.content.schema.number)

    @property
    def executed(self) -> int:
        """How many operations were carried out on the real database."""
        return self._world.executed

    def perform(self, state: WorldState, key: Key, operation: Operation, *, outside: bool = False) -> Transition:
        """Return what an operation does in a state, executing it if that is not known.

        Args:
            state: where.
            key: the connection.
            operation: an interned operation.
            outside: a process outside holds the lock that the operation needs.
        """
        known = self._transitions.get(state)
        if known is None:
            known = self._transitions[state] = {}
        at = (key, operation, outside)
        transition = known.get(at)
        if transition is None:
            self._go_to(state)
            transition = known[at] = self._world.perform(key, operation, outside=outside)
            self._remember(state, transition.after, _Action(key, operation, outside))
        return transition

    def vanish(self, state: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Return the state after connections of a client were closed without its doing."""
        if not any(key[0] == client for key in state.holdings):
            return state
        at = (state, client, only_idle)
        after = self._vanished.get(at)
        if after is None:
            self._go_to(state)
            after = self._vanished[at] = self._world.vanish(client, only_idle=only_idle)
            self._remember(state, after, _Action((client, 0), None, only_idle))
        return after

    def _remember(self, state: WorldState, after: WorldState, action: _Action) -> None:
        if after is not self.root and after is not state:
            self._origins.setdefault(after, (state, action))

    def _go_to(self, wanted: WorldState) -> None:
        world = self._world
        if world.state is wanted:
            return
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
        self.repeated += 1
        world = self._world
        if action.operation is None:
            same = world.vanish(action.key[0], only_idle=action.variant) is after
        else:
            same = world.repeat(action.key, action.operation, after, outside=action.variant)
        if not same:
            raise NondeterminismError(
                "the database", self.repeated, "the same state after the same operations", f"another, at {action}"
            )

    def close(self) -> None:
        """Close the live world."""
        self._world.close()
