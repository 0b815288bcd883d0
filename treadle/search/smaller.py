"""Looking for smaller counterexamples after a search that stopped early.

What such a search found is as large as the way that it happened to take. So states are visited anew, this time in the
order of what it costs to get there: first those that need no fault and no context switch (compare Musuvathi and
Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", 2007). Whatever is found then
before the limits are reached is the smallest there is.
"""

from __future__ import annotations

from collections.abc import Collection

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.symmetry import Symmetry
from treadle.judge import Judge
from treadle.search.explorer import Explorer
from treadle.search.protocol import Limits
from treadle.search.smallest import Smallest
from treadle.values.errors import StuckClientError
from treadle.values.schedule import Schedule
from treadle.values.signals import OperationBoundError


def seek_smaller(
    product: Product,
    judge: Judge,
    symmetry: Symmetry,
    names: Collection[str],
    limits: Limits,
    *,
    start: State | None = None,
) -> tuple[dict[str, Schedule], set[str]]:
    """Look for the smallest schedules that break some properties.

    Args:
        product: what is walked.
        judge: that has been started.
        symmetry: which clients are interchangeable.
        names: of the properties.
        limits: what stops it.
        start: where schedules begin, in a state that was walked to; by default where no client has started.

    Returns:
        The smallest schedules that were met, by name, and the names for which there are no smaller ones anywhere; where
        none was met, there is none.
    """
    explorer = Explorer(product, judge, symmetry)
    explorer.arrive(start or product.root())
    ways = Smallest(explorer.graph, symmetry.groups)
    unvisited = {0}

    def enter(node: int) -> bool:
        if node in unvisited:
            if limits.reached(len(explorer.graph), explorer.transitions, explorer.ends):
                return False
            unvisited.remove(node)
            try:
                explorer.expand(node)
            except (OperationBoundError, StuckClientError):
                return False
            unvisited.update(explorer.todo)
            explorer.todo.clear()
        return True

    explorer.todo.clear()
    ways.seek(names, enter)
    at_once = dict.fromkeys(explorer.broken(0), Schedule())
    settled = set() if explorer.endless else ways.settled  # what came before the endless part was not looked at
    return ways.schedules() | at_once, settled | set(at_once)
