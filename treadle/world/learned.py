"""Learned worlds: the transitions of a real database, each executed once.

What an operation does depends on what its own connection holds (how it came to hold it included), on what is
committed, and on the locks of the other connections: never on what others did under their locks, for that is
what isolation means. A local operation depends on its own connection alone. Real SQL runs once for each distinct
combination of these, whoever the client.

To execute in a state other than the one that the live world is in, just these are made to be as they are there: see
``treadle.world.past``. Where that cannot be, the live world goes back to the nearest state on the way there in which
no connection held anything, and repeats all operations since; what it then sees must be what it saw before.
"""

from __future__ import annotations

import enum

from attrs import frozen

from treadle.values.errors import NondeterminismError
from treadle.values.operation import Operation
from treadle.values.signals import UnreachedError
from treadle.world.effects import Effects
from treadle.world.holding import Holding, locks_of
from treadle.world.locality import is_local, sees_no_commits
from treadle.world.past import past_of
from treadle.world.state import Book, Key, Result, Transition, WorldState
from treadle.world.world import World


class _Reach(enum.Enum):
    """What decides what an operation does."""

    LOCAL = "its own connection"
    LOCKS = "the locks of others, too, and what is committed"
    FAR = "all there is"


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

    def __init__(self, world: World, book: Book) -> None:
        """Learn from a live world that nothing happened to yet.

        Args:
            world: where operations are executed.
            book: where its states are interned.
        """
        self._book = book
        self.root = world.state
        self.repeated = 0
        self._world = world
        self._reaches: dict[tuple[Holding, Operation, int], _Reach] = {}
        self._results: dict[tuple[object, ...], Result] = {}
        self._origins: dict[WorldState, tuple[WorldState, _Action]] = {}

    @property
    def journal(self) -> str:
        """The journal mode."""
        return self._world.journal

    def effects(self, operation: Operation, schema: int) -> Effects:
        """Return what an operation's statement does to locks, under the schema with this number."""
        return self._world.effects(operation, schema)

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

        Raises:
            UnreachedError: the world must be led to the state first.
        """
        at = self._circumstances(state, key, operation, outside=outside)
        result = self._results.get(at)
        if result is None:
            result = self._results[at] = self._execute(state, key, operation, outside=outside)
        if at[-1] is None and result.content is not state.content:  # what does not depend on it does not change it
            result = result._replace(content=state.content)
        transition = self._book.apply(state, key, result)
        self._remember(state, transition.after, _Action(key, operation, outside))
        return transition

    def _circumstances(self, state: WorldState, key: Key, operation: Operation, *, outside: bool) -> tuple[object, ...]:
        """Return all that decides what an operation does."""
        holding = state.holding(key)
        reach = self._reach_of(state, holding, operation)
        if reach is _Reach.FAR:
            return (state, key, operation, outside, state)
        if reach is _Reach.LOCAL and not outside:
            return (holding, operation, state.content.schema.number, None)
        locks = locks_of([held for other, held in state.holdings.items() if other != key])
        seen = None if sees_no_commits(holding.posture, operation) else state.content
        return (holding, operation, outside, locks, seen)

    def _reach_of(self, state: WorldState, holding: Holding, operation: Operation) -> _Reach:
        at = (holding, operation, state.content.schema.number)
        reach = self._reaches.get(at)
        if reach is None:
            effects = self.effects(operation, state.content.schema.number)
            if effects.far_reaching or not effects.known:
                reach = _Reach.FAR
            else:
                local = is_local(self.journal, holding.posture, operation, effects)
                reach = _Reach.LOCAL if local else _Reach.LOCKS
            self._reaches[at] = reach
        return reach

    def vanish(self, state: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Return the state after connections of a client were closed without its doing.

        Nothing is executed: SQLite rolls back what a connection had not committed when it closes, so that only
        what the connection holds goes.
        """
        holdings = {key: held for key, held in state.holdings.items() if key[0] != client or (only_idle and held.log)}
        if len(holdings) == len(state.holdings):
            return state
        after = self._book.state(state.content, holdings)
        self._remember(state, after, _Action((client, 0), None, only_idle))
        return after

    def note(
        self, state: WorldState, after: WorldState, key: Key, operation: Operation | None, *, variant: bool
    ) -> None:
        """Remember how a state was reached that another world went through.

        Args:
            state: before.
            after: afterwards.
            key: the connection; for connections that vanish, the client and any number.
            operation: what was performed, or None for connections that vanish.
            variant: ``outside``, or ``only_idle``.
        """
        self._remember(state, after, _Action(key, operation, variant))

    def _remember(self, state: WorldState, after: WorldState, action: _Action) -> None:
        if after is not self.root and after is not state and self.knows(state):  # or ways could run in circles
            self._origins.setdefault(after, (state, action))

    def knows(self, state: WorldState) -> bool:
        """Tell whether the live world can go to a state."""
        return state is self.root or state in self._origins or self._world.reachable_directly(state)

    def _execute(self, state: WorldState, key: Key, operation: Operation, *, outside: bool) -> Result:
        """Execute an operation in a state, or in one that is the same to it."""
        world = self._world
        held = state.holding(key)
        if self._reach_of(state, held, operation) is _Reach.FAR or not self._is_rebuilt(state, key, operation):
            self._retrace(state)
        elif state.others_write(key) and not world.state.others_write(key):
            return world.perform_beside_writer(key, operation).result
        return world.perform(key, operation, outside=outside).result

    def _is_rebuilt(self, state: WorldState, key: Key, operation: Operation) -> bool:
        """Bring the live world to a state that is the same to an operation on a connection, or tell that it cannot be.

        It is the same if the connection holds the same, and what is committed is the same, as far as that makes a
        difference. Of the others' locks only the write lock does in WAL mode, and for that the checker's own
        connection can stand in; where readers bar others, there must be none.
        """
        world, held = self._world, state.holding(key)
        if world.state is state:
            return True
        schema = state.content.schema.number
        barred = self.journal != "wal"
        if barred and state.other_locks(key):
            return False
        if self.effects(operation, schema).exclusive:  # this one does tell readers from a writer
            return False
        open_here = key in world.state.holdings
        if world.state.holding(key) is held and open_here is (key in state.holdings):
            same = world.content is state.content or sees_no_commits(held.posture, operation)
            in_the_way = world.state.other_locks(key) if barred else world.state.others_write(key)
            if same and (state.others_write(key) or not in_the_way):
                return True
        past = past_of(held, self._book, lambda done: self.effects(done, schema), self.journal)
        if past is None or not world.can_write(state.content):
            return False
        if not all(done.snapshot is None or world.can_write(done.snapshot) for done in past):
            return False
        world.rebuild(key, held, state.content, past)
        return True

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
