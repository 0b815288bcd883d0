"""Learned clients: trees of operations and observations.

A client is a deterministic function of what its database told it::

    SELECT ...  ──no rows──▶  INSERT ...  ──ok──────▶  COMMIT  ──ok──▶  returned 201
                                          └─locked──▶  ROLLBACK ──ok──▶ raised OperationalError

A node is an operation that the client is about to ask for (or its outcome), an edge is an observation. The
client's code runs again only for an observation that is new at its node. This is automata learning with a
resettable system and no equivalence queries: the tree is exact, not a hypothesis (compare Angluin, "Learning
Regular Sets from Queries and Counterexamples", 1987, whose observation table it replaces).
"""

from __future__ import annotations

import hashlib

from treadle.client.coroutine import Coroutine
from treadle.client.forked import Forked, can_fork, wait_for_ended
from treadle.client.surroundings import Surroundings
from treadle.interning import intern_operation
from treadle.scenario import Client
from treadle.values.canonical import canonical
from treadle.values.errors import NondeterminismError
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Crashed, Outcome
from treadle.values.signals import ForkLostError

FORK_DEPTH = 60
"""From how many operations on a replay costs more than a fork: about 0.1 ms for each operation, against 2 to 5 ms."""

_FORKS = 16
"""How many forked continuations of one client are kept; the oldest goes first."""


class Node:
    """A point in a client's life: what it has seen so far, and what it asks for now.

    Attributes:
        operation: what it is about to ask for, or None when it has ended.
        outcome: how it ended, or None when it has not.
        parent: the node before, or None at the root.
        seen: the observation that led here from the parent.
        depth: how many operations lie behind.
        children: the node after each observation that has been seen here.
        outcome_key: what makes two outcomes the same, or None when it has not ended.
    """

    __slots__ = ("_digest", "children", "depth", "operation", "outcome", "outcome_key", "parent", "seen")

    def __init__(self, stop: Operation | Outcome, parent: Node | None, seen: Observation | None, kin: str = "") -> None:
        """Make a node; the parent does not know it yet. The observation must be interned.

        Args:
            stop: what the client asks for, or how it ended.
            parent: the node before, or None.
            seen: the observation that led from there to here, or None.
            kin: for a root, what tells its tree from those of clients that run other code.
        """
        self.operation = intern_operation(stop) if isinstance(stop, Operation) else None
        self.outcome = None if isinstance(stop, Operation) else stop
        self.outcome_key = None if self.outcome is None else self.outcome.key
        self.parent = parent
        self.seen = seen
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: dict[Observation, Node] = {}
        self._digest = b"" if parent is not None else hashlib.blake2b(canonical(kin), digest_size=16).digest()

    @property
    def digest(self) -> bytes:
        """What makes two histories the same, in every process."""
        missing: list[Node] = []
        node = self
        while not node._digest:  # another one of this class
            assert node.parent is not None
            missing.append(node)
            node = node.parent
        digest = node._digest  # noqa: SLF001  # likewise
        for node in reversed(missing):
            seen = () if node.seen is None else node.seen.key
            digest = node._digest = hashlib.blake2b(digest + canonical(seen), digest_size=16).digest()  # noqa: SLF001  # likewise
        return digest

    @property
    def root(self) -> Node:
        """The node where this history starts."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    def history(self) -> list[Node]:
        """Return the nodes from the root to this one."""
        path = [self]
        while path[-1].parent is not None:
            path.append(path[-1].parent)
        path.reverse()
        return path


CRASHED = Node(Crashed(), None, None)
"""Where every crashed client is."""


def _same_stop(node: Node, stop: Operation | Outcome) -> bool:
    if node.operation is not None:
        return stop is node.operation or (isinstance(stop, Operation) and stop.key == node.operation.key)
    assert node.outcome is not None
    return not isinstance(stop, Operation) and stop.key == node.outcome.key


def _spoken(stop: Operation | Outcome | None) -> str:
    if isinstance(stop, Operation):
        return stop.described()
    return f"that it {stop}"


class Tree:
    """One client, as far as it has been learned.

    A live run is parked where it was needed last. Where it is to stay, deep in its history, it moves to a process of
    its own, and a copy of that goes on.

    Attributes:
        client: whose code it is.
        live_runs: how often its code was started, from the beginning or as a forked continuation.
        forks: how many of these were forked continuations.
    """

    def __init__(
        self,
        client: Client,
        surroundings: Surroundings,
        *,
        kin: str | None = None,
        fork: bool = True,
        fork_depth: int = FORK_DEPTH,
    ) -> None:
        """Prepare to learn; nothing runs yet.

        Args:
            client: whose code it is.
            surroundings: what it runs in.
            kin: what the digests of its nodes share with those of all clients that run the same code; by default the
                client's name.
            fork: go on from forked copies of the live run, where that is cheaper than a replay.
            fork_depth: how many operations a replay must have for that.
        """
        self.client = client
        self._kin = client.name if kin is None else kin
        self.live_runs = 0
        self.forks = 0
        self._surroundings = surroundings
        self._fork_depth = fork_depth if fork else None
        self._root: Node | None = None
        self._here: Coroutine | None = None
        self._parked: dict[Node, Coroutine | Forked] = {}
        self._stays = False
        self._wanted: Node | None = None

    def root(self) -> Node:
        """Return the node of a client that has not started.

        Raises:
            TreadleError: the client did something that cannot be checked.
        """
        if self._root is None:
            run = self._start()
            assert self._root is not None
            self._parked[self._root] = run
        return self._root

    def after(self, node: Node, observation: Observation) -> Node:
        """Return the node after an observation, running the client's code if it is new here.

        Args:
            node: a node of this tree with an operation.
            observation: an interned observation.

        Raises:
            NondeterminismError: the code took another way through the same observations.
            TreadleError: the client did something that cannot be checked.
        """
        child = node.children.get(observation)
        return self._learn(node, observation) if child is None else child

    def stay(self, node: Node) -> None:
        """Let a run stay at a node, for another observation than the one that comes next, if a replay would be costly.

        Args:
            node: a node of this tree with an operation.
        """
        if self._fork_depth is not None and node.depth >= self._fork_depth and not node.children:
            self._wanted = node

    def _start(self) -> Coroutine:
        """Start a run in this process, of which there is one at a time."""
        self._abandon_here()
        run = self._here = Coroutine(self.client, self._surroundings)
        self.live_runs += 1
        stop = run.resume()
        if self._root is None:
            self._root = Node(stop, None, None, self._kin)
        self._check(self._root, stop)
        return run

    def _learn(self, node: Node, observation: Observation) -> Node:
        run = self._parked.pop(node, None) or self._replay(node)
        if node is self._wanted:
            self._wanted = None
            run = self._split(run, node)
        try:
            stop = run.resume(observation)
        except ForkLostError:
            self._stays = True
            run = self._replay(node)
            stop = run.resume(observation)
        child = Node(stop, node, observation)
        node.children[observation] = child
        if child.outcome is None:
            self._park(run, child)
        return child

    def _replay(self, node: Node) -> Coroutine:
        """Run the client from its start to a node, in this process."""
        run = self._start()
        for step in node.history()[1:]:
            self._check(step, run.resume(step.seen))
        return run

    def _park(self, run: Coroutine | Forked, node: Node) -> None:
        """Leave a run where it stands."""
        self._parked[node] = run
        forked = [at for at, other in self._parked.items() if isinstance(other, Forked)]
        if len(forked) > _FORKS:
            self._parked.pop(forked[0]).abandon()

    def _split(self, run: Coroutine | Forked, node: Node) -> Coroutine | Forked:
        """Return a copy of a run, and leave the run where it stands; or return the run, if it cannot be copied."""
        if isinstance(run, Coroutine) and not can_fork():
            return run
        try:
            copy = run.copy() if isinstance(run, Forked) else Forked.of(run, self._surroundings)
            if isinstance(run, Coroutine) and not self._stays:  # it goes on there, and is copied there
                self._abandon_here()
                run = copy
                copy = run.copy()
        except OSError:  # there are too many processes, or too little memory
            return run
        self._parked[node] = run
        self.live_runs += 1
        self.forks += 1
        return copy

    def _check(self, node: Node, stop: Operation | Outcome) -> None:
        check_stop(self.client.name, node, stop)

    def ran_sql(self) -> bool:
        """Tell whether some learned history has a statement in it."""
        queue = [self.root()]
        while queue:
            node = queue.pop()
            if node.operation is not None and node.operation.sql is not None:
                return True
            queue += node.children.values()
        return False

    def abandon(self) -> None:
        """Unwind the run that is live here, and end those in processes of their own."""
        for run in self._parked.values():
            if isinstance(run, Forked):
                run.abandon()
        wait_for_ended()
        self._abandon_here()
        self._parked.clear()

    def _abandon_here(self) -> None:
        run, self._here = self._here, None
        if run is not None:
            self._parked = {node: other for node, other in self._parked.items() if other is not run}
            run.abandon()


def check_stop(client: str, node: Node, stop: Operation | Outcome) -> None:
    """Compare what a live client does now with what was learned.

    Raises:
        NondeterminismError: it does something else.
    """
    if not _same_stop(node, stop):
        raise NondeterminismError(client, node.depth + 1, _spoken(node.operation or node.outcome), _spoken(stop))


class LiveRun:
    """One live run of a client beside its tree: nothing is taken from the tree, all is compared with it."""

    def __init__(self, tree: Tree, surroundings: Surroundings) -> None:
        """Start the client."""
        self._tree = tree
        self._coroutine = Coroutine(tree.client, surroundings)
        tree.live_runs += 1
        self.stop: Operation | Outcome = self._coroutine.resume()
        self.node = tree.root()
        check_stop(tree.client.name, self.node, self.stop)

    def resume(self, observation: Observation) -> None:
        """Go on with an observation, and compare.

        Raises:
            NondeterminismError: the code took another way than the one learned.
        """
        self.stop = self._coroutine.resume(observation)
        child = self.node.children.get(observation)
        if child is None:
            child = self.node.children[observation] = Node(self.stop, self.node, observation)
        check_stop(self._tree.client.name, child, self.stop)
        self.node = child

    def abandon(self) -> None:
        """Unwind the run."""
        self._coroutine.abandon()
