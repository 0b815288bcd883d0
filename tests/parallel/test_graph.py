"""A graph put together from several is the one that a single process would have explored."""

from __future__ import annotations

from treadle.search.graph import Arc, Goal, Graph, Joined, count_paths, packed, smallest
from treadle.values.fault import Fault
from treadle.values.schedule import Fail, Step

A, B = Step(0), Step(1)


def arc(target: int, first: Step | Fail, renaming: tuple[int, ...] | None = None) -> Arc:
    """Return an arc of one operation that others can notice."""
    return Arc(target, first, 1, 1, int(isinstance(first, Fail)), 0, renaming)


# A diamond with a tail: 0 -> 1, 2; 1 -> 3; 2 -> 3, 4; nodes 2 and 3 are in the other part.
WHOLE: Graph = [[arc(1, A), arc(2, B)], [arc(3, B)], [arc(3, A, (1, 0)), arc(4, Fail(0, Fault.LOCKED))], [], []]
FIRST: Graph = [[arc(1, A), arc(-1, B)], [arc(-1, B)], []]
SECOND: Graph = [[arc(1, A, (1, 0)), arc(-1, Fail(0, Fault.LOCKED))], []]
GOAL: Goal = (2, WHOLE[2][1])


def joined() -> Joined:
    """Return the two parts together: nodes 0, 1, 4 of the first, one more, nodes 2, 3 of the second, and one more."""
    return Joined([packed(FIRST, {}, []), packed(SECOND, {"broken": [(0, SECOND[0][1])]}, [])])


def test_edges_between_parts_lead_where_they_are_led() -> None:
    """With the arcs' choices and renamings as they were."""
    graph = joined()
    assert (5, [0, 4]) == (graph.size, graph.starts)
    graph.lead(0, 1, 4, None)
    graph.lead(1, 0, 5, (1, 0))
    graph.lead(4, 1, 2, None)
    assert [[arc(1, A), arc(4, B)], [arc(5, B, (1, 0))], []] == [graph[node] for node in range(3)]
    assert [[arc(5, A, (1, 0)), arc(2, Fail(0, Fault.LOCKED))], []] == [graph[node] for node in (4, 5)]
    expected = count_paths(lambda node: [item.target for item in WHOLE[node]], [])
    assert 3 == expected == count_paths(graph.targets, graph.unfinished)
    groups = (0, 1)
    assert smallest(WHOLE, {"broken": [GOAL]}, groups) == smallest(graph, graph.goals, groups)


def test_paths_along_an_edge_that_leads_nowhere_are_not_counted() -> None:
    """They are not complete."""
    graph = joined()
    assert 0 == count_paths(graph.targets, graph.unfinished)
    graph.lead(0, 1, 4, None)
    assert 1 == count_paths(graph.targets, graph.unfinished)  # 0, 2, 3


def test_paths_that_end_at_a_node_that_was_not_visited_are_not_counted() -> None:
    """Nor are those."""
    graph = Joined([packed([[arc(1, A), arc(2, B)], [], []], {}, [2])])
    assert 1 == count_paths(graph.targets, graph.unfinished)
