"""What all examples of one machine share: the learned clients and world, and what was asked of them."""

from __future__ import annotations

from treadle.execution.state import State
from treadle.execution.system import Surprise, System
from treadle.execution.taken import Edge
from treadle.hypothesis.ahead import Ahead, look_ahead
from treadle.judge import Judge
from treadle.prepared import Prepared
from treadle.scenario import Scenario
from treadle.values.errors import NondeterminismError
from treadle.values.schedule import Choice, Step
from treadle.values.signals import EndsMatterError, HistoryNeededError, LogsNeededError, NotLocalError

STARTS_OVER = (EndsMatterError, HistoryNeededError, LogsNeededError, NondeterminismError, NotLocalError)
"""What tells that something must not be taken for granted any more."""

_open: set[Shared] = set()


def close_machines() -> None:
    """Close the databases of all machines; a machine that goes on opens a new one."""
    while _open:
        _open.pop().close()


class Learned:
    """A system and its judge, and what was asked of them: most of an example is found here.

    Attributes:
        system: the scenario's clients and world.
        judge: of its properties.
    """

    def __init__(self, system: System, judge: Judge) -> None:
        self.system = system
        self.judge = judge
        self._choices: dict[State, tuple[Choice, ...]] = {}
        self._edges: dict[tuple[State, Choice], Edge] = {}
        self._ahead: dict[tuple[State, int], Ahead] = {}

    def choices(self, state: State) -> tuple[Choice, ...]:
        """Return what may happen in a state."""
        found = self._choices.get(state)
        if found is None:
            found = self._choices[state] = self.system.product.choices(state)
        return found

    def run(self, state: State, choice: Choice) -> Edge:
        """Do a choice, and go on to the client's next scheduling point."""
        found = self._edges.get((state, choice))
        if found is None:
            found = self._edges[state, choice] = self.system.product.run(state, choice)
        return found

    def ahead(self, state: State, client: int) -> Ahead:
        """Return what a client may do next in a state."""
        found = self._ahead.get((state, client))
        if found is None:
            found = self._ahead[state, client] = look_ahead(state, client, self.choices, self.run)
        return found

    def run_on(self, state: State) -> Edge:
        """Let the first client that can go on do so, up to its next scheduling point; somebody can."""
        choices = self.choices(state)
        return self.run(state, next((choice for choice in choices if isinstance(choice, Step)), choices[0]))

    def rehearse(self) -> None:
        """Let the clients run one after another, so that what must not be taken for granted mostly shows by now."""
        state = self.system.product.root()
        self.judge.broken(state)
        while self.choices(state):
            edge = self.run_on(state)
            for moment in edge.moments:
                self.judge.broken(moment.state)
            state = edge.after


class Shared:
    """What was learned, for as long as it can be believed.

    Attributes:
        scenario: what the machine runs.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._prepared = Prepared(
            scenario,
            self._begin,
            "a machine goes on from what it has learned. Use treadle.check, which then runs every schedule from its "
            "start.",
        )

    def learned(self) -> Learned:
        """Return what was learned, made ready."""
        while True:
            try:
                return self._prepared.ready()
            except STARTS_OVER as error:
                self.start_over(error)

    def _begin(self, system: System, judge: Judge) -> Learned:
        _open.add(self)
        learned = Learned(system, judge)
        learned.rehearse()
        return learned

    def start_over(self, error: Surprise) -> None:
        """Start over, and take for granted no more what has turned out not to be so.

        Raises:
            UnsupportedOperationError: something depends on the whole execution.
        """
        self._prepared.start_over(error)

    def close(self) -> None:
        """Close databases, and remove their files."""
        self._prepared.close()
