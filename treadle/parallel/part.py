"""A part of the states, and what the process does that visits them.

Which part a state is in follows from what is committed there: each committed content has one part, for good. Contents
branch like a tree, whose branches seldom meet again, and what is learned in one branch is of little use in another. So
a part goes on with what it met itself, newest first, as in a search by one process; and one that has nothing left is
given what another part met first and did not come to, as a rule the root of a large branch (Blumofe and Leiserson,
"Scheduling Multithreaded Computations by Work Stealing", 1999)::

    met   ▢ ▢ ▢ ▢ ▢ ▢
          │         └── offered to the part itself, which takes one after another
          └── given to a part without work

An edge to a content that is nobody's yet is held until that is settled. An edge to another part departs, and arrives
there as plain values; what its state is made of is known there already, or learned on the way to it.
"""

from __future__ import annotations

import contextlib
import time
from typing import NamedTuple

from attrs import field, frozen

from treadle.execution.product import Way
from treadle.execution.state import LocalState, State
from treadle.execution.symmetry import Renaming
from treadle.execution.system import Known, System
from treadle.judge import Judge
from treadle.scenario import Scenario
from treadle.search.explorer import Departure, Explorer
from treadle.search.graph import Graph
from treadle.search.memory import resident
from treadle.values.signals import NamesMatterError
from treadle.world.content import Content
from treadle.world.patience import patience_of

FIRST = 0
"""The number of the part in which everything starts."""


@frozen
class Options:
    """How a scenario is made runnable, in every part alike.

    Attributes:
        local: as for ``System``.
        memory: as for ``System``.
        symmetry: as for ``System``.
        fork: as for ``System``.
        known: as for ``System``.
    """

    local: bool = True
    memory: bool = True
    symmetry: bool = True
    fork: bool = True
    known: Known = field(factory=Known)

    def system(self, scenario: Scenario) -> System:
        """Make a scenario runnable; nothing runs yet."""
        return System(
            scenario,
            self.known,
            local=self.local,
            memory=self.memory,
            symmetry=self.symmetry,
            fork=self.fork,
        )


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
        arc: the number of its arc in the part that it leaves.
        to: the number of the part that it leads to.
        parcel: the state that it leads to.
    """

    arc: int
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
        met: the digests of contents met for the first time of which this part does not know whose they are.
        taken: the digests of the contents that it took, of those that it was offered.
        busy: whether states are left to be visited.
        states: how many states were met by now.
        transitions: how many edges were walked by now.
        ends: how many final states were met by now.
        endless: why a client did not finish, or an empty text.
        parted: a way led somewhere else than in another part.
        violated: whether some property is violated.
        memory: how much resident memory its process has, in bytes.
    """

    sent: list[Sent]
    answers: list[Answer]
    met: list[str]
    taken: list[str]
    busy: bool
    states: int
    transitions: int
    ends: int
    endless: str
    parted: bool
    violated: bool
    memory: int


@frozen
class Harvest:
    """What a part found in the end.

    Attributes:
        graph: what it explored.
        unfinished: the nodes that were not visited.
        held: how many edges lead to contents of which it was not told whose they are.
        broken: the properties that are broken at its first node.
        witnessed: the ``sometimes`` properties that were seen.
        outcomes: the distinct final outcomes.
        met_fault_point: a ``locked`` fault was possible somewhere.
        untried: as for ``Product``.
        silent: the clients of which no statement was observed.
        succeeded: the clients that did what they were asked to do in some execution.
        live_runs: how often client code was started.
        met: what was committed in the states that were met, and how clients had ended, as texts that travel.
    """

    graph: Graph
    unfinished: list[int]
    held: int
    broken: frozenset[str]
    witnessed: set[str]
    outcomes: set[str]
    met_fault_point: bool
    untried: set[tuple[int, str]]
    silent: list[str]
    succeeded: set[str]
    live_runs: int
    met: frozenset[str]


class Part:
    """Visits the states of one part, as they arrive."""

    def __init__(self, scenario: Scenario, number: int, options: Options) -> None:
        """Make the scenario runnable.

        Args:
            scenario: what is searched.
            number: of this part.
            options: the same for every part.
        """
        self._number = number
        self._contents: dict[str, Content] = {}
        self._owners: dict[Content, int] = {}
        self._held: dict[Content, list[Departure]] = {}
        self._taken: list[str] = []
        self._parted = False
        with contextlib.ExitStack() as stack:
            stack.enter_context(patience_of(scenario))
            system = self._system = stack.enter_context(options.system(scenario))
            self._judge = Judge(scenario, system.sequel, system.serial, system.symmetry, ends_visible=system.shows_ends)
            self._explorer = Explorer(system.product, self._judge, system.symmetry, owns=self._owns)
            root = system.product.root()
            self._judge.start(root)
            if number == FIRST:
                self._own(root.content)
                self._taken.append(root.content.digest)
                self._explorer.arrive(root)
            self._stack = stack.pop_all()

    def _owns(self, state: State) -> bool:
        return self._owners.get(state.content) == self._number

    def _own(self, content: Content) -> None:
        self._contents[content.digest] = content
        self._owners[content] = self._number

    def advance(
        self, arrivals: list[Parcel], owners: dict[str, int], offers: list[str], *, states: int | None, seconds: float
    ) -> Report:
        """Visit states for a while.

        Args:
            arrivals: states that edges of other parts lead to.
            owners: for digests of contents that this part met, whose they are.
            offers: digests of contents that it met and may take; the last one first.
            states: how many states may be met by the end, or None.
            seconds: how long it may take.

        Raises:
            NamesMatterError: clients taken for interchangeable drew random numbers.
        """
        system, explorer = self._system, self._explorer
        until = time.perf_counter() + seconds
        sent: list[Sent] = []
        met: list[str] = []
        for digest, owner in owners.items():
            sent += self._settle(self._contents[digest], owner)
        answers = [Answer(*explorer.arrive(self._unpacked(parcel))) for parcel in arrivals]
        while not explorer.endless and not self._parted:
            if time.perf_counter() >= until or (states is not None and len(explorer.graph) >= states):
                break
            if explorer.todo:
                explorer.visit()
            elif offers:
                self._sort(sent, met)
                self._taken.append(offers.pop())
                self._settle(self._contents[self._taken[-1]], self._number)
            else:
                break
        self._sort(sent, met)
        if not system.symmetry.trivial and system.drew:
            raise NamesMatterError
        taken, self._taken = self._taken, []
        return Report(
            sent=sent,
            answers=answers,
            met=met,
            taken=taken,
            busy=bool(explorer.todo),
            states=len(explorer.graph),
            transitions=explorer.transitions,
            ends=explorer.ends,
            endless=explorer.endless,
            parted=self._parted,
            violated=explorer.violated,
            memory=resident(),
        )

    def harvest(self) -> Harvest:
        """Return what was found.

        Raises:
            NondeterminismError: a fresh process of a client does something else than what was learned.
        """
        self._system.verify()
        explorer, judge, system = self._explorer, self._judge, self._system
        return Harvest(
            graph=explorer.graph,
            unfinished=explorer.todo,
            held=sum(map(len, self._held.values())),
            broken=explorer.broken(0) if self._number == FIRST else frozenset(),
            witnessed=judge.witnessed,
            outcomes=judge.outcomes,
            met_fault_point=system.product.met_fault_point,
            untried=system.product.untried,
            silent=system.silent_clients(),
            succeeded=judge.succeeded,
            live_runs=system.live_runs,
            met=frozenset(judge.met),
        )

    def close(self) -> None:
        """Unwind clients, close connections, remove files."""
        self._stack.close()

    # Whose an edge's target is.

    def _sort(self, sent: list[Sent], met: list[str]) -> None:
        """Let the edges that departed go on: to other parts, to this one, or nowhere for now.

        Args:
            sent: where those to other parts are added.
            met: where the digests of contents are added that nobody is known to own.
        """
        departures, self._explorer.departures = self._explorer.departures, []
        for item in departures:
            content = item.state.content
            owner = self._owners.get(content)
            if owner is not None:
                sent += self._lead(item, owner)
            elif content in self._held:
                self._held[content].append(item)
            else:
                self._contents[content.digest] = content
                self._held[content] = [item]
                met.append(content.digest)

    def _settle(self, content: Content, owner: int) -> list[Sent]:
        """Learn whose a content is; return what is to be sent there."""
        self._owners[content] = owner
        return [sent for item in self._held.pop(content, ()) for sent in self._lead(item, owner)]

    def _lead(self, item: Departure, owner: int) -> list[Sent]:
        """Let an edge lead to a part; return what is to be sent there: nothing, if it is this one."""
        if owner != self._number:
            return [Sent(item.arc, owner, self._packed(item.state))]
        self._explorer.graph.lead(item.arc, *self._explorer.arrive(item.state))
        return []

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
        content = self._contents.get(parcel.content)
        roots = product.root().locals
        find = self._system.local_states.find
        found = [find(root.node, digest) for root, digest in zip(roots, parcel.locals, strict=True)]
        known: list[LocalState] = [local for local in found if local is not None]
        if content is None or len(known) < len(found):
            state = product.follow(parcel.way)
            if self._packed(state)[:-1] != parcel[:-1]:
                self._parted = True
        else:
            state = State(tuple(known), content, parcel.locked, parcel.crash)
            product.adopt(state, parcel.way)
        self._own(state.content)
        return state
