"""Executions: paths through the product of the clients and the world.

::

    clients (trees of operations)  x  world (states of a real database)
                 │                               │
                 └── State(local states, content, faults left) ──choice──▶ State

The same rules drive learned and live executions; they differ only in where a client's next operation and an
operation's result come from (``Backend``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TypeVar

from treadle.client.tree import CRASHED, Node
from treadle.execution.backend import Backend
from treadle.execution.state import Holdings, LocalState, LocalStates, State, Wait
from treadle.execution.taken import Edge, Moment, Stretch, Taken, Walk, reset_of
from treadle.interning import intern_observation
from treadle.values.errors import ScheduleMismatchError
from treadle.values.fault import Fault, LockKind
from treadle.values.observation import LOCKED, Observation
from treadle.values.operation import Kind, Operation
from treadle.values.schedule import Choice, Fail, Step, letters
from treadle.values.signals import OperationBoundError, UnreachedError
from treadle.values.source import Source
from treadle.world.content import Content
from treadle.world.footprint import Footprint, Footprints
from treadle.world.holding import Holding, Lock, StopKind
from treadle.world.state import IDLE, Mode, Result, Transition, WorldState
from treadle.world.world import holds_something

_Answer = TypeVar("_Answer")


Way = tuple[tuple[int, Fault | None], ...]
"""The first choices of the edges of a path, each as a client and the fault that it has, or None for a step."""


Followed = tuple[State, "dict[tuple[int, Fault | None], Followed]"]
"""Where ways lead to that begin alike, and how they go on."""


class Product:
    """The product of clients and a world: which choices there are in a state, and what they do.

    Attributes:
        met_fault_point: a ``locked`` fault was possible somewhere.
        untried: where SQLite asks for a lock and the placement wants no fault, as pairs of client and operation.
    """

    def __init__(
        self,
        backend: Backend,
        local_states: LocalStates,
        *,
        names: tuple[str, ...],
        budget: tuple[int, int],
        footprints: Footprints,
        max_operations: int,
        groups: tuple[int, ...] | None = None,
        local: bool = True,
        memory: bool = True,
        ends_visible: bool = False,
    ) -> None:
        """Build the product.

        Args:
            backend: where operations and results come from.
            local_states: where local states are interned; the states of products that share it can be compared.
            names: the clients' names.
            budget: how many ``locked`` and ``crash`` faults an execution may contain.
            footprints: tells what operations are to others.
            max_operations: how many operations a client may take.
            groups: for each client the number of its group of interchangeable clients; by default, each has its own.
            local: take local operations together, without a scheduling point between them.
            memory: tell from memory what a stretch does that was walked from another state.
            ends_visible: how clients have ended is looked at in every committed state, so that to end is not local.
        """
        self._backend = backend
        self._locals = local_states
        self._names = names
        self._steps = tuple(map(Step, range(len(names))))
        self._budget = budget
        self._footprints = footprints
        self._max_operations = max_operations
        self._groups = groups or tuple(range(len(names)))
        self._local = local
        self._memory = memory and backend.learns
        self._ends_visible = ends_visible
        self.met_fault_point = False
        self.untried: set[tuple[int, str]] = set()
        self._known: dict[tuple[LocalState, int], Footprint] = {}
        self._stretches: dict[tuple[object, ...], dict[Content | int, Stretch]] = defaultdict(dict)
        self._ways: dict[State, tuple[State, Choice]] = {}
        self._adopted: dict[State, Way] = {}
        self._followed: Followed | None = None

    def root(self) -> State:
        """Return the state in which no client has started."""
        nodes = self._backend.roots()
        return State(tuple(self._locals.of(node, ()) for node in nodes), self._backend.start().content, *self._budget)

    def source(self, client: int) -> Source | None:
        """Return the line of the application at which a client stands, in a live execution that tells it."""
        return self._backend.source(client)

    # What may happen.

    def choices(self, state: State) -> tuple[Choice, ...]:
        """Return what the scheduler may decide in a state; empty when all clients have finished.

        A client that is about to take a local operation is a persistent set by itself: only its choices count. But
        not if it may crash and let go of a lock then (docs/soundness.md, Local operations).
        """
        unfinished = [client for client, local in enumerate(state.locals) if not local.ended]
        if self._local and not (self._ends_visible and state.crash > 0):  # to crash is to end
            alone = self.reaching(state, lambda: self._persistent(state, unfinished))
            if alone is not None:
                return (self._steps[alone], *self._faults(state, alone))
        found: list[Choice] = [self._steps[client] for client in unfinished if self._may_step(state, client)]
        if not found and unfinished:
            found.append(Fail(_first_in_line(state)))
        if state.locked > 0 or state.crash > 0:
            for client in unfinished:
                found += [fault for fault in self._faults(state, client) if fault not in found]
        return tuple(found)

    def _persistent(self, state: State, unfinished: list[int]) -> int | None:
        """Return a client whose choices are a persistent set by themselves, if there is one.

        Where there are several, which one it is must not depend on what interchangeable clients are called.
        """
        found = []
        for client in unfinished:
            local = state.locals[client]
            if local.wait is not None or not local.node.depth or (state.crash > 0 and local.locks):
                continue
            if self._is_local(state, client):
                found.append(client)
        if len(found) > 1:
            return min(found, key=lambda client: (self._groups[client], self._locals.digest(state.locals[client])))
        return found[0] if found else None

    def _may_step(self, state: State, client: int) -> bool:
        local = state.locals[client]
        return local.wait is None or state.others(client, _pending(local).connection) != local.wait.others

    def _faults(self, state: State, client: int) -> list[Choice]:
        found: list[Choice] = []
        if state.locked > 0 and (state.locals[client].wait is not None or self._is_fault_point(state, client)):
            found.append(Fail(client, Fault.LOCKED))
            self.met_fault_point = True
        if state.crash > 0:
            found.append(Fail(client, Fault.CRASH))
        return found

    def _perform(self, state: State, client: int, operation: Operation, mode: Mode = Mode.STEP) -> Transition:
        world = self._backend.at(state)
        key = (client, operation.connection)
        return self._backend.perform(world, key, operation, mode)

    def _footprint(self, local: LocalState, content: Content) -> Footprint:
        """Return what a client's pending operation is to others."""
        schema = content.schema.number
        found = self._known.get((local, schema))
        if found is None:
            operation = _pending(local)
            found = self._footprint_of(local.holding(operation.connection), operation, schema)
            self._known[local, schema] = found
        return found

    def _footprint_of(self, held: Holding, operation: Operation, schema: int) -> Footprint:
        """Return what an operation is to others.

        Args:
            held: what its connection holds.
            operation: the operation.
            schema: the number of the schema under which it would run.
        """
        return self._footprints.of(held, operation, self._backend.effects(operation, held, schema))

    def _is_local(self, state: State, client: int) -> bool:
        """Tell whether no other client and no property can notice a client's pending operation, or be noticed by it."""
        local = state.locals[client]
        if self._ends_visible and _pending(local).kind is Kind.ANSWER:
            return False
        return self._footprint(local, state.content).local

    def _is_fault_point(self, state: State, client: int) -> bool:
        footprint = self._footprint(state.locals[client], state.content)
        # Where another client holds the lock, no process outside can: SQLite's own answer stands.
        if footprint.refusable and self._others_write(state, client):
            return False
        if footprint.refusable and not footprint.opaque and not footprint.fault_point:
            self.untried.add((client, str(_pending(state.locals[client]))))
        return footprint.fault_point

    @staticmethod
    def _others_write(state: State, client: int) -> bool:
        others = state.others(client, _pending(state.locals[client]).connection)
        return any(lock >= Lock.WRITE for lock in others)

    # What it does, one operation at a time.

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
        waits = state.locals[choice.client].wait is not None
        return self._expire(state, choice) if waits else self._inject(state, choice)

    def _require(self, state: State, choice: Choice) -> None:
        if choice.client >= len(state.locals):
            raise ScheduleMismatchError(
                f"choice {choice} is for client {letters(choice.client)}, and there are only {len(state.locals)} "
                f"clients: {', '.join(self._names)}. Replay the token on the scenario it was found in, with the same "
                "parameters."
            )
        if state.locals[choice.client].ended:
            raise ScheduleMismatchError(
                f"choice {choice}: client {self._names[choice.client]!r} has already finished at this point. "
                "Replay the token on the scenario it was found in, with the same code and parameters."
            )

    def _step(self, state: State, choice: Step) -> Taken:
        client = choice.client
        operation = _pending(state.locals[client])
        if operation.kind is Kind.ANSWER:
            return Taken(choice, state, self._go_on(state, client, ANSWERED, operation, None), operation, ANSWERED)
        return self._taken(choice, state, self._perform(state, client, operation))

    def _taken(self, choice: Choice, state: State, transition: Transition, *, free: bool = False) -> Taken:
        """Return what an operation did that was carried out."""
        client = choice.client
        local, result = state.locals[client], transition.result
        operation = _pending(local)
        if isinstance(choice, Fail) and result.lock_kind is None:
            # It needed no lock that a process outside had; that could not be told beforehand.
            free = free or operation.kind is Kind.EXECUTEMANY or self._footprint(local, state.content).opaque
        if result.stop is None:
            spent = int(isinstance(choice, Fail) and not free)
            after = self._go_on(state, client, result.observation, operation, transition, locked=spent)
        else:
            after = self._stopped(state, client, transition)
        waits = result.stop is not None and result.stop.kind is StopKind.WAITS
        return Taken(
            choice,
            state,
            after,
            operation,
            None if result.stop is not None else result.observation,
            transition,
            lock_kind=None if result.stop is not None else result.lock_kind,
            free=free,
            waits=waits,
        )

    def _stopped(self, state: State, client: int, transition: Transition) -> State:
        """Return the state after a client's call has stopped before it was done."""
        local, result = state.locals[client], transition.result
        operation = _pending(local)
        assert result.stop is not None
        wait, moved_on = None, None if local.wait is None else local.wait.rank
        if result.stop.kind is StopKind.WAITS:
            rank, moved_on = (state.waiting, None) if local.wait is None else (local.wait.rank, None)
            wait = Wait(rank, state.others(client, operation.connection))
        now = self._locals.of(local.node, self._updated(local.holdings, operation.connection, result), wait)
        after = self._moved(
            state, client, now, result.content, committed=result.committed, moved_on=moved_on, spent=(0, 0)
        )
        self._backend.came_to(after, transition.after)
        return after

    def _go_on(
        self,
        state: State,
        client: int,
        observation: Observation,
        operation: Operation,
        transition: Transition | None,
        *,
        locked: int = 0,
    ) -> State:
        """Return the state after a client saw something, and an operation did something or was not executed."""
        local = state.locals[client]
        result = None if transition is None else transition.result
        node = self._backend.after(client, local.node, observation)
        if node.operation is not None and node.depth >= self._max_operations:
            raise OperationBoundError.of(self._names[client], self._max_operations, node.operation)
        return self._arrived(
            state,
            client,
            node,
            local.holdings if result is None else self._updated(local.holdings, operation.connection, result),
            None if transition is None else transition.after,
            content=state.content if result is None else result.content,
            committed=result is not None and result.committed,
            moved_on=None if local.wait is None else local.wait.rank,
            locked=locked,
        )

    def _arrived(
        self,
        state: State,
        client: int,
        node: Node,
        holdings: Holdings,
        world: WorldState | None,
        *,
        content: Content,
        committed: bool = False,
        moved_on: int | None = None,
        locked: int = 0,
    ) -> State:
        """Return the state after a client came to a node; of one that has ended, idle connections are closed.

        Args:
            state: before.
            client: its position.
            node: where it is.
            holdings: what its connections hold.
            world: where the world is; None if nothing was executed.
            content: what is committed.
            committed: something was committed.
            moved_on: the rank of the client's wait that is over, or None.
            locked: how many ``locked`` faults were spent.
        """
        if node.operation is None and holdings:
            world = self._backend.vanish(world or self._backend.at(state), client, only_idle=True)
            holdings = tuple((number, held) for number, held in holdings if holds_something(held))
        local = self._locals.of(node, holdings)
        after = self._moved(state, client, local, content, committed=committed, moved_on=moved_on, spent=(locked, 0))
        if world is not None:
            self._backend.came_to(after, world)
        return after

    def _moved(
        self,
        state: State,
        client: int,
        local: LocalState,
        content: Content,
        *,
        committed: bool,
        moved_on: int | None,
        spent: tuple[int, int],
    ) -> State:
        """Return the state after a client moved: what that changes for the others is told here, and only here."""
        others, _, locked, crash = state
        if committed:
            others = tuple([self._locals.stale(other) for other in others])
        if moved_on is not None:
            others = tuple([self._locals.moved_up(other, moved_on) for other in others])
        return State(_put(others, client, local), content, locked - spent[0], crash - spent[1])

    def _updated(self, holdings: Holdings, connection: int, result: Result) -> Holdings:
        """Return what a client's connections hold after an operation on one of them."""
        others = [
            (number, self._locals.after_commit(held) if result.committed else held)
            for number, held in holdings
            if number != connection
        ]
        if result.holding is not None:
            others.append((connection, result.holding))
            others.sort(key=_by_number)
        return tuple(others)

    def _crash(self, state: State, choice: Fail) -> Taken:
        client = choice.client
        self._backend.vanish(self._backend.at(state), client, only_idle=False)
        wait = state.locals[client].wait
        after = self._moved(
            state,
            client,
            self._locals.of(CRASHED, ()),
            state.content,
            committed=False,
            moved_on=None if wait is None else wait.rank,
            spent=(0, 1),
        )
        return Taken(choice, state, after, None, None)

    def _is_free(self, state: State, choice: Fail) -> bool:
        """Tell whether a fault is a timeout that expires since nobody can go on: that of the longest waiter."""
        wait = state.locals[choice.client].wait
        if choice.fault is not Fault.LOCKED or wait is None or wait.rank:
            return False
        return not any(not local.ended and self._may_step(state, client) for client, local in enumerate(state.locals))

    def _expire(self, state: State, choice: Fail) -> Taken:
        """Let the timeout of a waiting client expire; free if nobody else can go on."""
        free = self._is_free(state, choice)
        transition = self._perform(state, choice.client, _pending(state.locals[choice.client]), Mode.EXPIRE)
        return self._taken(choice, state, transition, free=free)

    def _inject(self, state: State, choice: Fail) -> Taken:
        """Fail an operation as if a process outside held the lock.

        Where SQLite asks for a lock, a connection of the checker's really takes it, so that the driver does
        what it does then (an implicit BEGIN stays). Elsewhere nothing is executed.
        """
        client = choice.client
        local = state.locals[client]
        operation = _pending(local)
        footprint = self._footprint(local, state.content)
        if footprint.refusable and not self._others_write(state, client):
            return self._taken(choice, state, self._perform(state, client, operation, Mode.OUTSIDE))
        holding = local.holding(operation.connection)
        reset: Transition | None = None
        if operation.cursor in holding.posture.active:  # running another statement would have ended this one
            reset = self._perform(state, client, reset_of(operation))
            assert reset.result.holding is not None
            holding = reset.result.holding
        seen = intern_observation(Observation(failure=LOCKED, in_transaction=holding.posture.in_transaction))
        after = self._go_on(state, client, seen, operation, reset, locked=1)
        return Taken(choice, state, after, operation, seen, reset=reset, lock_kind=LockKind.OUTSIDE, reachable=False)

    def stay(self, state: State, client: int) -> None:
        """Let a client stay where it is in a state: another choice will be made there after the next one."""
        self._backend.stay(client, state.locals[client].node)

    # What it does, one stretch at a time.

    def run(self, state: State, choice: Choice) -> Edge:
        """Do a choice, and go on with the same client to its next scheduling point.

        A client that starts goes on through its first operation that others can notice.

        The same stretch from another state is told from memory (docs/soundness.md, What is learned).
        """
        stretch = self._remembered(state, choice) if self._memory else None
        if stretch is not None:
            edge = self._again(state, choice, stretch)
        else:
            walk = self.reaching(state, lambda: self._go(state, choice))
            edge = walk.edge()
            if self._memory:
                self._remember(state, walk, edge)
        if self._backend.learns:
            self._ways.setdefault(edge.after, (state, choice))
        return edge

    def _remembered(self, state: State, choice: Choice) -> Stretch | None:
        known = self._stretches.get(self._circumstances(state, choice))
        if known is None:
            return None
        return known.get(state.content) or known.get(state.content.schema.number)

    def _remember(self, state: State, walk: Walk, edge: Edge) -> None:
        if not walk.opaque:
            at = state.content.schema.number if walk.blind else state.content
            self._stretches[self._circumstances(state, edge.first)][at] = walk.stretch(edge)

    def _circumstances(self, state: State, choice: Choice) -> tuple[object, ...]:
        """Return all that decides what a stretch does, beside what is committed."""
        client = choice.client
        return (
            state.locals[client],
            state.others(client),
            state.locked,
            state.crash,
            state.waiting,
            None if isinstance(choice, Step) else choice.fault,
            isinstance(choice, Fail) and self._is_free(state, choice),
        )

    def reaching(self, state: State, act: Callable[[], _Answer]) -> _Answer:
        """Do something from a state, to which the world is led if it must be there: memory alone may lead to one."""
        try:
            return act()
        except UnreachedError:
            self._reach(state)
            return act()

    def _reach(self, state: State) -> None:
        """Lead the world to a state, for what cannot be performed in one that is the same to it.

        Raises:
            UnreachedError: nothing that was done here leads there.
        """
        way: list[tuple[State, Choice]] = []
        while not self._backend.knows(self._backend.at(state)):
            if state not in self._ways:
                if state not in self._adopted:
                    raise UnreachedError
                self.follow(self._adopted[state])
            state, choice = self._ways[state]
            way.append((state, choice))
        for before, choice in reversed(way):
            self._go(before, choice)

    def way(self, state: State) -> Way:
        """Return how a state was reached that ``run`` or ``adopt`` led to."""
        way: list[tuple[int, Fault | None]] = []
        while state not in self._adopted and state in self._ways:
            state, choice = self._ways[state]
            way.append((choice.client, None if isinstance(choice, Step) else choice.fault))
        return (*self._adopted.get(state, ()), *reversed(way))

    def follow(self, way: Way) -> State:
        """Return where a way leads to, from the root; ways that begin alike are followed once up to there."""
        state, onward = self._followed or self._follow_from(self.root())
        for client, fault in way:
            if (client, fault) not in onward:
                choice = Step(client) if fault is None else Fail(client, fault)
                onward[client, fault] = (self.run(state, choice).after, {})
            state, onward = onward[client, fault]
        return state

    def _follow_from(self, root: State) -> Followed:
        self._followed = (root, {})
        return self._followed

    def adopt(self, state: State, way: Way) -> None:
        """Note how a state is reached that was not reached here."""
        if state not in self._ways:
            self._adopted[state] = way

    def _go(self, state: State, choice: Choice) -> Walk:
        """Do a choice, and go on with the same client to its next scheduling point."""
        client = choice.client
        fresh = isinstance(choice, Step) and not state.locals[client].node.depth
        noticed = not (fresh and self._is_local(state, client))
        first = self.take(state, choice)
        walk = Walk(first, first.after, int(isinstance(choice, Fail)))
        self._note(walk, first)
        while self._local:
            walk.state, operations = self.go_alone(walk.state, client)
            walk.operations += operations
            if not self._goes_on(walk.state, client):
                break
            if not self._is_local(walk.state, client):
                if noticed:
                    break
                noticed = True
            self._note(walk, self.take(walk.state, Step(client)))
        return walk

    def _note(self, walk: Walk, taken: Taken) -> None:
        """Note what the next choice did in a stretch."""
        walk.state = taken.after
        walk.operations += 1
        if taken.transition is not None and taken.transition.result.committed:
            walk.committed = True
        if taken.after.content is not taken.before.content:
            walk.moments.append((walk.operations, taken.after, walk.committed))
        if taken.operation is None:  # a crash
            walk.blind = False
            return
        footprint = self._footprint(taken.before.locals[taken.choice.client], taken.before.content)
        walk.opaque = walk.opaque or footprint.opaque
        walk.blind = walk.blind and footprint.local
        if not self._is_local(taken.before, taken.choice.client):
            walk.essential = walk.operations

    def go_alone(self, state: State, client: int) -> tuple[State, int]:
        """Do operations of a client, one after another, that no other client can notice.

        Args:
            state: where it starts.
            client: its position.

        Returns:
            Where that leads to, and how many operations it took.
        """
        local = state.locals[client]
        if local.ended or local.wait is not None or state.crash > 0 or not self._backend.learns:
            return state, 0
        node, schema, operations = local.node, state.content.schema.number, 0
        if any(held.posture.call is not None for _, held in local.holdings):
            return state, 0
        solo = self._backend.alone(state, client)
        connections = {number for number, _ in local.holdings}
        while node.operation is not None and node.depth + 1 < self._max_operations:
            operation = node.operation
            if operation.kind in _MAY_STOP:
                break
            footprint = self._footprint_of(solo.holding(operation.connection), operation, schema)
            if not footprint.local or (footprint.fault_point and state.locked > 0):
                break
            node = self._backend.after(client, node, solo.perform(operation))
            connections.add(operation.connection)
            operations += 1
        if not operations:
            return state, 0
        held = [(number, solo.holding(number)) for number in sorted(connections)]
        holdings = tuple([(number, holding) for number, holding in held if holding is not IDLE])
        return self._arrived(state, client, node, holdings, solo.world(), content=state.content), operations

    def _goes_on(self, state: State, client: int) -> bool:
        """Tell whether nothing but another client could happen before this client's next operation."""
        local = state.locals[client]
        if local.ended or local.wait is not None:
            return False
        return not self._faults(state, client)

    def _again(self, state: State, choice: Choice, stretch: Stretch) -> Edge:
        """Return the edge that a stretch makes from a state."""
        client, spent, moved_on = choice.client, (stretch.locked, stretch.crash), stretch.moved_on
        moments = []
        for count, local, content, committed in stretch.moments:
            there = content or state.content
            after = self._moved(state, client, local, there, committed=committed, moved_on=moved_on, spent=spent)
            moments.append(Moment(count, after))
        return Edge(choice, tuple(moments), stretch.essential, stretch.injected, stretch.adversarial)

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


_MAY_STOP = frozenset({Kind.ANSWER, Kind.EXECUTEMANY, Kind.EXECUTESCRIPT, Kind.ROW, Kind.END_ROWS})
"""Operations that are taken one by one: a call may stop there, or nothing is asked of a connection."""

ANSWERED = intern_observation(Observation())
"""What a client sees that gives its answer."""


def _pending(local: LocalState) -> Operation:
    operation = local.node.operation
    assert operation is not None
    return operation


def _first_in_line(state: State) -> int:
    """Return the client that waits longest."""
    return next(client for client, local in enumerate(state.locals) if local.wait is not None and not local.wait.rank)


def _put(locals_: tuple[LocalState, ...], client: int, local: LocalState) -> tuple[LocalState, ...]:
    return (*locals_[:client], local, *locals_[client + 1 :])


def _by_number(item: tuple[int, object]) -> int:
    return item[0]
