"""States of the product: the local states of the clients, and what is committed.

::

    State ──┬── LocalState of client A: its node, what its connections hold, how it waits
            ├── LocalState of client B
            ├── the committed content
            └── the faults that are left

A client changes its own local state and, by a commit, the content. Of the others' local states it changes only what a
commit and a place in the queue change there.
"""

from __future__ import annotations

from typing import NamedTuple

from attrs import astuple

from treadle.client.tree import CRASHED, Node
from treadle.values.canonical import canonical
from treadle.values.observation import Observation
from treadle.world.content import Content
from treadle.world.holding import NO_LOCKS, Holding, Lock, Locks, locks_of
from treadle.world.state import IDLE, Book, digest_of

Holdings = tuple[tuple[int, Holding], ...]
"""What the open connections of a client hold, each after the client's number for it; sorted by that."""


class Wait(NamedTuple):
    """How a client waits for a lock.

    Attributes:
        rank: how many others have waited longer.
        others: the locks of all other connections when it last tried; it tries again when they change.
        observation: what it sees if its timeout expires.
    """

    rank: int
    others: Locks
    observation: Observation


class LocalState:
    """What concerns one client alone. Interned: identity tells.

    Attributes:
        number: its place among the local states seen.
        node: where the client's code is.
        holdings: what its connections hold.
        wait: how it waits, or None.
        locks: the locks among its holdings, sorted.
        quiescent: whether its connections hold nothing.
        ended: whether it has finished.
        digest: what makes two local states the same, in every process; empty until it is asked for.
    """

    __slots__ = ("digest", "ended", "holdings", "locks", "node", "number", "quiescent", "wait")

    def __init__(self, number: int, node: Node, holdings: Holdings, wait: Wait | None) -> None:
        """Make a local state; only a ``LocalStates`` does."""
        self.number = number
        self.node = node
        self.holdings = holdings
        self.wait = wait
        self.locks: Locks = locks_of([held for _, held in holdings])
        self.quiescent = not any(held.log for _, held in holdings)
        self.ended = node.operation is None
        self.digest = b""

    def holding(self, connection: int) -> Holding:
        """Return what a connection of this client holds."""
        for number, held in self.holdings:
            if number == connection:
                return held
        return IDLE


class LocalStates:
    """All local states that were seen, each once."""

    def __init__(self, book: Book) -> None:
        """Start empty.

        Args:
            book: where holdings are interned.
        """
        self._book = book
        self._known: dict[tuple[Node, Holdings, Wait | None], LocalState] = {}
        self._all: list[LocalState] = []
        self._by_digest: dict[tuple[Node, bytes], LocalState] = {}
        self._stale: dict[LocalState, LocalState] = {}

    def of(self, node: Node, holdings: Holdings, wait: Wait | None = None) -> LocalState:
        """Return the one object for this local state."""
        key = (node, holdings, wait)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = LocalState(len(self._all), node, holdings, wait)
            self._all.append(found)
        return found

    def digest(self, local: LocalState) -> bytes:
        """Return what makes two local states the same, in every process."""
        if not local.digest:
            wait = local.wait
            local.digest = digest_of(
                (
                    local.node.digest,
                    tuple((number, self._digest_of_holding(held)) for number, held in local.holdings),
                    wait and (wait.rank, repr(wait.others), canonical(wait.observation.key)),
                )
            )
        return local.digest

    def _digest_of_holding(self, held: Holding) -> bytes:
        chains = self._book.digest(held.log), self._book.digest(held.settings)
        values = [
            sorted(value) if isinstance(value, frozenset) else value for value in astuple(held.posture, recurse=False)
        ]
        return digest_of((*map(repr, (*values, held.busy_timeout_ms, held.pinned)), *chains))

    def find(self, root: Node, digest: bytes) -> LocalState | None:
        """Return the local state with a digest, or None if none was seen yet.

        Args:
            root: where the client starts.
            digest: of the local state.
        """
        while len(self._by_digest) < len(self._all):
            local = self._all[len(self._by_digest)]
            self._by_digest[local.node.root, self.digest(local)] = local
        return self._by_digest.get((root, digest)) or self._by_digest.get((CRASHED, digest))

    def stale(self, local: LocalState) -> LocalState:
        """Return a local state after another client has committed."""
        found = self._stale.get(local)
        if found is None:
            holdings = tuple((number, self.after_commit(held)) for number, held in local.holdings)
            found = self._stale[local] = self.of(local.node, holdings, local.wait)
        return found

    def after_commit(self, held: Holding) -> Holding:
        """Return what a connection holds after another one has committed."""
        return self._book.after_commit(held)

    def moved_up(self, local: LocalState, rank: int) -> LocalState:
        """Return a local state after the client with this rank waits no more."""
        wait = local.wait
        if wait is None or wait.rank < rank:
            return local
        return self.of(local.node, local.holdings, wait._replace(rank=wait.rank - 1))


class State(NamedTuple):
    """A state of the product. Equal states have equal futures.

    Attributes:
        locals: the local state of each client.
        content: what is committed.
        locked: how many ``locked`` faults are left.
        crash: how many ``crash`` faults are left.
    """

    locals: tuple[LocalState, ...]
    content: Content
    locked: int
    crash: int

    @property
    def ended(self) -> bool:
        """Whether all clients have finished."""
        return all(local.ended for local in self.locals)

    @property
    def quiescent(self) -> bool:
        """Whether no connection holds anything."""
        return all(local.quiescent for local in self.locals)

    def others(self, client: int, connection: int | None = None) -> Locks:
        """Return the locks of all connections but one, or but those of one client."""
        found: list[tuple[Lock, bool]] = []
        for place, local in enumerate(self.locals):
            if local.locks and place != client:
                found += local.locks
        if connection is not None and len(self.locals[client].holdings) > 1:
            own = self.locals[client].holdings
            found += locks_of([held for number, held in own if number != connection])
        return tuple(sorted(found)) if found else NO_LOCKS

    @property
    def waiting(self) -> int:
        """How many clients wait."""
        count = 0
        for local in self.locals:
            if local.wait is not None:
                count += 1
        return count
