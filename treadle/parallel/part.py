"""A part of the states, and what the process does that visits them.

Which part a state is in follows from what is committed there, so that most edges stay within their part: only a
commit leads to another one. An edge to another part departs, and arrives there as plain values; what its state is
made of is mostly known there already, and otherwise learned on the way to it.
"""

from __future__ import annotations

import contextlib
import time
from typing import NamedTuple

from attrs import evolve, field, frozen

from treadle.execution.product import Way
from treadle.execution.state import LocalState, State
from treadle.execution.symmetry import Renaming
from treadle.execution.system import System
from treadle.judge import Judge
from treadle.scenario import Scenario
from treadle.search.explorer import Explorer
from treadle.search.graph import Goal, Packed, packed
from treadle.values.signals import NamesMatterError
from treadle.world.content import Content


@frozen
class Options:
    """How a scenario is made runnable, in every part alike.

    Attributes:
        local: as for ``System``.
        constants: as for ``System``.
        memory: as for ``System``.
        symmetry: as for ``System``.
        fork: as for ``System``.
        keep_logs: as for ``System``.
        changed: the root pages of what some client is known to change.
    """

    local: bool = True
    constants: bool = True
    memory: bool = True
    symmetry: bool = True
    fork: bool = True
    keep_logs: bool = False
    changed: frozenset[int] = frozenset()

    def system(self, scenario: Scenario) -> System:
        """Make a scenario runnable; nothing runs yet."""
        return System(
            scenario,
            local=self.local,
            constants=self.constants,
            memory=self.memory,
            symmetry=self.symmetry,
            fork=self.fork,
            keep_logs=self.keep_logs,
            changed=self.changed,
        )

    def knowing(self, changed: frozenset[int]) -> Options:
        """Return these options with more that is known to be changed."""
        return evolve(self, changed=self.changed | changed)


class Parcel(NamedTuple):
    """A state as it travels.

    Attributes:
        content: the digest of what is committed.
        locals: the digest of each client's local state.
        locked: how many ``locked`` faults are left.
        crash: how many ``crash`` faults are left.
        way: how it was reached.
    """

    content: str
    locals: tuple[bytes, ...]
    locked: int
    crash: int
    way: Way


class Sent(NamedTuple):
    """An edge that departed.

    Attributes:
        node: the node of its part that it leaves.
        place: which of the node's arcs it is.
        to: the number of the part that it leads to.
        parcel: the state that it leads to.
    """

    node: int
    place: int
    to: int
    parcel: Parcel


class Answer(NamedTuple):
    """Where an edge that arrived leads to.

    Attributes:
        node: the node of the part that it arrived in.
        renaming: how clients are called there.
    """

    node: int
    renaming: Renaming | None


@frozen
class Report:
    """What a part did in a while.

    Attributes:
        sent: the edges that departed.
        answers: one for each edge that arrived.
        busy: whether states are left to be visited.
        states: how many states were met by now.
        transitions: how many edges were walked by now.
        ends: how many final states were met by now.
        endless: why a client did not finish, or an empty text.
        changed: the root pages of what some client may change.
        constant: the root pages of what was taken for constant.
        outdated: what is local was told differently elsewhere; the search must start over, knowing more.
    """

    sent: list[Sent]
    answers: list[Answer]
    busy: bool
    states: int
    transitions: int
    ends: int
    endless: str
    changed: frozenset[int]
    constant: frozenset[int]
    outdated: bool


@frozen
class Harvest:
    """What a part found in the end.

    Attributes:
        has_root: whether its first node is where everything starts.
        graph: its nodes' arcs.
        todo: the nodes that were not visited.
        goals: for each property that was broken, the edges that break it.
        broken: the properties that are broken at its first node.
        witnessed: the ``sometimes`` properties that were seen.
        outcomes: the distinct final outcomes.
        met_fault_point: a ``locked`` fault was possible somewhere.
        silent: the clients of which no statement was observed.
        live_runs: how often client code was started.
    """

    has_root: bool
    graph: Packed
    todo: list[int]
    goals: dict[str, list[Goal]]
    broken: frozenset[str]
    witnessed: set[str]
    outcomes: set[str]
    met_fault_point: bool
    silent: list[str]
    live_runs: int


@frozen(eq=False)
class _Places:
    """Finds what a parcel names among what was met here."""

    contents: dict[str, Content] = field(factory=dict)

    def note(self, state: State) -> None:
        """Remember what is committed in a state."""
        self.contents.setdefault(state.content.digest, state.content)


class Part:
    """Visits the states of one part, as they arrive."""

    def __init__(self, scenario: Scenario, number: int, parts: int, options: Options) -> None:
        """Make the scenario runnable.

        Args:
            scenario: what is searched.
            number: of this part, from 0.
            parts: how many there are.
            options: the same for every part.
        """
        self._stack = contextlib.ExitStack()
        self._parts = parts
        self._number = number
        system = self._system = self._stack.enter_context(options.system(scenario))
        self._places = _Places()
        self._judge = Judge(scenario, system.sequel, system.serial, system.symmetry)
        self._explorer = Explorer(system.product, self._judge, system.symmetry, owns=self._owns)
        with system.active():
            root = system.product.root()
            self._judge.start(root)
            self._has_root = self._owns(root)
            if self._has_root:
                self._explorer.arrive(root)

    def _owns(self, state: State) -> bool:
        self._places.note(state)
        return self._owner(state) == self._number

    def _owner(self, state: State) -> int:
        """Return the number of the part that a state is in."""
        return int(state.content.digest[:8], 16) % self._parts

    def advance(self, arrivals: list[Parcel], *, states: int | None, seconds: float) -> Report:
        """Visit states for a while.

        Args:
            arrivals: states that edges of other parts lead to.
            states: how many states may be met by the end, or None.
            seconds: how long it may take.

        Raises:
            NamesMatterError: clients taken for interchangeable drew random numbers.
        """
        system, explorer, product = self._system, self._explorer, self._system.product
        until = time.perf_counter() + seconds
        with system.active():
            answers = [Answer(*explorer.arrive(self._unpacked(parcel))) for parcel in arrivals]
            while explorer.todo and not explorer.endless and not product.outdated:
                if time.perf_counter() >= until or (states is not None and len(explorer.graph) >= states):
                    break
                explorer.visit()
            departed, explorer.departures = explorer.departures, []
            sent = [Sent(item.node, item.place, self._owner(item.state), self._packed(item.state)) for item in departed]
            if not system.symmetry.trivial and system.active().drew_randomness():
                raise NamesMatterError
        return Report(
            sent=sent,
            answers=answers,
            busy=bool(explorer.todo),
            states=len(explorer.graph),
            transitions=explorer.transitions,
            ends=explorer.ends,
            endless=explorer.endless,
            changed=frozenset(product.changed),
            constant=frozenset(product.constant),
            outdated=product.outdated,
        )

    def harvest(self) -> Harvest:
        """Return what was found."""
        explorer, judge, system = self._explorer, self._judge, self._system
        with system.active():
            silent = system.silent_clients()
        return Harvest(
            has_root=self._has_root,
            graph=packed(explorer.graph),
            todo=explorer.todo,
            goals=dict(explorer.goals),
            broken=explorer.broken(0) if self._has_root else frozenset(),
            witnessed=judge.witnessed,
            outcomes=judge.outcomes,
            met_fault_point=system.product.met_fault_point,
            silent=silent,
            live_runs=system.live_runs,
        )

    def close(self) -> None:
        """Unwind clients, close connections, remove files."""
        self._stack.close()

    # States as they travel.

    def _packed(self, state: State) -> Parcel:
        locals_ = self._system.local_states
        return Parcel(
            state.content.digest,
            tuple(map(locals_.digest, state.locals)),
            state.locked,
            state.crash,
            self._system.product.way(state),
        )

    def _unpacked(self, parcel: Parcel) -> State:
        product = self._system.product
        content = self._places.contents.get(parcel.content)
        roots = product.root().locals
        find = self._system.local_states.find
        found = [find(root.node, digest) for root, digest in zip(roots, parcel.locals, strict=True)]
        known: list[LocalState] = [local for local in found if local is not None]
        if content is None or len(known) < len(found):
            state = product.follow(parcel.way)
            self._places.note(state)
        else:
            state = State(tuple(known), content, parcel.locked, parcel.crash)
            product.adopt(state, parcel.way)
        if self._packed_names(state) != parcel[:-1]:  # what is constant was told differently there
            product.outdated = True
        return state

    def _packed_names(self, state: State) -> tuple[object, ...]:
        digests = tuple(map(self._system.local_states.digest, state.locals))
        return state.content.digest, digests, state.locked, state.crash
