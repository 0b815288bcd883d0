"""World states: committed content and what each connection holds."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from attrs import astuple, define, evolve, field

from treadle.values.canonical import canonical
from treadle.values.fault import LockKind
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.world.content import Content
from treadle.world.holding import UNOPENED, Holding, Lock, Posture, Stop

Key = tuple[int, int]
"""A connection: the client's position, and the client's number for it."""


class Mode(enum.Enum):
    """How an operation is carried out."""

    STEP = "step"
    """As the client asked; what waits goes on if it can."""

    OUTSIDE = "outside"
    """While a process outside holds the lock that it needs, for longer than the client waits."""

    EXPIRE = "expire"
    """It waits, and its time is over."""

    __hash__ = object.__hash__  # an enumeration's own is written in Python


IDLE = Holding(UNOPENED, (), 0, 0, 0, pinned=False)
"""What a connection holds that was not opened yet."""


@define(eq=False)
class WorldState:
    """A state of a world. Interned: identity tells.

    Attributes:
        content: what is committed.
        holdings: what each open connection holds.
        quiescent: whether no connection holds anything.
    """

    content: Content
    holdings: dict[Key, Holding]
    quiescent: bool = field(init=False)
    _locks: dict[Key, tuple[tuple[Key, Lock], ...]] = field(factory=dict, init=False, repr=False)

    def holding(self, key: Key) -> Holding:
        """Return what a connection holds."""
        return self.holdings.get(key, IDLE)

    def others_write(self, key: Key) -> bool:
        """Tell whether another connection holds the write lock."""
        return any(lock >= Lock.WRITE for _, lock in self.other_locks(key))

    @quiescent.default
    def _is_quiescent(self) -> bool:
        return not any(holding.log for holding in self.holdings.values())

    def other_locks(self, key: Key) -> tuple[tuple[Key, Lock], ...]:
        """Return the locks of all other connections: a waiting client retries when this changes."""
        found = self._locks.get(key)
        if found is None:
            found = self._locks[key] = tuple(
                (other, holding.lock) for other, holding in self.holdings.items() if other != key and holding.lock
            )
        return found


class Result(NamedTuple):
    """What an operation does to its connection and to what is committed.

    Attributes:
        observation: what the client sees; of no meaning where the call has stopped.
        holding: what the connection holds afterwards; None if it is closed.
        content: what is committed afterwards.
        committed: something was committed, if only the same as before.
        stop: where the call has stopped, if it is not done: it waits, or another statement of it is next.
        lock_kind: why the operation met ``database is locked``, if it did.
    """

    observation: Observation
    holding: Holding | None
    content: Content
    committed: bool = False
    stop: Stop | None = None
    lock_kind: LockKind | None = None


class Transition(NamedTuple):
    """What an operation did to a world.

    Attributes:
        result: what it did to its connection and to what is committed.
        after: the state afterwards.
        holders: the positions of the clients that were in the way.
        held_before: the connection's lock before.
    """

    result: Result
    after: WorldState
    holders: tuple[int, ...]
    held_before: Lock

    @property
    def observation(self) -> Observation:
        """What the client sees."""
        return self.result.observation

    @property
    def held_after(self) -> Lock:
        """The connection's lock afterwards."""
        return Lock.NONE if self.result.holding is None else self.result.holding.lock


_IN_THE_WAY = frozenset({LockKind.UPGRADE, LockKind.TIMEOUT, LockKind.NO_WAIT})


class Book:
    """All states, postures, holdings, logs and settings that were seen, each once.

    Attributes:
        keep_logs: how a connection came to hold what it holds is never forgotten.
    """

    def __init__(self, *, keep_logs: bool) -> None:
        """Start empty.

        Args:
            keep_logs: never forget how a connection came to hold nothing: needed where more than its settings
                outlives what it held (see ``treadle.world.known``).
        """
        self.keep_logs = keep_logs
        self._postures = {astuple(UNOPENED, recurse=False): UNOPENED}
        self._holdings: dict[tuple[Posture, int, int, int, bool], Holding] = {}
        self._states: dict[tuple[Content, tuple[Key, ...], tuple[Holding, ...]], WorldState] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._entries: list[tuple[object, ...]] = [()]
        self._stale: dict[Posture, Posture] = {}
        self._digests: dict[int, bytes] = {0: b""}

    def state(self, content: Content, holdings: dict[Key, Holding]) -> WorldState:
        """Return the one object for this state."""
        return self._state(content, dict(sorted(holdings.items(), key=_by_connection)))

    def _state(self, content: Content, ordered: dict[Key, Holding]) -> WorldState:
        key = (content, tuple(ordered), tuple(ordered.values()))
        found = self._states.get(key)
        if found is None:
            found = self._states[key] = WorldState(content, ordered)
        return found

    def moved(self, state: WorldState, changed: Mapping[Key, Holding | None]) -> WorldState:
        """Return a state with what some connections hold changed; None for one that is closed."""
        holdings = {**state.holdings, **changed}
        return self.state(state.content, {key: held for key, held in holdings.items() if held is not None})

    def apply(self, state: WorldState, key: Key, result: Result) -> Transition:
        """Return what a result on a connection makes of a state."""
        holdings = dict(state.holdings)
        before = holdings.get(key)
        if result.committed:
            holdings = {other: self.after_commit(held) for other, held in holdings.items()}
        if result.holding is not None:
            holdings[key] = result.holding
        elif before is not None:
            del holdings[key]
        # A connection that was open already keeps its place in the order.
        after = (self.state if before is None else self._state)(result.content, holdings)
        in_the_way = result.lock_kind in _IN_THE_WAY or result.stop is not None
        return Transition(
            result,
            after,
            _strongest(state, key) if in_the_way else (),
            Lock.NONE if before is None else before.lock,
        )

    def posture(self, posture: Posture) -> Posture:
        """Return the one object for all postures with these attributes."""
        return self._postures.setdefault(astuple(posture, recurse=False), posture)

    def holding(
        self,
        posture: Posture,
        names: tuple[str, ...],
        busy_timeout_ms: int,
        settings: int,
        log: int,
        *,
        pinned: bool,
    ) -> Holding:
        """Return the one holding with these attributes; the log tells the names of savepoints, too."""
        key = (posture, busy_timeout_ms, settings, log, pinned)
        found = self._holdings.get(key)
        if found is None:
            found = self._holdings[key] = Holding(posture, names, busy_timeout_ms, settings, log, pinned=pinned)
        return found

    def after_commit(self, held: Holding) -> Holding:
        """Return what a connection holds after another one has committed."""
        posture = held.posture
        if not posture.reads_snapshot:
            return held
        stale = self._stale.get(posture)
        if stale is None:
            stale = self._stale[posture] = self.posture(evolve(posture, stale=True))
        return self.holding(stale, held.names, held.busy_timeout_ms, held.settings, held.log, pinned=held.pinned)

    def extend(self, number: int, *entry: object) -> int:
        """Return the number of the chain that goes on from another chain with an entry.

        Args:
            number: the chain so far; 0 is the empty one.
            *entry: hashable.
        """
        whole = (number, *entry)
        found = self._numbers.get(whole)
        if found is None:
            found = self._numbers[whole] = len(self._entries)
            self._entries.append(whole)
        return found

    def digest(self, number: int) -> bytes:
        """Return what makes two chains the same, in every process."""
        missing: list[int] = []
        while number not in self._digests:
            missing.append(number)
            earlier = self._entries[number][0]
            assert isinstance(earlier, int)
            number = earlier
        digest = self._digests[number]
        for one in reversed(missing):
            entry = tuple(map(_portable, self._entries[one][1:]))
            digest = self._digests[one] = digest_of((digest, *entry))
        return digest

    def last(self, number: int) -> tuple[object, ...]:
        """Return the number of the chain before, followed by the last entry."""
        return self._entries[number]


def digest_of(value: object) -> bytes:
    """Return a short text that tells values apart, in every process."""
    return hashlib.blake2b(canonical(value), digest_size=16).digest()


def _portable(item: object) -> object:
    """Return what stands for a part of an entry in every process."""
    if isinstance(item, (Operation, Observation)):
        return canonical(item.key)
    if isinstance(item, Content):
        return item.digest
    return item.value if isinstance(item, enum.Enum) else item


def _by_connection(item: tuple[Key, Holding]) -> Key:
    return item[0]


def _strongest(state: WorldState, key: Key) -> tuple[int, ...]:
    """Return the positions of the clients that hold the strongest lock, this connection left out."""
    others = state.other_locks(key)
    strongest = max((lock for _, lock in others), default=Lock.NONE)
    return tuple(sorted({other[0] for other, lock in others if lock is strongest}))
