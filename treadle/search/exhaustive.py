"""Exhaustive search: every state of the product, each once."""

from __future__ import annotations

from treadle.execution.product import Product
from treadle.execution.symmetry import Symmetry
from treadle.judge import Judge
from treadle.search.explorer import Explorer
from treadle.search.protocol import Finding, Limits


class Exhaustive:
    """Visits every state."""

    def __init__(self, symmetry: Symmetry, *, merge: bool = True) -> None:
        """Choose what is merged.

        Args:
            symmetry: which clients are interchangeable.
            merge: visit equal states once. Without, every schedule is walked to its end.
        """
        self._symmetry = symmetry
        self._merge = merge

    def explore(self, product: Product, judge: Judge, limits: Limits) -> Finding:
        """Walk everything, count, and find the smallest example of each property that is broken."""
        explorer = Explorer(product, judge, self._symmetry, merge=self._merge)
        why_not = self._visit(product, judge, explorer, limits)
        examples = explorer.examples()
        return Finding(
            exhausted=not why_not,
            why_not=why_not,
            states=len(explorer.graph),
            transitions=explorer.transitions,
            schedules=explorer.graph.count_paths(explorer.todo),
            examples=examples,
            minimal=set() if why_not else set(examples),
        )

    def _visit(self, product: Product, judge: Judge, explorer: Explorer, limits: Limits) -> str:
        """Visit all states, or until a limit is reached; return why not all, or an empty text."""
        root = product.root()
        judge.start(root)
        explorer.arrive(root)
        while explorer.todo:
            states, violated = len(explorer.graph), explorer.violated
            why_not = explorer.endless or limits.reached(states, explorer.transitions, explorer.ends, violated=violated)
            if why_not:
                return why_not
            explorer.visit()
        return explorer.endless
