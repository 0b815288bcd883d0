"""A graph put together from several is the one that a single process would have explored."""

from __future__ import annotations

from treadle.search.graph import NOWHERE, Graph, Label
from treadle.search.smallest import smallest
from treadle.values.fault import Fault

A = Label(0, None, 1, 1, injected=False, adversarial=False, renaming=None)
B = A._replace(client=1)
A_LOCKED = A._replace(fault=Fault.LOCKED, injected=True)
SWAPPED = A._replace(renaming=(1, 0))


def graph_of(*nodes: list[tuple[int, Label]]) -> Graph:
    """Return a graph with these arcs of each node."""
    graph = Graph()
    for _ in nodes:
        graph.add_node()
    for node, arcs in enumerate(nodes):
        graph.expand(node, arcs)
    return graph


def whole() -> Graph:
    """Return a diamond with a tail: 0 -> 1, 2; 1 -> 3; 2 -> 3, 4."""
    graph = graph_of([(1, A), (2, B)], [(3, B)], [(3, SWAPPED), (4, A_LOCKED)], [], [])
    graph.goals["broken"].append((2, SWAPPED))
    return graph


def parts() -> tuple[Graph, Graph]:
    """Return it as two graphs, one with the nodes 0, 1, 4, and one with 2, 3."""
    first = graph_of([(1, A), (NOWHERE, B)], [(NOWHERE, B)], [])
    second = graph_of([(1, SWAPPED), (NOWHERE, A_LOCKED)], [])
    second.goals["broken"].append((0, SWAPPED))
    return first, second


def test_edges_between_parts_lead_where_they_are_led() -> None:
    """With the arcs' labels as they were."""
    graph, second = parts()
    assert (3, 3) == graph.add(second)
    graph.lead(1, 3, None)
    graph.lead(2, 4, (1, 0))
    graph.lead(4, 2, None)
    assert 5 == len(graph)
    assert [[(1, A), (3, B)], [(4, B._replace(renaming=(1, 0)))], []] == [list(graph.arcs(node)) for node in range(3)]
    assert [[(4, SWAPPED), (2, A_LOCKED)], []] == [list(graph.arcs(node)) for node in (3, 4)]
    assert 3 == whole().count_paths([]) == graph.count_paths([])
    assert smallest(whole(), (0, 1)) == smallest(graph, (0, 1))


def test_paths_along_an_edge_that_leads_nowhere_are_not_counted() -> None:
    """They are not complete."""
    graph, second = parts()
    graph.add(second)
    assert 0 == graph.count_paths([])
    graph.lead(1, 3, None)
    assert 1 == graph.count_paths([])  # 0, 2, 3
    assert ["broken"] == list(smallest(graph, (0, 1)))


def test_paths_that_end_at_a_node_that_was_not_visited_are_not_counted() -> None:
    """Nor are those."""
    assert 1 == graph_of([(1, A), (2, B)], [], []).count_paths([2])
