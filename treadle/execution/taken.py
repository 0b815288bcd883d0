"""What choices do: one operation (``Taken``), or a stretch of them up to the next scheduling point (``Edge``)."""

from __future__ import annotations

from typing import NamedTuple

from attrs import define, field

from treadle.execution.state import LocalState, State
from treadle.interning import intern_operation
from treadle.values.fault import LockKind
from treadle.values.observation import Observation
from treadle.values.operation import Kind, Operation
from treadle.values.schedule import Choice, Fail, Step
from treadle.values.source import Source
from treadle.world.content import Content
from treadle.world.state import Transition


@define(eq=False)
class Taken:
    """What one choice did.

    Attributes:
        choice: the choice, one operation long.
        before: the state before.
        after: the state afterwards.
        operation: what the client asked, or None for a crash.
        observation: what it saw; None where its call has stopped, and for a crash.
        transition: what happened to the world, or None if the operation was not executed.
        reset: what the cursor's old statement did when it was ended instead of the operation, if it was under way.
        lock_kind: why the client saw ``database is locked``, if it did.
        reachable: for an injected ``locked``: whether SQLite could have answered so.
        free: the fault costs nothing, since all clients wait.
        waits: SQLite waits for a lock.
        source: the line of the application that asked, where that is known.
    """

    choice: Choice
    before: State
    after: State
    operation: Operation | None
    observation: Observation | None
    transition: Transition | None = None
    reset: Transition | None = None
    lock_kind: LockKind | None = None
    reachable: bool = True
    free: bool = False
    waits: bool = False
    source: Source | None = None

    @property
    def pauses(self) -> bool:
        """Whether its call has come to another statement, which others may come before."""
        return self.operation is not None and self.observation is None and not self.waits


class Moment(NamedTuple):
    """A point of an edge at which properties are looked at: a commit, or its end.

    Attributes:
        operations: how many of its operations lie behind.
        state: the state there.
    """

    operations: int
    state: State


class Edge(NamedTuple):
    """A stretch of one client's operations between two scheduling points.

    Attributes:
        first: its first choice, one operation long; all others are steps of the same client.
        moments: where properties are looked at, the end among them.
        injected: whether the first choice spends a fault.
        adversarial: whether it is a fault that SQLite could not have shown.
        essential: how many operations there are up to the last one that another client could notice.
    """

    first: Choice
    moments: tuple[Moment, ...]
    essential: int
    injected: bool
    adversarial: bool

    @property
    def after(self) -> State:
        """The state at its end."""
        return self.moments[-1].state

    def choices(self, operations: int | None = None) -> tuple[Choice, ...]:
        """Return its choices, one operation each, or the first of them."""
        count = self.moments[-1].operations if operations is None else operations
        return (self.first, *(Step(self.first.client),) * (count - 1))


class Stretch(NamedTuple):
    """What an edge does, whatever the other clients are.

    Attributes:
        moments: after how many operations, what the client's local state is, what is committed (None where that is
            as it was), and whether something was committed by then.
        moved_on: the rank of the client's wait that is over, or None.
        locked: how many ``locked`` faults it spends.
        crash: how many ``crash`` faults it spends.
        injected: as for ``Edge``.
        adversarial: as for ``Edge``.
        essential: as for ``Edge``.
    """

    moments: tuple[tuple[int, LocalState, Content | None, bool], ...]
    essential: int
    moved_on: int | None
    locked: int
    crash: int
    injected: bool
    adversarial: bool


@define(eq=False)
class Walk:
    """A stretch that is walked.

    Attributes:
        first: what its first choice did.
        state: where it is by now.
        essential: how many operations there are up to the last one that another client could notice.
        operations: how many there are.
        moments: where something else is committed than before: after how many operations, in which state, and
            whether a commit came by then.
        committed: something was committed.
        opaque: SQLite could not say beforehand what it does.
        blind: what it does does not depend on what is committed, and does not change that.
    """

    first: Taken
    state: State
    essential: int
    operations: int = 0
    moments: list[tuple[int, State, bool]] = field(factory=list)
    committed: bool = False
    opaque: bool = False
    blind: bool = True

    def edge(self) -> Edge:
        """Return the edge that was walked."""
        first = self.first
        moments = [Moment(operations, state) for operations, state, _ in self.moments]
        if not moments or moments[-1].operations < self.operations:
            moments.append(Moment(self.operations, self.state))
        return Edge(
            first.choice,
            tuple(moments),
            self.operations if self.state.locals[first.choice.client].ended else self.essential,
            isinstance(first.choice, Fail) and not first.free,
            first.lock_kind is LockKind.OUTSIDE and not first.reachable,
        )

    def stretch(self, edge: Edge) -> Stretch:
        """Return what of its edge does not depend on the other clients."""
        before = self.first.before
        client = edge.first.client
        committed = {operations: so_far for operations, _, so_far in self.moments}
        waited, waits = before.locals[client].wait, edge.after.locals[client].wait
        return Stretch(
            tuple(
                (
                    count,
                    there.locals[client],
                    None if self.blind else there.content,
                    committed.get(count, self.committed),
                )
                for count, there in edge.moments
            ),
            edge.essential,
            waited.rank if waited is not None and waits is None else None,
            before.locked - edge.after.locked,
            before.crash - edge.after.crash,
            edge.injected,
            edge.adversarial,
        )


def reset_of(operation: Operation) -> Operation:
    """Return what ends the statement that is under way on the cursor of an operation."""
    return intern_operation(Operation(Kind.CLOSE_CURSOR, operation.connection, operation.cursor))
