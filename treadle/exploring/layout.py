r"""A layered layout of a graph without cycles.

::

    layer 0        0              a node is one layer below the lowest that leads to it
                  / \
    layer 1      1   2
                 |   |\
    layer 2      ·   3 4          where an edge passes a layer, it has a bend there, which is placed as nodes are
                  \ /
    layer 3        5

After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981: layers by
longest paths; within a layer the order of the mean places of neighbours, in sweeps down and up; and places as near to
the mean of the neighbours as the order allows.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

_SWEEPS = 12

Point = tuple[float, float]
"""A place: how many columns from the left, and how many layers from the top."""


@frozen
class Layout:
    """Where everything is.

    Attributes:
        nodes: the place of each node.
        bends: for each edge, the places that it passes between its ends.
        width: how many columns there are.
        height: how many layers there are.
    """

    nodes: tuple[Point, ...]
    bends: tuple[tuple[Point, ...], ...]
    width: float
    height: int


def layered(count: int, edges: Sequence[tuple[int, int]]) -> Layout:
    """Return a layout.

    Args:
        count: of nodes, which are numbered from 0; there is one at least.
        edges: pairs of nodes, each once, without cycles.
    """
    layers = _layers(count, edges)
    return _Placer(layers, edges).place()


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each node how many edges the longest path to it has."""
    onward, missing = defaultdict(list), [0] * count
    for source, target in edges:
        onward[source].append(target)
        missing[target] += 1
    layers = [0] * count
    ready = [node for node in range(count) if not missing[node]]
    for node in ready:  # which grows meanwhile
        for target in onward[node]:
            layers[target] = max(layers[target], layers[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    assert len(ready) == count, "there is a cycle"
    return layers


@define
class _Placer:
    """Gives nodes and bends their places.

    Bends are numbered after the nodes.
    """

    _layer: list[int]
    _edges: Sequence[tuple[int, int]]
    _count: int = field(init=False)
    _chains: list[list[int]] = field(factory=list, init=False)
    _above: dict[int, list[int]] = field(factory=lambda: defaultdict(list), init=False)
    _below: dict[int, list[int]] = field(factory=lambda: defaultdict(list), init=False)
    _rows: list[list[int]] = field(init=False)
    _x: dict[int, float] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._count = len(self._layer)
        for source, target in self._edges:
            chain = [source]
            for layer in range(self._layer[source] + 1, self._layer[target]):
                chain.append(len(self._layer))
                self._layer.append(layer)
            chain.append(target)
            for upper, lower in itertools.pairwise(chain):
                self._below[upper].append(lower)
                self._above[lower].append(upper)
            self._chains.append(chain)
        self._rows = [[] for _ in range(max(self._layer) + 1)]
        for item, layer in enumerate(self._layer):
            self._rows[layer].append(item)

    def place(self) -> Layout:
        for row in self._rows:
            self._x.update({item: float(place) for place, item in enumerate(row)})
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for row in self._rows if down else reversed(self._rows):
                self._order(row, self._above if down else self._below)
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            for row in self._rows if down else reversed(self._rows):
                self._spread(row, self._above if down else self._below)
        left = min(self._x.values())
        places = [(self._x[item] - left, float(layer)) for item, layer in enumerate(self._layer)]
        return Layout(
            nodes=tuple(places[: self._count]),
            bends=tuple(tuple(places[item] for item in chain[1:-1]) for chain in self._chains),
            width=max(self._x.values()) - left + 1,
            height=len(self._rows),
        )

    def _wish(self, item: int, neighbours: Mapping[int, list[int]]) -> float:
        """Return the mean place of the neighbours; where there are none, its own."""
        others = neighbours.get(item, ())
        return sum(self._x[other] for other in others) / len(others) if others else self._x[item]

    def _order(self, row: list[int], neighbours: Mapping[int, list[int]]) -> None:
        row.sort(key=lambda item: (self._wish(item, neighbours), self._x[item]))
        self._x.update({item: place - (len(row) - 1) / 2 for place, item in enumerate(row)})

    def _spread(self, row: list[int], neighbours: Mapping[int, list[int]]) -> None:
        """Move a row to where it wishes to be, as far as each needs a column: halfway between both extremes."""
        wishes = [self._wish(item, neighbours) for item in row]
        rightmost, leftmost = wishes.copy(), wishes.copy()
        for at in range(1, len(row)):
            rightmost[at] = max(rightmost[at], rightmost[at - 1] + 1)
        for at in reversed(range(len(row) - 1)):
            leftmost[at] = min(leftmost[at], leftmost[at + 1] - 1)
        self._x.update({item: (rightmost[at] + leftmost[at]) / 2 for at, item in enumerate(row)})
