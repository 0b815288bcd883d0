from __future__ import annotations

import itertools
import random

import pytest

from treadle.exploring.layout import layered


class TestALayout:
    def test_has_a_layer_for_each_step_of_the_longest_path(self) -> None:
        """A node is below all that lead to it, and an edge that passes a layer has a bend there."""
        found = layered(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
        assert [0, 1, 2, 3] == [y for _, y in found.nodes]
        assert [0, 0, 0, 2] == [len(bends) for bends in found.bends]
        assert [1, 2] == [y for _, y in found.bends[3]]
        assert 4 == found.height

    def test_puts_a_node_between_its_neighbours(self) -> None:
        """The ends of a diamond are in the middle of its sides."""
        (top, _), (left, _), (right, _), (bottom, _) = layered(4, [(0, 1), (0, 2), (1, 3), (2, 3)]).nodes
        assert (1, (left + right) / 2, top) == (right - left, top, bottom)

    def test_crosses_no_edges_where_that_can_be(self) -> None:
        """Two chains from one node stay beside each other, however they are numbered."""
        found = layered(5, [(0, 1), (0, 2), (1, 4), (2, 3)])
        x = [place for place, _ in found.nodes]
        assert (x[1] < x[2]) == (x[4] < x[3])

    def test_of_one_node(self) -> None:
        """Has one column."""
        found = layered(1, [])
        assert (((0, 0),), 1, 1) == (found.nodes, found.width, found.height)

    @pytest.mark.parametrize("seed", range(3))
    def test_keeps_everything_apart(self, seed: int) -> None:
        """In a layer, nodes and bends have a column each, and all are within the width."""
        rng = random.Random(seed)
        pairs = [pair for pair in itertools.combinations(range(40), 2) if rng.random() < 0.08]
        found = layered(40, pairs)
        places = [*found.nodes, *(bend for bends in found.bends for bend in bends)]
        for layer in range(found.height):
            row = sorted(x for x, y in places if y == layer)
            assert all(right - left > 0.999 for left, right in itertools.pairwise(row))
        assert all(0 <= x <= found.width - 1 for x, _ in places)
        assert all(found.nodes[source][1] < found.nodes[target][1] for source, target in pairs)
