"""Isomorphism: whether two structures are the same but for the names of their nodes.

A structure is what rows and the references between them make: nodes with labels, and edges with labels. Both are
taken as one, and its nodes are told apart step by step::

    colour refinement    a node's colour is its label at first; then also what colours its edges lead to and come
                         from, until nothing more is told apart. Each colour must be as frequent on both sides.
    taking apart         a node whose colour no other has on its side corresponds to the one that has it on the other,
                         and can be left out: its edges are in the colours of its neighbours. What then hangs
                         together is a part, and each part of one side must have a part of its own on the other.
    individualisation    in a part whose nodes cannot be told apart (a ring, say), one is given a colour of its own,
                         and each that looks like it on the other side is tried as its counterpart.

Weisfeiler and Leman, "The Reduction of a Graph to Canonical Form", 1968, refine so; refinement alone cannot tell two
rings of two from one ring of four. McKay, "Practical Graph Isomorphism", 1981, section 2, individualises and refines;
here two structures are compared and none is given a canonical form, so that the first node of a colour need not be
varied, on one side. It takes long only where many nodes are alike and hang together: there is a bound.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable

from attrs import field, frozen

MOST_STEPS = 2_000_000
"""How many nodes and edges are looked at to recolour nodes before it is given up: some seconds."""

_DEEPEST = 100
"""How many nodes are individualised at a time at most."""

Edge = tuple[int, Hashable, int]
"""From a node, with a label, to a node."""

_Nodes = list[int]


class TooSymmetricError(Exception):
    """Whether two structures are isomorphic takes too long to find out."""


def _tuple(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    return tuple(edges)


@frozen
class Structure:
    """Nodes, by their numbers from 0, and edges between them; two edges may be equal.

    Attributes:
        labels: of the nodes.
        edges: between them.
    """

    labels: tuple[Hashable, ...]
    edges: tuple[Edge, ...] = field(default=(), converter=_tuple)


def isomorphic(one: Structure, other: Structure, *, most_steps: int = MOST_STEPS) -> bool:
    """Tell whether two structures are the same but for the numbers of their nodes.

    Args:
        one: a structure.
        other: another one.
        most_steps: how many nodes and edges are looked at before it is given up.

    Raises:
        TooSymmetricError: it was given up.
    """
    if len(one.labels) != len(other.labels) or len(one.edges) != len(other.edges):
        return False
    return _Comparison(one, other, most_steps).matches()


class _Comparison:
    """Two structures as one: the nodes of the other one come after those of the one.

    Colours are numbers, kept for the nodes that are looked at. A new one is never an old one again.
    """

    def __init__(self, one: Structure, other: Structure, most_steps: int) -> None:
        self._size = len(one.labels)
        self._steps = most_steps
        self._fresh = 0
        self._around: list[list[tuple[Hashable, int]]] = [[] for _ in range(2 * self._size)]
        for start, edges in ((0, one.edges), (self._size, other.edges)):
            for source, label, target in edges:
                self._around[start + source].append(((0, label), start + target))
                self._around[start + target].append(((1, label), start + source))
        self._labels = (*one.labels, *other.labels)

    def matches(self) -> bool:
        """Tell whether they are isomorphic."""
        nodes = list(range(2 * self._size))
        return self._match(nodes, self._named({node: self._labels[node] for node in nodes}), 0)

    def _named(self, keys: dict[int, Hashable]) -> dict[int, int]:
        """Return a colour for each node: the same for equal keys."""
        names: dict[Hashable, int] = {}
        for key in keys.values():
            if key not in names:
                names[key] = self._fresh
                self._fresh += 1
        return {node: names[key] for node, key in keys.items()}

    def _refine(self, nodes: _Nodes, colours: dict[int, int]) -> dict[int, int]:
        """Return the coarsest colours that are finer, such that nodes of one colour have like edges.

        Raises:
            TooSymmetricError: it takes too long.
        """
        near = {node: [(label, other) for label, other in self._around[node] if other in colours] for node in nodes}
        cost = len(nodes) + sum(map(len, near.values()))
        kinds = len(set(colours.values()))
        while True:
            self._steps -= cost
            if self._steps < 0:
                raise TooSymmetricError
            seen = {node: Counter([(label, colours[other]) for label, other in near[node]]) for node in nodes}
            colours = self._named({node: (colours[node], frozenset(seen[node].items())) for node in nodes})
            now = len(set(colours.values()))
            if now == kinds:
                return colours
            kinds = now

    def _match(self, nodes: _Nodes, colours: dict[int, int], depth: int) -> bool:
        """Tell whether the nodes of the one side can be paired with those of the other, given their colours.

        Raises:
            TooSymmetricError: it takes too long.
        """
        colours = self._refine(nodes, colours)
        if not self._balanced(nodes, colours):
            return False
        by_colour: dict[int, _Nodes] = defaultdict(list)
        for node in nodes:
            by_colour[colours[node]].append(node)
        alike = [node for node in nodes if len(by_colour[colours[node]]) > 2]  # noqa: PLR2004  # one on each side
        if not alike:
            return True
        parts = self._parts(alike)
        if len(alike) == len(nodes) and len(parts) <= 2:  # noqa: PLR2004  # likewise: nothing was taken apart
            return self._individualise(nodes, colours, by_colour, depth)
        return self._pair(parts, colours, depth)

    def _balanced(self, nodes: _Nodes, colours: dict[int, int]) -> bool:
        """Tell whether each colour is as frequent on both sides."""
        excess: Counter[int] = Counter()
        for node in nodes:
            excess[colours[node]] += 1 if node < self._size else -1
        return not any(excess.values())

    def _parts(self, nodes: _Nodes) -> list[_Nodes]:
        """Return what hangs together among nodes. No edge leads from side to side."""
        left = set(nodes)
        parts = []
        for start in nodes:
            if start not in left:
                continue
            left.remove(start)
            part = [start]
            for node in part:  # which grows
                for _, other in self._around[node]:
                    if other in left:
                        left.remove(other)
                        part.append(other)
            parts.append(part)
        return parts

    def _pair(self, parts: list[_Nodes], colours: dict[int, int], depth: int) -> bool:
        """Tell whether each part of the one side has a part of its own on the other.

        Being isomorphic is transitive, so whichever part is found first will do.
        """
        theirs: dict[Hashable, list[_Nodes]] = defaultdict(list)
        for part in parts:
            if part[0] >= self._size:
                theirs[self._look(part, colours)].append(part)
        for part in parts:
            if part[0] < self._size:
                candidates = theirs[self._look(part, colours)]
                for place, candidate in enumerate(candidates):
                    both = part + candidate
                    if len(part) == 1 or self._match(both, {node: colours[node] for node in both}, depth):
                        del candidates[place]
                        break
                else:
                    return False
        return True

    @staticmethod
    def _look(part: _Nodes, colours: dict[int, int]) -> Hashable:
        return frozenset(Counter([colours[node] for node in part]).items())

    def _individualise(self, nodes: _Nodes, colours: dict[int, int], by_colour: dict[int, _Nodes], depth: int) -> bool:
        """Try each counterpart of one node of the rarest colour."""
        if depth >= _DEEPEST:
            raise TooSymmetricError
        rarest = min(by_colour.values(), key=len)
        mine = next(node for node in rarest if node < self._size)
        alone, self._fresh = self._fresh, self._fresh + 1
        return any(
            self._match(nodes, {**colours, mine: alone, theirs: alone}, depth + 1)
            for theirs in rarest
            if theirs >= self._size
        )
