"""Challenges: executions that nothing was left out of, against which a finished search must stand.

What a search found rests on what was learned and on what was left out, and each of that on an argument
(docs/soundness.md). An argument can be wrong. So after the search, clients and database are run live, every operation a
scheduling point, waiting as SQLite waits, and nothing merged or learned. Whatever is committed on the way, however
clients end, and whatever breaks a property must be among what the search found::

    the search found    contents ▣ ▣ ▣   ends ● ● ●   broken: p
                            ▲ ▲ ▲            ▲             ▲          each must be there
    a challenge         ──▣─▣─▣──────────────●             p

Half of the executions are uniform walks, half have random priorities (``treadle.search.pct``). None is walked twice.
"""

from __future__ import annotations

import random
import time

from attrs import define, field, frozen

from treadle.execution.product import Product
from treadle.execution.state import State
from treadle.execution.system import System
from treadle.execution.taken import Taken
from treadle.judge import Judge
from treadle.search.interruption import Interruption
from treadle.search.pct import Priorities
from treadle.values.errors import ChallengeError, ScheduleMismatchError, StuckClientError
from treadle.values.schedule import Choice, Schedule
from treadle.values.signals import OperationBoundError

_SMALL_S = 0.15
"""How long challenges may take in any case, in seconds: what a small search leaves."""

_MOST_OF_SMALL = 150
"""How many executions of a small search are enough."""


@frozen
class Met:
    """How challenges ended.

    Attributes:
        count: how many executions were run, all of which the search had found.
        why_not: why one could not be run to its end, or an empty text.
    """

    count: int
    why_not: str = ""


@define(eq=False)
class _Walked:
    """What was walked of the tree of all schedules, from one point of it on.

    Attributes:
        onward: the points after the choices that were made here.
        choices: how many choices there are here; None if that is not known yet.
        done: everything from here on was walked.
    """

    onward: dict[Choice, _Walked] = field(factory=dict)
    choices: int | None = None
    done: bool = False

    def left(self, choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """Return the choices after which something was not walked yet."""
        self.choices = len(choices)
        return tuple(choice for choice in choices if choice not in self.onward or not self.onward[choice].done)


class Challenger:
    """Runs executions, and compares what they show with what a search found."""

    def __init__(self, system: System, found: Judge, broken: frozenset[str], seed: int) -> None:
        """Challenge a search.

        Args:
            system: what was searched.
            found: what its judge met.
            broken: the properties of which it has an example.
            seed: of the choices.
        """
        self._system = system
        self._found = found
        self._broken = broken
        self._dice = random.Random(f"challenge {seed}")  # for choices, not for secrets
        self._root = _Walked()
        self._longest = 10 * len(system.scenario.clients)
        self._script: list[Taken] = []
        self._judge = Judge(
            system.scenario,
            lambda _, run: system.live_sequel([taken.choice for taken in self._script], run),
            system.serial,
            system.symmetry,
        )

    def run(self, *, seconds: float, least: int, interruption: Interruption) -> Met:
        """Run executions for a while.

        Args:
            seconds: for how long.
            least: how many are run in any case, if there are so many.
            interruption: ends it.

        Raises:
            ChallengeError: one shows what the search did not find.
        """
        until = time.perf_counter() + seconds
        small = time.perf_counter() + _SMALL_S if seconds or least else 0.0
        count = 0
        while not (self._root.done or interruption.asked):
            now = time.perf_counter()
            if count >= least and now >= until and (now >= small or count >= _MOST_OF_SMALL):
                break
            try:
                self._execute(uniform=count % 2 == 0)
            except (OperationBoundError, StuckClientError) as error:
                return Met(count, str(error))
            count += 1
        return Met(count)

    def _execute(self, *, uniform: bool) -> None:
        """Run one execution to its end."""
        faults = self._system.scenario.faults
        clients = len(self._system.scenario.clients)
        priorities = Priorities(self._dice, clients, self._longest, faults.locked + faults.crash)
        self._script = []
        passed = [self._root]
        with self._system.live() as live:
            state = live.root()
            if not self._script and self._judge.is_new:
                self._judge.start(state)
            self._compare(state)
            while choices := live.choices(state):
                left = passed[-1].left(choices)
                choice = self._dice.choice(left) if uniform else priorities.pick(state, left)
                state = self._take(live, state, choice)
                passed.append(passed[-1].onward.setdefault(choice, _Walked()))
        self._longest = max(self._longest, len(self._script))
        passed[-1].done = True
        for point in reversed(passed[:-1]):
            point.done = len(point.onward) == point.choices and all(after.done for after in point.onward.values())

    def _take(self, live: Product, state: State, choice: Choice) -> State:
        taken = live.take(state, choice)
        self._script.append(taken)
        self._compare(taken.after)
        return taken.after

    def _compare(self, state: State) -> None:
        """Compare a state with what the search found."""
        if not self._found.has_met(state):
            raise self._parted("these rows, with these ends," if state.ended else "these rows")
        broken = self._judge.broken(state) - self._broken
        if broken:
            raise self._parted(f"a state that breaks {min(broken)!r}")
        witnessed = self._judge.witnessed - self._found.witnessed
        if witnessed:
            raise self._parted(f"an execution that shows {min(witnessed)!r}")

    def _parted(self, what: str) -> ChallengeError:
        """Return the error for an execution that the search did not find."""
        schedule = Schedule(tuple(taken.choice for taken in self._script))
        place, why = self._where(schedule)
        return ChallengeError(schedule.token, f"{what} and the search did not find that", place, why)

    def _where(self, schedule: Schedule) -> tuple[str, str]:
        """Return at which operation a live execution and what was learned part, and how."""
        names = [client.name for client in self._system.scenario.clients]
        learned = self._system.product.walk(schedule.choices)
        for number, live in enumerate(self._script, 1):
            place = f"operation {number} ({live.operation or 'a crash'} of {names[live.choice.client]})"
            try:
                other = next(learned)
            except (ScheduleMismatchError, StopIteration) as error:
                return place, str(error) or "the learned execution has ended there"
            if live.observation is not other.observation or live.waits is not other.waits:
                return place, f"live {_seen(live)}, as learned {_seen(other)}"
            if live.after.content is not other.after.content:
                return place, "live other rows are committed than as learned"
            if live.after != other.after:
                return place, "live other locks are held than as learned"
        return "none of its operations", "what was learned agrees, and a reduction has left this execution out"


def _seen(taken: Taken) -> str:
    return "it waits" if taken.waits else f"it sees {taken.observation}"
