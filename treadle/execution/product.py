"""Executions: paths through the product of the clients and the world.

::

    clients (trees of operations)  x  world (states of a real database)
                 │                               │
                 └── State(nodes, waits, world, faults left) ──choice──▶ State

The same rules drive learned and live executions; they differ only in where a client's next operation and an
operation's result come from (``Backend``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from attrs import frozen

from treadle.client.tree import CRASHED, Node
from treadle.interning import intern_observation, intern_operation
from treadle.values.errors import ScheduleMismatchError
from treadle.values.fault import Fault, LockKind, Placement
from treadle.values.observation import LOCKED, Observation
from treadle.values.operation import Kind, Operation
from treadle.values.schedule import Choice, Fail, Step, letters
from treadle.values.signals import OperationBoundError
from treadle.world.effects import Effects
from treadle.world.holding import Holding, Lock
from treadle.world.locality import Nature, nature_of
from treadle.world.state import Key, Transition, WorldState


class Wait(NamedTuple):
    """A client that waits for a lock.

    Attributes:
        client: its position.
        locks: the locks of all other connections when it last tried; it tries again when they change.
        observation: what it sees if its timeout expires.
        holders: the positions of the clients it waits for.
    """

    client: int
    locks: tuple[tuple[Key, Lock], ...]
    observation: Observation
    holders: tuple[int, ...]


class State(NamedTuple):
    """A state of the product. Equal states have equal futures.

    Attributes:
        nodes: where each client is.
        waits: the clients that wait, longest first.
        world: what is committed, and what each connection holds.
        locked: how many ``locked`` faults are left.
        crash: how many ``crash`` faults are left.
    """

    nodes: tuple[Node, ...]
    waits: tuple[Wait, ...]
    world: WorldState
    locked: int
    crash: int

    def wait_of(self, client: int) -> Wait | None:
        """Return how a client waits, or None."""
        for wait in self.waits:
            if wait.client == client:
                return wait
        return None

    @property
    def ended(self) -> bool:
        """Whether all clients have finished."""
        return all(node.operation is None for node in self.nodes)


@frozen(eq=False)
class Taken:
    """What one choice did.

    Attributes:
        choice: the choice, one operation long.
        before: the state before.
        after: the state afterwards.
        operation: what the client asked, or None for a crash.
        observation: what it saw; None while it waits, and for a crash.
        transition: what happened to the world, or None if nothing was executed.
        lock_kind: why the client saw ``database is locked``, if it did.
        reachable: for an injected ``locked``: whether SQLite could have answered so.
        free: the fault costs nothing, since all clients wait.
    """

    choice: Choice
    before: State
    after: State
    operation: Operation | None
    observation: Observation | None
    transition: Transition | None = None
    lock_kind: LockKind | None = None
    reachable: bool = True
    free: bool = False


class Backend(Protocol):
    """Where operations and their results come from."""

    @property
    def journal(self) -> str:
        """The journal mode."""

    def roots(self) -> tuple[Node, ...]:
        """Return where the clients start."""

    def start(self) -> WorldState:
        """Return where the world starts."""

    def after(self, client: int, node: Node, observation: Observation) -> Node:
        """Return where a client is after an observation."""

    def effects(self, state: WorldState, operation: Operation) -> Effects:
        """Return what a statement does to locks."""

    def perform(self, state: WorldState, key: Key, operation: Operation, *, outside: bool = False) -> Transition:
        """Return what an operation does."""

    def vanish(self, state: WorldState, client: int, *, only_idle: bool) -> WorldState:
        """Return the world after connections of a client were closed without its doing."""


class Edge(NamedTuple):
    """A stretch of one client's operations between two scheduling points.

    Attributes:
        taken: what each choice did, in order.
    """

    taken: tuple[Taken, ...]

    @property
    def after(self) -> State:
        """The state at its end."""
        return self.taken[-1].after


class Product:
    """The product of clients and a world: which choices there are in a state, and what they do.

    Attributes:
        met_fault_point: a ``locked`` fault was possible somewhere.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        names: tuple[str, ...],
        budget: tuple[int, int],
        placement: Placement,
        max_operations: int,
        local: bool = True,
        offset: int = 0,
    ) -> None:
        """Build the product.

        Args:
            backend: where operations and results come from.
            names: the clients' names.
            budget: how many ``locked`` and ``crash`` faults an execution may contain.
            placement: where ``locked`` faults are injected.
            max_operations: how many operations a client may take.
            local: take local operations together, without a scheduling point between them.
            offset: the position of the first client, as the world knows it.
        """
        self._backend = backend
        self._names = names
        self._budget = budget
        self._placement = placement
        self._max_operations = max_operations
        self._local = local
        self._offset = offset
        self.met_fault_point = False
        self._natures: dict[tuple[Holding, Operation, int], Nature] = {}

    def root(self, world: WorldState | None = None) -> State:
        """Return the state in which no client has started, in the world's first state or another."""
        start = self._backend.start() if world is None else world
        return State(self._backend.roots(), (), start, *self._budget)

    # What may happen.

    def choices(self, state: State) -> tuple[Choice, ...]:
        """Return what the scheduler may decide in a state; empty when all clients have finished.

        A client that is about to take a local operation is a persistent set by itself: only its choices count. But
        not if it may crash and let go of a lock then: others notice that, and it may have no later chance to crash.
        """
        unfinished = [client for client, node in enumerate(state.nodes) if node.operation is not None]
        if self._local:
            for client in unfinished:
                if not state.nodes[client].depth or state.wait_of(client) is not None:
                    continue
                if self._nature(state, client).local and not (state.crash > 0 and self._holds_lock(state, client)):
                    return (Step(client), *self._faults(state, client))
        found: list[Choice] = []
        stuck = True
        for client in unfinished:
            if self._may_step(state, client):
                found.append(Step(client))
                stuck = False
        if stuck and unfinished:
            found.append(Fail(state.waits[0].client))
        for client in unfinished:
            found += [fault for fault in self._faults(state, client) if fault not in found]
        return tuple(found)

    def _holds_lock(self, state: State, client: int) -> bool:
        position = client + self._offset
        return any(held.lock for key, held in state.world.holdings.items() if key[0] == position)

    def _may_step(self, state: State, client: int) -> bool:
        wait = state.wait_of(client)
        if wait is None:
            return True
        operation = state.nodes[client].operation
        assert operation is not None
        return state.world.other_locks(self._key(client, operation)) != wait.locks

    def _faults(self, state: State, client: int) -> list[Choice]:
        found: list[Choice] = []
        if state.locked > 0 and (state.wait_of(client) is not None or self._is_fault_point(state, client)):
            found.append(Fail(client, Fault.LOCKED))
            self.met_fault_point = True
        if state.crash > 0:
            found.append(Fail(client, Fault.CRASH))
        return found

    def _key(self, client: int, operation: Operation) -> Key:
        return (client + self._offset, operation.connection)

    def _nature(self, state: State, client: int) -> Nature:
        """Return what a client's pending operation is to others."""
        operation = state.nodes[client].operation
        assert operation is not None
        holding = state.world.holding(self._key(client, operation))
        at = (holding, operation, state.world.content.schema.number)
        nature = self._natures.get(at)
        if nature is None:
            effects = self._backend.effects(state.world, operation)
            nature = self._natures[at] = nature_of(self._backend.journal, holding, operation, effects, self._placement)
        return nature

    def _is_fault_point(self, state: State, client: int) -> bool:
        nature = self._nature(state, client)
        # Where another client holds the lock, no process outside can: SQLite's own answer stands.
        return nature.fault_point and not (nature.acquires and self._others_write(state, client))

    def _others_write(self, state: State, client: int) -> bool:
        operation = state.nodes[client].operation
        assert operation is not None
        return any(lock is Lock.WRITE for _, lock in state.world.other_locks(self._key(client, operation)))

    # What it does.

    def take(self, state: State, choice: Choice) -> Taken:
        """Do one choice of one operation.

        Raises:
            ScheduleMismatchError: the client cannot do that here.
        """
        self._require(state, choice)
        if isinstance(choice, Step):
            return self._step(state, choice)
        if choice.fault is Fault.CRASH:
            return self._crash(state, choice)
        wait = state.wait_of(choice.client)
        return self._inject(state, choice) if wait is None else self._expire(state, choice, wait)

    def _require(self, state: State, choice: Choice) -> None:
        if choice.client >= len(state.nodes):
            raise ScheduleMismatchError(
                f"choice {choice} is for client {letters(choice.client)}, and there are only {len(state.nodes)} "
                f"clients: {', '.join(self._names)}. Replay the token on the scenario it was found in, with the same "
                "parameters."
            )
        if state.nodes[choice.client].operation is None:
            raise ScheduleMismatchError(
                f"choice {choice}: client {self._names[choice.client]!r} has already finished at this point. "
                "Replay the token on the scenario it was found in, with the same code and parameters."
            )

    def _step(self, state: State, choice: Step) -> Taken:
        client = choice.client
        operation = state.nodes[client].operation
        assert operation is not None
        transition = self._backend.perform(state.world, self._key(client, operation), operation)
        if transition.result.waits:
            wait = Wait(
                client,
                transition.after.other_locks(self._key(client, operation)),
                transition.observation,
                transition.holders,
            )
            waits = [wait if other.client == client else other for other in state.waits]
            if wait not in waits:
                waits.append(wait)
            after = State(state.nodes, tuple(waits), transition.after, state.locked, state.crash)
            return Taken(choice, state, after, operation, None, transition)
        after = self._go_on(state, client, transition.observation, transition.after)
        return Taken(
            choice, state, after, operation, transition.observation, transition, lock_kind=transition.result.lock_kind
        )

    def _go_on(
        self, state: State, client: int, observation: Observation, world: WorldState, *, locked: int = 0
    ) -> State:
        """Return the state after a client saw something."""
        node = self._backend.after(client, state.nodes[client], observation)
        if node.operation is None:
            world = self._backend.vanish(world, client + self._offset, only_idle=True)
        elif node.depth >= self._max_operations:
            raise OperationBoundError(
                f"client {self._names[client]!r} took {self._max_operations} operations without finishing; its last "
                f"one was {node.operation}. If it retries without end, give it an end; if it is that long, raise the "
                "scenario's max_operations"
            )
        nodes = (*state.nodes[:client], node, *state.nodes[client + 1 :])
        waits = tuple(wait for wait in state.waits if wait.client != client) if state.waits else ()
        return State(nodes, waits, world, state.locked - locked, state.crash)

    def _crash(self, state: State, choice: Fail) -> Taken:
        client = choice.client
        world = self._backend.vanish(state.world, client + self._offset, only_idle=False)
        nodes = (*state.nodes[:client], CRASHED, *state.nodes[client + 1 :])
        waits = tuple(wait for wait in state.waits if wait.client != client)
        after = State(nodes, waits, world, state.locked, state.crash - 1)
        return Taken(choice, state, after, None, None)

    def _expire(self, state: State, choice: Fail, wait: Wait) -> Taken:
        """Let the timeout of a waiting client expire; free if nobody else can go on."""
        stuck = not any(
            node.operation is not None and self._may_step(state, client) for client, node in enumerate(state.nodes)
        )
        free = stuck and state.waits[0] is wait
        operation = state.nodes[choice.client].operation
        after = self._go_on(state, choice.client, wait.observation, state.world, locked=0 if free else 1)
        return Taken(choice, state, after, operation, wait.observation, lock_kind=LockKind.TIMEOUT, free=free)

    def _inject(self, state: State, choice: Fail) -> Taken:
        """Fail an operation as if a process outside held the lock.

        Where SQLite asks for a lock, a connection of the checker's really takes it, so that the driver does
        what it does then (an implicit BEGIN stays). Elsewhere nothing is executed.
        """
        client = choice.client
        operation = state.nodes[client].operation
        assert operation is not None
        key = self._key(client, operation)
        if self._nature(state, client).acquires and not self._others_write(state, client):
            transition = self._backend.perform(state.world, key, operation, outside=True)
            after = self._go_on(state, client, transition.observation, transition.after, locked=1)
            return Taken(
                choice, state, after, operation, transition.observation, transition, lock_kind=LockKind.OUTSIDE
            )
        world = state.world
        if operation.cursor in world.holding(key).active:  # running another statement would have ended this one
            reset = intern_operation(Operation(Kind.CLOSE_CURSOR, operation.connection, operation.cursor))
            world = self._backend.perform(world, key, reset).after
        seen = intern_observation(Observation(failure=LOCKED, in_transaction=world.holding(key).in_transaction))
        after = self._go_on(state, client, seen, world, locked=1)
        return Taken(choice, state, after, operation, seen, lock_kind=LockKind.OUTSIDE, reachable=False)

    def run(self, state: State, choice: Choice) -> Edge:
        """Do a choice, and go on with the same client to its next scheduling point.

        A client that starts goes on through its first operation that others can notice: what it did before
        that commutes with everything.
        """
        client = choice.client
        fresh = isinstance(choice, Step) and not state.nodes[client].depth
        noticed = not (fresh and self._nature(state, client).local)
        taken = [self.take(state, choice)]
        while self._local and self._goes_on(taken[-1].after, client):
            state = taken[-1].after
            if not self._nature(state, client).local:
                if noticed:
                    break
                noticed = True
            taken.append(self.take(state, Step(client)))
        return Edge(tuple(taken))

    def _goes_on(self, state: State, client: int) -> bool:
        """Tell whether nothing but another client could happen before this client's next operation."""
        if state.nodes[client].operation is None or state.wait_of(client) is not None:
            return False
        return not self._faults(state, client)

    def walk(self, choices: tuple[Choice, ...], state: State | None = None) -> Iterator[Taken]:
        """Follow a schedule, one operation at a time.

        Raises:
            ScheduleMismatchError: a choice is not possible where it stands.
        """
        if state is None:
            state = self.root()
        for choice in choices:
            single = Step(choice.client) if isinstance(choice, Step) else choice
            for _ in range(choice.operations if isinstance(choice, Step) else 1):
                taken = self.take(state, single)
                yield taken
                state = taken.after
