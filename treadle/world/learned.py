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

from collections.abc import Hashable
from typing import NamedTuple

from treadle.values.errors import NondeterminismError
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.signals import UnreachedError
from treadle.world.effects import Effects
from treadle.world.holding import Holding, locks_of
from treadle.world.locality import Nature, Natures, sees_no_commits
from treadle.world.past import past_of
from treadle.world.state import IDLE, Book, Key, Result, Transition, WorldState
from treadle.world.world import World


class _Vanishing(NamedTuple):
    """Connections of a client that vanish.

    Attributes:
        client: its position.
        only_idle: those that hold something stay.
    """

    client: int
    only_idle: bool


_Deed = tuple[Key, Operation, bool]
"""A connection, an operation on it, and whether a process outside holds the lock that it needs."""

_Action = tuple[_Deed, ...] | _Vanishing
"""What moves a world: operations, one or several that nobody else can notice, or connections that vanish."""


class LearnedWorld:
    """A world as far as it has been learned.

    Attributes:
        root: the state in which nothing has happened.
        repeated: how many operations were executed only to get to a state again.
        results: what operations did, after all that decides it.
    """

    def __init__(self, world: World, book: Book, natures: Natures) -> None:
        """Learn from a live world that nothing happened to yet.

        Args:
            world: where operations are executed.
            book: where its states are interned.
            natures: tells what operations are to others.
        """
        self._natures = natures
        self._book = book
        self.root = world.state
        self.repeated = 0
        self._world = world
        self.results: dict[tuple[object, ...], Result] = {}
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
        result = self.results.get(at)
        transition = None
        if result is None:
            here = self._world.state is state
            executed = self._execute(state, key, operation, outside=outside, far=at[-1] is state)
            result = self.results[at] = executed.result
            transition = executed if here else None
        if transition is None:
            if at[-1] is None and result.content is not state.content:  # what does not depend on it does not change it
                result = result._replace(content=state.content)
            transition = self._book.apply(state, key, result)
        self._remember(state, transition.after, ((key, operation, outside),))
        return transition

    def glance(self, state: WorldState, key: Key, operation: Operation) -> Hashable | None:
        """Return all that decides what a read sees that takes a snapshot of its own and bars nobody, nor is barred.

        Args:
            state: where.
            key: the connection.
            operation: what is asked of it.

        Returns:
            What its connection holds, and the rows of the tables that it looks at, but nothing else that is committed;
            None for any other operation.
        """
        if self._nature(state, key, operation).looks_at is None:
            return None
        schema = state.content.schema.number
        sources = self.effects(operation, schema).reach.sources
        return None if sources is None else (state.holding(key), operation, schema, state.content.rows_of(sources))

    def _circumstances(self, state: WorldState, key: Key, operation: Operation, *, outside: bool) -> tuple[object, ...]:
        """Return all that decides what an operation does."""
        holding = state.holding(key)
        nature = self._nature(state, key, operation)
        if nature.far:
            return (state, key, operation, outside, state)
        if nature.local and not outside:
            return (holding, operation, state.content.schema.number, None)
        locks = locks_of([held for other, held in state.holdings.items() if other != key])
        seen = None if sees_no_commits(holding.posture, operation.kind) else state.content
        return (holding, operation, outside, locks, seen)

    def _nature(self, state: WorldState, key: Key, operation: Operation) -> Nature:
        """Return what an operation is to others."""
        return self._natures.of(state.holding(key), operation, self.effects(operation, state.content.schema.number))

    def vanish(self, state: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Return the state after connections of a client were closed without its doing.

        Nothing is executed: SQLite rolls back what a connection had not committed when it closes, so that only
        what the connection holds goes.
        """
        holdings = {key: held for key, held in state.holdings.items() if key[0] != client or (only_idle and held.log)}
        if len(holdings) == len(state.holdings):
            return state
        after = self._book.state(state.content, holdings)
        self._remember(state, after, _Vanishing(client, only_idle))
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
        action = _Vanishing(key[0], variant) if operation is None else ((key, operation, variant),)
        self._remember(state, after, action)

    def _remember(self, state: WorldState, after: WorldState, action: _Action) -> None:
        if after is not self.root and after is not state and self.knows(state):  # or ways could run in circles
            self._origins.setdefault(after, (state, action))

    def knows(self, state: WorldState) -> bool:
        """Tell whether the live world can go to a state."""
        return state is self.root or state in self._origins or self._world.reachable_directly(state)

    def _execute(self, state: WorldState, key: Key, operation: Operation, *, outside: bool, far: bool) -> Transition:
        """Execute an operation in a state, or in one that is the same to it, unless it is far-reaching."""
        world = self._world
        if far or not self._is_rebuilt(state, key, operation):
            self._retrace(state)
        elif state.others_write(key) and not world.state.others_write(key):
            return world.perform_beside_writer(key, operation)
        return world.perform(key, operation, outside=outside)

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
        blind = sees_no_commits(held.posture, operation.kind)
        if world.state.holding(key) is held and open_here is (key in state.holdings):
            same = blind or world.content is state.content
            in_the_way = world.state.other_locks(key) if barred else world.state.others_write(key)
            if same and (state.others_write(key) or not in_the_way):
                return True
        past = past_of(held, self._book, lambda done: self.effects(done, schema), self.journal)
        if past is None or not world.can_write(state.content):
            return False
        if not all(done.snapshot is None or world.can_write(done.snapshot) for done in past):
            return False
        world.rebuild(key, held, None if blind else state.content, past)
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

    def alone(self, state: WorldState, client: int) -> Solo:
        """Return a client's connections, to be asked for operations that no other connection can notice.

        Args:
            state: where.
            client: its position.
        """
        return Solo(self, state, client)

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

    def perform_alone(self, solo: Solo, key: Key, held: Holding, operation: Operation) -> Result:
        """Execute an operation that no other connection can notice.

        Args:
            solo: where.
            key: the connection.
            held: what it holds there.
            operation: an interned operation.
        """
        world = self._world
        if world.holding(key) is not held:  # otherwise what the others hold, and what is committed, matters not
            state = solo.world()
            if not self._is_rebuilt(state, key, operation):
                self._retrace(state)
        return world.perform_alone(key, operation)

    def close(self) -> None:
        """Close the live world."""
        self._world.close()


class Solo:
    """Operations of one client, one after another, that no other connection can notice, and that commit nothing.

    Where they lead to is a state of the world when it is asked for, and not before.
    """

    def __init__(self, learned: LearnedWorld, start: WorldState, client: int) -> None:
        """Start in a state."""
        self._learned = learned
        self._start = start
        self._client = client
        self._schema = start.content.schema.number
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
        at = (held, operation, self._schema, None)
        results = self._learned.results
        result = results.get(at)
        if result is None:
            result = results[at] = self._learned.perform_alone(self, key, held, operation)
        self._held[key] = result.holding
        self._deeds.append((key, operation, False))
        return result.observation

    def world(self) -> WorldState:
        """Return where the operations have led to by now."""
        if self._deeds:
            self._start = self._learned.came_alone(self._start, self._held, tuple(self._deeds))
            self._held.clear()
            self._deeds.clear()
        return self._start
