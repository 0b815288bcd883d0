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
import itertools
import math
from collections.abc import Iterator

from treadle.client.forkserver import ForkServer
from treadle.client.process import Known, PartedError, Process
from treadle.interning import intern_operation
from treadle.scenario import Client
from treadle.values.canonical import canonical
from treadle.values.difference import Difference, difference_of
from treadle.values.errors import NondeterminismError
from treadle.values.observation import Observation
from treadle.values.operation import Operation
from treadle.values.outcome import Crashed, Outcome, OutcomeKey
from treadle.values.signals import CopyLostError
from treadle.values.source import Source

COPY_DEPTH = 60
"""From how many operations on to copy a process pays where it could run again: about 0.1 ms for each, against 5 ms."""

_MOST_PARKED = 16
"""How many processes of one client are left where they stand; the oldest goes first."""


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


def _asked(node: Node) -> tuple[str, str | None]:
    """Return what a node asks for, whatever the parameters: where that varied once, it may again."""
    assert node.operation is not None
    return node.operation.kind, node.operation.sql


def _known(path: list[Node]) -> list[Known]:
    """Return what a client must ask for from the first node on, to come to the last one."""
    known: list[Known] = []
    for node, child in itertools.pairwise(path):
        assert node.operation is not None
        assert child.seen is not None
        known.append((node.operation.key, child.seen))
    return known


class Tree:
    """What is known of one client, and the processes in which more is learned.

    A process is left where it stands when it has shown what comes next, until it is needed there. Where none stands,
    one goes there again from its start. If every run has a fresh process (or the way is long), a copy goes there of
    the process that is nearest on the way.

    Attributes:
        client: whose code it is.
        live_runs: how often its code was started, or a process of it copied.
        copies: how many of these are copies.
    """

    def __init__(self, client: Client, server: ForkServer, *, kin: str | None = None, copies: bool = True) -> None:
        """Prepare to learn; nothing runs yet.

        Args:
            client: whose code it is.
            server: starts its processes.
            kin: what the digests of its nodes share with those of all clients that run the same code; by default the
                client's name.
            copies: go on from copies of processes.
        """
        self.client = client
        self.live_runs = 0
        self.copies = 0
        self._server = server
        self._kin = client.name if kin is None else kin
        self._copy_depth = math.inf if not copies else 0 if server.isolates else COPY_DEPTH
        self._root: Node | None = None
        self._parked: dict[Node, Process] = {}
        self._wanted: set[Node] = set()
        self._varied: set[tuple[str, str | None]] = set()

    def root(self) -> Node:
        """Return the node of a client that has not started.

        Raises:
            TreadleError: the client did something that cannot be checked.
        """
        if self._root is None:
            process = self._start()
            self._root = Node(process.first(), None, None, self._kin)
            self._park(process, self._root)
        return self._root

    @property
    def learned(self) -> Node | None:
        """The node of a client that has not started, if anything is known of it."""
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
        """Let a process stay at a node, for another observation than the one that comes next.

        Args:
            node: a node of this tree with an operation.
        """
        if node.depth >= self._copy_depth and not node.children:
            self._wanted.add(node)

    def _start(self, *, fresh: bool = False) -> Process:
        self.live_runs += 1
        return self._server.start(self.client, fresh=fresh)

    def _learn(self, node: Node, observation: Observation) -> Node:
        process = self._taken(node)
        try:
            stop = process.resume(observation)
        except CopyLostError:
            process = self._fresh(node)
            stop = process.resume(observation)
        child = Node(stop, node, observation)
        node.children[observation] = child
        if len(node.children) > 1:
            self._varied.add(_asked(node))
        if child.outcome is None:
            self._park(process, child)
        else:
            self._server.put_back(self.client, process)
            if not (process.reusable or self._server.isolates):
                raise _difference(self.client.name, child, "that it left threads or an event loop behind")
        return child

    def _taken(self, node: Node) -> Process:
        """Return a process that stands at a node; another one stays there if that is wanted."""
        process = self._parked.get(node)
        if process is not None:
            varies = node in self._wanted or (self._server.isolates and _asked(node) in self._varied)
            if node.children or not varies:
                del self._parked[node]
                return process
            self._wanted.discard(node)
            return self._copy(process)
        near = node
        while near.parent is not None and near not in self._parked:
            near = near.parent
        if near not in self._parked:
            return self._fresh(node)
        if node.depth < self._copy_depth:
            process = self._parked.pop(near)
            self._follow(process, near, node)
            return process
        process = self._copy(self._parked[near])
        try:
            self._follow(process, near, node)
        except CopyLostError:
            return self._fresh(node)
        return process

    def _copy(self, process: Process) -> Process:
        self.live_runs += 1
        self.copies += 1
        return process.copy()

    def _fresh(self, node: Node) -> Process:
        """Return a process that has run from its start to a node."""
        if not self._server.isolates:  # one that stands elsewhere may do it
            for process in self._parked.values():
                self._server.put_back(self.client, process)
            self._parked.clear()
        process = self._start()
        root = self.root()
        self._check(root, process.first())
        self._follow(process, root, node)
        return process

    def _follow(self, process: Process, start: Node, node: Node) -> None:
        """Let a process go from a node to a later one."""
        if start is node:
            return
        path = node.history()[start.depth :]
        try:
            stop = process.follow(_known(path))
        except PartedError as error:
            self._check(path[error.number], error.stop)
            raise AssertionError(path[error.number]) from error
        self._check(node, stop)

    def _park(self, process: Process, node: Node) -> None:
        """Leave a process where it stands."""
        self._parked[node] = process
        if len(self._parked) > _MOST_PARKED:
            self._parked.pop(next(iter(self._parked))).abandon()

    def _check(self, node: Node, stop: Operation | Outcome) -> None:
        check_stop(self.client.name, node, stop)

    def verify(self) -> None:
        """Let a fresh process go the longest way to each end, and compare.

        Raises:
            NondeterminismError: it does something else.
        """
        longest: dict[OutcomeKey, Node] = {}
        for leaf in self._nodes():
            if leaf.outcome_key is None:
                continue
            known = longest.setdefault(leaf.outcome_key, leaf)
            if leaf.depth > known.depth:
                longest[leaf.outcome_key] = leaf
        for leaf in longest.values():
            process = self._start(fresh=True)
            self._check(self.root(), process.first())
            self._follow(process, self.root(), leaf)
            process.abandon()

    def _nodes(self) -> Iterator[Node]:
        """Yield all that was learned."""
        queue = [] if self._root is None else [self._root]
        while queue:
            node = queue.pop()
            yield node
            queue += node.children.values()

    def ran_sql(self) -> bool:
        """Tell whether some learned history has a statement in it."""
        self.root()
        return any(node.operation is not None and node.operation.sql is not None for node in self._nodes())

    def abandon(self) -> None:
        """End all processes."""
        for process in self._parked.values():
            process.abandon()
        self._parked.clear()


def check_stop(client: str, node: Node, stop: Operation | Outcome) -> None:
    """Compare what a live client does now with what was learned.

    Raises:
        NondeterminismError: it does something else.
    """
    if not _same_stop(node, stop):
        known = node.operation or node.outcome
        assert known is not None
        raise _difference(client, node, _spoken(stop), difference_of(known, stop))


def _difference(client: str, node: Node, instead: str, difference: Difference | None = None) -> NondeterminismError:
    expected = _spoken(node.operation or node.outcome)
    return NondeterminismError(client, node.depth + 1, expected, instead, difference)


class LiveRun:
    """One live run of a client beside its tree: nothing is taken from the tree, all is compared with it."""

    def __init__(self, tree: Tree, server: ForkServer, *, fresh: bool = True, sources: bool = False) -> None:
        """Start the client.

        Args:
            tree: what is known of it.
            server: starts it.
            fresh: in a fresh process in any case.
            sources: the lines of the application that ask are told.
        """
        self._tree = tree
        self._server = server
        self._process = server.start(tree.client, fresh=fresh, sources=sources)
        tree.live_runs += 1
        self.stop: Operation | Outcome = self._process.first()
        self.node = tree.root()
        self._check(self.node)

    def _check(self, node: Node) -> None:
        check_stop(self._tree.client.name, node, self.stop)

    def resume(self, observation: Observation) -> None:
        """Go on with an observation, and compare.

        Raises:
            NondeterminismError: the code took another way than the one learned.
        """
        self.stop = self._process.resume(observation)
        child = self.node.children.get(observation)
        if child is None:
            child = self.node.children[observation] = Node(self.stop, self.node, observation)
        self._check(child)
        self.node = child

    @property
    def source(self) -> Source | None:
        """The line of the application that asks for the operation at which the client stands, where that is told."""
        return self._process.source

    def abandon(self) -> None:
        """Need the run no more."""
        self._server.put_back(self._tree.client, self._process)
