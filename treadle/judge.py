"""Judgement: which properties a state of the product breaks."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from treadle.client.tree import Node
from treadle.execution.state import State
from treadle.execution.symmetry import Renaming, Symmetry
from treadle.scenario import Scenario
from treadle.values.errors import PropertyError
from treadle.values.outcome import Outcome, is_success
from treadle.values.property import Breach, Kind, Property
from treadle.values.signals import EndsMatterError
from treadle.values.view import Committed, SerialEnd, View, WatchedOutcomes
from treadle.world.content import Content
from treadle.world.state import digest_of

Sequel = Callable[[State, Callable[[], object]], Outcome]
"""Runs one more client alone from a state."""


Serial = Callable[[tuple[str, ...]], SerialEnd]
"""Runs some of the clients one after another from the start."""


def _in_office(judge: weakref.ref[Judge]) -> Judge:
    """Return the judge that gave a view; who keeps the view keeps no judge, and nothing of all that a check knew."""
    found = judge()
    if found is None:
        raise PropertyError(
            "this view outlived its check, and no client can run from it any more. Ask view.then(...) and "
            "view.serially(...) while the property is evaluated, and keep what they return."
        )
    return found


def _final(state: State, naming: Sequence[int]) -> str:
    """Return a text that stands for a final state, with the clients' ends as they are under a naming."""
    ends = [state.locals[place].node.outcome_key for place in naming]
    return digest_of((state.content.digest, ends)).hex()


class Judge:
    """Evaluates the properties of a scenario, once for each distinct view.

    Where interchangeable clients are merged, a property is asked about a state under every naming of them: it is
    broken if it is broken under one.

    Attributes:
        witnessed: the names of the ``sometimes`` properties that were seen.
        outcomes: the distinct final outcomes: how each client ended, and a digest of the committed rows.
        met: texts that stand for what was committed in the states that were met, and in final ones for how the
            clients had ended, too.
    """

    def __init__(
        self,
        scenario: Scenario,
        sequel: Sequel,
        serial: Serial,
        symmetry: Symmetry | None = None,
        *,
        ends_visible: bool = True,
    ) -> None:
        """Judge by the properties of a scenario.

        Args:
            scenario: whose properties.
            sequel: runs one more client.
            serial: runs clients one after another.
            symmetry: which clients are interchangeable; by default none.
            ends_visible: all states are met that differ in how clients have ended; otherwise a property of every
                committed state that looks at that is signalled.
        """
        self._serial = serial
        self._ends_visible = ends_visible
        self.witnessed: set[str] = set()
        self.outcomes: set[str] = set()
        self.met: set[str] = set()
        self._contents: set[Content] = set()
        self._names = tuple(client.name for client in scenario.clients)
        self._symmetry = symmetry or Symmetry(tuple(range(len(self._names))))
        self._invariants = scenario.invariants
        self._ends = scenario.ends
        self._sequel = sequel
        self._initial: Any = None
        self._went_on = False
        self._numbers: dict[Any, int] = {}
        self._by_node: dict[Node, int] = {}
        self._successful_groups: set[int] = set()
        self._broken: dict[Hashable, frozenset[str]] = {}
        self._goes_on: set[Hashable] = set()
        self._reference = weakref.ref(self)

    @property
    def is_new(self) -> bool:
        """Whether it has not been told yet what is committed before any client starts."""
        return self._initial is None

    def start(self, root: State) -> None:
        """Note what is committed before any client starts."""
        self._initial = root.content.committed

    @property
    def succeeded(self) -> set[str]:
        """The names of the clients that did what they were asked to do in some state that was judged."""
        return {
            name
            for name, group in zip(self._names, self._symmetry.groups, strict=True)
            if group in self._successful_groups
        }

    def view(self, state: State, naming: Renaming | None = None, committed: Committed | None = None) -> View:
        """Return a state as properties see it.

        Args:
            state: the state.
            naming: for each client the position of the one whose outcome it is given; by default its own.
            committed: what is committed there, if it was made already.
        """
        nodes = [local.node for local in state.locals]
        if naming is not None:
            nodes = [nodes[place] for place in naming]
        judge = self._reference
        return View(
            committed=state.content.committed if committed is None else committed,
            initial=self._initial,
            outcomes=WatchedOutcomes(
                {name: node.outcome for name, node in zip(self._names, nodes, strict=True) if node.outcome is not None}
            ),
            sequel=lambda run: _in_office(judge)._go_on(state, run),  # noqa: SLF001  # another one of this class
            serial=lambda order: _in_office(judge)._serial(order),  # noqa: SLF001  # likewise
        )

    def _go_on(self, state: State, run: Callable[[], object]) -> Outcome:
        self._went_on = True
        return self._sequel(state, run)

    def broken(self, state: State) -> frozenset[str]:
        """Return the names of the properties that a state breaks, under some naming of interchangeable clients.

        Raises:
            PropertyError: a predicate failed, or returned no verdict.
        """
        ends = [self._number(client, local.node) for client, local in enumerate(state.locals)]
        key: Hashable = (state.content, self._symmetry.sorted(ends.copy()))
        if state.content not in self._contents:
            self._contents.add(state.content)
            self.met.add(state.content.digest)
        if key in self._goes_on and not state.quiescent:  # what others hold decides how one more client ends
            key = state
        broken = self._broken.get(key)
        if broken is None:
            self._went_on = False
            broken = self._evaluate(state, ends)
            if self._went_on:
                self._goes_on.add(key)
                key = key if state.quiescent else state
            self._broken[key] = broken
        return broken

    def has_met(self, state: State) -> bool:
        """Tell whether what is committed in a state was met, and, where all clients have ended, with such ends."""
        if state.ended:
            return _final(state, range(len(state.locals))) in self.met
        return state.content.digest in self.met

    def _number(self, client: int, node: Node) -> int:
        """Return the number of how a client ended, or of its not having ended."""
        number = self._by_node.get(node)
        if number is None:
            if node.outcome is not None and is_success(node.outcome):
                self._successful_groups.add(self._symmetry.groups[client])
            number = self._numbers.setdefault(node.outcome_key, len(self._numbers))
            self._by_node[node] = number
        return number

    def _evaluate(self, state: State, ends: list[int]) -> frozenset[str]:
        committed = state.content.committed
        properties = self._invariants
        if state.ended:
            properties = (*properties, *self._ends)
            self.outcomes.update(self._spoken(state, ends))
            self.met.update(_final(state, naming) for naming in self._symmetry.arrangements(ends))
        broken: set[str] = set()
        for naming in self._symmetry.arrangements(ends):
            pending = [item for item in properties if item.name not in broken and item.name not in self.witnessed]
            if not pending:
                break
            view = self.view(state, naming, committed)
            # All properties look at one view before any looks at the next: so they may share what they make of it.
            broken.update([item.name for item in pending if self._breaks(item, view)])
        return frozenset(broken)

    def _breaks(self, item: Property, view: View) -> bool:
        """Tell whether a property is broken in a view; note whether a ``sometimes`` is seen there."""
        if item.kind is not Kind.SOMETIMES:
            return bool(self._breaches_of(item, view))
        if not item.breaches(view):
            self.witnessed.add(item.name)
        return False

    def _breaches_of(self, item: Property, view: View) -> tuple[Breach, ...]:
        """Return how a view breaks a property.

        Raises:
            EndsMatterError: the property is asked of every committed state, and looks at how clients have ended.
        """
        assert isinstance(view.outcomes, WatchedOutcomes)
        view.outcomes.looked = False
        breaches = item.breaches(view)
        if item.kind is Kind.ALWAYS and view.outcomes.looked and not self._ends_visible:
            raise EndsMatterError
        return breaches

    def breaches(self, state: State) -> dict[str, tuple[Breach, ...]]:
        """Return how a state breaks each property that it breaks, with the clients named as they are."""
        view = self.view(state)
        properties = (*self._invariants, *self._ends) if state.ended else self._invariants
        found = {item.name: self._breaches_of(item, view) for item in properties if item.kind is not Kind.SOMETIMES}
        return {name: breaches for name, breaches in found.items() if breaches}

    def _spoken(self, state: State, ends: list[int]) -> Iterator[str]:
        """Yield how an execution ended, under every naming."""
        words = [str(local.node.outcome) for local in state.locals]
        for naming in self._symmetry.arrangements(ends):
            said = "; ".join([f"{name} {words[place]}" for name, place in zip(self._names, naming, strict=True)])
            yield f"{said} | {state.content.digest}"
